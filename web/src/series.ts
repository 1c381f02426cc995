// SPDX-License-Identifier: Apache-2.0
// From the API's metrics to charts: a measure and its validation twin share a chart; steps are the axis where they grow.
import type { Metrics, Point } from './types';

export interface Line {
  name: string;
  points: [x: number, y: number][];
}

export interface Chart {
  title: string;
  axis: 'step' | 'seconds';
  kind: 'number' | 'bytes' | 'percent';
  lines: Line[];
}

const TWIN = /^(?:val|valid|validation|eval|test|train)[-_/](.+)$/;

export function baseName(name: string): string {
  return TWIN.exec(name)?.[1] ?? name;
}

function kindOf(base: string): Chart['kind'] {
  if (base.endsWith('_bytes')) return 'bytes';
  return base.endsWith('_percent') ? 'percent' : 'number';
}

function stepsGrow(points: readonly Point[]): boolean {
  return points.every((p, i) => p[1] >= 0 && (i === 0 || p[1] >= (points[i - 1]?.[1] ?? 0)));
}

/* x ascending, the last value of an x wins. */
function toLine(name: string, points: readonly Point[], x: (p: Point) => number): Line {
  const byX = new Map<number, number>();
  for (const p of points) if (Number.isFinite(p[2])) byX.set(x(p), p[2]);
  return { name, points: [...byX].sort((a, b) => a[0] - b[0]) };
}

function start(metrics: Metrics): number {
  return Math.min(...Object.values(metrics).map((points) => points[0]?.[0] ?? Infinity));
}

/* Measures of the program first, of the container last. */
function rank(chart: Chart): number {
  return chart.kind === 'number' ? 0 : 1;
}

export function toCharts(metrics: Metrics): Chart[] {
  const groups = new Map<string, string[]>();
  for (const name of Object.keys(metrics).sort()) {
    if (metrics[name]?.length) groups.set(baseName(name), [...(groups.get(baseName(name)) ?? []), name]);
  }
  const zero = start(metrics);
  const charts = [...groups].map(([base, names]): Chart => {
    const bySteps = names.every((n) => stepsGrow(metrics[n] ?? []));
    const x = bySteps ? (p: Point) => p[1] : (p: Point) => (p[0] - zero) / 1000;
    const lines = names.map((n) => toLine(n, metrics[n] ?? [], x));
    return { title: base, axis: bySteps ? 'step' : 'seconds', kind: kindOf(base), lines };
  });
  return charts.sort((a, b) => rank(a) - rank(b) || (a.title < b.title ? -1 : 1));
}
