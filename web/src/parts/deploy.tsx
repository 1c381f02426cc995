// SPDX-License-Identifier: Apache-2.0
// From a completed job to a model service: a name and one button.
import { useState } from 'preact/hooks';
import { change } from '../http';
import { addModels } from '../live';
import { go, to } from '../router';
import type { Job, Model } from '../types';
import { attempt } from './notices';

export function DeployForm({ job }: { job: Job }) {
  const [name, setName] = useState(job.name);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    await attempt(async () => {
      const model = await change<Model>('POST', '/models', { name, job: job.id });
      if (model) addModels([model]);
      go(to('models', name));
    });
    setBusy(false);
  };
  return (
    <form class="panel row deploy" onSubmit={(event) => void submit(event)}>
      <label for="deploy-name">Serve this job's model as</label>
      <input
        id="deploy-name"
        required
        maxLength={63}
        pattern="[a-z0-9]([a-z0-9\-]*[a-z0-9])?"
        title="lower-case letters, digits and hyphens"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <button type="submit" class="primary" disabled={busy}>
        Deploy model
      </button>
    </form>
  );
}
