# SPDX-License-Identifier: Apache-2.0
"""Models of scikit-learn, XGBoost and LightGBM against what they say themselves."""

import pickle

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serving_client import Server

X, Y = load_iris(return_X_y=True)
ROWS = X[::7]


def check(folder, dtype, expected):
    """Over both protocols; 'expected' are outputs by name."""
    with Server(folder) as server:
        outputs, _ = server.predict({"x": ROWS.astype(dtype)})
        assert set(outputs) == set(expected)
        for name, value in expected.items():
            if value.dtype.kind in "OU":
                assert [v.decode() for v in outputs[name].tolist()] == value.tolist()
            else:
                np.testing.assert_array_equal(outputs[name], value)
        status, reply = server.rest({"inputs": {"x": ROWS.astype(dtype).tolist()}})
        assert status == 200, reply
        columns = reply["outputs"] if len(expected) > 1 else {name: reply["outputs"] for name in expected}
        for name, value in expected.items():
            if value.dtype.kind in "OU":
                assert columns[name] == value.tolist()
            else:
                np.testing.assert_array_equal(np.array(columns[name], value.dtype), value)


def test_a_forest_of_scikit_learn_with_named_classes(tmp_path):
    names = np.array(["setosa", "versicolor", "virginica"])
    model = RandomForestClassifier(20, random_state=1).fit(X, names[Y])
    joblib.dump(model, tmp_path / "model.joblib")
    check(tmp_path, np.float64, {"predict": model.predict(ROWS), "predict_proba": model.predict_proba(ROWS)})


def test_a_pickled_pipeline_that_predicts_numbers(tmp_path):
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    check(tmp_path, np.float64, {"predict": model.predict(ROWS)})


@pytest.mark.parametrize("name", ["model.json", "model.ubj"])
def test_boosted_trees_of_xgboost(tmp_path, name):
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, xgboost.DMatrix(X, Y), 10)
    model.save_model(tmp_path / name)
    check(tmp_path, np.float32, {"predict": model.predict(xgboost.DMatrix(ROWS.astype(np.float32)))})


def test_boosted_trees_of_lightgbm(tmp_path):
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, Y > 1), 10)
    model.save_model(tmp_path / "model.txt")
    check(tmp_path, np.float64, {"predict": model.predict(ROWS)})
