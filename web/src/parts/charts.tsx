// SPDX-License-Identifier: Apache-2.0
// Line charts of a job's metrics.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { bytes, duration } from '../format';
import type { Chart } from '../series';

const HEIGHT = 170;
const COLOURS = ['--accent', '--wait', '--bad', '--ok', '--idle'];
const BINARY_STEPS = Array.from({ length: 50 }, (_, i) => 2 ** i);
/* What a container uses is read against nothing used. */
const fromZero = (_: uPlot, __: number, max: number): uPlot.Range.MinMax => [0, max > 0 ? max * 1.1 : 1];
const DARK = matchMedia('(prefers-color-scheme: dark)');

function formatter(kind: Chart['kind']): (v: number) => string {
  if (kind === 'bytes') return bytes;
  if (kind === 'percent') return (v) => `${+v.toPrecision(3)} %`;
  return (v) => (Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4)));
}

function options(chart: Chart, width: number, onCursor: (at: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const show = formatter(chart.kind);
  const showX = chart.axis === 'seconds' ? (v: number) => duration(v * 1000) : (v: number) => String(Math.round(v));
  const axis = {
    stroke: colour('--dim'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    scales: { x: { time: false }, y: chart.kind === 'number' ? {} : { range: fromZero } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(showX) },
      {
        ...axis,
        size: chart.kind === 'bytes' ? 62 : 46,
        space: 30,
        values: (_, ticks) => ticks.map(show),
        ...(chart.kind === 'bytes' ? { incrs: BINARY_STEPS } : {}),
      },
    ],
    series: [
      {},
      ...chart.lines.map((line, i) => ({
        stroke: colour(COLOURS[i % COLOURS.length] ?? '--accent'),
        width: 1.5,
        spanGaps: true,
        points: { show: line.points.length < 3 },
      })),
    ],
  };
}

function table(chart: Chart): uPlot.AlignedData {
  return uPlot.join(chart.lines.map((l) => [l.points.map((p) => p[0]), l.points.map((p) => p[1])]));
}

/* Under the cursor, else the last one. */
function valueAt(chart: Chart, line: number, at: number | null): string {
  const values = at === null ? chart.lines[line]?.points.map((p) => p[1]) : [table(chart)[line + 1]?.[at]];
  const value = values?.at(-1);
  return value === undefined || value === null ? '' : formatter(chart.kind)(value);
}

function positionAt(chart: Chart, at: number): string {
  const x = table(chart)[0][at] ?? 0;
  return chart.axis === 'step' ? `step ${x}` : `after ${duration(x * 1000)}`;
}

/* What makes a chart another one; its data alone only makes it grow. */
function shape(chart: Chart): string {
  return JSON.stringify([chart.title, chart.axis, chart.kind, chart.lines.map((l) => l.name)]);
}

function ChartView({ chart, dark }: { chart: Chart; dark: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const made = new uPlot(options(chart, element.clientWidth || 320, setAt), table(chart), element);
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
    };
  }, [shape(chart), dark]);
  useEffect(() => plot.current?.setData(table(chart)), [chart]);
  return (
    <figure class="chart" aria-label={`Chart of ${chart.title}`}>
      <figcaption>
        {chart.lines.map((line, i) => (
          <span key={line.name}>
            <i class={`swatch swatch-${i % COLOURS.length}`} />
            {line.name} <strong class="measure">{valueAt(chart, i, at)}</strong>
          </span>
        ))}
        {at !== null && <span class="when">{positionAt(chart, at)}</span>}
      </figcaption>
      <div ref={box} />
    </figure>
  );
}

export function Charts({ charts }: { charts: Chart[] }) {
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    const read = () => setDark(DARK.matches);
    DARK.addEventListener('change', read);
    return () => DARK.removeEventListener('change', read);
  }, []);
  return (
    <div class="charts">
      {charts.map((chart) => (
        <ChartView key={chart.title} chart={chart} dark={dark} />
      ))}
    </div>
  );
}
