// SPDX-License-Identifier: Apache-2.0
// The models that are served.
import { ago, dateTime, frameworkName } from '../format';
import { get } from '../http';
import { models, now, replaceModels, syncs } from '../live';
import { Copyable } from '../parts/copy';
import { Empty, Failure, useLoad, useRepeat, useTitle } from '../parts/load';
import { ProgressBar, StateBadge } from '../parts/state';
import { to } from '../router';
import { shapeText, signatures } from '../signature';
import type { Metadata, Tensor } from '../signature';
import type { Model } from '../types';

const STOPPING_MS = 2000;

export function ModelsPage() {
  useTitle('Models');
  const { data, error, reload } = useLoad(async (signal) => {
    const got = await get<{ data: Model[] }>('/models', signal);
    replaceModels(got.data);
    return true;
  }, [syncs.value]);
  const list = [...models.value.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  useRepeat(reload, STOPPING_MS, list.some((m) => m.state === 'stopping'));
  return (
    <>
      <div class="head">
        <h1>Models</h1>
      </div>
      {error && <Failure error={error} retry={reload} />}
      {list.length > 0 && <ModelTable list={list} />}
      {list.length === 0 && !data && !error && <p class="hint">Loading …</p>}
      {list.length === 0 && data && (
        <Empty>
          <p>No model is served yet. With a completed job that saved one, type</p>
          <Copyable text="cloudml serve JOB" label="the command" />
          <p>or press “Deploy model” on the job's page.</p>
        </Empty>
      )}
    </>
  );
}

function ModelTable({ list }: { list: Model[] }) {
  return (
    <table class="table stack models">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Model</th>
          <th scope="col">Address</th>
          <th scope="col">Framework</th>
          <th scope="col">Takes and gives</th>
          <th scope="col">Since</th>
        </tr>
      </thead>
      <tbody>
        {list.map((m) => (
          <tr key={m.id}>
            <td>
              <StateBadge state={m.state} />
            </td>
            <td class="name">
              <a href={to('models', m.name)}>{m.name}</a>
              <span class="sub mono">
                {m.id}
                {(m.replicas?.length ?? 1) > 1 ? ` · ${m.replicas_ready ?? 0} of ${m.replicas!.length} replicas ready` : ''}
                {m.restarts > 0 ? ` · ${m.restarts} restarts` : ''}
              </span>
            </td>
            <td class="mono">{m.address}</td>
            <td>{frameworkName(m.spec)}</td>
            <td class="wide">
              {m.state === 'starting' && <ProgressBar progress={m.progress} active />}
              {m.state === 'ready' ? (
                <SignatureLine key={`${m.id} ${m.attempt}`} name={m.name} />
              ) : (
                <span class="sub message">{m.message}</span>
              )}
            </td>
            <td title={dateTime(m.ready_ms || m.created_ms)}>{ago(m.ready_ms || m.created_ms, now.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SignatureLine({ name }: { name: string }) {
  const { data, error } = useLoad(
    async (signal) => signatures(await get<Metadata>(`/models/${encodeURIComponent(name)}/metadata`, signal)),
    [name],
  );
  const first = data?.[0];
  if (error) return <span class="sub message">{error.message}</span>;
  if (!first) return null;
  const say = (t: Tensor) => `${t.name}: ${t.dtype}, ${shapeText(t)}`;
  return (
    <span class="mono">
      {first.inputs.map(say).join('; ')} → {first.outputs.map(say).join('; ')}
    </span>
  );
}
