import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, explain, p_values, threshold
from skcae.anomaly._reference import ReferenceRows


def quick(**parameters):
    network = ContractiveAutoencoder(
        6, hidden_layer_sizes=(16,), max_iter=5, contamination=0.1
    )
    return AnomalyDetector(network, random_state=0, **parameters)


@pytest.fixture(scope="module")
def table():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = pd.DataFrame(StandardScaler().fit(X[y == 1]).transform(X), columns=X.columns)
    return X[y == 1].reset_index(drop=True), X[y == 0].reset_index(drop=True)


def checks():
    return list(estimator_checks_generator(quick()))


@pytest.mark.parametrize(
    ("estimator", "check"),
    checks(),
    ids=lambda part: (
        getattr(part, "func", part).__name__
        if hasattr(getattr(part, "func", None), "__name__")
        else ""
    ),
)
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_default_detector_passes_the_contract_whole():
    results = check_estimator(AnomalyDetector(), on_fail=None)
    assert {result["status"] for result in results} == {"passed"}


# The distances


@pytest.fixture
def rows(rng):
    return rng.normal(size=(300, 5)).astype(np.float32)


def brute_force(reference, row, k, levels=None):
    """Both distances by their definitions, for a row that is not one of them."""
    euclidean = np.sqrt(np.mean((reference - row) ** 2.0, axis=1))
    nearest = np.argsort(euclidean)
    distance = np.mean(np.maximum(euclidean[nearest[:k]], 0.03) ** -2.0) ** -0.5
    points, point = np.arcsinh(reference), np.arcsinh(row)
    candidates = np.argsort(np.square(points - point).sum(axis=1))[:40]
    compressed = np.abs(np.arcsinh(reference[candidates]) - np.arcsinh(row)).mean(
        axis=1
    )
    order = np.argsort(compressed)[:k]
    level = np.log(np.maximum(compressed[order], 1e-3)).mean()
    return np.log(distance), level, candidates[order]


def test_distances_are_those_of_their_definitions(rows, rng):
    reference, k = ReferenceRows(rows, 7), 7
    own = [
        brute_force(np.delete(rows, i, axis=0), row, k) for i, row in enumerate(rows)
    ]
    levels = np.array([level for _, level, _ in own])
    # positions after the row itself are one further on
    around = [levels[near + (near >= i)].mean() for i, (_, _, near) in enumerate(own)]
    sparsest = np.quantile(around, 0.9)
    logs, _ = reference.distances(rows)
    np.testing.assert_allclose(
        logs[0], [distance for distance, *_ in own], rtol=1e-5, atol=1e-6
    )
    expected = levels - np.minimum(around, sparsest)
    np.testing.assert_allclose(logs[1], expected, rtol=1e-4, atol=1e-5)

    new = (3 * rng.normal(size=(20, 5))).astype(np.float32)
    logs, nearest = reference.distances(new)
    search = NearestNeighbors(n_neighbors=k).fit(rows)
    np.testing.assert_array_equal(nearest, search.kneighbors(new)[1])
    for row, log in zip(new, logs.T, strict=True):
        distance, level, near = brute_force(rows, row, k)
        expected = distance, level - min(levels[near].mean(), sparsest)
        np.testing.assert_allclose(log, expected, rtol=1e-4, atol=1e-5)


def test_a_row_is_not_its_own_neighbour_and_its_twin_is(rows):
    twins = np.concatenate([rows, rows[:1]])
    alone, doubled = ReferenceRows(rows, 5), ReferenceRows(twins, 5)
    assert alone.distances(rows[:1])[0][0] > np.log(0.05)
    assert doubled.distances(rows[:1])[0][0] < alone.distances(rows[:1])[0][0] - 0.5
    own = np.array([0])
    for reference in (alone, doubled):
        np.testing.assert_array_equal(
            reference.distances(rows[:1])[0], reference.distances(rows[:1], own)[0]
        )


def test_where_rows_repeat_an_equal_row_is_a_new_one(rows):
    reference = ReferenceRows(np.round(rows[:, :2]), 5)
    row, own = reference.rows[:1], np.array([0])
    assert reference.distances(row)[0][0] <= reference.distances(row, own)[0][0]
    _, nearest = reference.distances(reference.rows, np.arange(300))
    assert not (nearest == np.arange(300)[:, None]).any()


