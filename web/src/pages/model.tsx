// SPDX-License-Identifier: Apache-2.0
// One served model: where it is, what it takes and gives, a form that predicts, snippets, log and history.
import { useState } from 'preact/hooks';
import { dateTime } from '../format';
import { ApiError, change, get } from '../http';
import { addModels, models, syncs } from '../live';
import { ConfirmButton } from '../parts/confirm';
import { EventsPanel } from '../parts/events';
import { Facts } from '../parts/facts';
import { Failure, useLoad, useRepeat, useTitle } from '../parts/load';
import { LogPanel } from '../parts/log';
import { attempt, notifyDone } from '../parts/notices';
import { PredictPanel } from '../parts/predict';
import { ProgressBar, StateBadge } from '../parts/state';
import { go, to } from '../router';
import { shapeText, signatures } from '../signature';
import type { Metadata, Signature, Tensor } from '../signature';
import type { Model } from '../types';

const STOPPING_MS = 2000;

export function ModelPage({ name }: { name: string }) {
  const path = `/models/${encodeURIComponent(name)}`;
  const { error, reload } = useLoad(async (signal) => {
    addModels([await get<Model>(path, signal)]);
  }, [path, syncs.value]);
  const [seen, setSeen] = useState(false);
  const model = models.value.get(name);
  useTitle(name);
  useRepeat(reload, STOPPING_MS, model?.state === 'stopping' && !error);
  if (model && !seen) setSeen(true);
  const gone = seen && (!model || error?.status === 404);
  if (gone) return <p class="hint">The model '{name}' was stopped and removed.</p>;
  if (error && !model) return <Failure error={error} retry={reload} />;
  if (!model) return <p class="hint">Loading …</p>;
  return <ModelView model={model} path={path} />;
}

function ModelView({ model, path }: { model: Model; path: string }) {
  const ready = model.state === 'ready';
  return (
    <>
      <ModelHead model={model} path={path} />
      {model.message && (
        <p class={`said said-${model.state}`}>
          {model.reason && model.reason !== model.state && <strong>{model.reason} </strong>}
          {model.message}
        </p>
      )}
      {model.state === 'starting' && (
        <section class="panel" aria-label="Progress">
          <ProgressBar progress={model.progress} active />
          {model.progress?.text && <p class="sub mono">{model.progress.text}</p>}
        </section>
      )}
      <div class="columns">
        <div>
          {ready && <Ask key={`${model.id} ${model.attempt}`} model={model} path={path} />}
          <LogPanel
            key={model.attempt}
            path={`${path}/logs`}
            ended={model.state === 'failed'}
            waiting="The model server has written nothing yet."
          />
        </div>
        <div>
          <ReplicasPanel model={model} />
          <AboutPanel model={model} />
          <EventsPanel path={`${path}/events`} version={model.version} />
        </div>
      </div>
    </>
  );
}

function ModelHead({ model, path }: { model: Model; path: string }) {
  const remove = () =>
    attempt(async () => {
      const after = await change<Model>('DELETE', path);
      if (after) addModels([after]);
      notifyDone(`Model '${model.name}' is being stopped.`);
      go(to('models'));
    });
  return (
    <div class="head">
      <a class="crumb" href={to('models')}>
        Models
      </a>
      <span class="crumb">/</span>
      <h1>{model.name}</h1>
      <StateBadge state={model.state} />
      <span class="sub mono">{model.address}</span>
      <div class="actions">
        {model.state !== 'stopping' && (
          <ConfirmButton label="Stop and remove" question="Really stop it?" subject={model.name} action={remove} />
        )}
      </div>
    </div>
  );
}

