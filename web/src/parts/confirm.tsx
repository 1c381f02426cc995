// SPDX-License-Identifier: Apache-2.0
// A button that asks once more before it does what cannot be undone.
import { useEffect, useState } from 'preact/hooks';

const ASK_MS = 4000;

interface Props {
  label: string;
  question: string;
  subject: string;
  action: () => Promise<void>;
}

export function ConfirmButton({ label, question, subject, action }: Props) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!asking) return;
    const timer = setTimeout(() => setAsking(false), ASK_MS);
    return () => clearTimeout(timer);
  }, [asking]);
  const press = async () => {
    if (!asking) return setAsking(true);
    setAsking(false);
    setBusy(true);
    await action().finally(() => setBusy(false));
  };
  const text = asking ? question : label;
  return (
    <button
      type="button"
      class={asking ? 'danger' : ''}
      disabled={busy}
      aria-label={`${text} (${subject})`}
      onClick={() => void press()}
    >
      {text}
    </button>
  );
}
