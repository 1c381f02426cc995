// SPDX-License-Identifier: Apache-2.0
// JSON text laid out for reading without touching its values: every digit stays as it was written, NaN and Infinity
// too. A list or object that fits a line stays on one.

const LINE_MAX = 96;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/* Text that is no JSON comes back unchanged, without an error: it is then shown as it is. */
export function layoutJson(text: string): string {
  const tokens = text.match(TOKEN) ?? [];
  const layout = new Layout(tokens);
  return layout.whole() ?? text;
}

/* The same values without a byte of layout. */
export function compactJson(text: string): string {
  return (text.match(TOKEN) ?? []).join('');
}

class Layout {
  private at = 0;
  private readonly closers: number[];

  constructor(private readonly tokens: readonly string[]) {
    this.closers = matchClosers(tokens);
  }

  whole(): string | null {
    if (this.closers.includes(-1)) return null;
    const lines: string[] = [];
    while (this.at < this.tokens.length) lines.push(this.value(0));
    return lines.join('\n');
  }

  /* Deep nesting is laid out flat rather than by deep recursion. */
  private value(depth: number): string {
    const token = this.tokens[this.at] ?? '';
    const end = this.closers[this.at];
    if (end === undefined) {
      this.at++;
      return token;
    }
    const flat = this.flat(this.at, end);
    if (flat.length <= LINE_MAX - 2 * depth || depth > 32) {
      this.at = end + 1;
      return flat;
    }
    return this.tall(end, depth);
  }

  private tall(end: number, depth: number): string {
    const open = this.tokens[this.at++] ?? '';
    const indent = '  '.repeat(depth + 1);
    let out = `${open}\n${indent}`;
    while (this.at < end) {
      const token = this.tokens[this.at] ?? '';
      if (token === ',') out += `,\n${indent}`;
      else if (token === ':') out += ': ';
      else {
        out += this.value(depth + 1);
        continue;
      }
      this.at++;
    }
    this.at++;
    return `${out}\n${'  '.repeat(depth)}${this.tokens[end]}`;
  }

  private flat(from: number, to: number): string {
    let out = '';
    for (let i = from; i <= to; i++) {
      const token = this.tokens[i] ?? '';
      out += token === ',' || token === ':' ? `${token} ` : token;
    }
    return out;
  }
}

/* For each opening token the place of its closing one; -1 where one is missing. */
function matchClosers(tokens: readonly string[]): number[] {
  const closers: number[] = [];
  const open: number[] = [];
  tokens.forEach((token, i) => {
    if (token === '{' || token === '[') {
      closers[i] = -1;
      open.push(i);
    } else if (token === '}' || token === ']') {
      const start = open.pop();
      if (start !== undefined) closers[start] = i;
    }
  });
  return closers;
}
