// SPDX-License-Identifier: Apache-2.0
// Everything that is alive: one stream of /api/v1/watch kept open, its jobs and models in two signals, and the state of
// the connection. Pages add what they fetched; the newest version of a noun wins.
import { batch, signal } from '@preact/signals';
import { API, ApiError, get } from './http';
import { isTerminal } from './types';
import type { Job, Model } from './types';

export const jobs = signal<ReadonlyMap<string, Job>>(new Map());
export const models = signal<ReadonlyMap<string, Model>>(new Map());
export const link = signal<'connecting' | 'live' | 'lost'>('connecting');
export const retryAt = signal(0);
/* Grows with every complete snapshot: what was fetched before a gap must be fetched again. */
export const syncs = signal(0);
export const now = signal(Date.now());

const GATHER_MS = 80;
const RETRY_MS = [1000, 2000, 3000, 5000];
const HIDDEN_MS = 60000;

let source: EventSource | null = null;
let failures = 0;
let retryTimer = 0;
let hiddenTimer = 0;
let gatherTimer = 0;
let pendingJobs: Job[] = [];
let pendingModels: Model[] = [];
let snapshot: Set<string> | null = null;

export function addJobs(list: readonly Job[]): void {
  if (list.length === 0) return;
  const next = new Map(jobs.value);
  for (const job of list) if (job.version >= (next.get(job.id)?.version ?? 0)) next.set(job.id, job);
  jobs.value = next;
}

export function removeJob(id: string): void {
  const next = new Map(jobs.value);
  next.delete(id);
  jobs.value = next;
}

/* Models are keyed by name: one live model a name; a new one of the same name has another id. */
export function addModels(list: readonly Model[]): void {
  if (list.length === 0) return;
  const next = new Map(models.value);
  for (const model of list) {
    const have = next.get(model.name);
    if (have?.id === model.id && model.version < have.version) continue;
    if (have && have.id !== model.id && model.state === 'deleted') continue;
    if (model.state === 'deleted') next.delete(model.name);
    else next.set(model.name, model);
  }
  models.value = next;
}

export function replaceModels(list: readonly Model[]): void {
  models.value = new Map(list.filter((m) => m.state !== 'deleted').map((m) => [m.name, m]));
}

function flush(): void {
  window.clearTimeout(gatherTimer);
  gatherTimer = 0;
  const [gotJobs, gotModels] = [pendingJobs, pendingModels];
  pendingJobs = [];
  pendingModels = [];
  batch(() => {
    addJobs(gotJobs);
    addModels(gotModels);
  });
}

function gather(): void {
  if (gatherTimer === 0) gatherTimer = window.setTimeout(flush, GATHER_MS);
}

/* Jobs that we hold as live and that the snapshot lacks have ended, or were removed, while we were away. */
async function refreshMissing(seen: Set<string>): Promise<void> {
  for (const job of [...jobs.value.values()].filter((j) => !isTerminal(j) && !seen.has(j.id))) {
    try {
      addJobs([await get<Job>(`/jobs/${encodeURIComponent(job.id)}`)]);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) removeJob(job.id);
    }
  }
}

function onSync(): void {
  flush();
  const seen = snapshot ?? new Set<string>();
  snapshot = null;
  failures = 0;
  window.clearTimeout(retryTimer);
  batch(() => {
    link.value = 'live';
    syncs.value++;
  });
  void refreshMissing(seen);
}

function onFailure(): void {
  source?.close();
  source = null;
  link.value = 'lost';
  const wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 5000;
  retryAt.value = Date.now() + wait;
  window.clearTimeout(retryTimer);
  retryTimer = window.setTimeout(() => void reopen(), wait);
}

/* An EventSource does not tell a lost server from a lost session; a request does. */
async function reopen(): Promise<void> {
  try {
    await get('/session');
    open();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) onFailure();
  }
}

function open(): void {
  source?.close();
  snapshot = new Set();
  source = new EventSource(`${API}/watch`);
  source.addEventListener('job', (event) => {
    const job: Job = JSON.parse((event as MessageEvent<string>).data);
    snapshot?.add(job.id);
    pendingJobs.push(job);
    gather();
  });
  source.addEventListener('model', (event) => {
    pendingModels.push(JSON.parse((event as MessageEvent<string>).data));
    gather();
  });
  source.addEventListener('sync', onSync);
  source.addEventListener('error', onFailure);
}

function close(): void {
  source?.close();
  source = null;
  window.clearTimeout(retryTimer);
}

/* A browser allows six connections to a server: a tab that nobody looks at gives its own back. */
function onVisibility(): void {
  window.clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = window.setTimeout(close, HIDDEN_MS);
  else if (source === null) void reopen();
}

/* Returns what ends it. */
export function startLive(): () => void {
  link.value = 'connecting';
  failures = 0;
  const clock = window.setInterval(() => (now.value = Date.now()), 1000);
  document.addEventListener('visibilitychange', onVisibility);
  open();
  return () => {
    window.clearInterval(clock);
    window.clearTimeout(hiddenTimer);
    document.removeEventListener('visibilitychange', onVisibility);
    close();
    batch(() => {
      jobs.value = new Map();
      models.value = new Map();
    });
  };
}
