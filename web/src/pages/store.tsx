// SPDX-License-Identifier: Apache-2.0
// The object store, folder by folder.
import { get } from '../http';
import { Copyable } from '../parts/copy';
import { FileTable, useListing } from '../parts/files';
import { Empty, Failure, useLoad, useTitle } from '../parts/load';
import { to, toStore } from '../router';
import type { Place } from '../store';

export function StorePage({ bucket, prefix }: { bucket: string; prefix: string }) {
  useTitle(bucket ? `${bucket}/${prefix}` : 'Store');
  return bucket === '' ? <Buckets /> : <Folder at={{ bucket, prefix }} />;
}

function Buckets() {
  const { data, error, reload } = useLoad((signal) => get<{ data: { name: string }[] }>('/store', signal), []);
  return (
    <>
      <div class="head">
        <h1>Store</h1>
      </div>
      {error && <Failure error={error} retry={reload} />}
      {data && data.data.length > 0 && (
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Bucket</th>
            </tr>
          </thead>
          <tbody>
            {data.data.map((b) => (
              <tr key={b.name}>
                <td class="name">
                  <a href={to('store', b.name, '')}>fds://{b.name}/</a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {data?.data.length === 0 && <NothingStored />}
    </>
  );
}

function NothingStored() {
  return (
    <Empty>
      <p>Nothing is stored yet. What jobs write appears here; to begin with one, type</p>
      <Copyable text="cloudml run -- python train.py" label="the command" />
    </Empty>
  );
}

function Crumbs({ at }: { at: Place }) {
  const parts = at.prefix.split('/').filter((p) => p !== '');
  return (
    <h1 class="crumbs">
      <a href={to('store')}>fds://</a>
      <a href={to('store', at.bucket, '')}>{at.bucket}</a>/
      {parts.map((part, i) => (
        <>
          <a href={toStore(at.bucket, `${parts.slice(0, i + 1).join('/')}/`)}>{part}</a>/
        </>
      ))}
    </h1>
  );
}

function Folder({ at }: { at: Place }) {
  const { rows, more, error } = useListing(at, true, 0);
  return (
    <>
      <div class="head">
        <Crumbs at={at} />
      </div>
      {error && <Failure error={error} />}
      {rows && rows.length > 0 && <FileTable at={at} rows={rows} />}
      {rows?.length === 0 && (at.prefix === '' ? <NothingStored /> : <Empty>Nothing is stored below this prefix.</Empty>)}
      {!rows && !error && <p class="hint">Loading …</p>}
      {more && (
        <button type="button" class="more" onClick={more}>
          Show more
        </button>
      )}
    </>
  );
}
