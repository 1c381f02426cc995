# SPDX-License-Identifier: Apache-2.0
"""What programs do with fsspec and pandas."""
import hashlib
import multiprocessing
import random

import fsspec
import numpy
import pandas
import pytest

MIB = 1 << 20


def test_files_are_written_read_and_found(fs, root):
    with fs.open(f"{root}/a/b/file.txt", "w") as f:
        f.write("first\nsecond\n")
    assert fs.cat(f"{root}/a/b/file.txt") == b"first\nsecond\n"
    assert fs.exists(f"{root}/a/b/file.txt") and not fs.exists(f"{root}/a/b/other")
    assert fs.isdir(f"{root}/a/b") and fs.isfile(f"{root}/a/b/file.txt")
    assert fs.ls(f"{root}/a") == [f"{root}/a/b"]
    assert fs.find(root) == [f"{root}/a/b/file.txt"]
    assert fs.glob(f"{root}/*/*/*.txt") == [f"{root}/a/b/file.txt"]
    assert fs.du(root) == 13
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/nothing", "rb").read()


def test_a_large_file_goes_in_parts_and_is_read_in_places(fs, root):
    content = numpy.random.default_rng(1).bytes(17 * MIB + 5)
    with fs.open(f"{root}/large", "wb", block_size=5 * MIB) as f:
        for at in range(0, len(content), MIB):
            f.write(content[at:at + MIB])
    assert fs.info(f"{root}/large")["size"] == len(content)
    assert fs.info(f"{root}/large")["ETag"].strip('"').endswith("-4")
    with fs.open(f"{root}/large", "rb", block_size=MIB) as f:
        for at in (0, 5 * MIB - 3, 16 * MIB, len(content) - 7):
            f.seek(at)
            assert f.read(11) == content[at:at + 11]
    assert fs.cat(f"{root}/large") == content


def test_trees_are_copied_moved_and_removed(fs, root, tmp_path):
    for name in ("one", "sub/two", "sub/deeper/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name * 100)
    fs.put(str(tmp_path) + "/", f"{root}/tree/", recursive=True)
    assert len(fs.find(f"{root}/tree")) == 3
    fs.mv(f"{root}/tree/one", f"{root}/moved")
    fs.copy(f"{root}/tree/sub", f"{root}/copy", recursive=True)
    fs.get(f"{root}/copy/", str(tmp_path / "back") + "/", recursive=True)
    assert (tmp_path / "back/deeper/three").read_text() == "sub/deeper/three" * 100
    assert fs.cat(f"{root}/moved") == b"one" * 100 and not fs.exists(f"{root}/tree/one")
    fs.rm(f"{root}/tree", recursive=True)
    assert not fs.exists(f"{root}/tree") and fs.exists(f"{root}/copy/two")


def test_pandas_reads_and_writes_tables(options, root):
    table = pandas.DataFrame({"n": range(50000), "text": [f"row {i}, with ü" for i in range(50000)]})
    table.to_csv(f"s3://{root}/table.csv.gz", index=False, storage_options=options)
    back = pandas.read_csv(f"s3://{root}/table.csv.gz", storage_options=options)
    pandas.testing.assert_frame_equal(back, table)
    table.to_json(f"s3://{root}/table.jsonl", orient="records", lines=True, storage_options=options)
    rows = sum(len(part) for part in pandas.read_json(f"s3://{root}/table.jsonl", lines=True, chunksize=20000,
                                                      storage_options=options))
    assert rows == 50000


def test_any_url_of_fsspec_works(options, root):
    with fsspec.open(f"s3://{root}/x", "wb", **options) as f:
        f.write(b"by url")
    with fsspec.open(f"s3://{root}/x", "rb", **options) as f:
        assert f.read() == b"by url"
    mapper = fsspec.get_mapper(f"s3://{root}/map", **options)
    mapper["a/0.0"] = b"chunk"
    assert dict(mapper) == {"a/0.0": b"chunk"}


def read_shards(options, urls, seed, answers):
    """What a worker of a data loader does: opens its shards anew, reads records in places, then all of it."""
    rng, found = random.Random(seed), {}
    for url in rng.sample(urls, len(urls)):
        with fsspec.open(url, "rb", **options) as f:
            records = {}
            for number in rng.sample(range(64), 8):
                f.seek(number * 4096)
                records[number] = f.read(4096)
            f.seek(0)
            whole = f.read()
        assert all(whole[n * 4096:(n + 1) * 4096] == record for n, record in records.items())
        found[url] = hashlib.sha256(whole).hexdigest()
    answers.put(found)


def test_forked_workers_read_at_the_same_time(options, root, fs):
    """The workers of PyTorch's DataLoader: forked from a process that has used the store already."""
    shards = {f"s3://{root}/shard-{i}": numpy.random.default_rng(i).bytes(64 * 4096) for i in range(4)}
    for url, content in shards.items():
        fs.pipe(url, content)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    workers = [context.Process(target=read_shards, args=(options, list(shards), seed, answers)) for seed in range(3)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert found == [{url: hashlib.sha256(content).hexdigest() for url, content in shards.items()}] * 3
