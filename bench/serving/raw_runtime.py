# SPDX-License-Identifier: Apache-2.0
"""The runtime alone, in this process, one thread: raw_runtime.py MODEL ROWS-FILE SHAPE SECONDS

The file holds the input's floats. Prints one line of JSON like grpc-load: calls, errors, seconds, microseconds of a run at
the median and at 99 of 100, and processor seconds."""

import json
import sys
import time

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
x = np.fromfile(sys.argv[2], np.float32).reshape([int(n) for n in sys.argv[3].split(",")])
seconds = float(sys.argv[4])
session.run(None, {"x": x})
times, cpu, begin = [], time.process_time(), time.monotonic()
while time.monotonic() - begin < seconds:
    start = time.monotonic()
    session.run(None, {"x": x})
    times.append(time.monotonic() - start)
spent, cpu = time.monotonic() - begin, time.process_time() - cpu
times.sort()
print(json.dumps({"calls": len(times), "errors": 0, "seconds": spent, "p50_us": times[len(times) // 2] * 1e6,
                  "p99_us": times[len(times) * 99 // 100] * 1e6, "cpu_s": cpu}))
