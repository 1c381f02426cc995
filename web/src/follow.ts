// SPDX-License-Identifier: Apache-2.0
// A log as it grows: the last part first, then on from where the connection broke, without a gap and without repeats.
import { ApiError, send } from './http';

const TAIL_BYTES = 256 * 1024;
const AGAIN_MS = 1500;

export interface Follow {
  path: string; // '/jobs/ID/logs'
  attempt?: number;
  signal: AbortSignal;
  onStart: (offset: number) => void; // offset of the first byte that will be shown
  onText: (text: string) => void;
  isEnded: () => boolean; // nothing more will be written
  waitMs?: number; // before it tries again; for tests
}

/* A finished log is only read: following it, the server would go on with the next attempt's. */
function query(offset: number | null, attempt: number | undefined, ended: boolean): string {
  const params = new URLSearchParams(ended ? {} : { follow: '1' });
  if (offset === null) params.set('tail', String(TAIL_BYTES));
  else params.set('offset', String(offset));
  if (attempt) params.set('attempt', String(attempt));
  return params.toString();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

async function pump(response: Response, onBytes: (bytes: Uint8Array) => void): Promise<void> {
  const reader = response.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return;
    onBytes(part.value);
  }
}

/* Returns when the log has ended or 'signal' says stop. A refusal that will not change is thrown. */
export async function followLog(f: Follow): Promise<void> {
  const decoder = new TextDecoder();
  let offset: number | null = null;
  while (!f.signal.aborted) {
    const wasEnded = f.isEnded();
    let whole = false;
    try {
      const response = await send(`${f.path}?${query(offset, f.attempt, wasEnded)}`, { signal: f.signal });
      if (offset === null) f.onStart((offset = Number(response.headers.get('X-Log-Offset') ?? 0)));
      await pump(response, (bytes) => {
        offset = (offset ?? 0) + bytes.length;
        f.onText(decoder.decode(bytes, { stream: true }));
      });
      whole = true;
    } catch (error) {
      if (f.signal.aborted) return;
      /* Nothing written yet, or a server that restarts: both pass. */
      const passing = !(error instanceof ApiError) || [0, 404, 502, 503].includes(error.status);
      if (!passing || (error instanceof ApiError && error.status === 404 && wasEnded)) throw error;
    }
    if (whole && wasEnded) return;
    await pause(f.waitMs ?? AGAIN_MS, f.signal);
  }
}
