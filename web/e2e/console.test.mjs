// SPDX-License-Identifier: Apache-2.0
// The console in a real browser against a running server.
// CLOUDML_URL (http://127.0.0.1:8080), CLOUDML_TOKEN (cml_…), CLOUDML_JOB and CLOUDML_MODEL (names of a job with a log
// and of a model that is ready), CLOUDML_SCREENSHOTS (a folder, optional), CHROMIUM (the browser's path, optional).
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { CLOUDML_URL: URL_, CLOUDML_TOKEN: TOKEN, CLOUDML_JOB: JOB, CLOUDML_MODEL: MODEL } = process.env;
const SHOTS = process.env.CLOUDML_SCREENSHOTS;
const LINE = 'the console shows <b>this line</b> as text';
const PROGRAM = [
  'import time',
  `print(${JSON.stringify(LINE)}, flush=True)`,
  'for step in range(1, 41):',
  '    print(f"cloudml: progress={step / 40}", flush=True)',
  '    print(f"cloudml: metric loss={1 / step} step={step}", flush=True)',
  '    time.sleep(0.1)',
].join('\n');
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser;
let context;
let page;
const complaints = [];

for (const [name, value] of Object.entries({ CLOUDML_URL: URL_, CLOUDML_TOKEN: TOKEN, CLOUDML_JOB: JOB, CLOUDML_MODEL: MODEL })) {
  assert.ok(value, `${name} is not set; the head of this file says what it is`);
}

function listen(p) {
  p.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') complaints.push(`console ${m.type()}: ${m.text()}`);
  });
  p.on('pageerror', (e) => complaints.push(`page error: ${e.message}`));
  p.on('request', (r) => {
    if (!r.url().startsWith(`${URL_}/`) && !r.url().startsWith('blob:')) complaints.push(`request to ${r.url()}`);
  });
}

/* The browser reports a refused request by itself: exactly this one was asked for. */
function forgive(status) {
  const found = complaints.findIndex((c) => c.includes(`status of ${status}`));
  assert.notEqual(found, -1, `the browser should have reported a status of ${status}`);
  complaints.splice(found, 1);
}

async function shot(name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

async function api(method, path, body) {
  const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${URL_}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path} answered ${response.status}: ${text}`);
  return text === '' ? null : JSON.parse(text);
}

before(async () => {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  browser = await chromium.launch({ executablePath, args: ARGS });
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  /* Violations of the content security policy are events of the document before they are lines of the console. */
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  });
  page = await context.newPage();
  listen(page);
});

after(() => browser?.close());

test('without a session the page says how to get one, and says why a token is refused', async () => {
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`${URL_}/`);
  await stranger.getByText('cloudml console', { exact: true }).waitFor();
  await stranger.getByLabel('Or paste a token').fill('cml_nobody_nothing');
  await stranger.getByRole('button', { name: 'Sign in' }).click();
  assert.notEqual(await stranger.getByRole('alert').innerText(), '');
  await stranger.context().close();
});

test('the link signs in and the token leaves the address and the history', async () => {
  const answer = await page.goto(`${URL_}/#token=${TOKEN}`);
  const policy = (await answer.allHeaders())['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  assert.ok(!page.url().includes('token'), page.url());
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts must not see the session');
  await page.reload();
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  await page.getByText('live', { exact: true }).waitFor();
});

test('a job submitted elsewhere appears and moves while one looks on', async () => {
  const job = await api('POST', '/jobs', { name: 'console-e2e', framework: 'python', command: ['python3', '-c', PROGRAM] });
  const row = page.locator(`tr[data-job="${job.id}"]`);
  await row.waitFor();
  await row.locator('.state-running').waitFor({ timeout: 120000 });
  await row.getByText(/\d+ %/).waitFor({ timeout: 60000 });
  await shot('jobs');
  await row.getByRole('link', { name: 'console-e2e' }).click();
  await page.getByRole('heading', { name: 'console-e2e' }).waitFor();
  await page.locator('.log').getByText(LINE).waitFor({ timeout: 60000 });
  assert.equal(await page.locator('.log b').count(), 0, 'markup in a log must stay text');
  await page.locator('.head .state-completed').waitFor({ timeout: 120000 });
  await page.getByText('loss', { exact: false }).first().waitFor();
  await page.locator('.chart canvas').first().waitFor();
  await shot('job');
});

