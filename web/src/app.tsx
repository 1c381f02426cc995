// SPDX-License-Identifier: Apache-2.0
// The frame around every page: navigation, state of the connection, messages; and which page an address shows.
import { useEffect } from 'preact/hooks';
import { link, now, retryAt, startLive } from './live';
import { JobPage } from './pages/job';
import { JobsPage } from './pages/jobs';
import { LoginPage } from './pages/login';
import { ModelPage } from './pages/model';
import { ModelsPage } from './pages/models';
import { OrganisationPage } from './pages/organisation';
import { OverviewPage } from './pages/overview';
import { StorePage } from './pages/store';
import { TensorboardsPage } from './pages/tensorboards';
import { Notices } from './parts/notices';
import { route, to } from './router';
import { session, sessionState, signOut } from './session';

const SECTIONS = ['overview', 'jobs', 'models', 'tensorboards', 'store', 'organisation'];
const SECTION_TEXT: { [name: string]: string } = { tensorboards: 'TensorBoards' };

export function App() {
  if (sessionState.value === 'asking') return <p class="hint page">Signing in …</p>;
  if (sessionState.value === 'out') return <LoginPage />;
  return <Frame />;
}

function Frame() {
  useEffect(startLive, []);
  const section = route.value[0] ?? 'jobs';
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the page
      </a>
      <header class="bar">
        <a class="brand" href={to('overview')}>
          Cloud-ML
        </a>
        <nav aria-label="Sections">
          {SECTIONS.map((name) => (
            <a key={name} href={to(name)} aria-current={section === name ? 'page' : undefined}>
              {SECTION_TEXT[name] ?? name[0]?.toUpperCase() + name.slice(1)}
            </a>
          ))}
        </nav>
        <div class="who">
          <LinkDot />
          <span title={`role: ${session.value?.role}`}>
            {session.value?.org}/{session.value?.user}
          </span>
          <button type="button" class="quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      </header>
      <LostNote />
      <Notices />
      <main id="main" class="page" tabIndex={-1}>
        <Page />
      </main>
    </>
  );
}

function skipToMain(event: MouseEvent) {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Page() {
  const [section, name, ...rest] = route.value;
  switch (section ?? 'jobs') {
    case 'overview':
      return <OverviewPage />;
    case 'jobs':
      return name ? <JobPage key={name} id={name} /> : <JobsPage />;
    case 'models':
      return name ? <ModelPage key={name} name={name} /> : <ModelsPage />;
    case 'tensorboards':
      return <TensorboardsPage />;
    case 'organisation':
      return <OrganisationPage />;
    case 'store':
      return <StorePage key={route.value.join('/')} bucket={name ?? ''} prefix={rest.join('/')} />;
  }
  return (
    <div class="empty">
      <p>There is no page of this name.</p>
      <a href={to('jobs')}>Go to the jobs</a>
    </div>
  );
}

const LINK_TEXT = { connecting: 'connecting', live: 'live', lost: 'not connected' };

function LinkDot() {
  return (
    <span class={`link link-${link.value}`} title="connection to the server">
      {LINK_TEXT[link.value]}
    </span>
  );
}

function LostNote() {
  if (link.value !== 'lost') return null;
  const seconds = Math.max(0, Math.ceil((retryAt.value - now.value) / 1000));
  return (
    <p class="lost" role="status">
      The server does not answer. What you see may be old.{' '}
      {seconds > 0 ? `Trying again in ${seconds} s …` : 'Trying again …'}
    </p>
  );
}
