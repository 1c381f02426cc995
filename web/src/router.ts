// SPDX-License-Identifier: Apache-2.0
// The page shown is the address's fragment: '#/jobs/j123' is ['jobs', 'j123'].
import { signal } from '@preact/signals';

export function parseRoute(fragment: string): string[] {
  const path = fragment.replace(/^#\/?/, '');
  return path === '' ? [] : path.split('/').map(decodeSegment);
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export function to(...segments: string[]): string {
  return `#/${segments.map(encodeURIComponent).join('/')}`;
}

/* A folder of the store: 'fds://team/a/b/' is '#/store/team/a/b/'. */
export function toStore(bucket: string, prefix: string): string {
  return to('store', bucket, ...prefix.split('/'));
}

export const route = signal<string[]>([]);

export function go(address: string): void {
  location.hash = address;
}

export function startRouter(): void {
  const read = () => {
    route.value = parseRoute(location.hash);
    scrollTo(0, 0);
  };
  addEventListener('hashchange', read);
  read();
}
