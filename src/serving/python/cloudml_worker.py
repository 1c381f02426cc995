# SPDX-License-Identifier: Apache-2.0
"""Computes one model in a process of its own for the model server, which starts it.

Arguments: bytes of a slot, the slot of the first message, threads, the model. Descriptor 3 is memory shared with the
server, 4 a socket over which both say where a message lies; what messages look like is in python_message.h. The first
message describes the model; then each request is answered behind it in its slot. Inputs are views of that memory: a model
that keeps one longer than its call must copy it."""

import importlib.util
import json
import math
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
import traceback

MEMORY, SOCKET = 3, 4
MAGIC, ALIGNMENT, RANK_MAX, TENSORS_MAX = 0x50434D4C, 64, 32, 256
HELLO, RUN, ANSWER, FAILED = 1, 2, 3, 4
FAULT_INTERNAL, FAULT_INPUT = 0, 1
HEAD, RECORD, BELL = struct.Struct("<4IQ2I"), struct.Struct("<2I2Q32q"), struct.Struct("<2I2Q")

# Words of signature.json: the type's number in messages, numpy's name for it.
DATATYPES = {
    "FP32": (1, "float32"), "FP64": (2, "float64"), "INT32": (3, "int32"), "UINT8": (4, "uint8"), "INT16": (5, "int16"),
    "INT8": (6, "int8"), "BYTES": (7, "object"), "INT64": (9, "int64"), "BOOL": (10, "bool"), "UINT16": (17, "uint16"),
    "FP16": (19, "float16"), "UINT32": (22, "uint32"), "UINT64": (23, "uint64"),
}
NUMPY_NAMES = {number: name for number, name in DATATYPES.values()}
DATATYPE_OF = {name: word for word, (_, name) in DATATYPES.items()}
STRING = 7


class ModelError(Exception):
    """A model that cannot be served; its text says why and what to do."""


def align(n):
    return -(-n // ALIGNMENT) * ALIGNMENT


# Signatures: lists of {"name", "datatype", "shape"}; a shape may be absent, a dimension of -1 is any size.


def check_tensors(items, what):
    if not isinstance(items, list) or not items or len(items) > TENSORS_MAX:
        raise ModelError(f"'{what}' of the signature must be a list of 1 to {TENSORS_MAX} tensors")
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
            raise ModelError(f"every tensor in '{what}' of the signature needs a name")
        datatype = item.get("datatype")
        if datatype in DATATYPE_OF:
            item["datatype"] = DATATYPE_OF[datatype]
        elif datatype not in DATATYPES:
            raise ModelError(f"datatype {datatype!r} of '{item['name']}' is not one of {', '.join(DATATYPES)}")
        shape = item.setdefault("shape", None)
        if shape is not None and (not isinstance(shape, list) or len(shape) > RANK_MAX
                                  or not all(type(n) is int and n >= -1 for n in shape)):
            raise ModelError(f"shape of '{item['name']}' must be a list of sizes, -1 for any")
    if len({item["name"] for item in items}) != len(items):
        raise ModelError(f"a name appears twice in '{what}' of the signature")
    return items


def first_answer(run, inputs):
    """The outputs' description from what the model says to zeros."""
    zeros = {}
    for item in inputs:
        if item["shape"] is None:
            raise ModelError(f"the shape of '{item['name']}' is not known; add outputs to signature.json")
        shape = [1 if n < 0 else n for n in item["shape"]]
        name = DATATYPES[item["datatype"]][1]
        zeros[item["name"]] = np.full(shape, b"", object) if name == "object" else np.zeros(shape, name)
    free = [n for item in inputs for n in item["shape"][1:] if n < 0]
    rows = all(item["shape"] and item["shape"][0] < 0 for item in inputs)
    outputs = []
    for name, value in check_answer(run(zeros, None)).items():
        value = np.asarray(value)
        kind = "object" if value.dtype.kind in "OUS" else value.dtype.name
        if kind not in DATATYPE_OF:
            raise ModelError(f"output '{name}' has elements of type {kind}, which cannot be sent")
        shape = list(value.shape)
        if rows and shape:
            shape[0] = -1
        outputs.append({"name": str(name), "datatype": DATATYPE_OF[kind], "shape": None if free else shape})
    return outputs


def check_answer(answer):
    if not isinstance(answer, dict):
        raise ModelError(f"predict returned {type(answer).__name__}, must return a dict of arrays")
    return answer


# Kinds of models: each returns run(inputs, wanted) and what it knows of its signature. 'wanted' are names of outputs,
# None for all. 'given' is the content of signature.json, {} when there is none.


def load_predict_py(path, given, threads):
    spec = importlib.util.spec_from_file_location("predict", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["predict"] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "predict", None)):
        raise ModelError("predict.py has no function 'predict(inputs)'")
    if hasattr(module, "load"):
        module.load(os.path.dirname(path))
    signature = getattr(module, "signature", {})
    return lambda inputs, wanted: module.predict(inputs), signature() if callable(signature) else signature


