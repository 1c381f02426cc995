// SPDX-License-Identifier: Apache-2.0
// Line charts of a job's metrics.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { bytes, duration } from '../format';
import type { Chart } from '../series';

const HEIGHT = 170;
const COLOURS = ['--accent', '--wait', '--bad', '--ok', '--idle'];
const DARK = matchMedia('(prefers-color-scheme: dark)');

function formatter(kind: Chart['kind']): (v: number) => string {
  if (kind === 'bytes') return bytes;
  if (kind === 'percent') return (v) => `${Math.round(v)} %`;
  return (v) => (Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4)));
}

function options(chart: Chart, width: number): uPlot.Options {
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
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(showX) },
      { ...axis, size: chart.kind === 'bytes' ? 66 : 52, values: (_, ticks) => ticks.map(show) },
    ],
    series: [
      { label: chart.axis === 'step' ? 'step' : 'time', value: (_, v) => (v === null ? '' : showX(v)) },
      ...chart.lines.map((line, i) => ({
        label: line.name,
        stroke: colour(COLOURS[i % COLOURS.length] ?? '--accent'),
        width: 1.5,
        spanGaps: true,
        points: { show: line.points.length < 2 },
        value: (_: uPlot, v: number | null) => (v === null ? '' : show(v)),
      })),
    ],
  };
}

function table(chart: Chart): uPlot.AlignedData {
  return uPlot.join(chart.lines.map((l) => [l.points.map((p) => p[0]), l.points.map((p) => p[1])]));
}

/* What makes a chart another one; its data alone only makes it grow. */
function shape(chart: Chart): string {
  return JSON.stringify([chart.title, chart.axis, chart.kind, chart.lines.map((l) => l.name)]);
}

function ChartView({ chart, dark }: { chart: Chart; dark: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const made = new uPlot(options(chart, element.clientWidth || 320), table(chart), element);
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
    };
  }, [shape(chart), dark]);
  useEffect(() => plot.current?.setData(table(chart)), [chart]);
  const last = chart.lines.map((l) => `${l.name} ${formatter(chart.kind)(l.points.at(-1)?.[1] ?? NaN)}`).join(', ');
  return (
    <figure class="chart" aria-label={`Chart of ${chart.title}; last: ${last}`}>
      <h3>{chart.title}</h3>
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
