// SPDX-License-Identifier: Apache-2.0
// The platform at a glance: what there is, what is used, what is going on.
import { bytes, duration, parseBytes, parseCores } from '../format';
import { get } from '../http';
import { syncs } from '../live';
import { Facts } from '../parts/facts';
import { Failure, useLoad, useRepeat, useTitle } from '../parts/load';
import { StateBadge } from '../parts/state';
import { to } from '../router';
import type { Framework, Json, Status } from '../types';

const STATUS_MS = 3000;

export function OverviewPage() {
  useTitle('Overview');
  const { data, error, reload } = useLoad((signal) => get<Status>('/status', signal), [syncs.value]);
  useRepeat(reload, STATUS_MS, true);
  return (
    <>
      <div class="head">
        <h1>Overview</h1>
      </div>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <p class="hint">Loading …</p>}
      {data && <Tiles status={data} />}
      <FrameworksPanel />
    </>
  );
}

function Tiles({ status }: { status: Status }) {
  return (
    <div class="tiles">
      <section class="panel" aria-label="Resources">
        <header>
          <h2>Resources in use</h2>
        </header>
        <Meters status={status} />
      </section>
      <section class="panel" aria-label="Counts">
        <header>
          <h2>
            <a href={to('jobs')}>Jobs</a>
          </h2>
        </header>
        <Counts counts={status.jobs} none="No jobs yet." />
        <header class="second">
          <h2>
            <a href={to('models')}>Models</a>
          </h2>
        </header>
        <Counts counts={status.models} none="No models yet." />
      </section>
      <section class="panel" aria-label="Server">
        <header>
          <h2>Server</h2>
        </header>
        <Facts
          facts={[
            ['version', status.version],
            ['up for', duration(status.uptime_ms)],
            ['process', String(status.pid)],
            ['data', status.data_folder],
            ...Object.entries(status.backend).map(([k, v]): [string, string] => [
              k === 'name' ? 'runs tasks on' : k.replaceAll('_', ' '),
              plain(v),
            ]),
          ]}
        />
      </section>
    </div>
  );
}

function plain(value: Json): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
}

function Meters({ status: { capacity, used } }: { status: Status }) {
  const cores = (n: number) => String(+n.toFixed(2));
  return (
    <>
      <Meter name="Cores" used={parseCores(used.cpu)} all={parseCores(capacity.cpu)} show={cores} />
      <Meter name="Memory" used={parseBytes(used.memory)} all={parseBytes(capacity.memory)} show={bytes} />
      <Meter name="GPUs" used={Number(used.gpu ?? 0)} all={Number(capacity.gpu ?? 0)} show={String} />
    </>
  );
}

interface MeterProps {
  name: string;
  used: number;
  all: number;
  show: (n: number) => string;
}

function Meter({ name, used, all, show }: MeterProps) {
  const percent = all > 0 ? Math.min(100, (100 * used) / all) : 0;
  return (
    <div class="meter">
      <div class="row">
        <span>{name}</span>
        <span class="measure">{all > 0 ? `${show(used)} of ${show(all)}` : 'none on this machine'}</span>
      </div>
      <div
        class="track"
        role="meter"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(percent)}
      >
        <div class="fill" style={{ width: `${percent}%` }} />
      </div>
    </div>
  );
}

function Counts({ counts, none }: { counts: { [state: string]: number }; none: string }) {
  const some = Object.entries(counts).filter(([, n]) => n > 0);
  if (some.length === 0) return <p class="hint">{none}</p>;
  return (
    <div class="counts">
      {some.map(([state, n]) => (
        <span key={state}>
          <StateBadge state={state} /> <strong class="measure">{n}</strong>
        </span>
      ))}
    </div>
  );
}

function Packages({ list }: { list: string[] }) {
  if (list.length === 0) return null;
  return (
    <details>
      <summary>{list.length} packages</summary>
      <p class="sub mono">{list.join('  ')}</p>
    </details>
  );
}

function FrameworksPanel() {
  const { data, error, reload } = useLoad((signal) => get<{ data: Framework[] }>('/frameworks', signal), []);
  return (
    <section class="panel" aria-label="Frameworks">
      <header>
        <h2>Frameworks</h2>
        <span class="sub">
          found from a program's imports, or chosen with <code>--framework NAME</code>
        </span>
      </header>
      {error && <Failure error={error} retry={reload} />}
      {data && (
        <table class="table stack frameworks">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Version</th>
              <th scope="col">Title</th>
              <th scope="col">Packages</th>
              <th scope="col" class="number">
                Download
              </th>
              <th scope="col" class="number">
                On disk
              </th>
            </tr>
          </thead>
          <tbody>
            {data.data.map((f) => (
              <tr key={`${f.name} ${f.version}`}>
                <td class="name">
                  {f.name}
                  {f.default && <span class="sub"> default</span>}
                </td>
                <td>{f.version}</td>
                <td class="wide">{f.title}</td>
                <td class="wide packages">
                  <Packages list={f.packages} />
                </td>
                <td class="number">{f.download_bytes ? bytes(f.download_bytes) : ''}</td>
                <td class="number">{f.disk_bytes ? bytes(f.disk_bytes) : ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