@pytest.mark.parametrize("n", [2, 3, 11])
def test_few_rows_and_rows_that_are_all_equal(n):
    for rows in (np.eye(n, 4), np.zeros((n, 4))):
        model = quick().fit(rows)
        assert np.isfinite(model.score_samples(rows)).all()


# The scores


def test_residuals_lose_what_their_neighbours_share(table):
    normal, _ = table
    model = quick().fit(normal[:200])
    member = model.estimator_
    rows = normal[200:230].to_numpy()
    reference = model._reference.rows + model._center
    residuals = reference - member.inverse_transform(member.transform(reference))
    own = rows - member.inverse_transform(member.transform(rows))
    near = NearestNeighbors(n_neighbors=10).fit(reference).kneighbors(rows)[1]
    expected = np.mean((own - residuals[near].mean(axis=1)) ** 2, axis=1)
    parts = model._parts(np.float32(rows - model._center))
    np.testing.assert_allclose(np.exp(2 * parts[0]), expected + 1e-6, rtol=1e-3)


def test_it_finds_anomalies_and_every_part_is_needed(table):
    normal, anomalies = table
    y = np.r_[np.ones(len(normal) - 200), -np.ones(len(anomalies))]
    rows = pd.concat([normal[200:], anomalies])
    model = AnomalyDetector(random_state=0).fit(normal[:200])
    assert roc_auc_score(y, model.score_samples(rows)) > 0.94
    untrained = quick().set_params(estimator__max_iter=1).fit(normal[:200])
    assert not np.allclose(untrained.score_samples(rows), model.score_samples(rows))


def test_scores_beyond_the_range_are_the_lowest(table):
    normal, _ = table
    model = quick().fit(normal.to_numpy())
    rows = normal[:3].to_numpy(copy=True)
    rows[0, 0], rows[1, :2] = -1.7e308, (1e308, -1e308)
    assert model.score_samples(rows)[:2].tolist() == [-np.inf, -np.inf]
    assert model.predict(rows)[:2].tolist() == [-1, -1]
    assert (model.p_values(rows)[:2] == 1 / (len(model.calibration_scores_) + 1)).all()


# Calibration


def surface(rng, n, d):
    mixing = np.random.default_rng(1).normal(size=(3, d))
    return np.tanh(rng.normal(size=(n, 3)) @ mixing) + 0.2 * rng.normal(size=(n, d))


@pytest.mark.parametrize("n", [60, 400, 3000])
def test_new_normal_rows_are_flagged_at_the_rate_asked_for(n, rng):
    rates = np.array([0.01, 0.05, 0.1])
    shares, n_models = np.zeros(3), 6
    new = surface(rng, 2000, 8)
    for seed in range(n_models):
        model = quick().set_params(random_state=seed).fit(surface(rng, n, 8))
        p = model.p_values(new).to_numpy()
        shares += (p[:, None] <= rates).mean(axis=0) / n_models
    n_calibration = len(model.calibration_scores_)
    wanted = np.floor(rates * (n_calibration + 1)) / (n_calibration + 1)
    # the calibration rows of each model, and the new rows that all share
    variance = wanted * (1 - wanted) * (1 / (n_models * n_calibration) + 1 / len(new))
    assert (np.abs(shares - wanted) <= 3 * np.sqrt(variance) + 1e-12).all()


def test_threshold_and_p_values_agree_and_travel_with_the_model(table):
    normal, anomalies = table
    model = quick().fit(normal)
    rows = pd.concat([normal, anomalies])
    rows.index = [f"row {i}" for i in range(len(rows))]
    for rate in (0.02, 0.05, 0.1):
        model.offset_ = model.threshold(rate)
        flagged = model.predict(rows) == -1
        p = model.p_values(rows)
        # the row that the threshold was taken from has p = rate and is not below it
        assert not (flagged & (p > rate)).any()
        assert p.index.equals(rows.index)
        assert (~flagged & (p <= rate)).sum() <= 1
    with pytest.raises(ValueError, match="a rate of 0.001 takes at least 999"):
        model.threshold(0.001)
    with pytest.raises(ValueError, match="rate must be"):
        model.threshold(0)


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_contamination_is_a_share_of_the_training_rows(contamination, table):
    normal, _ = table
    labels = quick(contamination=contamination).fit_predict(normal)
    assert np.sum(labels == -1) == round(contamination * len(normal))


# In the ecosystem


@pytest.fixture(scope="module")
def fitted(table):
    return quick().fit(table[0])


