# SPDX-License-Identifier: Apache-2.0
"""tf.io.gfile on the store."""

import os

import pytest

from conftest import PART


def write(tf, path, data, mode="wb"):
    with tf.io.gfile.GFile(path, mode) as f:
        f.write(data)


def read(tf, path):
    with tf.io.gfile.GFile(path, "rb") as f:
        return f.read()


def test_folders_and_lists(tf, here, bucket):
    g = tf.io.gfile
    assert not g.exists(here) and not g.isdir(here)
    g.makedirs(here + "/a/b")
    g.makedirs(here + "/a/b")
    assert g.isdir(here) and g.isdir(here + "/a/b") and g.listdir(here + "/a/b") == []
    g.mkdir(here + "/a")  # TensorFlow's Python part takes "it is there already" for success
    write(tf, here + "/a/one", b"1")
    write(tf, here + "/a/c/two", b"22")
    assert sorted(g.listdir(here + "/a")) == ["b", "c", "one"]
    assert g.isdir(here + "/a/c") and not g.isdir(here + "/a/one")
    assert g.stat(here + "/a/c/two").length == 2 and g.stat(here + "/a").is_directory
    assert g.stat(here + "/a/one").mtime_nsec > 1.6e18
    assert list(g.walk(here)) == [(here, ["a"], []), (here + "/a", ["b", "c"], ["one"]), (here + "/a/b", [], []),
                                  (here + "/a/c", [], ["two"])]
    assert here.rsplit("/", 1)[1] in g.listdir(bucket)
    for missing in ("/nothing", "/a/one/x"):
        with pytest.raises(tf.errors.NotFoundError):
            g.listdir(here + missing)
    with pytest.raises(tf.errors.NotFoundError):
        read(tf, here + "/nothing")
    with pytest.raises(tf.errors.FailedPreconditionError):
        read(tf, here + "/a")
    with pytest.raises(tf.errors.FailedPreconditionError):
        g.makedirs(here + "/a/one")


def test_the_same_object_by_both_schemes_and_by_our_command(tf, here, server):
    write(tf, here + "/x//./y", b"text")
    assert read(tf, here.replace("fds://", "s3://") + "/z/../x/y") == b"text"
    assert server.cli("store", "cat", here + "/x/y") == b"text"


def test_names_of_all_kinds(tf, here):
    names = ["a b", "a+b", "a%20b", "ü€", "a&b<c>'\"", "x=y;z", "~!@#$^()", "a\nb"]
    for name in names:
        write(tf, f"{here}/{name}", name.encode())
    assert sorted(tf.io.gfile.listdir(here)) == sorted(names)
    for name in names:
        assert read(tf, f"{here}/{name}") == name.encode()
    tf.io.gfile.rmtree(here)
    assert not tf.io.gfile.exists(here)


def test_patterns(tf, here):
    for name in ("a-1", "a-2", "b-1", "sub1/a-1", "sub2/a-1", "sub2/deep/a-1"):
        write(tf, f"{here}/{name}", b"x")

    def match(pattern):
        return [p[len(here) + 1:] for p in tf.io.gfile.glob(f"{here}/{pattern}")]

    assert match("a-*") == ["a-1", "a-2"]
    assert match("?-1") == ["a-1", "b-1"]
    assert match("[^a]-*") == ["b-1"]
    assert match("*") == ["a-1", "a-2", "b-1", "sub1", "sub2"]
    assert match("sub*/a-1") == ["sub1/a-1", "sub2/a-1"]
    assert match("*/*/a*") == ["sub2/deep/a-1"]
    assert match("a-1") == ["a-1"] and match("sub2") == ["sub2"]
    assert match("c*") == [] and match("c") == []


