// SPDX-License-Identifier: Apache-2.0
// Objects below one place of the store, with links to download them and to open folders.
import { useEffect, useState } from 'preact/hooks';
import { bytes, dateTime } from '../format';
import { toStore } from '../router';
import { download, list, rowName } from '../store';
import type { Place } from '../store';
import type { StoreRow } from '../types';
import { Failure } from './load';

/* A listing page by page; from the start again when 'version' grows. */
export function useListing(at: Place, folders: boolean, version: unknown) {
  const [rows, setRows] = useState<StoreRow[]>();
  const [truncated, setTruncated] = useState(false);
  const [error, setError] = useState<Error>();
  const fetchRows = async (after: string, signal?: AbortSignal) => {
    try {
      const got = await list(at, after, folders, signal);
      if (signal?.aborted) return;
      setRows((have) => (after === '' ? got.data : [...(have ?? []), ...got.data]));
      setTruncated(got.truncated);
      setError(undefined);
    } catch (cause) {
      if (!signal?.aborted) setError(cause as Error);
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    void fetchRows('', abort.signal);
    return () => abort.abort();
  }, [at.bucket, at.prefix, version]);
  const last = rows?.at(-1);
  const more = truncated && last ? () => void fetchRows(rowName(last)) : undefined;
  return { rows, more, error };
}

export function FileTable({ at, rows }: { at: Place; rows: StoreRow[] }) {
  const short = (name: string) => name.slice(at.prefix.length);
  return (
    <table class="table files">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col" class="number">
            Size
          </th>
          <th scope="col" class="modified">
            Modified
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) =>
          'key' in row ? (
            <tr key={row.key}>
              <td class="name">
                <a href={download(at.bucket, row.key)} download={row.key.split('/').pop()}>
                  {short(row.key)}
                </a>
              </td>
              <td class="number">{bytes(row.size)}</td>
              <td class="modified">{dateTime(row.modified_ms)}</td>
            </tr>
          ) : (
            <tr key={row.prefix}>
              <td class="name" colSpan={3}>
                <a href={toStore(at.bucket, row.prefix)}>{short(row.prefix)}</a>
              </td>
            </tr>
          ),
        )}
      </tbody>
    </table>
  );
}

export function OutputsPanel({ at, ended, version }: { at: Place; ended: boolean; version: number }) {
  const { rows, more, error } = useListing(at, false, version);
  return (
    <section class="panel" aria-label="Outputs">
      <header>
        <h2>Outputs</h2>
        <a class="sub mono" href={toStore(at.bucket, at.prefix)}>
          fds://{at.bucket}/{at.prefix}
        </a>
      </header>
      {error && <Failure error={error} />}
      {rows && rows.length > 0 && <FileTable at={at} rows={rows} />}
      {rows?.length === 0 && (
        <p class="hint">
          {ended ? 'The job wrote no outputs. ' : 'Nothing yet. '}
          What a program writes into the folder <code>$CLOUDML_OUTPUT_DIR</code> appears here.
        </p>
      )}
      {more && (
        <button type="button" class="more" onClick={more}>
          Show more
        </button>
      )}
    </section>
  );
}
