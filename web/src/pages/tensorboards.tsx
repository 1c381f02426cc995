// SPDX-License-Identifier: Apache-2.0
// The TensorBoards that run.
import { ago, dateTime } from '../format';
import { get } from '../http';
import { now, syncs } from '../live';
import { BoardLink } from '../parts/boards';
import { Copyable } from '../parts/copy';
import { Empty, Failure, useLoad, useRepeat, useTitle } from '../parts/load';
import { ProgressBar, StateBadge } from '../parts/state';
import { to } from '../router';
import { isMoving, jobOf } from '../tensorboards';
import type { Tensorboard } from '../types';

const MOVING_MS = 2000;

export function TensorboardsPage() {
  useTitle('TensorBoards');
  const { data, error, reload } = useLoad((signal) => get<{ data: Tensorboard[] }>('/tensorboards', signal), [syncs.value]);
  const list = [...(data?.data ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  useRepeat(reload, MOVING_MS, list.some(isMoving));
  return (
    <>
      <div class="head">
        <h1>TensorBoards</h1>
      </div>
      {error && <Failure error={error} retry={reload} />}
      {list.length > 0 && <BoardTable list={list} />}
      {!data && !error && <p class="hint">Loading …</p>}
      {data && list.length === 0 && (
        <Empty>
          <p>No TensorBoard runs. For a job that writes summaries, type</p>
          <Copyable text="cloudml tensorboard create JOB" label="the command" />
        </Empty>
      )}
    </>
  );
}

function BoardTable({ list }: { list: Tensorboard[] }) {
  return (
    <table class="table stack models">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">TensorBoard</th>
          <th scope="col">Shows</th>
          <th scope="col">Since</th>
        </tr>
      </thead>
      <tbody>
        {list.map((b) => (
          <tr key={b.id}>
            <td>
              <StateBadge state={b.state} />
            </td>
            <td class="name">
              <BoardLink board={b} />
              <span class="sub mono">{b.id}</span>
            </td>
            <td class="wide">
              {jobOf(b) ? <a href={to('jobs', jobOf(b))}>{b.uri}</a> : <span class="mono">{b.uri}</span>}
              {b.state === 'starting' && <ProgressBar progress={b.progress} active />}
              {b.state !== 'ready' && <span class="sub message">{b.message}</span>}
            </td>
            <td title={dateTime(b.ready_ms || b.created_ms)}>{ago(b.ready_ms || b.created_ms, now.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