def one_matrix(given, datatype, columns):
    """Models of tables: one input of rows."""
    inputs = given.get("inputs") or [{"name": "x", "datatype": datatype, "shape": [-1, int(columns)]}]
    return inputs[0]["name"], {"inputs": inputs}


def from_methods(model, given):
    """What scikit-learn and all that follow it offer."""
    methods = [name for name in ("predict", "predict_proba") if callable(getattr(model, name, None))]
    if "predict" not in methods:
        raise ModelError(f"the model is a {type(model).__name__} without a method 'predict'")
    columns = getattr(model, "n_features_in_", None)
    if columns is None and not given.get("inputs"):
        raise ModelError("the model does not say how many features it takes; write signature.json beside it")
    x, signature = one_matrix(given, "FP64", columns or 0)
    if given.get("outputs"):
        methods = [item["name"] for item in given["outputs"]]

    def run(inputs, wanted):
        return {name: getattr(model, name)(inputs[x]) for name in wanted or methods}

    return run, signature


def load_joblib(path, given, threads):
    import joblib
    return from_methods(joblib.load(path), given)


def load_pickle(path, given, threads):
    with open(path, "rb") as file:
        return from_methods(pickle.load(file), given)


def load_xgboost(path, given, threads):
    import xgboost
    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(path)
    x, signature = one_matrix(given, "FP32", booster.num_features())
    return lambda inputs, wanted: {"predict": booster.predict(xgboost.DMatrix(inputs[x], nthread=threads))}, signature


def load_lightgbm(path, given, threads):
    import lightgbm
    booster = lightgbm.Booster(model_file=path)
    x, signature = one_matrix(given, "FP64", booster.num_feature())
    return lambda inputs, wanted: {"predict": booster.predict(inputs[x], num_threads=threads)}, signature


def load_torch(path, given, threads):
    import torch
    torch.set_num_threads(threads)
    model = torch.jit.load(path, map_location="cpu").eval()
    schema = model.forward.schema
    arguments = [a.name for a in schema.arguments[1:] if not a.has_default_value()]
    inputs = given.get("inputs") or [{"name": name, "datatype": "FP32"} for name in arguments]
    kind = schema.returns[0].type
    count = len(kind.elements()) if kind.kind() == "TupleType" else 1
    names = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    outputs = given.get("outputs") or [{"name": name, "datatype": "FP32"} for name in names]
    order = [item["name"] for item in inputs]
    if set(order) == set(arguments):
        order = arguments

    def run(values, wanted):
        with torch.inference_mode():
            answer = model(*(torch.from_numpy(values[name]) for name in order))
        answer = answer if isinstance(answer, (tuple, list)) else (answer,)
        return {item["name"]: tensor.numpy(force=True) for item, tensor in zip(outputs, answer)}

    return run, {"inputs": inputs, "outputs": outputs}


LOADERS = {
    "predict.py": load_predict_py, "model.joblib": load_joblib, "model.pkl": load_pickle, "model.json": load_xgboost,
    "model.ubj": load_xgboost, "model.txt": load_lightgbm, "model.pt": load_torch,
}


def find_model(path):
    if os.path.isfile(path):
        return os.path.dirname(path), os.path.basename(path)
    for name in LOADERS:
        if os.path.isfile(os.path.join(path, name)):
            return path, name
    raise ModelError(f"no model in '{path}'; needs one of {', '.join(LOADERS)}")


