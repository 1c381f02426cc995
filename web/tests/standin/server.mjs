// SPDX-License-Identifier: Apache-2.0
// A small server that speaks docs/api.md from memory: to develop the console (npm run standin) and to test its logic.
// usage: node tests/standin/server.mjs [--port N] [--dist FOLDER] [--empty]
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { World } from './world.mjs';

const CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
export const TOKEN = 'cml_standin_secret';

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

function notFound(what, name) {
  return new Refusal(404, 'not_found', `there is no ${what} '${name}'; run 'cloudml ${what}s list'`);
}

function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

async function bodyOf(request) {
  let text = '';
  for await (const part of request) text += part;
  return text === '' ? {} : JSON.parse(text);
}

const SESSION = { org: 'team', user: 'ada', role: 'admin', csrf: 'csrf-of-standin' };

function findJob(world, id) {
  const job = world.jobs.find((j) => j.id === id) ?? world.jobs.find((j) => j.name === id);
  if (!job) throw notFound('job', id);
  return job;
}

function findModel(world, name) {
  const model = world.models.get(name);
  if (!model) throw notFound('model', name);
  return model;
}

function sendLog(world, key, query, request, response) {
  const log = world.log(key);
  let offset = Number(query.get('offset') ?? 0);
  if (query.has('tail')) offset = Math.max(0, log.bytes.length - Number(query.get('tail')));
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Log-Offset': String(offset) });
  response.flushHeaders();
  const wake = () => {
    if (offset < log.bytes.length) response.write(log.bytes.slice(offset));
    offset = log.bytes.length;
    if (log.ended || query.get('follow') !== '1') done();
  };
  const done = () => {
    log.waiters.delete(wake);
    response.end();
  };
  log.waiters.add(wake);
  response.on('close', done);
  wake();
}

function watch(world, request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  const tell = (kind) => (noun) => response.write(`event: ${kind}\ndata: ${JSON.stringify(noun)}\n\n`);
  const [onJob, onModel] = [tell('job'), tell('model')];
  world.jobs.filter((j) => !j.ended_ms).forEach(onJob);
  [...world.models.values()].forEach(onModel);
  response.write('event: sync\ndata: {}\n\n');
  world.on('job', onJob).on('model', onModel);
  response.on('close', () => world.off('job', onJob).off('model', onModel));
}

function listObjects(world, query) {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const after = query.get('after') ?? '';
  const limit = Number(query.get('limit') ?? 1000);
  const rows = new Map();
  for (const key of [...world.objects.keys()].sort().filter((k) => k.startsWith(prefix))) {
    const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const name = cut < 0 ? key : key.slice(0, cut + 1);
    const { bytes, modified_ms } = world.objects.get(key);
    rows.set(name, cut < 0 ? { key, size: bytes.length, modified_ms, etag: '"1"' } : { prefix: name });
  }
  const data = [...rows].filter(([name]) => name > after).map(([, row]) => row);
  return { data: data.slice(0, limit), truncated: data.length > limit };
}

function metadata(name) {
  const tensor = { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: '-1', name: '' }], unknown_rank: false }, name: 'x:0' };
  const def = { inputs: { x: tensor }, outputs: { y: tensor }, method_name: 'tensorflow/serving/predict' };
  return { model_spec: { name, version: '1' }, metadata: { signature_def: { signature_def: { serving_default: def } } } };
}

function predict(body) {
  if (!Array.isArray(body.instances)) throw new Refusal(400, 'invalid', "the request has no 'instances' list");
  return { predictions: body.instances.map((x) => Number(x) / 2 + 2) };
}

const FRAMEWORKS = [
  { name: 'python', version: '3.11', default: true, title: 'Python 3.11, nothing installed', packages: [], download_bytes: 0, disk_bytes: 0 },
  { name: 'tensorflow', version: '2.21.0', default: true, title: 'TensorFlow 2.21 (CPU)', packages: ['tensorflow-cpu==2.21.0', 'keras==3.12.0'], download_bytes: 271e6, disk_bytes: 1.3e9 },
  { name: 'pytorch', version: '2.9.0', default: true, title: 'PyTorch 2.9 (CPU)', packages: ['torch==2.9.0'], download_bytes: 190e6, disk_bytes: 7.4e8 },
];

