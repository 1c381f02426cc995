// SPDX-License-Identifier: Apache-2.0
// Text to take along: a block with a copy button.
import { useState } from 'preact/hooks';

const SHOWN_MS = 1500;

/* navigator.clipboard exists only on https and localhost; the selection's copy is everywhere. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.append(area);
    area.select();
    const ok = document.execCommand('copy');
    area.remove();
    return ok;
  }
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [shown, setShown] = useState('');
  const press = async () => {
    setShown((await copy(text)) ? 'Copied' : 'Select and copy by hand');
    setTimeout(() => setShown(''), SHOWN_MS);
  };
  return (
    <button type="button" class="copy" aria-label={`Copy ${label}`} onClick={() => void press()}>
      {shown || 'Copy'}
    </button>
  );
}

export function Copyable({ text, label }: { text: string; label: string }) {
  return (
    <div class="copyable">
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}
