# SPDX-License-Identifier: Apache-2.0
"""Writes SavedModels and what TensorFlow itself computes with them into a folder."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

folder = pathlib.Path(sys.argv[1])


def digits():
    tf.keras.utils.set_random_seed(1)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    model = tf.keras.Sequential([tf.keras.layers.Input((64,), name="pixels"), tf.keras.layers.Dense(32, activation="relu"),
                                 tf.keras.layers.Dense(10, activation="softmax", name="digit")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:1500], y[:1500], epochs=20, verbose=0)
    model.export(str(folder / "digits" / "5"), verbose=False)
    np.savez(folder / "digits.npz", x=x[1500:], labels=y[1500:], predicted=model.predict(x[1500:], verbose=0))


class Texts(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "first"), tf.TensorSpec([None], tf.string, "second")])
    def join(self, first, second):
        return {"joined": tf.strings.join([first, second], "-"), "length": tf.strings.length(first),
                "raw_bytes": first}


class Mixed(tf.Module):
    """Several inputs of several types, state, a signature without inputs, and one that fails."""

    def __init__(self):
        super().__init__()
        self.kept = tf.Variable(tf.zeros([64, 64]))

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "a"), tf.TensorSpec([None, 2], tf.float32, "b"),
                                  tf.TensorSpec([], tf.int64, "times"), tf.TensorSpec([None], tf.bool, "mask")])
    def combine(self, a, b, times, mask):
        total = (a + b) * tf.cast(times, tf.float32)
        return {"total": tf.where(mask[:, None], total, 0.0), "half": tf.cast(total, tf.float16),
                "brain": tf.cast(total, tf.bfloat16), "complex": tf.complex(a, b), "count": tf.shape(a)[0],
                "not_mask": tf.logical_not(mask)}

    @tf.function(input_signature=[tf.TensorSpec([64, 64], tf.float32, "value")])
    def keep(self, value):
        self.kept.assign(value)
        return {"sum": tf.reduce_sum(self.kept)}

    @tf.function(input_signature=[])
    def kept_sum(self):
        return {"sum": tf.reduce_sum(self.kept), "kept": self.kept.read_value()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def echo(self, x):
        return {"x": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "x")])
    def fail(self, x):
        with tf.control_dependencies([tf.debugging.assert_positive(x, "must be positive")]):
            return {"x": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "steps")])
    def slow(self, steps):
        m = tf.ones([512, 512]) / 512.0
        result = tf.while_loop(lambda i, v: i < steps, lambda i, v: (i + 1, tf.matmul(v, m)), [0, m])[1]
        return {"sum": tf.reduce_sum(result)}


digits()
texts, mixed = Texts(), Mixed()
tf.saved_model.save(texts, str(folder / "texts" / "1"), signatures={"serving_default": texts.join})
tf.saved_model.save(mixed, str(folder / "mixed" / "00000007"), signatures={
    "serving_default": mixed.combine, "keep": mixed.keep, "kept_sum": mixed.kept_sum, "echo": mixed.echo,
    "fail": mixed.fail, "slow": mixed.slow})