test('the organisation page shows the quota, who belongs to it, and no secret', async () => {
  await page.goto(`${URL_}/#/organisation`);
  await page.getByRole('heading', { name: /^Organisation / }).waitFor();
  await page.getByRole('cell', { name: 'training', exact: true }).waitFor();
  const { user } = await api('GET', '/session');
  await page.getByRole('row', { name: new RegExp(`^${user} admin`) }).waitFor();
  await page.getByRole('cell', { name: TOKEN.split('_')[1], exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(TOKEN.split('_')[2]), 'a secret is on the page');
  await shot('organisation');
});

test('a job that runs is cancelled by two presses', async () => {
  const job = await api('POST', '/jobs', { name: 'console-cancel', framework: 'python', command: ['python3', '-c', 'import time; time.sleep(600)'] });
  await page.goto(`${URL_}/#/jobs`);
  const row = page.locator(`tr[data-job="${job.id}"]`);
  await row.getByRole('button', { name: /^Cancel/ }).click();
  await row.getByRole('button', { name: /^Really cancel/ }).click();
  await row.locator('.state-cancelled').waitFor({ timeout: 120000 });
  assert.equal((await api('GET', `/jobs/${job.id}`)).state, 'cancelled');
});

test('an existing job shows its log and its history', async () => {
  await page.goto(`${URL_}/#/jobs/${JOB}`);
  await page.locator('.log div').first().waitFor();
  await page.locator('.timeline li').first().waitFor();
});

test('the model page predicts from its own example and shows the answer', async () => {
  await page.goto(`${URL_}/#/models`);
  await page.getByRole('link', { name: MODEL, exact: true }).click();
  await page.getByRole('button', { name: 'Predict' }).click();
  const answer = page.locator('.answer pre');
  await answer.waitFor({ timeout: 60000 });
  const shown = JSON.parse(await answer.innerText());
  const request = JSON.parse(await page.locator('#request').inputValue());
  assert.deepEqual(shown, await api('POST', `/models/${MODEL}/predict`, request));
  assert.match(await page.locator('.took').innerText(), /^\d+\.\d ms$/);
  await shot('model');
});

test('what the model refuses is shown in its own words', async () => {
  await page.locator('#request').fill('{"instances": "no list"}');
  await page.getByRole('button', { name: 'Predict' }).click();
  assert.notEqual(await page.locator('.answer .failure').innerText(), '');
  forgive(400);
});

test('overview and store show what is there', async () => {
  await page.goto(`${URL_}/#/overview`);
  await page.getByRole('region', { name: 'Resources' }).getByText(/of/).first().waitFor();
  await page.getByRole('region', { name: 'Frameworks' }).locator('tbody tr').first().waitFor();
  await shot('overview');
  await page.goto(`${URL_}/#/store`);
  await page.locator('tbody a').first().click();
  await page.locator('tbody a').first().waitFor();
  await shot('store');
});

test('narrow and dark, nothing is wider than the page', async () => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 400, height: 800 });
  for (const [name, at] of [['jobs', 'jobs'], ['job', `jobs/${JOB}`], ['model', `models/${MODEL}`], ['overview', 'overview']]) {
    await page.goto(`${URL_}/#/${at}`);
    await page.locator('main h1').waitFor();
    const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= view, `${name} is ${content} px wide in a view of ${view}`);
    await shot(`${name}-narrow-dark`);
  }
});

test('signing out ends the session', async () => {
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Or paste a token').waitFor();
  const status = await page.evaluate(() => fetch('/api/v1/session').then((r) => r.status));
  assert.equal(status, 401);
  forgive(401);
});

test('the browser had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});
