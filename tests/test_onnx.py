"""Graphs that to_onnx makes, run by onnxruntime, against the models."""

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

from skcae import ContractiveAutoencoder
from skcae._core.activations import ACTIVATIONS
from skcae._core.losses import LOSSES
from skcae.anomaly import AnomalyDetector, NeighborDistance
from skcae.export import _network, to_onnx

METHODS = {
    "code": lambda model, X: model.transform(X),
    "reconstruction": lambda model, X: model[-1].inverse_transform(model.transform(X)),
    "score": lambda model, X: model.score_samples(X),
    "label": lambda model, X: model.predict(X),
    "feature_errors": lambda model, X: model[-1].feature_errors(model[:-1].transform(X)),
}


def run(graph, X):
    """Outputs by name, for an array or for a DataFrame of numbers and strings."""
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    inputs = {"X": X}
    if isinstance(X, pd.DataFrame):
        inputs = {
            one.name: X[[one.name]].to_numpy(
                object if "string" in one.type else np.float32
            )
            for one in session.get_inputs()
        }
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def assert_close(result, expected, tolerance=1e-6):
    assert result.shape == expected.shape
    np.testing.assert_allclose(
        result, expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )


def assert_agree(model, X, results):
    """All outputs of an autoencoder behind a scaler, on rows in float32."""
    rows = X.astype(np.float64)
    assert set(results) == set(METHODS)
    for name, method in METHODS.items():
        if name == "label":
            np.testing.assert_array_equal(results[name], method(model, rows))
        else:
            assert_close(results[name], method(model, rows))


def autoencoder(**parameters):
    return ContractiveAutoencoder(
        **{"max_iter": 3, "random_state": 0, "contamination": 0.1} | parameters
    )


TABLES = ["breast_cancer", "diabetes", "digits", "iris", "wine"]


@pytest.fixture(params=TABLES)
def real(request):
    """Training rows and others of a table, in float32."""
    X = getattr(datasets, f"load_{request.param}")().data.astype(np.float32)
    return X[::2], X[1::2]


def test_all_outputs_agree_on_real_tables(real):
    X, others = real
    model = make_pipeline(StandardScaler(), autoencoder(max_iter=20)).fit(X)
    graph = to_onnx(model, X)
    onnx.checker.check_model(graph, full_check=True)
    assert_agree(model, others, run(graph, others))
    assert {output.type.tensor_type.elem_type for output in graph.graph.output} == {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }


def test_detectors_agree_on_real_tables(real):
    X, others = real
    model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0)).fit(X)
    for rows in (X, others):
        results = run(to_onnx(model, X), rows)
        rows = rows.astype(np.float64)
        sc = model.score_samples(rows)
        print(np.abs(results["score"] - sc).max() / np.abs(sc).max(), np.abs(results["score"]/sc-1).max(), np.abs(results["p_value"]-model[-1].p_values(model[:-1].transform(rows))).max())
        assert_close(results["score"], model.score_samples(rows))
        np.testing.assert_array_equal(results["label"], model.predict(rows))
