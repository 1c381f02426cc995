// SPDX-License-Identifier: Apache-2.0
// The log as a terminal shows it.
import { expect, test } from 'vitest';
import { Terminal } from '../src/terminal';

function shown(...parts: string[]): string {
  const terminal = new Terminal();
  for (const part of parts) terminal.write(part);
  return terminal.text();
}

test('a bar drawn again and again by carriage returns stays one line', () => {
  expect(shown('Epoch 1/2\n', '\r 1/10 ━ 2s', '\r 5/10 ━━━ 1s', '\r10/10 ━━━━━ 0s\n')).toBe(
    'Epoch 1/2\n10/10 ━━━━━ 0s\n',
  );
});

test('a carriage return alone removes nothing, what is shorter leaves the rest', () => {
  expect(shown('abcdef\rXY')).toBe('XYcdef');
  expect(shown('abc\r\ndef')).toBe('abc\ndef');
});

test('backspaces move back, also past what was written', () => {
  expect(shown('10%\b\b\b20%')).toBe('20%');
  expect(shown('a\b\b\b\bb')).toBe('b');
});

test('colours vanish and erasing works, also when a sequence is cut in two', () => {
  expect(shown('\x1b[1mbold\x1b[0m \x1b[38;5;2mgreen\x1b[0m')).toBe('bold green');
  expect(shown('\x1b[3', '2mgreen\x1b', '[0m!')).toBe('green!');
  expect(shown('half done\r\x1b[Kdone')).toBe('done');
  expect(shown('abc\x1b[2K\rx')).toBe('x');
  expect(shown('\x1b]0;title\x07text')).toBe('text');
});

test('an endless escape sequence is given up and does not swallow the log', () => {
  expect(shown(`\x1b]${'x'.repeat(100)}`, '\nnext')).toContain('next');
});

test('tabs go to the next column of eight', () => {
  expect(shown('a\tb')).toBe('a       b');
});

test('markup stays text', () => {
  expect(shown('<img src=x onerror=alert(1)>\n')).toBe('<img src=x onerror=alert(1)>\n');
});

test('lines and their lengths are bounded, numbering goes on', () => {
  const terminal = new Terminal(100, 10);
  for (let i = 0; i < 1000; i++) terminal.write(`line ${i} is long\n`);
  expect(terminal.lines.length).toBeLessThanOrEqual(120);
  expect(terminal.first + terminal.lines.length).toBe(1000);
  expect(terminal.lines.at(-1)).toBe('line 999 i');
});
