// SPDX-License-Identifier: Apache-2.0
// Messages about what was just done or what went wrong, with the server's own words.
import { signal } from '@preact/signals';

interface Notice {
  id: number;
  kind: 'error' | 'done';
  text: string;
}

const NOTICES_MAX = 4;
const DONE_MS = 5000;
const notices = signal<Notice[]>([]);
let last = 0;

function dismiss(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}

function add(kind: Notice['kind'], text: string): void {
  const id = ++last;
  notices.value = [...notices.value, { id, kind, text }].slice(-NOTICES_MAX);
  if (kind === 'done') setTimeout(() => dismiss(id), DONE_MS);
}

export function notifyDone(text: string): void {
  add('done', text);
}

export function notifyError(error: unknown): void {
  add('error', error instanceof Error ? error.message : String(error));
}

/* Runs an action of the user; shows the server's message when it is refused. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    notifyError(error);
  }
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map((n) => (
        <p key={n.id} class={`notice notice-${n.kind}`}>
          <span>{n.text}</span>
          <button type="button" class="quiet" aria-label="Dismiss this message" onClick={() => dismiss(n.id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
