// SPDX-License-Identifier: Apache-2.0
// The stand-in's memory: jobs that move by themselves, one model that computes, an object store. For developing the
// console and for its logic tests only.
import { EventEmitter } from 'node:events';

const ENCODER = new TextEncoder();
const STEPS = 60;

export class World extends EventEmitter {
  constructor(stepMs) {
    super();
    this.setMaxListeners(0);
    this.stepMs = stepMs;
    this.jobs = [];
    this.models = new Map();
    this.boards = [];
    this.events = new Map();
    this.logs = new Map();
    this.metrics = new Map();
    this.objects = new Map();
    this.seq = 0;
    this.timers = new Set();
    this.started = Date.now();
  }

  close() {
    for (const timer of this.timers) clearInterval(timer);
  }

  every(ms, step) {
    const timer = setInterval(() => {
      if (step() !== false) return;
      clearInterval(timer);
      this.timers.delete(timer);
    }, ms);
    this.timers.add(timer);
  }

  event(subject, reason, message, type = 'Normal', actor = 'controller') {
    const list = this.events.get(subject) ?? [];
    list.push({ seq: ++this.seq, subject, time_ms: Date.now(), type, reason, message, actor });
    this.events.set(subject, list);
  }

  log(id) {
    if (!this.logs.has(id)) this.logs.set(id, { bytes: new Uint8Array(), waiters: new Set(), ended: false });
    return this.logs.get(id);
  }

  write(id, text) {
    const log = this.log(id);
    const more = ENCODER.encode(text);
    const all = new Uint8Array(log.bytes.length + more.length);
    all.set(log.bytes);
    all.set(more, log.bytes.length);
    log.bytes = all;
    for (const wake of log.waiters) wake();
  }

  endLog(id) {
    this.log(id).ended = true;
    for (const wake of this.log(id).waiters) wake();
  }

  put(key, bytes, modified_ms = Date.now()) {
    this.objects.set(key, { bytes: ENCODER.encode(bytes), modified_ms });
  }

  move(job, state, reason, message, times = {}) {
    Object.assign(job, { state, reason, message, ...times });
    job.version++;
    this.event(job.id, reason, message, state === 'failed' ? 'Warning' : 'Normal');
    this.emit('job', job);
  }

  submit(spec, outcome = 'completed') {
    const now = Date.now();
    const seq = ++this.seq;
    const id = `j${seq.toString(36).padStart(9, '0')}`;
    const job = {
      id,
      name: spec.name ?? 'job',
      org: 'team',
      user: 'ada',
      state: 'queued',
      reason: 'queued',
      message: 'waits for a place',
      seq,
      version: 1,
      attempt: 0,
      cancel_requested: false,
      created_ms: now,
      queued_ms: now,
      started_ms: 0,
      running_ms: 0,
      ended_ms: 0,
      deadline_ms: 0,
      progress: noProgress(),
      output_uri: `fds://team/jobs/${id}/output/`,
      spec: { framework: 'tensorflow', framework_version: '2.21.0', cpu: '1', memory: '2G', ...spec },
    };
    this.jobs.unshift(job);
    this.event(id, 'submitted', 'job was accepted', 'Normal', 'ada');
    this.emit('job', job);
    this.play(job, outcome);
    return job;
  }

