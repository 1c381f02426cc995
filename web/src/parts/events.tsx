// SPDX-License-Identifier: Apache-2.0
// The history of a job or a model: every move with its reason.
import { useEffect, useState } from 'preact/hooks';
import { dateTime } from '../format';
import { get } from '../http';
import type { Event } from '../types';
import { Failure } from './load';

/* A person who is not named in the message already. */
function isPerson(e: Event): boolean {
  return e.actor !== '' && e.actor !== 'controller' && !e.message.endsWith(` by ${e.actor}`);
}

/* 'version' grows when something has happened: what is new is then fetched. */
export function EventsPanel({ path, version }: { path: string; version: number }) {
  const [events, setEvents] = useState<Event[]>([]);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const abort = new AbortController();
    const after = events.at(-1)?.seq ?? 0;
    get<{ data: Event[] }>(`${path}?after=${after}`, abort.signal).then(
      (got) => {
        if (abort.signal.aborted) return;
        setEvents((have) => [...have, ...got.data.filter((e) => e.seq > (have.at(-1)?.seq ?? 0))]);
        setError(undefined);
      },
      (cause) => {
        if (!abort.signal.aborted) setError(cause);
      },
    );
    return () => abort.abort();
  }, [path, version]);
  return (
    <section class="panel" aria-label="Events">
      <header>
        <h2>Events</h2>
      </header>
      {error && <Failure error={error} />}
      <ol class="timeline">
        {[...events].reverse().map((e) => (
          <li key={e.seq} class={e.type}>
            <p>
              <strong>{e.reason}</strong> <span class="when">{dateTime(e.time_ms)}</span>
            </p>
            {e.message !== e.reason && <p>{e.message}</p>}
            {isPerson(e) && <p class="sub">by {e.actor}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}
