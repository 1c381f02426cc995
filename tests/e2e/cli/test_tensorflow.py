#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow in a job reads and writes fds:// with nothing imported for it, by the job's own key, in a real container."""

import base64
import pathlib
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

LIST = """
import sys
assert "tensorflow" not in sys.modules
import tensorflow as tf
print("lists", sorted(tf.io.gfile.listdir("fds://team/data")), flush=True)
"""

# All that a training does: shards of records in, checkpoints, summaries and models out.
TRAIN = """
import os
import numpy as np
import tensorflow as tf

out, checkpoints, logs = (os.environ[f"CLOUDML_{n}_URI"] for n in ("OUTPUT", "CHECKPOINT", "TENSORBOARD"))
for shard in range(4):
    with tf.io.TFRecordWriter(f"{out}data/part-{shard}-of-4") as w:
        for i in range(250):
            w.write((shard * 250 + i).to_bytes(4, "little"))
files = tf.data.Dataset.list_files(out + "data/part-*", shuffle=False)
assert len(files) == 4
numbers = files.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=2)
numbers = [int.from_bytes(r.numpy(), "little") for r in numbers]
assert sorted(numbers) == list(range(1000)) and numbers[:4] == [0, 250, 500, 750], numbers[:4]

v = tf.Variable(0)
manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=v), checkpoints + "run", max_to_keep=2)
for i in range(4):
    v.assign(i)
    manager.save()
v.assign(-1)
assert len(manager.checkpoints) == 2 and manager.restore_or_initialize() == manager.latest_checkpoint
assert v.numpy() == 3
assert not tf.io.gfile.exists(checkpoints + "run/ckpt-2.index")

class Twice(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None])])
    def __call__(self, x):
        return x * 2

tf.saved_model.save(Twice(), out + "twice/1")
assert tf.saved_model.load(out + "twice/1")(tf.constant([3.0])).numpy() == [6.0]

x = np.arange(12, dtype="float32").reshape(4, 3)
model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(2)])
model.compile("sgd", "mse")
model.fit(x, np.ones((4, 2), "float32"), verbose=0, callbacks=[tf.keras.callbacks.TensorBoard(logs)])
model.save(out + "model.keras")
again = tf.keras.models.load_model(out + "model.keras")
assert np.allclose(model.predict(x, verbose=0), again.predict(x, verbose=0))

with tf.summary.create_file_writer(logs + "own").as_default():
    tf.summary.scalar("loss", 0.5, step=1)
    tf.summary.flush()
(events,) = tf.io.gfile.glob(logs + "own/events*")
assert [v.tag for e in tf.compat.v1.train.summary_iterator(events) for v in e.summary.value] == ["loss"]

try:
    tf.io.write_file("fds://team/data/mine", "no")
    raise SystemExit("a place of others was written")
except tf.errors.PermissionDeniedError as e:
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(e), e
print("all is as it should be", flush=True)
"""


class TensorFlow(platform.Case):
    def submit(self, name, program):
        packed = base64.b64encode(zlib.compress(program.encode())).decode()  # a command's words are limited
        line = f"import base64, zlib; exec(zlib.decompress(base64.b64decode('{packed}')))"
        status, job = self.p.api("POST", "/jobs", {"name": name, "framework": "tensorflow", "network": "none",
                                                   "command": ["python", "-c", line]})
        self.assertEqual(status, 201, job)
        return job["id"]

    def run_job(self, name, program):
        job = self.submit(name, program)
        end = self.p.wait_job(job, timeout=600)
        self.assertEqual(end["state"], "completed", f"{end['message']}\n{self.p.logs(job)}")
        return end, self.p.logs(job)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.p.api("PUT", "/store/team")
        cls.p.api("PUT", "/store/team/data/a.txt", raw=b"text", headers={"Content-Type": "application/octet-stream"})

    def test_a_job_lists_a_bucket_in_environments_of_any_age(self):
        self.assertIn("lists ['a.txt']", self.run_job("lists", LIST)[1])
        hooks = list(pathlib.Path(self.p.data, "envs").resolve().glob("*/lib/python3*/site-packages/cloudml.pth"))
        self.assertTrue(hooks)
        for hook in hooks:  # as an environment that was built before there was a plugin
            hook.unlink()
        self.assertIn("lists ['a.txt']", self.run_job("lists-again", LIST)[1])

    def test_a_training_with_everything_on_the_store(self):
        end, log = self.run_job("trains", TRAIN)
        self.assertIn("all is as it should be", log)
        names = self.p.cli("store", "ls", end["output_uri"] + "twice/1/").ok().out
        self.assertIn("saved_model.pb", names)
        self.assertNotEqual(self.p.cli("store", "cat", "fds://team/data/mine").status, 0)


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