  play(job, outcome) {
    let step = -12;
    this.every(this.stepMs, () => {
      if (job.cancel_requested) return this.finish(job, 'cancelled', 'cancelled', 'cancelled by ada');
      step++;
      if (step === -10) {
        job.attempt = 1;
        this.move(job, 'starting', 'placed', 'making the environment', { started_ms: Date.now() });
      } else if (step < 0 && step > -10) {
        job.progress = { ...noProgress(), phase: 'environment', percent: (10 + step) * 10, text: 'tensorflow 2.21.0' };
        this.emit('job', job);
      } else if (step === 0) {
        this.move(job, 'running', 'running', 'the program runs', { running_ms: Date.now() });
        const printed = /print\("([^"]*)"/.exec((job.spec.command ?? []).join(' '));
        if (printed) this.write(job.id, `${printed[1]}\n`);
      } else if (step > 0) {
        this.train(job, step);
        if (outcome === 'failed' && step === STEPS / 2) {
          this.write(job.id, '\nValueError: shapes (32, 10) and (32, 1) are incompatible\n');
          return this.finish(job, 'failed', 'user_error', 'the program ended with status 1; the last lines of its log say why', 1);
        }
        if (step === STEPS) return this.finish(job, 'completed', 'completed', `done; cloudml serve ${job.name}`);
      }
      return true;
    });
  }

  train(job, step) {
    const [loss, accuracy] = [1.8 * Math.exp(-step / 20) + 0.2, 1 - 0.9 * Math.exp(-step / 15)];
    const time = Date.now();
    if (step % 20 === 1) this.write(job.id, `Epoch ${Math.ceil(step / 20)}/3\n`);
    const bar = '━'.repeat(step % 20 || 20);
    this.write(job.id, `\r\x1b[1m${step % 20 || 20}/20\x1b[0m \x1b[32m${bar}\x1b[0m \x1b[1m2s\x1b[0m 90ms/step - accuracy: ${accuracy.toFixed(4)} - loss: ${loss.toFixed(4)}`);
    if (step % 20 === 0) this.write(job.id, '\n');
    const metrics = this.metrics.get(job.id) ?? { accuracy: [], loss: [], val_loss: [], cpu_percent: [], memory_bytes: [] };
    metrics.loss.push([time, step, loss]);
    metrics.accuracy.push([time, step, accuracy]);
    if (step % 20 === 0) metrics.val_loss.push([time, step, loss * 1.1]);
    metrics.cpu_percent.push([time, -1, 88 + 10 * Math.sin(step / 4)]);
    metrics.memory_bytes.push([time, -1, 4e8 + 4e6 * step]);
    this.metrics.set(job.id, metrics);
    job.progress = {
      phase: 'running',
      percent: (100 * step) / STEPS,
      step,
      total: STEPS,
      eta_ms: (STEPS - step) * this.stepMs,
      text: `epoch ${Math.ceil(step / 20)}/3  loss ${loss.toFixed(3)}  accuracy ${accuracy.toFixed(3)}`,
    };
    this.emit('job', job);
  }

  finish(job, state, reason, message, code = 0) {
    job.exit = { code, signal: null, class: state === 'completed' ? 'none' : reason };
    job.progress = noProgress();
    if (state === 'completed') {
      this.put(`jobs/${job.id}/output/model/1/saved_model.pb`, 'graph'.repeat(2000));
      this.put(`jobs/${job.id}/output/model/1/variables/variables.index`, 'x'.repeat(700));
      this.put(`jobs/${job.id}/output/history.json`, '{"loss": [1.2, 0.4]}');
    }
    this.endLog(job.id);
    this.move(job, state, reason, message, { ended_ms: Date.now() });
    return false;
  }

  /* A TensorBoard of a folder of the store. */
  show(name, uri, state = 'starting') {
    const now = Date.now();
    const board = {
      id: `t${(++this.seq).toString(36).padStart(9, '0')}`,
      name,
      org: 'team',
      user: 'ada',
      state,
      reason: state,
      message: state === 'ready' ? '' : 'not ready yet',
      attempt: 1,
      restarts: 0,
      created_ms: now,
      ready_ms: state === 'ready' ? now : 0,
      path: `/tensorboard/${name}/`,
      progress: noProgress(),
      uri,
      cpu: 1,
      memory: 1 << 30,
    };
    this.boards.push(board);
    return board;
  }

  serve(spec) {
    const model = {
      id: `m${(++this.seq).toString(36).padStart(9, '0')}`,
      name: spec.name,
      org: 'team',
      user: 'ada',
      state: 'starting',
      reason: 'starting',
      message: 'reading the model',
      version: 1,
      attempt: 1,
      restarts: 0,
      created_ms: Date.now(),
      ready_ms: 0,
      address: '',
      http_url: null,
      grpc_address: null,
      progress: noProgress(),
      spec: { model_version: 1, framework: 'tensorflow', framework_version: '2.21.0', cpu: '1', memory: '2G', ...spec },
    };
    this.models.set(model.name, model);
    this.event(`model/${model.name}`, 'created', 'model was accepted', 'Normal', 'ada');
    this.emit('model', model);
    this.write(`model/${model.name}`, 'loading SavedModel\nserving_default: x float32 [-1]\n');
    this.every(this.stepMs * 8, () => {
      const address = '127.0.0.1:18500';
      const where = { address, http_url: `http://${address}/v1/models/${model.name}`, grpc_address: address };
      Object.assign(model, { state: 'ready', reason: 'ready', message: 'answers requests', ready_ms: Date.now(), ...where });
      model.version++;
      this.event(`model/${model.name}`, 'ready', `answers on ${address}`);
      this.emit('model', model);
      return false;
    });
    return model;
  }

  stop(model) {
    Object.assign(model, { state: 'stopping', reason: 'deleted', message: 'stopping' });
    model.version++;
    this.emit('model', model);
    this.every(this.stepMs * 5, () => {
      this.models.delete(model.name);
      this.endLog(`model/${model.name}`);
      this.emit('model', { ...model, state: 'deleted', version: model.version + 1 });
      return false;
    });
  }
}

function noProgress() {
  return { phase: null, percent: null, step: null, total: null, eta_ms: null, text: null };
}
