"""Fitted models that go to a file and come back: every class by every way."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, NeighborDistance

AUTOENCODER = "skcae._estimator.ContractiveAutoencoder"
NAMES = {
    "autoencoder": [AUTOENCODER],
    "detector": ["skcae.anomaly._detector.AnomalyDetector"],
    "detector with a network": [
        AUTOENCODER,
        "skcae.anomaly._detector.AnomalyDetector",
    ],
    "neighbours": [AUTOENCODER, "skcae.anomaly._neighbors.NeighborDistance"],
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 3)) @ rng.normal(size=(3, 5))


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, rows):
    """A model, and the names that skops has to trust."""
    network = ContractiveAutoencoder(4, max_iter=3, random_state=0)
    scaled = make_pipeline(StandardScaler(), network)
    model = {
        "autoencoder": scaled,
        "detector": make_pipeline(StandardScaler(), AnomalyDetector(random_state=0)),
        "detector with a network": AnomalyDetector(network, random_state=0),
        "neighbours": NeighborDistance(scaled),
    }[request.param]
    return model.fit(rows), NAMES[request.param]


def joblib_copy(model, path, **keywords):
    joblib.dump(model, path)
    return joblib.load(path, **keywords)


COPIES = {
    "deepcopy": lambda model, names, path: copy.deepcopy(model),
    "pickle": lambda model, names, path: pickle.loads(pickle.dumps(model)),
    "joblib": lambda model, names, path: joblib_copy(model, path),
    "mmap": lambda model, names, path: joblib_copy(model, path, mmap_mode="r"),
    "skops": lambda model, names, path: skops.io.loads(
        skops.io.dumps(model), trusted=names
    ),
}


@pytest.mark.parametrize("way", COPIES)
def test_scores_come_back_to_the_last_bit(way, fitted, rows, tmp_path):
    model, names = fitted
    path = tmp_path / "model"
    twin = COPIES[way](COPIES[way](model, names, path), names, tmp_path / "again")
    new = np.concatenate([rows, 3 * rows])  # rows it was trained on, and others
    np.testing.assert_array_equal(twin.score_samples(new), model.score_samples(new))
    if hasattr(model, "predict"):
        np.testing.assert_array_equal(twin.predict(new), model.predict(new))


def test_skops_has_to_trust_one_name_for_each_class_of_ours(fitted):
    model, names = fitted
    found = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    assert sorted(found) == names


def test_the_files_hold_neither_torch_nor_functions(fitted):
    content = pickle.dumps(fitted[0])
    assert b"torch" not in content
    assert b"<lambda>" not in content


@pytest.mark.filterwarnings("default")  # MLflow's own
def test_mlflow_keeps_models_by_skops(fitted, rows, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    model, names = fitted
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        serialization_format="skops",
        skops_trusted_types=names,
        pip_requirements=[],
    )
    twin = mlflow.sklearn.load_model(tmp_path / "model")
    np.testing.assert_array_equal(twin.score_samples(rows), model.score_samples(rows))
