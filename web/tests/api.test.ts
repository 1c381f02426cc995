// SPDX-License-Identifier: Apache-2.0
// Requests and logs against the stand-in: the server's words in errors, and a log without gaps over broken connections.
import { webcrypto } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { followLog } from '../src/follow';
import { ApiError, change, get } from '../src/http';
import { session, sessionState } from '../src/session';
import { startStandin, TOKEN } from './standin/server.mjs';

type Standin = Awaited<ReturnType<typeof startStandin>>;
let standin: Standin;
globalThis.crypto ??= webcrypto as Crypto; /* node 18 has no global one */
const realFetch = globalThis.fetch;

/* Paths become addresses of the stand-in; a bearer token stands for the browser's cookie. */
beforeAll(async () => {
  standin = await startStandin({ stepMs: 1 });
  globalThis.fetch = (input, init) => {
    const headers = { ...(init?.headers as Record<string, string>), Authorization: `Bearer ${TOKEN}` };
    return realFetch(standin.url + String(input), { ...init, headers });
  };
});

afterAll(() => {
  globalThis.fetch = realFetch;
  standin.close();
});

test('an error carries the message and the code of the server', async () => {
  const error: ApiError = await get('/jobs/nowhere').then(
    () => expect.fail('it answered'),
    (e) => e,
  );
  expect(error).toBeInstanceOf(ApiError);
  expect([error.status, error.code]).toEqual([404, 'not_found']);
  expect(error.message).toBe("there is no job 'nowhere'; run 'cloudml jobs list'");
});

test('a change carries a new idempotency key each time and the CSRF token of the session', async () => {
  session.value = { org: 'team', user: 'ada', role: 'admin', csrf: 'secret' };
  sessionState.value = 'in';
  const seen: Record<string, string>[] = [];
  const through = globalThis.fetch;
  globalThis.fetch = (input, init) => (seen.push(init?.headers as Record<string, string>), through(input, init));
  await change('POST', '/jobs', { name: 'a' });
  await change('POST', '/jobs', { name: 'b' });
  globalThis.fetch = through;
  expect(seen.map((h) => h['X-CSRF-Token'])).toEqual(['secret', 'secret']);
  expect(new Set(seen.map((h) => h['Idempotency-Key'])).size).toBe(2);
});

interface Read {
  text: string;
  offsets: number[];
  done: Promise<void>;
  end: () => void;
  until: (what: string) => Promise<void>;
}

/* Follows the log of 'id' by the real code; 'until' resolves when the text holds something. */
function follow(id: string): Read {
  let ended = false;
  let onText = () => {};
  const read = { text: '', offsets: [] as number[] } as Read;
  read.end = () => (ended = true);
  read.until = (what) =>
    new Promise((resolve) => {
      onText = () => read.text.includes(what) && resolve();
      onText();
    });
  read.done = followLog({
    path: `/jobs/${id}/logs`,
    signal: new AbortController().signal,
    onStart: (offset) => read.offsets.push(offset),
    onText: (text) => ((read.text += text), onText()),
    isEnded: () => ended,
    waitMs: 1,
  });
  return read;
}

function quietJob(): string {
  const job = standin.world.submit({ name: 'quiet', command: ['true'] });
  job.cancel_requested = true;
  return job.id;
}

test('a broken connection is taken up where it broke, in the middle of a letter too', async () => {
  const id = quietJob();
  const log = standin.world.log(id);
  const read = follow(id);
  standin.world.write(id, 'one ');
  await read.until('one');
  const bytes = new TextEncoder().encode('two ü three');
  log.bytes = new Uint8Array([...log.bytes, ...bytes.slice(0, 5)]);
  for (const wake of log.waiters) wake();
  await read.until('two ');
  standin.server.closeAllConnections();
  log.bytes = new Uint8Array([...log.bytes, ...bytes.slice(5)]);
  for (const wake of log.waiters) wake();
  await read.until('three');
  read.end();
  standin.world.endLog(id);
  await read.done;
  expect(read.text).toBe('one two ü three');
  expect(read.offsets).toEqual([0]);
});

test('of a long log the last part is read and the offset of its beginning told', async () => {
  const id = quietJob();
  standin.world.write(id, 'x'.repeat(300 * 1024));
  standin.world.endLog(id);
  const read = follow(id);
  read.end();
  await read.done;
  expect(read.text).toBe('x'.repeat(256 * 1024));
  expect(read.offsets).toEqual([300 * 1024 - 256 * 1024]);
});

test('the log of a job that is gone is an error, not a wait for ever', async () => {
  const read = follow('gone');
  read.end();
  await expect(read.done).rejects.toThrow("there is no job 'gone'");
});
