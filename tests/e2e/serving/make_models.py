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


def half_plus_two():
    """y = x / 2 + 2 and y = x / 2 + 3 of the feature x of an Example, and a few words about the size of y."""
    v1 = tf.compat.v1
    utils = v1.saved_model.signature_def_utils
    with tf.Graph().as_default(), v1.Session() as session:
        half, two, three = (v1.get_variable(n, initializer=v) for n, v in (("half", 0.5), ("two", 2.0), ("three", 3.0)))
        serialized = v1.placeholder(tf.string, [None], "examples")
        features = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32),
                                                    "x2": tf.io.FixedLenFeature([1], tf.float32, [0.0])})
        x = v1.placeholder(tf.float32, [None, 1], "x")
        y, y3, y2 = half * features["x"] + two, half * features["x"] + three, half * features["x2"] + three
        scores = tf.concat([y, -y], 1)
        words = tf.where(scores > 2, tf.fill(tf.shape(scores), "big"), tf.fill(tf.shape(scores), "small"))
        info = v1.saved_model.build_tensor_info
        regress, classify, predict = ("tensorflow/serving/" + m for m in ("regress", "classify", "predict"))

        def signature(inputs, outputs, method):
            return utils.build_signature_def({k: info(v) for k, v in inputs.items()},
                                             {k: info(v) for k, v in outputs.items()}, method)

        examples = {"inputs": serialized}
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder / "half_plus_two" / "00000123"))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
            "serving_default": signature({"x": x}, {"y": half * x + two}, predict),
            "regress_x_to_y": signature(examples, {"outputs": y}, regress),
            "regress_x_to_y3": signature(examples, {"outputs": tf.reshape(y3, [-1])}, regress),
            "regress_x2_to_y3": signature(examples, {"outputs": y2}, regress),
            "classify_x_to_y": signature(examples, {"scores": y}, classify),
            "classify_words": signature(examples, {"classes": words, "scores": scores}, classify),
            "classify_labels": signature(examples, {"classes": words}, classify),
            "bad_name": signature({"examples": serialized}, {"outputs": y}, regress),
            "bad_shape": signature(examples, {"outputs": scores}, regress),
            "bad_type": signature(examples, {"scores": tf.cast(scores, tf.float64)}, classify),
            "bad_rank": signature(examples, {"scores": tf.reshape(y, [-1])}, classify),
            "bad_count": signature(examples, {"outputs": tf.concat([y, y], 0)}, regress)})
        builder.save()



def types():
    """A signature for each element type that gives back what it gets."""
    module = tf.Module()
    names = ("float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 bfloat16 qint16 quint16 "
             "uint16 complex128 float16 uint32 uint64 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz "
             "float8_e5m2fnuz int4 uint4").split()
    signatures = {}
    for name in names:
        kind = tf.dtypes.as_dtype(name)
        signatures[name] = tf.function(lambda x: {"y": tf.raw_ops.Identity(input=x)}).get_concrete_function(
            tf.TensorSpec([None], kind, "x"))
    tf.saved_model.save(module, str(folder / "types" / "1"), signatures=signatures)


digits()
half_plus_two()
types()
texts, mixed = Texts(), Mixed()
tf.saved_model.save(texts, str(folder / "texts" / "1"), signatures={"serving_default": texts.join})
tf.saved_model.save(mixed, str(folder / "mixed" / "00000007"), signatures={
    "serving_default": mixed.combine, "keep": mixed.keep, "kept_sum": mixed.kept_sum, "echo": mixed.echo,
    "fail": mixed.fail, "slow": mixed.slow})
