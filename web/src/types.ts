// SPDX-License-Identifier: Apache-2.0
// The nouns of the HTTP API as docs/api.md states them.

export const JOB_STATES = ['submitted', 'queued', 'starting', 'running', 'completed', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];
export const TERMINAL_STATES: readonly string[] = ['completed', 'failed', 'cancelled'];

export type ModelState = 'starting' | 'ready' | 'stopping' | 'failed' | 'deleted';

/* What is unknown is null. */
export interface Progress {
  phase?: string | null;
  percent?: number | null;
  step?: number | null;
  total?: number | null;
  eta_ms?: number | null;
  text?: string | null;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface JobSpec {
  name?: string;
  framework?: string;
  framework_version?: string;
  package?: string;
  module?: string;
  command?: string[];
  args?: string[];
  cpu?: string | number;
  memory?: string | number;
  gpu?: string | number;
  [key: string]: Json | undefined;
}

export interface Job {
  id: string;
  name: string;
  org: string;
  user: string;
  state: JobState;
  reason?: string;
  message?: string;
  seq: number;
  version: number;
  attempt: number;
  cancel_requested?: boolean;
  created_ms: number;
  queued_ms?: number | null;
  started_ms?: number | null;
  running_ms?: number | null;
  ended_ms?: number | null;
  deadline_ms?: number | null;
  exit?: { code: number | null; signal: number | null; class: string } | null;
  progress?: Progress | null;
  output_uri: string;
  spec: JobSpec;
}

export interface Tensorboard {
  id: string;
  name: string;
  state: ModelState;
  message?: string;
  created_ms: number;
  ready_ms?: number | null;
  path: string; // of its pages, below the server's address
  uri: string; // what it shows
  progress?: Progress | null;
}

export interface Model {
  id: string;
  name: string;
  org: string;
  user: string;
  state: ModelState;
  reason?: string;
  message?: string;
  version: number; // grows with every change; that of the model files is spec.model_version
  attempt: number;
  restarts: number;
  created_ms: number;
  ready_ms?: number | null;
  address?: string;
  http_url?: string | null;
  grpc_address?: string | null;
  progress?: Progress | null;
  revision?: number;
  replicas_ready?: number;
  replicas?: Replica[];
  update?: { state: string; revision: number; message: string };
  spec: { [key: string]: Json | undefined };
}

export interface Replica {
  replica: number;
  state: string; // waiting, starting, ready, unhealthy, restarting, draining
  attempt: number;
  release: number;
  restarts: number;
  ready_ms: number;
  message: string;
}

export interface Org {
  name: string;
  description: string;
  state: string;
  created_ms: number;
}

export interface User {
  name: string;
  org: string;
  role: string;
  platform: boolean;
  created_ms: number;
}

export interface Key {
  id: string;
  user: string;
  role: string;
  note: string;
  created_ms: number;
  expires_ms: number; // 0 = never
}

/* -1 = no limit. */
export interface QuotaShare {
  cpu: number;
  memory: number;
  gpu: number;
  count: number;
}

type Shares = { training: QuotaShare; models: QuotaShare; development: QuotaShare };

export interface QuotaState {
  org: string;
  quota: Shares;
  used: Shares;
  warning: string;
}

export interface Usage {
  org: string;
  user?: string;
  cpu_hours: number;
  memory_gib_hours: number;
  gpu_hours: number;
  attempts: number;
  running: number;
}

export interface Event {
  seq: number;
  subject: string;
  time_ms: number;
  type: string;
  reason: string;
  message: string;
  actor: string;
}

export interface Framework {
  name: string;
  version: string;
  default: boolean;
  title: string;
  packages: string[];
  download_bytes?: number;
  disk_bytes?: number;
}

export type Amounts = { cpu?: string | number; memory?: string | number; gpu?: string | number };

export interface Status {
  version: string;
  uptime_ms: number;
  pid: number;
  data_folder: string;
  backend: { [key: string]: Json };
  capacity: Amounts;
  used: Amounts;
  jobs: { [state: string]: number };
  models: { [state: string]: number };
}

export interface Session {
  org: string;
  user: string;
  role: string;
  platform?: boolean;
  csrf: string;
}

/* A row of a listing is an object or, with a delimiter, a folder. */
export type StoreRow = { key: string; size: number; modified_ms: number; etag: string } | { prefix: string };
export type StoreList = { data: StoreRow[]; truncated: boolean };

export type Point = [time_ms: number, step: number, value: number];
export type Metrics = { [name: string]: Point[] };

export function isTerminal(job: Job): boolean {
  return TERMINAL_STATES.includes(job.state);
}
