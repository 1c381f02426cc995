// SPDX-License-Identifier: Apache-2.0
// The console while its server goes away and comes back: needs chromium and built files (CLOUDML_DIST, else dist/), but
// no running server; the stand-in of tests/ is stopped and started.
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
});

after(async () => {
  await browser?.close();
  standin?.close();
});

async function restart(world) {
  const port = Number(new URL(standin.url).port);
  standin.close();
  await page.getByText('The server does not answer').waitFor();
  standin = await startStandin({ port, dist: DIST, world });
}

test('a stopped server is said, and what happened meanwhile is there when it is back', async () => {
  const { world } = standin;
  const job = world.submit({ name: 'long', command: ['python', 'train.py'] });
  await page.goto(`${standin.url}/#token=${TOKEN}`);
  await page.locator(`tr[data-job="${job.id}"] .state-running`).waitFor();
  await page.getByRole('link', { name: 'long' }).click();
  await page.locator('.log').getByText(/Epoch 1/).waitFor();
  world.close();
  await restart(world);
  world.write(job.id, '\nwritten while away\n');
  world.finish(job, 'failed', 'lost', 'the machine went away');
  await page.locator('.head .state-failed').waitFor();
  await page.getByText('the machine went away').first().waitFor();
  await page.locator('.log').getByText('written while away').waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  assert.equal(await page.getByText('The server does not answer').count(), 0);
  assert.equal(await page.locator('.log').getByText(/^Epoch 1/).count(), 1, 'nothing is shown twice');
});
