# SPDX-License-Identifier: Apache-2.0
"""Trains a classifier of iris flowers with scikit-learn and writes it as ONNX.

    cloudml run --framework scikit-learn -- python train.py
    cloudml serve train --name iris
"""

import json
import os
import pathlib

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

SEED = 7

output = pathlib.Path(os.environ.get("CLOUDML_OUTPUT_DIR", "output"))
model_folder = output / "model"
model_folder.mkdir(parents=True, exist_ok=True)

x, y = load_iris(return_X_y=True)
x = x.astype(np.float32)
x_train, x_held, y_train, y_held = train_test_split(x, y, test_size=50, random_state=SEED, stratify=y)

for trees in (1, 5, 25, 100):
    classifier = RandomForestClassifier(trees, random_state=SEED).fit(x_train, y_train)
    accuracy = classifier.score(x_held, y_held)
    print(f"trees={trees} accuracy={accuracy:.4f}", flush=True)

# zipmap off: probabilities as one tensor, which is what a model server can answer with
onnx = to_onnx(classifier, x_train[:1], options={"zipmap": False})
(model_folder / "model.onnx").write_bytes(onnx.SerializeToString())
(output / "metrics.json").write_text(json.dumps({"accuracy": accuracy, "held_out": len(y_held)}) + "\n")
print(f"wrote {model_folder / 'model.onnx'}")