def read_signature(folder):
    try:
        with open(os.path.join(folder, "signature.json"), encoding="utf-8") as file:
            given = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as fault:
        raise ModelError(f"signature.json is not JSON: {fault}") from None
    if not isinstance(given, dict):
        raise ModelError('signature.json must be {"inputs": [...], "outputs": [...]}')
    return given


def load(path, threads):
    folder, name = find_model(os.path.abspath(path))
    sys.path.insert(0, folder)
    given = read_signature(folder)
    for what in ("inputs", "outputs"):
        if what in given:
            check_tensors(given[what], what)
    run, known = LOADERS[name](os.path.join(folder, name), given, threads)
    inputs = given.get("inputs") or known.get("inputs")
    if not inputs:
        raise ModelError(f"nothing says what {name} takes; write signature.json beside it: "
                         '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]}')
    inputs = check_tensors(inputs, "inputs")
    outputs = given.get("outputs") or known.get("outputs") or first_answer(run, inputs)
    return run, inputs, check_tensors(outputs, "outputs")


class Worker:
    def __init__(self, slot_bytes):
        self.slot_bytes = slot_bytes
        self.memory = mmap.mmap(MEMORY, 0)
        self.socket = socket.socket(fileno=SOCKET)

    def send(self, slot, offset, size):
        self.socket.send(BELL.pack(slot, 0, offset, size))

    def send_text(self, slot, offset, kind, text, fault=FAULT_INTERNAL):
        data = text.encode("utf-8", "replace")[:max(0, self.slot_bytes - offset - HEAD.size)]
        at = slot * self.slot_bytes + offset
        if at + HEAD.size + len(data) > (slot + 1) * self.slot_bytes:
            sys.exit("no room for an answer in the shared memory")
        HEAD.pack_into(self.memory, at, MAGIC, kind, 0, 0, HEAD.size + len(data), fault, 0)
        self.memory[at + HEAD.size:at + HEAD.size + len(data)] = data
        self.send(slot, offset, HEAD.size + len(data))

    def describe(self, slot):
        def plain(items):
            return [{"name": i["name"], "dtype": DATATYPES[i["datatype"]][0], "shape": i["shape"]} for i in items]

        self.send_text(slot, 0, HELLO, json.dumps({"inputs": plain(self.inputs), "outputs": plain(self.outputs)}))

    def read_tensor(self, base, size, index):
        number, rank, offset, length, *dims = RECORD.unpack_from(self.memory, base + HEAD.size + index * RECORD.size)
        if number not in NUMPY_NAMES or rank > RANK_MAX or offset + length > size or min(dims[:rank], default=0) < 0:
            raise ModelError("malformed request")
        dims, at = dims[:rank], base + offset
        count = math.prod(dims)
        if number == STRING:
            if (count + 1) * 8 > length:
                raise ModelError("malformed request")
            ends = struct.unpack_from(f"<{count + 1}Q", self.memory, at)
            text = at + (count + 1) * 8
            array = np.empty(count, object)
            array[:] = [self.memory[text + a:text + b] for a, b in zip(ends, ends[1:])]
            return array.reshape(dims)
        dtype = np.dtype(NUMPY_NAMES[number])
        if count * dtype.itemsize != length:
            raise ModelError("malformed request")
        if count == 0:
            return np.empty(dims, dtype)
        return np.frombuffer(self.memory, dtype, count, at).reshape(dims)

    def read_request(self, slot, offset, size):
        base = slot * self.slot_bytes + offset
        if offset + size > self.slot_bytes or size < HEAD.size:
            raise ModelError("malformed request")
        magic, kind, count, wanted_count, whole, _, _ = HEAD.unpack_from(self.memory, base)
        wanted_at = HEAD.size + count * RECORD.size
        if magic != MAGIC or kind != RUN or whole != size or count != len(self.inputs) or wanted_at + wanted_count * 4 > size:
            raise ModelError("malformed request")
        wanted = struct.unpack_from(f"<{wanted_count}I", self.memory, base + wanted_at)
        inputs = {item["name"]: self.read_tensor(base, size, i) for i, item in enumerate(self.inputs)}
        return inputs, [self.outputs[i] for i in wanted]

    def convert(self, item, answer):
        """An output as (array, payload's size, strings); what does not fit the signature is the model's fault."""
        name = item["name"]
        if name not in answer:
            raise ModelError(f"the model's answer lacks output '{name}' of its signature")
        value = np.asarray(answer[name])
        if value.ndim > RANK_MAX:
            raise ModelError(f"output '{name}' has more than {RANK_MAX} dimensions")
        if item["datatype"] == "BYTES":
            texts = [v if isinstance(v, bytes) else str(v).encode() for v in value.reshape(-1).tolist()]
            return value, (len(texts) + 1) * 8 + sum(map(len, texts)), texts
        dtype = np.dtype(DATATYPES[item["datatype"]][1])
        if not np.can_cast(value.dtype, dtype, "same_kind"):
            raise ModelError(f"output '{name}' has elements of type {value.dtype}, the signature says {dtype}")
        return value, value.size * dtype.itemsize, None

    def write_tensor(self, at, item, value, texts):
        if texts is not None:
            ends = [0]
            for text in texts:
                ends.append(ends[-1] + len(text))
            struct.pack_into(f"<{len(ends)}Q", self.memory, at, *ends)
            text_at = at + len(ends) * 8
            self.memory[text_at:text_at + ends[-1]] = b"".join(texts)
        elif value.size:
            dtype = DATATYPES[item["datatype"]][1]
            np.copyto(np.frombuffer(self.memory, dtype, value.size, at).reshape(value.shape), value, casting="same_kind")

    def answer(self, slot, offset, wanted, answer):
        base, at = slot * self.slot_bytes, align(offset + HEAD.size + len(wanted) * RECORD.size)
        parts = []
        for item in wanted:
            value, length, texts = self.convert(item, answer)
            parts.append((item, value, length, texts, at))
            at = align(at + length)
        if at > self.slot_bytes:
            raise ModelError(f"inputs and outputs of {at} bytes do not fit the {self.slot_bytes} bytes that server and worker "
                             "share; raise --python_ring_bytes")
        HEAD.pack_into(self.memory, base + offset, MAGIC, ANSWER, len(wanted), 0, at - offset, 0, 0)
        for i, (item, value, length, texts, place) in enumerate(parts):
            dims = [*value.shape, *[0] * (RANK_MAX - value.ndim)]
            RECORD.pack_into(self.memory, base + offset + HEAD.size + i * RECORD.size, DATATYPES[item["datatype"]][0],
                             value.ndim, place - offset, length, *dims)
            self.write_tensor(base + place, item, value, texts)
        self.send(slot, offset, at - offset)

    def serve_one(self, slot, offset, size):
        behind = align(offset + size)
        try:
            inputs, wanted = self.read_request(slot, offset, size)
            self.answer(slot, behind, wanted, check_answer(self.run(inputs, [item["name"] for item in wanted])))
        except ModelError as fault:
            self.send_text(slot, behind, FAILED, str(fault))
        except Exception as fault:
            traceback.print_exc()
            self.send_text(slot, behind, FAILED, last_line(fault),
                           FAULT_INPUT if isinstance(fault, ValueError) else FAULT_INTERNAL)

    def serve(self):
        while bell := self.socket.recv(BELL.size):
            slot, _, offset, size = BELL.unpack(bell)
            self.serve_one(slot, offset, size)


def last_line(fault):
    return traceback.format_exception_only(type(fault), fault)[-1].strip()


def end_with_server(fd):
    """The server's end of the socket closes when it ends, however it does."""
    watch = select.poll()
    watch.register(fd, 0)
    while not watch.poll():
        pass
    os.kill(0, signal.SIGKILL)  # the group: what the model has started ends as well


def main():
    global np
    slot_bytes, slot, threads = map(int, sys.argv[1:4])
    path = sys.argv[4]
    sys.argv[:] = [path]
    sys.path[:] = [entry for entry in sys.path if entry]  # not the folder that the server was started in
    worker = Worker(slot_bytes)
    threading.Thread(target=end_with_server, args=[SOCKET], daemon=True).start()
    try:
        import numpy as np
        worker.run, worker.inputs, worker.outputs = load(path, threads)
    except ModelError as fault:
        worker.send_text(slot, 0, FAILED, str(fault))
        return
    except Exception as fault:
        traceback.print_exc()
        worker.send_text(slot, 0, FAILED, last_line(fault))
        return
    worker.describe(slot)
    worker.serve()


if __name__ == "__main__":
    main()
