// SPDX-License-Identifier: Apache-2.0
// The page without a session: how to get a link, and a form for a token.
import { useState } from 'preact/hooks';
import { Copyable } from '../parts/copy';
import { useTitle } from '../parts/load';
import { sessionNote, signIn } from '../session';

export function LoginPage() {
  useTitle('Sign in');
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    await signIn(token).finally(() => setBusy(false));
  };
  return (
    <main class="login">
      <h1>Cloud-ML</h1>
      <p>Open the console with a link that signs you in. On the machine where you use the command line, type</p>
      <Copyable text="cloudml console" label="the command" />
      <p>
        It prints and opens the link. <code>cloudml up</code> prints one too.
      </p>
      <form onSubmit={(event) => void submit(event)}>
        <label for="token">Or paste a token</label>
        <div class="row">
          <input
            id="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="cml_…"
            required
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={busy}>
            Sign in
          </button>
        </div>
      </form>
      {sessionNote.value !== '' && (
        <p class="failure" role="alert">
          {sessionNote.value}
        </p>
      )}
    </main>
  );
}
