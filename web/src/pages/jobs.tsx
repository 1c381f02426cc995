// SPDX-License-Identifier: Apache-2.0
// The jobs, newest first, moving while they run.
import { useEffect, useState } from 'preact/hooks';
import { ago, command, dateTime, duration, frameworkName, jobDuration } from '../format';
import { change, get } from '../http';
import { addJobs, jobs, now, syncs } from '../live';
import { ConfirmButton } from '../parts/confirm';
import { Copyable } from '../parts/copy';
import { Empty, Failure, useTitle } from '../parts/load';
import { attempt } from '../parts/notices';
import { ProgressBar, StateBadge } from '../parts/state';
import { to } from '../router';
import { isTerminal, JOB_STATES } from '../types';
import type { Job, JobState } from '../types';

const PAGE = 100;
type Filter = JobState | 'all';
type Listing = { data: Job[]; next: number | null };

/* Pages of one filter fetched so far: everything from 'oldest' on is complete. */
function useJobPages(filter: Filter) {
  const [oldest, setOldest] = useState<number | null>(null);
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState<Error>();
  const fetchPage = async (before: number | null, stale: () => boolean) => {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (filter !== 'all') query.set('state', filter);
    if (before !== null) query.set('before', String(before));
    try {
      const page = await get<Listing>(`/jobs?${query}`);
      if (stale()) return;
      addJobs(page.data);
      setError(undefined);
      setNext(page.next);
      setOldest(page.next === null ? 0 : Math.min(...page.data.map((j) => j.seq)));
    } catch (cause) {
      if (!stale()) setError(cause as Error);
    }
  };
  useEffect(() => {
    let gone = false;
    void fetchPage(null, () => gone);
    return () => {
      gone = true;
    };
  }, [filter, syncs.value]);
  const more = next === null ? undefined : () => void fetchPage(next, () => false);
  return { oldest, more, error, again: () => void fetchPage(null, () => false) };
}

export function JobsPage() {
  useTitle('Jobs');
  const [filter, setFilter] = useState<Filter>('all');
  const { oldest, more, error, again } = useJobPages(filter);
  const all = [...jobs.value.values()];
  const shown = all
    .filter((j) => (filter === 'all' || j.state === filter) && (oldest === null || j.seq >= oldest))
    .sort((a, b) => b.seq - a.seq);
  return (
    <>
      <div class="head">
        <h1>Jobs</h1>
        <Filters filter={filter} choose={setFilter} all={all} />
      </div>
      {error && <Failure error={error} retry={again} />}
      {shown.length > 0 && <JobTable list={shown} />}
      {shown.length === 0 && oldest !== null && <NoJobs filter={filter} />}
      {shown.length === 0 && oldest === null && !error && <p class="hint">Loading …</p>}
      {more && (
        <button type="button" class="more" onClick={more}>
          Show older jobs
        </button>
      )}
    </>
  );
}

function Filters({ filter, choose, all }: { filter: Filter; choose: (f: Filter) => void; all: Job[] }) {
  const live = (state: Filter) => all.filter((j) => j.state === state && !isTerminal(j)).length;
  return (
    <div class="filters" role="group" aria-label="Filter by state">
      {(['all', ...JOB_STATES] as const).map((state) => (
        <button key={state} type="button" aria-pressed={filter === state} onClick={() => choose(state)}>
          {state}
          {live(state) > 0 && <span class="count">{live(state)}</span>}
        </button>
      ))}
    </div>
  );
}

function NoJobs({ filter }: { filter: Filter }) {
  if (filter !== 'all') return <Empty>No job is {filter}.</Empty>;
  return (
    <Empty>
      <p>No jobs yet. In the folder of your program, type</p>
      <Copyable text="cloudml run -- python train.py" label="the command" />
    </Empty>
  );
}

function JobTable({ list }: { list: Job[] }) {
  return (
    <table class="table jobs stack">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Job</th>
          <th scope="col" class="wide">
            Progress
          </th>
          <th scope="col">Framework</th>
          <th scope="col" class="number">
            Duration
          </th>
          <th scope="col">Submitted</th>
          <th scope="col">
            <span class="offscreen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {list.map((job) => (
          <JobRow key={job.id} job={job} />
        ))}
      </tbody>
    </table>
  );
}

export async function cancelJob(job: Job): Promise<void> {
  await attempt(async () => {
    const after = await change<Job>('POST', `/jobs/${encodeURIComponent(job.id)}/cancel`);
    if (after) addJobs([after]);
  });
}

function JobRow({ job }: { job: Job }) {
  const took = jobDuration(job, now.value);
  const ended = isTerminal(job);
  return (
    <tr data-job={job.id}>
      <td>
        <StateBadge state={job.state} />
      </td>
      <td class="name">
        <a href={to('jobs', job.id)}>{job.name}</a>
        <span class="sub mono" title={command(job.spec)}>
          {job.id}
          {job.attempt > 1 ? ` · attempt ${job.attempt}` : ''}
        </span>
      </td>
      <td class="wide">
        {ended ? (
          <span class="sub message">{job.message}</span>
        ) : (
          <>
            <ProgressBar progress={job.progress} active={job.state === 'starting' || job.state === 'running'} />
            <span class="sub message">{job.progress?.text || job.message}</span>
          </>
        )}
      </td>
      <td class="framework">{frameworkName(job.spec)}</td>
      <td class="number">{took === null ? '–' : duration(took)}</td>
      <td title={dateTime(job.created_ms)}>{ago(job.created_ms, now.value)}</td>
      <td class="actions">
        {!ended && !job.cancel_requested && (
          <ConfirmButton label="Cancel" question="Really cancel?" subject={job.name} action={() => cancelJob(job)} />
        )}
        {!ended && job.cancel_requested && <span class="sub">stopping …</span>}
      </td>
    </tr>
  );
}
