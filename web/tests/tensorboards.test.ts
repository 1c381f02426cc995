// SPDX-License-Identifier: Apache-2.0
// Which TensorBoards show which job.
import { expect, test } from 'vitest';
import { boardsOf, isMoving, jobOf } from '../src/tensorboards';
import type { Job, Tensorboard } from '../src/types';

const board = (name: string, uri: string, state = 'ready') => ({ name, uri, state }) as Tensorboard;
const job = { id: 'j1', org: 'team' } as Job;
const BOARDS = [
  board('whole', 'fds://team/jobs/j1'),
  board('part', 'fds://team/jobs/j1/output/run/'),
  board('longer', 'fds://team/jobs/j12'),
  board('other', 'fds://other/jobs/j1'),
  board('folder', 'fds://team/points'),
];

test('a job has the boards of its folder and of what is in it', () => {
  expect(boardsOf(job, BOARDS).map((b) => b.name)).toEqual(['whole', 'part']);
});

test('a board names the job that it shows, or none', () => {
  expect(BOARDS.map(jobOf)).toEqual(['j1', 'j1', 'j12', 'j1', '']);
});

test('a board is looked at again while it moves', () => {
  const states = ['starting', 'ready', 'stopping', 'failed'];
  expect(states.filter((s) => isMoving(board('b', 'fds://team/x', s)))).toEqual(['starting', 'stopping']);
});
