// SPDX-License-Identifier: Apache-2.0
// Who is signed in. The token arrives in the address's fragment, leaves the address and the history at once and is
// traded for a cookie that scripts cannot read; the CSRF token lives in memory only.
import { signal } from '@preact/signals';
import { API, readError } from './http';
import type { Session } from './types';

export const session = signal<Session | null>(null);
export const sessionState = signal<'asking' | 'out' | 'in'>('asking');
export const sessionNote = signal('');

/* The token of '#token=…', or null. */
export function tokenOf(fragment: string): string | null {
  const found = /^#\/?token=([^&]+)/.exec(fragment);
  return found?.[1] ? decodeURIComponent(found[1]) : null;
}

async function ask(request: RequestInit): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(`${API}/session`, { ...request, credentials: 'same-origin', cache: 'no-store' });
  } catch {
    sessionNote.value = 'the server cannot be reached; is `cloudml up` still running?';
    return false;
  }
  if (!response.ok) {
    const error = await readError(response);
    sessionNote.value = request.method === 'POST' ? error.message : '';
    return false;
  }
  session.value = await response.json();
  sessionNote.value = '';
  return true;
}

export async function signIn(token: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const ok = await ask({ method: 'POST', headers, body: JSON.stringify({ token: token.trim() }) });
  sessionState.value = ok ? 'in' : 'out';
}

export async function signOut(): Promise<void> {
  const headers = { 'X-CSRF-Token': session.value?.csrf ?? '' };
  await fetch(`${API}/session`, { method: 'DELETE', headers, credentials: 'same-origin' }).catch(() => undefined);
  session.value = null;
  sessionNote.value = '';
  sessionState.value = 'out';
}

export function sessionEnded(): void {
  if (sessionState.value !== 'in') return;
  session.value = null;
  sessionNote.value = 'Your session has ended. Sign in again to go on.';
  sessionState.value = 'out';
}

async function start(): Promise<void> {
  const token = tokenOf(location.hash);
  if (token !== null) {
    history.replaceState(null, '', `${location.pathname}#/jobs`);
    await signIn(token);
    dispatchEvent(new HashChangeEvent('hashchange'));
    return;
  }
  sessionState.value = (await ask({ method: 'GET' })) ? 'in' : 'out';
}

/* Also when a link with a token is opened in a tab that already shows the console. */
export function startSession(): Promise<void> {
  addEventListener('hashchange', () => {
    if (tokenOf(location.hash) !== null) void start();
  });
  return start();
}
