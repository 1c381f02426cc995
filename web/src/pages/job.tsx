// SPDX-License-Identifier: Apache-2.0
// One job: how it stands and why, its log, metrics, outputs and history.
import { useEffect, useState } from 'preact/hooks';
import { command, dateTime, duration, jobDuration } from '../format';
import { change, get } from '../http';
import { addJobs, jobs, now, removeJob, syncs } from '../live';
import { BoardsPanel } from '../parts/boards';
import { Charts } from '../parts/charts';
import { ConfirmButton } from '../parts/confirm';
import { DeployForm } from '../parts/deploy';
import { EventsPanel } from '../parts/events';
import { Facts } from '../parts/facts';
import { OutputsPanel } from '../parts/files';
import { Failure, useLoad, useRepeat, useTitle } from '../parts/load';
import { LogPanel } from '../parts/log';
import { attempt, notifyDone } from '../parts/notices';
import { ProgressBar, StateBadge } from '../parts/state';
import { go, to } from '../router';
import { toCharts } from '../series';
import { parseUri } from '../store';
import { isTerminal } from '../types';
import type { Job, JobSpec, Metrics } from '../types';
import { cancelJob } from './jobs';

const METRICS_MS = 2500;

/* 'id' is an id or a name. */
export function JobPage({ id }: { id: string }) {
  const path = `/jobs/${encodeURIComponent(id)}`;
  const { data, error, reload } = useLoad(async (signal) => {
    const job = await get<Job>(path, signal);
    addJobs([job]);
    return job;
  }, [path, syncs.value]);
  const job = jobs.value.get(data?.id ?? id) ?? data;
  useTitle(job ? job.name : id);
  if (error && (!job || error.status === 404)) return <Failure error={error} retry={reload} />;
  if (!job) return <p class="hint">Loading …</p>;
  return <JobView job={job} />;
}

function JobView({ job }: { job: Job }) {
  const [shownAttempt, setShownAttempt] = useState(0);
  const number = shownAttempt || job.attempt;
  const ended = isTerminal(job);
  const path = `/jobs/${encodeURIComponent(job.id)}`;
  const outputs = parseUri(job.output_uri);
  return (
    <>
      <JobHead job={job} />
      <JobNow job={job} />
      {job.state === 'completed' && <DeployForm job={job} />}
      <div class="columns">
        <div>
          {job.attempt > 1 && <Attempts job={job} shown={number} choose={setShownAttempt} />}
          {job.attempt > 0 ? (
            <LogPanel
              path={`${path}/logs`}
              attempt={number}
              ended={ended || number < job.attempt}
              waiting="The program has written nothing yet."
            />
          ) : (
            <section class="panel">
              <h2>Log</h2>
              <p class="hint">{ended ? 'The job never started.' : 'The log begins when the job starts.'}</p>
            </section>
          )}
          {job.attempt > 0 && <MetricsPanel path={path} attempt={number} live={!ended && number === job.attempt} />}
          {outputs && <OutputsPanel at={outputs} ended={ended} version={job.version} />}
        </div>
        <div>
          <TimesPanel job={job} />
          <BoardsPanel job={job} />
          <EventsPanel path={`${path}/events`} version={job.version} />
          <SpecPanel spec={job.spec} />
        </div>
      </div>
    </>
  );
}

async function deleteJob(job: Job): Promise<void> {
  await attempt(async () => {
    await change('DELETE', `/jobs/${encodeURIComponent(job.id)}`);
    removeJob(job.id);
    notifyDone(`Job '${job.name}' (${job.id}) was removed.`);
    go(to('jobs'));
  });
}

function JobHead({ job }: { job: Job }) {
  return (
    <div class="head">
      <a class="crumb" href={to('jobs')}>
        Jobs
      </a>
      <span class="crumb">/</span>
      <h1>{job.name}</h1>
      <StateBadge state={job.state} />
      <span class="sub mono">{job.id}</span>
      <div class="actions">
        {!isTerminal(job) && job.cancel_requested && <span class="sub">stopping …</span>}
        {!isTerminal(job) && !job.cancel_requested && (
          <ConfirmButton label="Cancel job" question="Really cancel?" subject={job.name} action={() => cancelJob(job)} />
        )}
        {isTerminal(job) && (
          <ConfirmButton
            label="Delete"
            question="Delete record, logs and outputs?"
            subject={job.name}
            action={() => deleteJob(job)}
          />
        )}
      </div>
    </div>
  );
}

