# SPDX-License-Identifier: Apache-2.0
"""Makes the models and requests that bench/serving/run measures with: models.py FOLDER"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STATIC_ROWS = (8, 16, 32)
MANY = 1000  # models of the same kind, by the names m, other0, other1, ...


def save(path, nodes, inputs, outputs, constants=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    value = lambda v: helper.make_tensor_value_info(v[0], TensorProto.FLOAT, v[1])  # noqa: E731
    graph = helper.make_graph(nodes, "g", [value(v) for v in inputs], [value(v) for v in outputs],
                              [numpy_helper.from_array(a, n) for n, a in constants])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def identity(path):
    save(path, [helper.make_node("Identity", ["x"], ["y"])], [("x", ["N", 16])], [("y", ["N", 16])])


def layers(path, sizes):
    """Dense layers with random weights and ReLU between them."""
    rng = np.random.default_rng(1)
    nodes, constants, name = [], [], "x"
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        constants += [(f"w{i}", (rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32)),
                      (f"b{i}", rng.standard_normal(b).astype(np.float32))]
        last = i == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], ["y" if last else f"g{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{i}"], [f"r{i}"]))
            name = f"r{i}"
    save(path, nodes, [("x", ["N", sizes[0]])], [("y", ["N", sizes[-1]])], constants)


def residual(path, channels=64, blocks=8):
    """A convolution with stride and blocks of two with a way around, as in ResNet, random weights: some 20 ms a picture."""
    rng = np.random.default_rng(3)
    nodes, constants = [], []

    def conv(name, source, outs, ins, size, stride):
        weights = rng.standard_normal((outs, ins, size, size)) / np.sqrt(ins * size * size)
        constants.append((f"w_{name}", weights.astype(np.float32)))
        nodes.append(helper.make_node("Conv", [source, f"w_{name}"], [name], strides=[stride] * 2, pads=[size // 2] * 4))
        return name

    def relu(source):
        nodes.append(helper.make_node("Relu", [source], [f"r_{source}"]))
        return f"r_{source}"

    at = relu(conv("first", "x", channels, 3, 7, 4))
    for i in range(blocks):
        inner = conv(f"b{i}", relu(conv(f"a{i}", at, channels, channels, 3, 1)), channels, channels, 3, 1)
        nodes.append(helper.make_node("Add", [at, inner], [f"s{i}"]))
        at = relu(f"s{i}")
    nodes += [helper.make_node("GlobalAveragePool", [at], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"])]
    constants.append(("last", rng.standard_normal((channels, 1000)).astype(np.float32)))
    nodes.append(helper.make_node("MatMul", ["flat", "last"], ["y"]))
    save(path, nodes, [("x", ["N", 3, 224, 224])], [("y", ["N", 1000])], constants)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def predict_request(name, array):
    """A PredictRequest with the input 'x' as a gRPC message."""
    shape = b"".join(field(2, b"\x08" + varint(d)) for d in array.shape)
    tensor = b"\x08\x01" + field(2, shape) + field(5, array.astype("<f4").tobytes())
    message = field(1, field(1, name.encode())) + field(2, field(1, b"x") + field(2, tensor))
    return b"\0" + struct.pack(">I", len(message)) + message


def infer_request(name, array):
    """A ModelInferRequest of the Open Inference Protocol with raw elements."""
    tensor = (field(1, b"x") + field(2, b"FP32") + field(3, b"".join(varint(d) for d in array.shape)))
    message = field(1, name.encode()) + field(5, tensor) + field(7, array.astype("<f4").tobytes())
    return b"\0" + struct.pack(">I", len(message)) + message


def main():
    folder = pathlib.Path(sys.argv[1])
    rng = np.random.default_rng(2)
    identity(folder / "identity" / "1" / "model.onnx")
    layers(folder / "mlp" / "1" / "model.onnx", [784, 256, 10])
    layers(folder / "wide" / "1" / "model.onnx", [784, 2048, 2048, 10])
    residual(folder / "residual" / "1" / "model.onnx")
    picture = rng.random((1, 3, 224, 224), np.float32)
    (folder / "picture.grpc").write_bytes(predict_request("m", picture))
    picture.tofile(folder / "picture.floats")
    row = rng.random((1, 784), np.float32)
    (folder / "infer.grpc").write_bytes(infer_request("m", row))
    for rows in STATIC_ROWS:
        (folder / f"rows{rows}.grpc").write_bytes(predict_request("m", rng.random((rows, 784), np.float32)))
    values = [round(float(v), 6) for v in row[0]]
    small = rng.random((1, 16), np.float32)
    (folder / "identity.grpc").write_bytes(predict_request("m", small))
    names = ["m", *(f"other{i}" for i in range(MANY - 1))]
    rng.shuffle(names)
    (folder / "many.grpc").write_bytes(b"".join(predict_request(name, small) for name in names))
    (folder / "row.grpc").write_bytes(predict_request("m", row))
    for name, body in (("tfs", {"instances": [values]}), ("plain", {"x": [values]}),
                       ("oip", {"inputs": [{"name": "x", "shape": [1, 784], "datatype": "FP32", "data": values}]})):
        (folder / f"{name}.json").write_text(json.dumps(body))


if __name__ == "__main__":
    main()
