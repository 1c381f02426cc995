// SPDX-License-Identifier: Apache-2.0
// The way to a TensorBoard's pages, and those of one job.
import { get } from '../http';
import { syncs } from '../live';
import { boardsOf, isMoving } from '../tensorboards';
import type { Job, Tensorboard } from '../types';
import { useLoad, useRepeat } from './load';
import { StateBadge } from './state';

const LOOK_MS = 5000;

/* Its pages are another program's: they get a tab of their own. */
export function BoardLink({ board }: { board: Tensorboard }) {
  if (board.state !== 'ready') return <span>{board.name}</span>;
  return (
    <a href={board.path} target="_blank" rel="noopener">
      {board.name}
    </a>
  );
}

/* Nothing when there are none: most jobs have none. */
export function BoardsPanel({ job }: { job: Job }) {
  const { data, reload } = useLoad((signal) => get<{ data: Tensorboard[] }>('/tensorboards', signal), [job.id, syncs.value]);
  const boards = boardsOf(job, data?.data ?? []);
  useRepeat(reload, LOOK_MS, boards.some(isMoving));
  if (boards.length === 0) return null;
  return (
    <section class="panel" aria-label="TensorBoards">
      <header>
        <h2>TensorBoards</h2>
      </header>
      {boards.map((b) => (
        <p key={b.id}>
          <BoardLink board={b} /> <StateBadge state={b.state} />
        </p>
      ))}
    </section>
  );
}
