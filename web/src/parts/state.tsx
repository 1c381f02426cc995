// SPDX-License-Identifier: Apache-2.0
// A state as a word with a colour, and progress as a bar with per cent and time left.
import { known, progressText } from '../format';
import type { Progress } from '../types';

export function StateBadge({ state }: { state: string }) {
  return <span class={`state state-${state}`}>{state}</span>;
}

/* Nothing is drawn for what is not known; 'active' alone shows a bar without a measure. */
export function ProgressBar({ progress, active }: { progress: Progress | null | undefined; active: boolean }) {
  const percent = known(progress?.percent);
  const text = progressText(progress);
  if (percent === null && text === '' && !active) return null;
  return (
    <div class="progress">
      <div
        class={percent === null && active ? 'track track-busy' : 'track'}
        role="progressbar"
        aria-label="progress"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent === null ? undefined : Math.floor(percent)}
      >
        <div class="fill" style={{ width: `${percent ?? 0}%` }} />
      </div>
      <span class="measure">{text || progress?.phase || ''}</span>
    </div>
  );
}
