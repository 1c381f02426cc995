// SPDX-License-Identifier: Apache-2.0
// Numbers, times and command lines as people read them.
import { expect, test } from 'vitest';
import { ago, bytes, command, duration, parseBytes, parseCores, progressText, quote, share } from '../src/format';

test('sizes have three digits at most and a unit', () => {
  expect([0, 1023, 1024, 1536, 4 * 2 ** 30, 300 * 2 ** 20].map(bytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '4.0 GiB',
    '300 MiB',
  ]);
});

test('sizes and cores are read from text and from numbers', () => {
  expect(['4G', '512MiB', '10', 7, '1.5K'].map(parseBytes)).toEqual([4 * 2 ** 30, 512 * 2 ** 20, 10, 7, 1536]);
  expect(parseBytes('much')).toBeNaN();
  expect(['500m', '2', 1.5].map(parseCores)).toEqual([0.5, 2, 1.5]);
  expect(parseCores('')).toBeNaN();
});

test('what is held of a quota is shown beside it', () => {
  expect([share(2, 8), share(0, -1), share(1024, 4 * 2 ** 30, bytes)]).toEqual(['2 / 8', '0 / no limit', '1.0 KiB / 4.0 GiB']);
});

test('durations use the two largest units', () => {
  expect([400, 59499, 61000, 3600e3, 90061e3].map(duration)).toEqual(['0 s', '59 s', '1 min 01 s', '1 h 00 min', '1 d 1 h']);
});

test('a time in the future of a clock that runs apart is now', () => {
  expect(ago(5000, 1000)).toBe('just now');
  expect(ago(0, 7200e3)).toBe('2 h ago');
});

test('progress says only what is known', () => {
  expect(progressText({ percent: 42.9, step: 3, total: 7, eta_ms: 61000 })).toBe('42 % · 3 of 7 · 1 min 01 s left');
  expect(progressText({ percent: null, step: 3, total: null, eta_ms: -1 })).toBe('');
  expect(progressText(null)).toBe('');
});

test('a command line can be pasted into a shell', () => {
  expect(command({ command: ['python', 'train.py'], args: ['--note', "it's new"] })).toBe(
    `python train.py --note 'it'\\''s new'`,
  );
  expect(command({ module: 'trainer.task' })).toBe('python -m trainer.task');
  expect(quote('')).toBe("''");
});
