// SPDX-License-Identifier: Apache-2.0
// Requests to /api/v1: session cookie, CSRF header, idempotency keys and the server's own error messages.
import { session, sessionEnded } from './session';
import type { Json } from './types';

export const API = '/api/v1';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Options {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: Json;
  text?: string; // JSON as the user wrote it, instead of body
  signal?: AbortSignal;
}

/* One path segment after another, each encoded; slashes inside a store key stay slashes. */
export function keyPath(bucket: string, key?: string): string {
  const parts = key === undefined ? [bucket] : [bucket, ...key.split('/')];
  return `/store/${parts.map(encodeURIComponent).join('/')}`;
}

export async function send(path: string, options: Options = {}): Promise<Response> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = {};
  if (method !== 'GET') {
    headers['X-CSRF-Token'] = session.value?.csrf ?? '';
    if (method !== 'PUT') headers['Idempotency-Key'] = randomKey();
  }
  const text = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (text !== undefined) headers['Content-Type'] = 'application/json';
  const request: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (text !== undefined) request.body = text;
  if (options.signal) request.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(API + path, request);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError(0, 'unreachable', 'the server cannot be reached; is `cloudml up` still running?');
  }
  if (response.ok) return response;
  if (response.status === 401) sessionEnded();
  throw await readError(response);
}

export async function readError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    const error = JSON.parse(text).error;
    if (typeof error === 'string') return new ApiError(response.status, 'error', error);
    if (typeof error?.message === 'string') return new ApiError(response.status, String(error.code), error.message);
  } catch {
    /* not JSON: a proxy's page or an empty body */
  }
  return new ApiError(response.status, 'error', `the server answered ${response.status} ${response.statusText}`.trim());
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, signal ? { signal } : {})).json();
}

export async function change<T>(method: 'POST' | 'DELETE', path: string, body?: Json): Promise<T | null> {
  const response = await send(path, body === undefined ? { method } : { method, body });
  const text = await response.text();
  return text === '' ? null : JSON.parse(text);
}

/* crypto.randomUUID exists only on https and localhost; this is everywhere. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}