def test_delete(tf, here):
    g = tf.io.gfile
    write(tf, here + "/d/file", b"x")
    with pytest.raises(tf.errors.FailedPreconditionError):
        g.remove(here + "/d")
    g.remove(here + "/d/file")
    with pytest.raises(tf.errors.NotFoundError):
        g.remove(here + "/d/file")
    for i in range(1003):  # more than one page, more than one call
        write(tf, f"{here}/many/{i:04}", b"")
    assert len(g.listdir(here + "/many")) == 1003
    assert len(g.glob(here + "/many/*1")) == 101
    g.rmtree(here + "/many")
    assert not g.exists(here + "/many")
    with pytest.raises(tf.errors.NotFoundError):
        g.rmtree(here + "/many")


def test_copy_and_rename(tf, here):
    g = tf.io.gfile
    write(tf, here + "/a b", b"one")
    g.copy(here + "/a b", here + "/c")
    with pytest.raises(tf.errors.AlreadyExistsError):
        g.copy(here + "/a b", here + "/c")
    write(tf, here + "/a b", b"two")
    g.rename(here + "/a b", here + "/c", overwrite=True)
    assert read(tf, here + "/c") == b"two" and not g.exists(here + "/a b")
    g.rename(here + "/c", here + "/c", overwrite=True)
    assert read(tf, here + "/c") == b"two"
    with pytest.raises(tf.errors.NotFoundError):
        g.rename(here + "/nothing", here + "/d")
    write(tf, here + "/tree/x/y", b"y")
    write(tf, here + "/tree/z", b"z")
    g.rename(here + "/tree", here + "/moved")
    assert read(tf, here + "/moved/x/y") == b"y" and read(tf, here + "/moved/z") == b"z" and not g.exists(here + "/tree")
    with pytest.raises(tf.errors.InvalidArgumentError):
        g.rename(here + "/moved", here + "/moved/inside")
    assert read(tf, here + "/moved/z") == b"z"


def test_large_files_come_back_as_they_were(tf, here):
    data = os.urandom(3 * PART + 12345)
    with tf.io.gfile.GFile(here + "/big", "wb") as f:
        for at in range(0, len(data), 1 << 20):
            f.write(data[at:at + (1 << 20)])
        assert not tf.io.gfile.exists(here + "/big")  # no half of it is visible
    assert read(tf, here + "/big") == data
    with tf.io.gfile.GFile(here + "/big", "rb") as f:
        for at, n in ((2 * PART, 100), (5, 70000), (len(data) - 10, 100), (0, len(data)), (PART, 3), (len(data), 5)):
            f.seek(at)
            assert f.read(n) == data[at:at + n]
    write(tf, here + "/exact", data[:2 * PART])  # whole parts and nothing after them
    assert read(tf, here + "/exact") == data[:2 * PART]
    write(tf, here + "/empty", b"")
    assert read(tf, here + "/empty") == b"" and tf.io.gfile.stat(here + "/empty").length == 0


def test_what_is_flushed_is_visible_at_any_size(tf, here):
    data = os.urandom(3 * PART)
    path, at = here + "/log", 0
    with tf.io.gfile.GFile(path, "wb") as f:
        for size in (10, 1000, PART - 1000, 500, 10, PART + 5, 7, 1 << 20):
            f.write(data[at:at + size])
            at += size
            f.flush()
            assert read(tf, path) == data[:at]
        f.write(data[at:])
    assert read(tf, path) == data


def test_append_continues_small_and_large_files(tf, here):
    data = os.urandom(2 * PART)
    expected = b""
    for size in (0, 10, 20, PART, 30, 5):
        write(tf, here + "/file", data[:size], "ab")
        expected += data[:size]
        assert read(tf, here + "/file") == expected


def test_a_region_of_memory(tf, here):
    write(tf, here + "/numbers", bytes(range(16)))
    t = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[16], memory_region_name=here + "/numbers")
    assert t.numpy().tolist() == list(range(16))


def test_a_file_that_is_replaced_while_it_is_read_is_no_mixture(tf, here):
    write(tf, here + "/file", b"a" * (2 << 20))
    with tf.io.gfile.GFile(here + "/file", "rb") as f:
        assert f.read(10) == b"a" * 10
        write(tf, here + "/file", b"b" * (1 << 20))
        with pytest.raises(tf.errors.AbortedError):
            f.read()
