// SPDX-License-Identifier: Apache-2.0
// The form that asks a model: a request prefilled in the right shape, the answer as it came, and how long it took.
import { useState } from 'preact/hooks';
import { send } from '../http';
import { compactJson, layoutJson } from '../layout';
import { exampleRequest } from '../signature';
import type { Signature } from '../signature';
import { curlSnippet, predictUrl, pythonSnippet } from '../snippets';
import type { Model } from '../types';
import { Copyable } from './copy';
import { Failure } from './load';

interface Answer {
  text: string;
  tookMs: number;
}

interface Props {
  model: Model;
  path: string;
  signature: Signature;
}

export function PredictPanel({ model, path, signature }: Props) {
  const example = layoutJson(JSON.stringify(exampleRequest(signature)));
  const [request, setRequest] = useState(example);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const submit = async (event?: Event) => {
    event?.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      checkJson(request);
      const start = performance.now();
      const text = await (await send(`${path}/predict`, { method: 'POST', text: request })).text();
      setAnswer({ text: layoutJson(text), tookMs: performance.now() - start });
    } catch (cause) {
      setAnswer(undefined);
      setError(cause as Error);
    }
    setBusy(false);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void submit(event);
  };
  return (
    <>
      <section class="panel" aria-label="Predict">
        <form onSubmit={(event) => void submit(event)}>
          <header class="row form-head">
            <h2>
              <label for="request">Ask for a prediction</label>
            </h2>
            <button type="button" class="quiet" disabled={request === example} onClick={() => setRequest(example)}>
              Back to the example
            </button>
          </header>
          <textarea
            id="request"
            spellcheck={false}
            rows={Math.min(18, example.split('\n').length + 2)}
            value={request}
            onInput={(event) => setRequest(event.currentTarget.value)}
            onKeyDown={onKey}
          />
          <div class="row">
            <button type="submit" class="primary" disabled={busy}>
              Predict
            </button>
            <span class="sub">Ctrl+Enter</span>
          </div>
        </form>
        <div class="answer" aria-live="polite">
          {error && <Failure error={error} />}
          {answer && (
            <>
              <p class="sub">
                Answered in <span class="took">{answer.tookMs.toFixed(1)} ms</span>, with the way through the server
              </p>
              <pre tabIndex={0}>{answer.text}</pre>
            </>
          )}
        </div>
      </section>
      <Snippets model={model} request={compactJson(request)} />
    </>
  );
}

/* Only checked: what is sent is the text itself, so that no digit of a large number is lost. */
function checkJson(request: string): void {
  try {
    JSON.parse(request);
  } catch (cause) {
    throw new Error(`the request is not JSON: ${(cause as Error).message}`);
  }
}

function Snippets({ model, request }: { model: Model; request: string }) {
  const url = predictUrl(model);
  if (url === null) return null;
  return (
    <section class="panel" aria-label="Snippets">
      <header>
        <h2>From your own code</h2>
      </header>
      <h3>Shell</h3>
      <Copyable text={curlSnippet(url, request)} label="the curl line" />
      <h3>Python, nothing to install</h3>
      <Copyable text={pythonSnippet(url, request)} label="the Python lines" />
    </section>
  );
}
