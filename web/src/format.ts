// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them.
import type { Job, Progress } from './types';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SUFFIX: Record<string, number> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

export function bytes(n: number): string {
  if (!Number.isFinite(n) || n < 0) return '–';
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

/* What is held of what may be: '2 / 8', or '2 / no limit' for -1. */
export function share(held: number, most: number, text: (n: number) => string = String): string {
  return `${text(held)} / ${most < 0 ? 'no limit' : text(most)}`;
}

/* '4G', '512MiB' or a number of bytes. NaN when it is neither. */
export function parseBytes(size: string | number | undefined): number {
  if (typeof size === 'number') return size;
  const found = /^([\d.]+)\s*([kmgtp]?)(i?b)?$/i.exec(size ?? '');
  if (!found) return NaN;
  return Number(found[1]) * 1024 ** (SUFFIX[(found[2] ?? '').toLowerCase()] ?? 0);
}

/* '500m', '2' or a number of cores. NaN when it is neither. */
export function parseCores(cpu: string | number | undefined): number {
  if (typeof cpu === 'number') return cpu;
  const found = /^([\d.]+)(m?)$/.exec(cpu ?? '');
  return found ? Number(found[1]) / (found[2] ? 1000 : 1) : NaN;
}

export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function ago(ms: number, now: number): string {
  const s = Math.max(0, Math.floor((now - ms) / 1000));
  if (s < 10) return 'just now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

export function dateTime(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  return (
    `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ` +
    `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
  );
}

export function time(ms: number): string {
  return dateTime(ms).slice(11);
}

/* How long a job has been at work, or was; null before it started. */
export function jobDuration(job: Job, now: number): number | null {
  if (!job.started_ms) return null;
  return (job.ended_ms || now) - job.started_ms;
}

/* A known value of a progress field, else null. */
export function known(n: number | null | undefined): number | null {
  return n === null || n === undefined || n < 0 ? null : n;
}

export function progressText(p: Progress | null | undefined): string {
  if (!p) return '';
  const [percent, step, total, eta] = [known(p.percent), known(p.step), known(p.total), known(p.eta_ms)];
  const parts = [];
  if (percent !== null) parts.push(`${Math.floor(percent)} %`);
  if (step !== null && total !== null) parts.push(`${step} of ${total}`);
  if (eta !== null) parts.push(`${duration(eta)} left`);
  return parts.join(' · ');
}

export function command(spec: Job['spec']): string {
  const argv = spec.module ? ['python', '-m', spec.module] : (spec.command ?? []);
  return [...argv, ...(spec.args ?? [])].map(quote).join(' ');
}

export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export function frameworkName(spec: { framework?: unknown; framework_version?: unknown }): string {
  return [spec.framework, spec.framework_version].filter((s) => typeof s === 'string' && s !== '').join(' ');
}
