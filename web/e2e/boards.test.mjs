// SPDX-License-Identifier: Apache-2.0
// TensorBoards in the console: needs chromium and built files (CLOUDML_DIST, else dist/), but no running server; the
// stand-in of tests/ answers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startStandin, TOKEN } from '../tests/standin/server.mjs';

const DIST = process.env.CLOUDML_DIST ?? fileURLToPath(new URL('../dist', import.meta.url));
let browser;
let page;
let standin;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
  page = await browser.newPage();
  standin = await startStandin({ dist: DIST, stepMs: 20 });
  await page.goto(`${standin.url}/#token=${TOKEN}`);
});

after(async () => {
  await browser?.close();
  standin?.close();
});

test('without a TensorBoard the page says what to type', async () => {
  await page.getByRole('link', { name: 'TensorBoards' }).click();
  await page.getByText('cloudml tensorboard create JOB').waitFor();
  assert.equal(await page.locator('table').count(), 0);
});

test('the list links to the pages of those that are ready, and to their jobs', async () => {
  const { world, url } = standin;
  const job = world.submit({ name: 'seen', command: ['python', 'train.py'] });
  world.show('whole', `fds://team/jobs/${job.id}`, 'ready');
  const late = world.show('late', 'fds://team/points');
  await page.goto(`${url}/#/jobs`);
  await page.getByRole('link', { name: 'TensorBoards' }).click();
  const link = page.getByRole('link', { name: 'whole' });
  await link.waitFor();
  assert.equal(await link.getAttribute('href'), '/tensorboard/whole/');
  assert.equal(await link.getAttribute('target'), '_blank');
  assert.equal(await page.getByRole('link', { name: job.id }).getAttribute('href'), `#/jobs/${job.id}`);
  assert.equal(await page.getByRole('link', { name: 'late' }).count(), 0);
  await page.getByText('not ready yet').waitFor();
  Object.assign(late, { state: 'ready', message: '', ready_ms: Date.now() });
  await page.getByRole('link', { name: 'late' }).waitFor();
});

test('a job links to the TensorBoards of its folder and to no others', async () => {
  const { world, url } = standin;
  const [seen] = world.jobs.filter((j) => j.name === 'seen');
  const other = world.submit({ name: 'unseen', command: ['python', 'train.py'] });
  await page.goto(`${url}/#/jobs/${seen.id}`);
  const panel = page.getByRole('region', { name: 'TensorBoards' });
  await panel.waitFor();
  assert.deepEqual(await panel.getByRole('link').allTextContents(), ['whole']);
  await page.goto(`${url}/#/jobs/${other.id}`);
  await page.getByRole('heading', { name: 'unseen' }).waitFor();
  await page.getByRole('region', { name: 'Times' }).waitFor();
  assert.equal(await panel.count(), 0);
});

test('narrow, nothing is wider than the page', async () => {
  await page.setViewportSize({ width: 400, height: 800 });
  await page.goto(`${standin.url}/#/tensorboards`);
  await page.getByRole('link', { name: 'whole' }).waitFor();
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= view, `${content} px wide in a view of ${view}`);
});
