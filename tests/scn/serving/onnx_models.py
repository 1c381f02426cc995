# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, made on the spot."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ELEMENTS = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int32": TensorProto.INT32, "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16, "int8": TensorProto.INT8, "object": TensorProto.STRING, "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL, "uint16": TensorProto.UINT16, "float16": TensorProto.FLOAT16,
    "uint32": TensorProto.UINT32, "uint64": TensorProto.UINT64,
}


def save(path, nodes, inputs, outputs, constants=()):
    """inputs and outputs: [(name, numpy type name, shape)]"""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, ELEMENTS[kind], shape)  # noqa: E731
    graph = helper.make_graph(nodes, "g", [value(*i) for i in inputs], [value(*o) for o in outputs],
                              [numpy_helper.from_array(array, name) for name, array in constants])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def multiply(path, by=2.0):
    """y = x * by over rows of four"""
    return save(path, [helper.make_node("Mul", ["x", "by"], ["y"])], [("x", "float32", ["N", 4])],
                [("y", "float32", ["N", 4])], [("by", np.array([by], np.float32))])


def identities(path):
    """one input and output of any shape for each element type"""
    names = list(ELEMENTS)
    return save(path, [helper.make_node("Identity", [n + "_in"], [n]) for n in names],
                [(n + "_in", n, ["A", "B"]) for n in names], [(n, n, ["A", "B"]) for n in names])


def pair(path):
    """total = a + b, difference = a - b"""
    return save(path, [helper.make_node("Add", ["a", "b"], ["total"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
                [("a", "float32", ["N"]), ("b", "float32", ["N"])],
                [("difference", "float32", ["N"]), ("total", "float32", ["N"])])


def slow(path, steps=30, size=1024):
    """a chain of matrix products that takes a while; x is a scalar's worth of work"""
    rng = np.random.default_rng(1)
    matrix = (rng.random((size, size)) / size).astype(np.float32)
    nodes = [helper.make_node("Mul", ["w", "x"], ["v0"])]
    nodes += [helper.make_node("MatMul", [f"v{i}", "w"], [f"v{i + 1}"]) for i in range(steps)]
    nodes += [helper.make_node("ReduceSum", [f"v{steps}"], ["y"], keepdims=0)]
    return save(path, nodes, [("x", "float32", [])], [("y", "float32", [])], [("w", matrix)])


def batch_witness(path, size=256):
    """rows = how many rows ran together, y = 2 x, z = table[pick] (fails for a pick above 3); the run takes as many
    steps as the largest 'work' says"""
    matrix = (np.random.default_rng(1).random((size, size)) / size).astype(np.float32)
    scalar = lambda name, kind: helper.make_tensor_value_info(name, kind, [])  # noqa: E731
    square = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, size])  # noqa: E731
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("MatMul", ["m", "w"], ["n"])], "body",
        [scalar("i", TensorProto.INT64), scalar("going", TensorProto.BOOL), square("m")],
        [scalar("goes", TensorProto.BOOL), square("n")])
    nodes = [
        helper.make_node("ReduceMax", ["work"], ["steps"], keepdims=0),
        helper.make_node("Loop", ["steps", "", "w"], ["product"], body=body),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Mul", ["x", "two"], ["double"]),
        helper.make_node("Add", ["double", "nothing"], ["y"]),
        helper.make_node("Shape", ["work"], ["count"]),
        helper.make_node("Expand", ["count", "count"], ["rows"]),
        helper.make_node("Gather", ["table", "pick"], ["z"]),
    ]
    return save(path, nodes, [("x", "float32", ["N", "L"]), ("work", "int64", ["N"]), ("pick", "int64", ["N"])],
                [("y", "float32", ["N", "L"]), ("rows", "int64", ["N"]), ("z", "float32", ["N"])],
                [("w", matrix), ("zero", np.float32(0)), ("two", np.float32(2)), ("table", np.float32([10, 11, 12, 13]))])
