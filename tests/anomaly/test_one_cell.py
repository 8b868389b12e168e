"""Errors by shared products, against scores of rows in which one cell is replaced."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, explain
from skcae.anomaly._one_cell import OneCell
from skcae.anomaly._tables import as_tables


@pytest.fixture
def X(rng):
    X = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 70)) + rng.normal(size=(60, 70))
    X[:, 3] = np.round(X[:, 3])
    return X


def autoencoder(**parameters):
    return ContractiveAutoencoder(
        **{"n_components": 6, "max_iter": 3, "random_state": 0} | parameters
    )


MODELS = {
    "two layers": autoencoder(),
    "one layer": autoencoder(hidden_layer_sizes=(), lam=0),
    "three, untied": autoencoder(
        hidden_layer_sizes=(20, 10), activation="tanh", tied_weights=False
    ),
    "standardised": make_pipeline(StandardScaler(), autoencoder()),
    "two scalers": make_pipeline(RobustScaler(), MinMaxScaler(), autoencoder()),
}


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_explanations_are_those_of_the_scores(name, kind, X, monkeypatch):
    table = kind(X)
    model = MODELS[name].fit(table)
    assert OneCell.of(model, as_tables(table, table)[0]) is not None
    ours = explain(model, table[:9], table)
    monkeypatch.setattr(OneCell, "of", lambda *args: None)
    theirs = explain(model, table[:9], table)
    np.testing.assert_allclose(
        ours["contribution"], theirs["contribution"], rtol=1e-9, atol=1e-12
    )
    for key in ("direction", "observed", "expected", "reconstructed"):
        pd.testing.assert_frame_equal(ours[key], theirs[key])


def test_offsets_and_far_cells_cost_no_digits(X, monkeypatch):
    X = X + 1e6
    X[0, 0] = 1e12
    model = make_pipeline(StandardScaler(), autoencoder()).fit(X[1:])
    ours = explain(model, X[:3], X[1:])["contribution"]
    monkeypatch.setattr(OneCell, "of", lambda *args: None)
    theirs = explain(model, X[:3], X[1:])["contribution"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(PCA(65, random_state=0), autoencoder()),
        make_pipeline(
            MinMaxScaler(), autoencoder(loss="log_loss", output_activation="sigmoid")
        ),
        autoencoder(allow_nan=True),
        autoencoder(score_dtype="float32"),
        AnomalyDetector(autoencoder(), random_state=0),
    ],
    ids=["PCA", "log-loss", "holes", "float32", "detector"],
)
def test_others_are_scored(model, rng, X):
    X = np.r_[X, X + 0.1 * rng.normal(size=X.shape)]
    assert OneCell.of(model.fit(X), as_tables(X, X)[0]) is None


def test_narrow_tables_are_scored(X):
    X = X[:, :8]
    assert OneCell.of(autoencoder().fit(X), as_tables(X, X)[0]) is None