function JobNow({ job }: { job: Job }) {
  const active = job.state === 'starting' || job.state === 'running';
  return (
    <>
      {job.message && (
        <p class={`said said-${job.state}`}>
          {job.reason && job.reason !== job.state && <strong>{job.reason} </strong>}
          {job.message}
        </p>
      )}
      {active && (
        <section class="panel" aria-label="Progress">
          <ProgressBar progress={job.progress} active />
          {job.progress?.text && <p class="sub mono">{job.progress.text}</p>}
        </section>
      )}
    </>
  );
}

function Attempts({ job, shown, choose }: { job: Job; shown: number; choose: (n: number) => void }) {
  return (
    <div class="filters" role="group" aria-label="Attempt">
      {Array.from({ length: job.attempt }, (_, i) => i + 1).map((n) => (
        <button
          key={n}
          type="button"
          aria-pressed={n === shown}
          onClick={() => choose(n === job.attempt ? 0 : n)}
        >
          attempt {n}
        </button>
      ))}
    </div>
  );
}

function MetricsPanel({ path, attempt: number, live }: { path: string; attempt: number; live: boolean }) {
  const { data, error, reload } = useLoad(
    (signal) => get<{ data: Metrics }>(`${path}/metrics?attempt=${number}`, signal),
    [path, number, live],
  );
  useRepeat(reload, METRICS_MS, live);
  const [charts, setCharts] = useState(() => toCharts({}));
  useEffect(() => setCharts(toCharts(data?.data ?? {})), [data]);
  return (
    <section class="panel" aria-label="Metrics">
      <header>
        <h2>Metrics</h2>
      </header>
      {error && error.status !== 404 && <Failure error={error} retry={reload} />}
      {charts.length > 0 && <Charts charts={charts} />}
      {charts.length === 0 && !error && (
        <p class="hint">
          {live ? 'Nothing measured yet. ' : 'Nothing was measured. '}
          Losses and accuracies that a program prints appear here; a line such as{' '}
          <code>cloudml: metric loss=0.3 step=12</code> always works.
        </p>
      )}
    </section>
  );
}

function TimesPanel({ job }: { job: Job }) {
  const took = jobDuration(job, now.value);
  const deadline = job.deadline_ms && !isTerminal(job) ? duration(job.deadline_ms - now.value) : '';
  return (
    <section class="panel" aria-label="Times">
      <Facts
        facts={[
          ['submitted', `${dateTime(job.created_ms)} by ${job.user}`],
          ['started', job.started_ms ? dateTime(job.started_ms) : ''],
          ['waited', job.started_ms && job.queued_ms ? duration(job.started_ms - job.queued_ms) : ''],
          ['ended', job.ended_ms ? dateTime(job.ended_ms) : ''],
          ['duration', took === null ? '' : duration(took)],
          ['time limit of this state', deadline],
          ['exit', exitText(job)],
        ]}
      />
    </section>
  );
}

function exitText(job: Job): string {
  const exit = job.exit;
  if (!exit) return '';
  const how = exit.signal ? `signal ${exit.signal}` : exit.code === null ? '' : `status ${exit.code}`;
  return [how, exit.class === 'none' ? '' : exit.class].filter(Boolean).join(', ');
}

const SPEC_FIRST = ['framework', 'framework_version', 'cpu', 'memory', 'gpu'];

function SpecPanel({ spec }: { spec: JobSpec }) {
  const hidden = new Set(['name', 'command', 'args', 'module']);
  const keys = Object.keys(spec).filter((k) => !hidden.has(k));
  keys.sort((a, b) => Number(SPEC_FIRST.includes(b)) - Number(SPEC_FIRST.includes(a)));
  return (
    <section class="panel" aria-label="Specification">
      <header>
        <h2>Specification</h2>
      </header>
      <Facts facts={[['command', command(spec)], ...keys.map((k): [string, string] => [k, specText(spec[k])])]} />
    </section>
  );
}

function specText(v: unknown): string {
  if (Array.isArray(v)) return v.join('\n');
  if (v !== null && typeof v === 'object') return Object.entries(v).map(([k, x]) => `${k}=${x}`).join('\n');
  return v === null || v === undefined ? '' : String(v);
}
