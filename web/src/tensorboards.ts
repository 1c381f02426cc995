// SPDX-License-Identifier: Apache-2.0
// Which TensorBoards show a job.
import type { Job, Tensorboard } from './types';

/* Those whose folder is the job's or one in it. */
export function boardsOf(job: Job, boards: readonly Tensorboard[]): Tensorboard[] {
  const folder = `fds://${job.org}/jobs/${job.id}`;
  return boards.filter((b) => b.uri === folder || b.uri.startsWith(`${folder}/`));
}

/* The job whose folder it shows a part of; '' when it is another folder of the store. */
export function jobOf(board: Tensorboard): string {
  return /^fds:\/\/[^/]+\/jobs\/([^/]+)/.exec(board.uri)?.[1] ?? '';
}

/* In a state that passes by itself: worth another look. */
export function isMoving(board: Tensorboard): boolean {
  return board.state === 'starting' || board.state === 'stopping';
}
