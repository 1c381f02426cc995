// SPDX-License-Identifier: Apache-2.0
// Output of a program as a terminal would show it: carriage return and backspace move back, so that a progress bar is
// one line however often it is drawn; colours are dropped. Bounded in lines and in the length of a line.

const ESC = '\x1b';
const SEQUENCE_MAX = 64;
const CONTROL = /[\x00-\x1f\x7f]/g;
/* A whole escape sequence at the beginning: control sequence, operating system command, or two characters. */
const SEQUENCE = /^\x1b(?:\[([0-9;?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^[\]])/;

export class Terminal {
  /* Finished lines; lines[0] is line number 'first' of all. */
  lines: string[] = [];
  first = 0;
  current = '';
  private column = 0;
  private unfinished = '';

  constructor(
    private readonly linesMax = 5000,
    private readonly lineMax = 4096,
  ) {}

  write(text: string): void {
    let rest = this.unfinished + text;
    this.unfinished = '';
    while (rest !== '') {
      CONTROL.lastIndex = 0;
      const at = CONTROL.exec(rest)?.index ?? rest.length;
      if (at > 0) this.print(rest.slice(0, at));
      if (at === rest.length) return;
      if (rest[at] === ESC) {
        rest = this.escape(rest.slice(at));
      } else {
        this.control(rest[at] ?? '');
        rest = rest.slice(at + 1);
      }
    }
  }

  /* All text, for tests and for copying. */
  text(): string {
    return [...this.lines, this.current].join('\n');
  }

  private print(run: string): void {
    const room = this.lineMax - this.column;
    if (room <= 0) return;
    const part = run.slice(0, room);
    const before = this.current.slice(0, this.column).padEnd(this.column);
    this.current = before + part + this.current.slice(this.column + part.length);
    this.column += part.length;
  }

  private control(c: string): void {
    if (c === '\n') this.newline();
    else if (c === '\r') this.column = 0;
    else if (c === '\b') this.column = Math.max(0, this.column - 1);
    else if (c === '\t') this.print(' '.repeat(8 - (this.column % 8)));
  }

  private newline(): void {
    this.lines.push(this.current.trimEnd());
    this.current = '';
    this.column = 0;
    /* In larger steps: taking one from the front of a long array at every line is slow. */
    if (this.lines.length > this.linesMax * 1.2) {
      const drop = this.lines.length - this.linesMax;
      this.lines.splice(0, drop);
      this.first += drop;
    }
  }

  /* 'rest' begins with ESC; returns what follows the sequence, or keeps an unfinished one for later. */
  private escape(rest: string): string {
    const found = SEQUENCE.exec(rest);
    if (!found) {
      if (rest.length > SEQUENCE_MAX) return rest.slice(1);
      this.unfinished = rest;
      return '';
    }
    if (found[2] === 'K') this.erase(found[1] ?? '');
    if (found[2] === 'G') this.column = Math.min(Math.max(0, Number(found[1] || 1) - 1), this.lineMax);
    return rest.slice(found[0].length);
  }

  private erase(how: string): void {
    if (how === '2') this.current = '';
    else if (how === '1') this.current = ' '.repeat(this.column) + this.current.slice(this.column);
    else this.current = this.current.slice(0, this.column);
  }
}