/* What needs the model's signatures, once it answers. */
function Ask({ model, path }: { model: Model; path: string }) {
  const { data, error, reload } = useLoad(
    async (signal) => signatures(await get<Metadata>(`${path}/metadata`, signal)),
    [path],
  );
  const [chosen, choose] = useState('');
  if (error) return <Failure error={error} retry={reload} />;
  if (!data) return <p class="hint">Asking the model for its signatures …</p>;
  const signature = data.find((s) => s.name === chosen) ?? data[0];
  if (!signature) return <Failure error={new ApiError(0, 'error', 'the model has no signature to call')} />;
  return (
    <>
      <SignaturePanel list={data} shown={signature} choose={choose} />
      <PredictPanel key={signature.name} model={model} path={path} signature={signature} />
    </>
  );
}

interface SignatureProps {
  list: Signature[];
  shown: Signature;
  choose: (name: string) => void;
}

function SignaturePanel({ list, shown, choose }: SignatureProps) {
  return (
    <section class="panel" aria-label="Signature">
      <header>
        <h2>Signature</h2>
        {list.length === 1 ? (
          <span class="mono">{shown.name}</span>
        ) : (
          <select
            aria-label="Signature"
            value={shown.name}
            onChange={(event) => choose(event.currentTarget.value)}
          >
            {list.map((s) => (
              <option key={s.name}>{s.name}</option>
            ))}
          </select>
        )}
      </header>
      <table class="table signature">
        <thead>
          <tr>
            <th scope="col">Tensor</th>
            <th scope="col">Type</th>
            <th scope="col">Shape</th>
          </tr>
        </thead>
        <tbody>
          {shown.inputs.map((t) => (
            <TensorRow key={`in ${t.name}`} kind="takes" tensor={t} />
          ))}
          {shown.outputs.map((t) => (
            <TensorRow key={`out ${t.name}`} kind="gives" tensor={t} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function TensorRow({ kind, tensor }: { kind: string; tensor: Tensor }) {
  return (
    <tr>
      <td class="name">
        <span class="sub kind">{kind}</span> <span class="mono">{tensor.name}</span>
      </td>
      <td class="mono">{tensor.dtype}</td>
      <td class="mono">{shapeText(tensor)}</td>
    </tr>
  );
}

/* Only where there is more to say than the state: several replicas, or an update. */
function ReplicasPanel({ model }: { model: Model }) {
  const replicas = model.replicas ?? [];
  const update = model.update && model.update.state !== 'none' ? model.update : undefined;
  if (replicas.length < 2 && !update) return null;
  return (
    <section class="panel" aria-label="Replicas">
      {update && (
        <p class={update.state === 'failed' ? 'message failed' : 'message'}>
          revision {update.revision}: {update.state}
          {update.message && ` (${update.message})`}
        </p>
      )}
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Replica</th>
            <th scope="col">State</th>
            <th scope="col">Release</th>
            <th scope="col">Attempt</th>
            <th scope="col">Ready since</th>
          </tr>
        </thead>
        <tbody>
          {replicas.map((r) => (
            <tr key={r.attempt}>
              <td class="name">{r.replica}</td>
              <td>
                {r.state}
                {r.message && <span class="sub message"> {r.message}</span>}
              </td>
              <td>{r.release}</td>
              <td>{r.attempt}</td>
              <td>{r.ready_ms > 0 ? dateTime(r.ready_ms) : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function AboutPanel({ model }: { model: Model }) {
  const spec = Object.entries(model.spec)
    .filter(([key, v]) => key !== 'name' && v !== null && typeof v !== 'object')
    .map(([key, v]): [string, string] => [key.replaceAll('_', ' '), String(v)]);
  return (
    <section class="panel" aria-label="About">
      <Facts
        facts={[
          ['HTTP', model.http_url ?? ''],
          ['gRPC', model.grpc_address ?? ''],
          ['created', `${dateTime(model.created_ms)} by ${model.user}`],
          ['ready', model.ready_ms ? dateTime(model.ready_ms) : ''],
          ['restarts', model.restarts > 0 ? String(model.restarts) : ''],
          ...spec,
        ]}
      />
    </section>
  );
}
