# SPDX-License-Identifier: Apache-2.0
"""Writes the SavedModels that test_original.py serves into the folder given: a process of its own, as make_models.py."""

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow as tf  # noqa: E402

folder = pathlib.Path(sys.argv[1])
v1 = tf.compat.v1


def half_plus(name, more):
    """y = x / 2 + more, of a tensor and of the feature x of Examples"""
    utils, info = v1.saved_model.signature_def_utils, v1.saved_model.build_tensor_info
    with tf.Graph().as_default(), v1.Session() as session:
        half = v1.get_variable("half", initializer=0.5)
        examples = v1.placeholder(tf.string, [None], "examples")
        x = v1.placeholder(tf.float32, [None], "x")
        of_feature = half * tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"] + more
        session.run(v1.global_variables_initializer())

        def signature(inputs, outputs, method):
            return utils.build_signature_def({k: info(v) for k, v in inputs.items()},
                                             {k: info(v) for k, v in outputs.items()}, "tensorflow/serving/" + method)

        builder = v1.saved_model.Builder(str(folder / name / "00000123"))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
            "serving_default": signature({"x": x}, {"y": half * x + more}, "predict"),
            "classify_x_to_y": signature({"inputs": examples}, {"scores": of_feature}, "classify"),
            "regress_x_to_y": signature({"inputs": examples}, {"outputs": of_feature}, "regress")})
        builder.save()


def functions():
    root = tf.Module()
    root.v1, root.v2 = tf.Variable(3.0), tf.Variable(2.0)
    root.f = tf.function(lambda x: {"y": root.v1 * root.v2 * x})
    tf.saved_model.save(root, str(folder / "function" / "00000123"),
                        root.f.get_concrete_function(tf.TensorSpec(None, tf.float32, "x")))
    root = tf.Module()
    scalar = [tf.TensorSpec(None, tf.float32, "x")]
    root.f = tf.function(lambda x: {"y": tf.constant(1.0)}, input_signature=scalar)
    root.g = tf.function(lambda x: {"y": tf.constant(2.0)}, input_signature=scalar)
    tf.saved_model.save(root, str(folder / "signatures" / "00000123"),
                        signatures={"serving_default": root.f, "custom_signature_key": root.g})


def sequential(*layers):
    return tf.keras.Sequential([tf.keras.layers.Input((1,), dtype="float32", name="x"), *layers])


def export(model, name):
    serve = tf.function(lambda x: {"y": model(x)}, input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    tf.saved_model.save(model, str(folder / name / "00000123"), signatures={"serving_default": serve})


def keras():
    export(sequential(tf.keras.layers.Lambda(lambda x: x, name="y")), "keras")
    cpus = tf.config.list_logical_devices("CPU")
    with tf.distribute.MirroredStrategy([d.name for d in cpus]).scope():
        model = sequential(tf.keras.layers.Dense(1, kernel_initializer="ones", name="y"))
        model.export(str(folder / "keras_mirrored" / "00000123"), verbose=False,
                     input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])


tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)
half_plus("half_plus_two", 2.0)
half_plus("half_plus_three", 3.0)
functions()
keras()
