// SPDX-License-Identifier: Apache-2.0
// The live log: lines as text nodes, kept to the last few thousand, following the end until the reader scrolls up.
import { useEffect, useRef, useState } from 'preact/hooks';
import { followLog } from '../follow';
import { bytes } from '../format';
import { API } from '../http';
import { Terminal } from '../terminal';
import { Failure } from './load';

const NEAR_END_PX = 24;

/* Draws what a terminal holds into 'box', touching only what changed. */
class LogView {
  private shown = 0; // number of the next finished line to draw
  private drawnFirst = 0; // number of the line that box's first child shows
  private tail: HTMLElement | null = null;
  private frame = 0;
  following = true;

  constructor(
    private readonly box: HTMLElement,
    private readonly terminal: Terminal,
  ) {}

  schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
  }

  draw(): void {
    const { terminal, box } = this;
    if (this.shown < terminal.first) {
      box.replaceChildren();
      this.tail = null;
      this.shown = this.drawnFirst = terminal.first;
    }
    for (; this.drawnFirst < terminal.first; this.drawnFirst++) box.firstChild?.remove();
    this.tail?.remove();
    const added = document.createDocumentFragment();
    for (const end = terminal.first + terminal.lines.length; this.shown < end; this.shown++) {
      added.append(line(terminal.lines[this.shown - terminal.first] ?? ''));
    }
    this.tail = terminal.current === '' ? null : line(terminal.current);
    if (this.tail) added.append(this.tail);
    box.append(added);
    if (this.following) box.scrollTop = box.scrollHeight;
  }
}

function line(text: string): HTMLElement {
  const element = document.createElement('div');
  element.textContent = text;
  return element;
}

interface Props {
  path: string; // '/jobs/ID/logs'
  attempt?: number;
  ended: boolean;
  waiting: string; // said while nothing was written
}

export function LogPanel({ path, attempt, ended, waiting }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<LogView>();
  const isEnded = useRef(ended);
  isEnded.current = ended;
  const [following, setFollowing] = useState(true);
  const [cut, setCut] = useState(0);
  const [empty, setEmpty] = useState(true);
  const [error, setError] = useState<Error>();

  useEffect(() => {
    const abort = new AbortController();
    const terminal = new Terminal();
    const drawn = new LogView(box.current as HTMLElement, terminal);
    box.current?.replaceChildren();
    view.current = drawn;
    setEmpty(true);
    setFollowing(true);
    setError(undefined);
    followLog({
      path,
      ...(attempt ? { attempt } : {}),
      signal: abort.signal,
      onStart: setCut,
      onText: (text) => {
        setEmpty(false);
        terminal.write(text);
        drawn.schedule();
      },
      isEnded: () => isEnded.current,
    }).catch(setError);
    return () => {
      abort.abort();
      drawn.stop();
    };
  }, [path, attempt]);

  const follow = (on: boolean) => {
    if (view.current) view.current.following = on;
    setFollowing(on);
    if (on) view.current?.draw();
  };
  const onScroll = () => {
    const b = box.current;
    if (b) setAtEnd(b.scrollHeight - b.scrollTop - b.clientHeight < NEAR_END_PX);
  };
  const setAtEnd = (atEnd: boolean) => {
    if (atEnd !== following) follow(atEnd);
  };
  const whole = `${API}${path}${attempt ? `?attempt=${attempt}` : ''}`;
  return (
    <section class="panel" aria-label="Log">
      <header>
        <h2>Log</h2>
        {cut > 0 && <span class="sub">the first {bytes(cut)} are only in the whole log</span>}
        <div class="actions">
          <button type="button" aria-pressed={following} onClick={() => follow(!following)}>
            {following ? 'Pause scrolling' : 'Go on scrolling'}
          </button>
          <a class="button" href={whole} download={`${path.split('/')[2]}.log`}>
            Download whole log
          </a>
        </div>
      </header>
      {error && <Failure error={error} />}
      {empty && !error && <p class="hint">{ended ? 'Nothing was written.' : waiting}</p>}
      <div
        ref={box}
        class="log"
        hidden={empty}
        role="log"
        aria-label="Output of the program"
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
      />
    </section>
  );
}
