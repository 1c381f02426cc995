// SPDX-License-Identifier: Apache-2.0
// Listings of the object store.
import { API, get, keyPath } from './http';
import type { StoreList, StoreRow } from './types';

export interface Place {
  bucket: string;
  prefix: string;
}

/* 'fds://bucket/some/prefix/' in parts; null when it is no such address. */
export function parseUri(uri: string): Place | null {
  const found = /^fds:\/\/([^/]+)\/?(.*)$/.exec(uri);
  return found?.[1] ? { bucket: found[1], prefix: found[2] ?? '' } : null;
}

export function list(at: Place, after: string, folders: boolean, signal?: AbortSignal): Promise<StoreList> {
  const query = new URLSearchParams({ prefix: at.prefix });
  if (folders) query.set('delimiter', '/');
  if (after !== '') query.set('after', after);
  return get<StoreList>(`${keyPath(at.bucket)}?${query}`, signal);
}

export function rowName(row: StoreRow): string {
  return 'key' in row ? row.key : row.prefix;
}

export function download(bucket: string, key: string): string {
  return API + keyPath(bucket, key);
}
