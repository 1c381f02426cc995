// SPDX-License-Identifier: Apache-2.0
// Addresses: of pages, of the store, and the token in a login link.
import { expect, test } from 'vitest';
import { keyPath } from '../src/http';
import { parseRoute, to, toStore } from '../src/router';
import { tokenOf } from '../src/session';
import { parseUri } from '../src/store';

test('a page address comes back as its parts, whatever characters they hold', () => {
  expect(parseRoute(to('jobs', 'a/b ü#?'))).toEqual(['jobs', 'a/b ü#?']);
  expect(parseRoute('')).toEqual([]);
  expect(parseRoute('#/jobs/%zz')).toEqual(['jobs', '%zz']);
});

test('a folder of the store keeps its slashes', () => {
  expect(toStore('team', 'jobs/j 1/')).toBe('#/store/team/jobs/j%201/');
  expect(parseRoute('#/store/team/jobs/j%201/').slice(2).join('/')).toBe('jobs/j 1/');
  expect(keyPath('team', 'a b/c?.txt')).toBe('/store/team/a%20b/c%3F.txt');
  expect(keyPath('team')).toBe('/store/team');
});

test('a store address falls apart into bucket and prefix', () => {
  expect(parseUri('fds://team/jobs/j1/output/')).toEqual({ bucket: 'team', prefix: 'jobs/j1/output/' });
  expect(parseUri('fds://team')).toEqual({ bucket: 'team', prefix: '' });
  expect(parseUri('http://team/x')).toBeNull();
});

test('only a login link holds a token', () => {
  expect(tokenOf('#token=cml_a_b')).toBe('cml_a_b');
  expect(tokenOf('#/token=cml_a_b')).toBe('cml_a_b');
  expect(tokenOf('#/jobs/token=x')).toBeNull();
});