def test_large_models_stay_small(rng):
    X = rng.normal(size=(50_000, 40)).astype(np.float32)
    model = quick().fit(X)
    assert len(pickle.dumps(model)) < 5e6


def test_clones_searches_and_cross_validation(table):
    normal, _ = table
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"anomalydetector__estimator__lam": [0.01, 1.0]},
        scoring=lambda model, X, y=None: float(np.log(-model.score_samples(X)).mean()),
        cv=2,
    ).fit(normal)
    assert set(search.cv_results_["param_anomalydetector__estimator__lam"]) == {0.01, 1}
    y = np.r_[np.ones(200), -np.ones(100)]
    rows = pd.concat([table[0][:200], table[1][:100]])
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(quick(), rows, y, scoring="roc_auc", cv=folds)
    assert (scores > 0.5).all()
    frozen = FrozenEstimator(search.best_estimator_)
    np.testing.assert_array_equal(
        frozen.fit(rows, None).predict(rows), search.best_estimator_.predict(rows)
    )
    assert clone(quick(n_neighbors=3)).n_neighbors == 3


def test_explain_is_that_of_the_function_and_knows_normal_rows(fitted, table):
    normal, anomalies = table
    rows = anomalies[:4]
    own = fitted.explain(rows)
    assert own["contribution"].shape == rows.shape
    assert own.index.equals(rows.index)
    assert (own["contribution"].max(axis=1) > 0).all()
    pd.testing.assert_frame_equal(
        fitted.explain(rows, normal), explain(fitted, rows, normal)
    )
    unnamed = quick().fit(normal.to_numpy()).explain(rows.to_numpy())["contribution"]
    np.testing.assert_allclose(
        unnamed.to_numpy(float), own["contribution"].to_numpy(float), rtol=1e-6
    )


def polars_of(rows):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(rows, schema=list("abcdefgh")[: rows.shape[1]])


def arrow_of(rows, kind="Table"):
    pyarrow = pytest.importorskip("pyarrow")
    names = list("abcdefgh")[: rows.shape[1]]
    return getattr(pyarrow, kind).from_arrays([*rows.T], names=names)


@pytest.mark.parametrize(
    "kind",
    [
        polars_of,
        arrow_of,
        partial(arrow_of, kind="RecordBatch"),
        np.ndarray.tolist,
        torch.tensor,
        np.ma.array,
    ],
)
def test_explain_knows_normal_rows_in_every_kind_of_table(kind, rng):
    X = rng.standard_normal((60, 3))
    detector = quick().fit(kind(X))
    for n_rows in (3, 0):
        got = detector.explain(kind(X)[:n_rows])
        wanted = quick().fit(X).explain(X[:n_rows])
        assert got.shape == wanted.shape
        for part in ("contribution", "expected"):
            np.testing.assert_allclose(
                got[part].to_numpy(float), wanted[part].to_numpy(float)
            )
        ways = [table["direction"].to_numpy().tolist() for table in (got, wanted)]
        assert ways[0] == ways[1]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"estimator": StandardScaler()}, TypeError, "estimator must be a Contractive"),
        ({"trim_fraction": 1.0}, ValueError, "trim_fraction must be"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be"),
        ({"max_samples": 1}, ValueError, "max_samples must be"),
        ({"contamination": 0.7}, ValueError, "contamination must be"),
        ({"estimator": ContractiveAutoencoder(lam=-1)}, ValueError, "lam must be"),
    ],
)
def test_bad_parameters_are_named_and_nothing_fitted_is_lost(
    parameters, error, message, table
):
    normal, _ = table
    model = quick().fit(normal[:50])
    before = model.score_samples(normal)
    with pytest.raises(error, match=message):
        model.set_params(**parameters).fit(normal)
    np.testing.assert_array_equal(model.score_samples(normal), before)


def test_functions_know_the_calibration_of_a_detector_in_a_pipeline(table):
    normal, anomalies = table
    model = make_pipeline(StandardScaler(), quick()).fit(normal)
    rows = anomalies.set_axis([f"row {i}" for i in range(len(anomalies))])
    p = p_values(FrozenEstimator(model), rows)
    assert p.index.equals(rows.index)
    own = model[-1].p_values(model[:-1].transform(rows))
    np.testing.assert_array_equal(p, own)
    assert threshold(model, rate=0.05) == model[-1].threshold(0.05)
    with pytest.raises(ValueError, match="X_calibration must be normal rows"):
        p_values(ContractiveAutoencoder(4, max_iter=1).fit(normal), rows)
