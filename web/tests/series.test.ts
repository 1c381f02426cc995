// SPDX-License-Identifier: Apache-2.0
// From metrics to charts.
import { expect, test } from 'vitest';
import { toCharts } from '../src/series';
import type { Point } from '../src/types';

test('a measure and its validation twin share a chart; the container comes last', () => {
  const at = (step: number): Point[] => [[1000, step, 1]];
  const charts = toCharts({ cpu_percent: at(-1), val_loss: at(1), loss: at(1), accuracy: at(1), memory_bytes: at(-1) });
  expect(charts.map((c) => [c.title, c.kind, c.lines.map((l) => l.name)])).toEqual([
    ['accuracy', 'number', ['accuracy']],
    ['loss', 'number', ['loss', 'val_loss']],
    ['cpu_percent', 'percent', ['cpu_percent']],
    ['memory_bytes', 'bytes', ['memory_bytes']],
  ]);
});

test('steps that begin anew make time the axis, counted from the first point of all', () => {
  const loss: Point[] = [[2000, 1, 5], [3000, 2, 4], [4000, 1, 3]];
  const [chart] = toCharts({ loss, cpu_percent: [[1000, -1, 9]] });
  expect(chart?.axis).toBe('seconds');
  expect(chart?.lines[0]?.points).toEqual([[1, 5], [2, 4], [3, 3]]);
});

test('the last value of a step wins and what is no number is left out', () => {
  const [chart] = toCharts({ loss: [[1, 1, 5], [2, 1, 4], [3, 2, NaN], [4, 3, 2]] });
  expect(chart?.axis).toBe('step');
  expect(chart?.lines[0]?.points).toEqual([[1, 4], [3, 2]]);
});

test('nothing measured is no chart', () => {
  expect(toCharts({ loss: [] })).toEqual([]);
});
