// SPDX-License-Identifier: Apache-2.0
// One's own organisation: what it may hold and holds, who belongs to it, which keys there are, what was used, who changed what.
// To look at only; changes are made with the command line.
import type { ComponentChildren } from 'preact';
import { bytes, dateTime, share } from '../format';
import { get } from '../http';
import { Facts } from '../parts/facts';
import { Failure, useLoad, useTitle } from '../parts/load';
import { session } from '../session';
import type { Event, Key, Org, QuotaShare, QuotaState, Usage, User } from '../types';

const PURPOSES = ['training', 'models', 'development'] as const;
const OWN = '/orgs/-';

export function OrganisationPage() {
  useTitle('Organisation');
  const { data, error, reload } = useLoad((signal) => get<Org>(OWN, signal), []);
  const who = session.value;
  return (
    <>
      <div class="head">
        <h1>Organisation {data?.name ?? ''}</h1>
      </div>
      {error && <Failure error={error} retry={reload} />}
      {data && who && (
        <Facts
          facts={[
            ['description', data.description],
            ['you', `${who.user}, ${who.role}${who.platform ? ' and administrator of the platform' : ''}`],
            ['created', dateTime(data.created_ms)],
          ]}
        />
      )}
      <QuotaPanel />
      <UsagePanel />
      <UsersPanel />
      <KeysPanel />
      {who?.role === 'admin' && <AuditPanel />}
    </>
  );
}

/* A title and a table; 'hint' is the command that changes what it shows. */
function Panel(props: { title: string; heads: string[]; rows: ComponentChildren[][]; hint: string; error?: Error | undefined }) {
  const { title, heads, rows, hint, error } = props;
  return (
    <section class="panel">
      <header>
        <h2>{title}</h2>
      </header>
      {error && <Failure error={error} />}
      {rows.length > 0 && (
        <table class="table">
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={i}>
                {row.map((cell, k) => (
                  <td key={k}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rows.length === 0 && !error && <p class="hint">Nothing yet.</p>}
      <p class="hint">
        <code>{hint}</code>
      </p>
    </section>
  );
}

function quotaRow(purpose: string, used: QuotaShare, most: QuotaShare): string[] {
  return [
    purpose,
    share(used.cpu, most.cpu),
    share(used.memory, most.memory, bytes),
    share(used.gpu, most.gpu),
    share(used.count, most.count),
  ];
}

function QuotaPanel() {
  const { data, error } = useLoad((signal) => get<QuotaState>(`${OWN}/quota`, signal), []);
  return (
    <>
      <Panel
        title="Quota: held / may"
        heads={['Purpose', 'Cores', 'Memory', 'GPUs', 'Tasks']}
        rows={data ? PURPOSES.map((p) => quotaRow(p, data.used[p], data.quota[p])) : []}
        hint="cloudml quota get"
        error={error}
      />
      {data?.warning && (
        <p class="hint" role="status">
          {data.warning}
        </p>
      )}
    </>
  );
}

function UsagePanel() {
  const { data, error } = useLoad((signal) => get<{ data: Usage[] }>(`${OWN}/usage?by=user`, signal), []);
  const hours = (n: number) => n.toFixed(2);
  return (
    <Panel
      title="Used in 30 days"
      heads={['User', 'CPU hours', 'Memory GiB hours', 'GPU hours', 'Attempts ended', 'Running']}
      rows={(data?.data ?? []).map((u) => [
        u.user ?? '',
        hours(u.cpu_hours),
        hours(u.memory_gib_hours),
        hours(u.gpu_hours),
        u.attempts,
        u.running,
      ])}
      hint="cloudml usage --by user"
      error={error}
    />
  );
}

function UsersPanel() {
  const { data, error } = useLoad((signal) => get<{ data: User[] }>(`${OWN}/users?limit=1000`, signal), []);
  return (
    <Panel
      title="Users"
      heads={['Name', 'Role', 'Since']}
      rows={(data?.data ?? []).map((u) => [u.name, u.platform ? `${u.role}, platform` : u.role, dateTime(u.created_ms)])}
      hint="cloudml user create NAME --role member"
      error={error}
    />
  );
}

function KeysPanel() {
  const { data, error } = useLoad((signal) => get<{ data: Key[] }>(`${OWN}/keys?limit=1000`, signal), []);
  return (
    <Panel
      title="Keys"
      heads={['Id', 'User', 'Role', 'Expires', 'Note']}
      rows={(data?.data ?? []).map((k) => [k.id, k.user, k.role, k.expires_ms ? dateTime(k.expires_ms) : 'never', k.note])}
      hint="cloudml key create --expires 90d"
      error={error}
    />
  );
}

function AuditPanel() {
  const { data, error } = useLoad((signal) => get<{ data: Event[] }>(`${OWN}/events?limit=20`, signal), []);
  return (
    <Panel
      title="Changes"
      heads={['Time', 'Who', 'What']}
      rows={(data?.data ?? []).map((e) => [dateTime(e.time_ms), e.actor, e.message])}
      hint="cloudml events"
      error={error}
    />
  );
}