function count(list) {
  return list.reduce((sum, { state }) => ({ ...sum, [state]: (sum[state] ?? 0) + 1 }), {});
}

function status(world) {
  const live = world.jobs.filter((j) => j.attempt > 0 && !j.ended_ms).length;
  return {
    version: '0.1.0',
    uptime_ms: Date.now() - world.started,
    pid: process.pid,
    data_folder: '/var/lib/cloudml',
    backend: { name: 'local', runtime: 'crun 1.8.1', cgroup: 'v2', rootless: false },
    capacity: { cpu: '8', memory: '16G', gpu: 0 },
    used: { cpu: String(live), memory: `${live * 2}G`, gpu: 0 },
    jobs: count(world.jobs),
    models: count([...world.models.values()]),
  };
}

/* [method, pattern, handler(call)]: what the handler returns is the answer, undefined when it has answered itself. */
const ROUTES = [
  ['GET', 'version', () => ({ version: '0.1.0', api: 'v1' })],
  ['GET', 'status', ({ world }) => status(world)],
  ['GET', 'frameworks', () => ({ data: FRAMEWORKS })],
  ['GET', 'watch', ({ world, request, response }) => watch(world, request, response)],
  ['POST', 'jobs', async ({ world, request }) => world.submit(await bodyOf(request))],
  ['GET', 'jobs', ({ world, query }) => listJobs(world, query)],
  ['GET', 'jobs/*', ({ world, names }) => findJob(world, names[0])],
  ['DELETE', 'jobs/*', ({ world, names }) => removeJob(world, findJob(world, names[0]))],
  ['POST', 'jobs/*/cancel', ({ world, names }) => cancel(world, findJob(world, names[0]))],
  ['GET', 'jobs/*/events', ({ world, names, query }) => events(world, findJob(world, names[0]).id, query)],
  ['GET', 'jobs/*/logs', ({ world, names, query, request, response }) => sendLog(world, findJob(world, names[0]).id, query, request, response)],
  ['GET', 'jobs/*/metrics', ({ world, names }) => ({ data: world.metrics.get(findJob(world, names[0]).id) ?? {} })],
  ['POST', 'models', async ({ world, request }) => world.serve(await bodyOf(request))],
  ['GET', 'models', ({ world }) => ({ data: [...world.models.values()] })],
  ['GET', 'models/*', ({ world, names }) => findModel(world, names[0])],
  ['DELETE', 'models/*', ({ world, names }) => (world.stop(findModel(world, names[0])), findModel(world, names[0]))],
  ['GET', 'models/*/events', ({ world, names, query }) => events(world, `model/${names[0]}`, query)],
  ['GET', 'models/*/logs', ({ world, names, query, request, response }) => sendLog(world, `model/${findModel(world, names[0]).name}`, query, request, response)],
  ['GET', 'models/*/metadata', ({ world, names }) => metadata(findModel(world, names[0]).name)],
  ['POST', 'models/*/predict', async ({ world, names, request }) => (findModel(world, names[0]), predict(await bodyOf(request)))],
  ['GET', 'tensorboards', ({ world }) => ({ data: world.boards, next: null })],
  ['GET', 'store', ({ world }) => ({ data: world.objects.size > 0 ? [{ name: 'team' }] : [] })],
  ['GET', 'store/*', ({ world, query }) => listObjects(world, query)],
];

function listJobs(world, query) {
  const limit = Number(query.get('limit') ?? 100);
  const before = Number(query.get('before') ?? Infinity);
  const state = query.get('state');
  const found = world.jobs.filter((j) => j.seq < before && (!state || j.state === state));
  const data = found.slice(0, limit);
  return { data, next: found.length > limit ? data.at(-1).seq : null };
}

function removeJob(world, job) {
  if (!job.ended_ms) throw new Refusal(409, 'failed_precondition', `job '${job.name}' is ${job.state}; cancel it first`);
  world.jobs = world.jobs.filter((j) => j !== job);
  return {};
}

