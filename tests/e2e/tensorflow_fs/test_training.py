# SPDX-License-Identifier: Apache-2.0
"""What training does, all of it on the store."""

import pytest


def test_shards_are_read_as_they_were_written(tf, here):
    for shard in range(4):
        with tf.io.TFRecordWriter(f"{here}/part-{shard:05}.tfrecord") as w:
            for i in range(500):
                w.write(b"%d/%d " % (shard, i) + bytes(1000))
    files = tf.data.Dataset.list_files(here + "/part-*.tfrecord", shuffle=False)
    data = files.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=4)
    found = sorted(r.numpy()[:-1000].decode() for r in data)
    assert found == sorted(f"{s}/{i} " for s in range(4) for i in range(500))
    lines = tf.data.TextLineDataset(here + "/lines")
    tf.io.write_file(here + "/lines", "a\nb\n")
    assert [x.numpy() for x in lines] == [b"a", b"b"] and tf.io.read_file(here + "/lines") == b"a\nb\n"


def test_checkpoints_are_kept_and_restored(tf, here):
    v = tf.Variable(tf.random.normal([1000, 2000]))  # 8 MB: more than a part
    step = tf.Variable(0)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=v, step=step), here + "/ckpt", max_to_keep=2)
    for i in range(4):
        step.assign(i)
        manager.save()
    saved = v.numpy()
    assert sorted(n for n in tf.io.gfile.listdir(here + "/ckpt") if n.endswith(".index")) == ["ckpt-3.index", "ckpt-4.index"]
    v.assign(tf.zeros_like(v))
    assert tf.train.latest_checkpoint(here + "/ckpt") == manager.latest_checkpoint
    tf.train.Checkpoint(v=v, step=step).restore(manager.latest_checkpoint).assert_consumed()
    assert (v.numpy() == saved).all() and step.numpy() == 3
    with pytest.raises((tf.errors.NotFoundError, ValueError)):
        tf.train.load_checkpoint(here + "/nothing")


def test_saved_models_are_saved_and_loaded(tf, here, server):
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = tf.lookup.StaticVocabularyTable(
                tf.lookup.TextFileInitializer(here + "/words", tf.string, 0, tf.int64, 1, delimiter=" "), 1)
            self.w = tf.Variable(3.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words):
            return tf.cast(self.table.lookup(words), tf.float32) * self.w

    with tf.io.gfile.GFile(here + "/words", "w") as f:
        f.write("zero 0\none 1\n")
    tf.saved_model.save(Model(), here + "/model/1")
    loaded = tf.saved_model.load(here + "/model/1")
    assert loaded(tf.constant(["one", "zero", "other"])).numpy().tolist() == [3.0, 0.0, 6.0]
    tf.io.gfile.rename(here + "/model", here + "/final")
    assert tf.saved_model.load(here + "/final/1")(tf.constant(["one"])).numpy().tolist() == [3.0]
    names = server.cli("store", "ls", here + "/final/1/").decode()
    assert "saved_model.pb" in names
