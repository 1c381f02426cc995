# SPDX-License-Identifier: Apache-2.0
"""What training does, all of it on the store."""

import os

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


def test_keras_trains_with_all_of_it(tf, here):
    x, y = tf.random.normal([64, 4]), tf.random.normal([64, 1])
    model = tf.keras.Sequential([tf.keras.layers.Input((4,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[tf.keras.callbacks.TensorBoard(here + "/logs")])
    model.export(here + "/export", verbose=False)
    exported = tf.saved_model.load(here + "/export")  # its variables live as long as it does
    assert abs(exported.serve(x).numpy() - model(x).numpy()).max() < 1e-5
    model.save(here + "/model.keras")
    assert abs(tf.keras.models.load_model(here + "/model.keras")(x).numpy() - model(x).numpy()).max() < 1e-5
    assert tf.io.gfile.glob(here + "/logs/train/events.out.tfevents.*")


READ_EVENTS = """
import sys, cloudml_fds
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader
for e in event_file_loader.EventFileLoader(sys.argv[1]).Load():
    for v in e.summary.value:
        print(v.tag, e.step, tf.make_ndarray(v.tensor))
"""


def test_summaries_are_read_while_they_are_written(tf, here, python):
    from tensorboard.backend.event_processing import event_file_loader
    writer = tf.summary.create_file_writer(here)
    path, follower = None, None

    def steps():
        return [e.step for e in follower.Load() for _ in e.summary.value]

    with writer.as_default():
        for step in range(3):
            tf.summary.scalar("loss", step * 2.0, step=step)
            writer.flush()
            if not follower:
                (path,) = tf.io.gfile.glob(here + "/events*")
                follower = event_file_loader.EventFileLoader(path)
            seen = steps()
            assert (seen or steps()) == [step]  # TensorBoard looks again; the end it knew is told once
        out = python(READ_EVENTS, path)  # another process, while the writer is open
        assert out.split("\n")[:3] == ["loss 0 0.0", "loss 1 2.0", "loss 2 4.0"]
        tf.summary.image("large", tf.random.uniform([1, 1500, 1500, 3]), step=3)  # some MB: past the first part
        writer.flush()
        tf.summary.scalar("loss", 8.0, step=4)
        writer.flush()
    assert os.path.basename(path) in tf.io.gfile.listdir(here)
    assert "loss 4 8.0" in python(READ_EVENTS, path)


def test_tensorboard_writes_events_itself(tf, here):
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.compat.proto import event_pb2
    from tensorboard.backend.event_processing import event_file_loader
    writer = EventFileWriter(here)
    writer.add_event(event_pb2.Event(step=7, file_version="x"))
    writer.flush()
    (path,) = tf.io.gfile.glob(here + "/events*")
    assert 7 in [e.step for e in event_file_loader.EventFileLoader(path).Load()]
    writer.close()