function cancel(world, job) {
  if (job.ended_ms) throw new Refusal(409, 'failed_precondition', `job '${job.name}' has ended already`);
  job.cancel_requested = true;
  job.version++;
  world.emit('job', job);
  return job;
}

function events(world, subject, query) {
  return { data: (world.events.get(subject) ?? []).filter((e) => e.seq > Number(query.get('after') ?? 0)) };
}

function route(method, path) {
  const parts = path.split('/').map(decodeURIComponent);
  for (const [verb, pattern, handler] of ROUTES) {
    const wanted = pattern.split('/');
    if (verb !== method || wanted.length !== parts.length) continue;
    if (wanted.every((w, i) => w === '*' || w === parts[i])) return [handler, parts.filter((_, i) => wanted[i] === '*')];
  }
  throw new Refusal(404, 'not_found', `there is nothing at '${path}'`);
}

async function answerApi(world, request, response, url) {
  const path = url.pathname.slice('/api/v1/'.length);
  if (path === 'session' && request.method === 'POST') {
    if ((await bodyOf(request)).token !== TOKEN) throw new Refusal(401, 'unauthenticated', 'this token is unknown; run `cloudml console` for a new link');
    return json(response, 200, SESSION, { 'Set-Cookie': 'cloudml_session=1; HttpOnly; SameSite=Strict; Path=/' });
  }
  const bearer = request.headers.authorization === `Bearer ${TOKEN}`;
  if (!bearer && !/cloudml_session=1/.test(request.headers.cookie ?? '')) throw new Refusal(401, 'unauthenticated', 'no session');
  if (!bearer && request.method !== 'GET' && request.headers['x-csrf-token'] !== SESSION.csrf) throw new Refusal(403, 'denied', 'the CSRF token is missing');
  if (path === 'session') {
    const ended = request.method === 'DELETE' ? { 'Set-Cookie': 'cloudml_session=; Max-Age=0; Path=/' } : {};
    return json(response, 200, SESSION, ended);
  }
  const object = /^store\/[^/]+\/(.+)$/.exec(path);
  if (object) return sendObject(world, decodeURIComponent(object[1]), response);
  const [handler, names] = route(request.method, path);
  const result = await handler({ world, request, response, names, query: url.searchParams });
  if (result !== undefined && !response.headersSent) json(response, request.method === 'POST' ? 201 : 200, result);
}

function sendObject(world, key, response) {
  const object = world.objects.get(key);
  if (!object) throw notFound('object', key);
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  response.end(object.bytes);
}

async function answerFile(dist, response, url) {
  const path = url.pathname === '/' ? '/index.html' : url.pathname;
  const bytes = await readFile(join(dist, normalize(path))).catch(() => null);
  if (bytes === null) throw notFound('file', path);
  response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP });
  response.end(bytes);
}

/* 'world' of an earlier one goes on in a new one. */
export async function startStandin({ port = 0, dist = '', stepMs = 400, world = new World(stepMs) } = {}) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const work = url.pathname.startsWith('/api/v1/') ? answerApi(world, request, response, url) : answerFile(dist, response, url);
    work.catch((error) => json(response, error.status ?? 500, { error: { code: error.code ?? 'internal', message: error.message } }));
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => {
    world.close();
    server.closeAllConnections();
    server.close();
  };
  return { world, server, url: `http://127.0.0.1:${server.address().port}`, close };
}

async function main(argv) {
  const option = (name, otherwise) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : otherwise);
  const dist = option('--dist', fileURLToPath(new URL('../../dist', import.meta.url)));
  const { world, url } = await startStandin({ port: Number(option('--port', 8099)), dist });
  if (!argv.includes('--empty')) {
    const digits = world.submit({ name: 'digits', command: ['python', 'train.py'], args: ['--epochs', '3'] });
    world.submit({ name: 'wrong-shape', command: ['python', 'broken.py'] }, 'failed');
    world.submit({ name: 'resnet-small', module: 'trainer.task', env: { SEED: '7' }, requirements: ['pandas==2.2.3'] });
    world.show('digits', `fds://team/jobs/${digits.id}`, 'ready');
    world.serve({ name: 'half-plus-two', uri: 'fds://team/models/half-plus-two/' });
  }
  console.log(`${url}/#token=${TOKEN}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2));
