"""What a detector says of batches of the same law, and of others."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, drift
from skcae.plotting import DriftDisplay

D = 6


def rows(rng, n, shift=0.0):
    """Of three factors; the first column is shifted, in its standard deviations."""
    mixing = np.random.default_rng(1).normal(size=(3, D))
    X = rng.normal(size=(n, 3)) @ mixing + 0.3 * rng.normal(size=(n, D))
    X[:, 0] += shift * np.sqrt((mixing[:, 0] ** 2).sum() + 0.09)
    return X


@pytest.fixture(scope="module")
def detector():
    network = ContractiveAutoencoder(max_iter=20, contamination=0.1)
    X = rows(np.random.default_rng(0), 1500)
    return AnomalyDetector(network, random_state=0).fit(X)


def test_it_fires_at_its_rate_on_the_same_law_and_almost_always_on_another(
    detector, rng
):
    smallest = [drift(detector, rows(rng, 150))["p_value"].min() for _ in range(200)]
    # Bonferroni's bound, and three standard errors
    assert np.mean(np.array(smallest) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(np.array(smallest) <= 0.3) > 0.05
    found = [
        report["p_value"].iloc[1] <= 0.05 and report["shift"].iloc[1] > 0.3
        for report in (drift(detector, rows(rng, 500, 0.5)) for _ in range(40))
    ]
    assert np.mean(found) >= 0.95


def test_report_is_that_of_scipy_column_by_column(detector, rng):
    X = rows(rng, 300, 0.2)
    report = drift(detector, X)
    assert list(report.index) == ["score", *(f"x{i}" for i in range(D))]
    normal = detector._reference.rows + detector._center
    for position in range(D):
        test = ks_2samp(X[:, position], normal[:, position], method="asymp")
        line = report.loc[f"x{position}"]
        assert line["distance"] == pytest.approx(test.statistic, abs=1e-3)
        assert line["p_value"] == pytest.approx(min(1, 7 * test.pvalue), rel=0.2)
        difference = X[:, position].mean() - normal[:, position].mean()
        assert line["shift"] == pytest.approx(difference / normal[:, position].std())
    scores = detector.score_samples(X)
    test = ks_2samp(scores, detector.calibration_scores_, method="asymp")
    assert report.loc["score", "distance"] == test.statistic


def test_names_reach_through_pipelines_and_what_wraps_them(rng):
    columns = ["score", *"abcde"]  # a column may have the name of the score
    X = pd.DataFrame(rows(rng, 300), columns=columns)
    network = ContractiveAutoencoder(max_iter=3, contamination=0.1)
    pipeline = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        AnomalyDetector(network, random_state=0),
    ).fit(X)
    moved = X.assign(b=X["b"] + 3)
    for model in (pipeline, FrozenEstimator(pipeline), make_pipeline(pipeline)):
        report = drift(model, moved)
        assert list(report.index) == ["score", *columns]
        assert report["distance"].iloc[1:].idxmax() == "b"
    assert report["shift"].iloc[0] < 0  # more anomalous


def test_steps_that_write_arrays_give_their_names(rng):
    X = pd.DataFrame(rows(rng, 100), columns=[*"abcdef"])
    network = ContractiveAutoencoder(max_iter=3, contamination=0.1)
    detector = AnomalyDetector(network, random_state=0)
    model = make_pipeline(StandardScaler(), detector).fit(X)
    assert list(drift(model, X).index) == ["score", *"abcdef"]
    nameless = make_pipeline(FunctionTransformer(np.arctan), detector).fit(X.to_numpy())
    assert list(drift(nameless, X.to_numpy()).index[:2]) == ["score", "x0"]


def test_constant_columns_and_scores_beyond_the_range(rng):
    X = np.c_[rows(rng, 100), np.ones(100)]
    network = ContractiveAutoencoder(max_iter=3, contamination=0.1)
    detector = AnomalyDetector(network, random_state=0).fit(X)
    assert detector.drift(X).loc["x6"].tolist() == [0, 0, 1]
    X[:, 6] = 2
    X[0, 0] = 1e300
    report = detector.drift(X)
    assert report.loc["x6", "shift"] == np.inf
    assert report.loc["score", "shift"] == -np.inf
    assert report["p_value"].between(0, 1).all()


def test_only_detectors_remember(rng):
    with pytest.raises(TypeError, match="must be an AnomalyDetector.*got Contractive"):
        drift(ContractiveAutoencoder(), rows(rng, 10))


def test_display_draws_the_report(detector, rng):
    X = rows(rng, 500, 1)
    display = DriftDisplay.from_estimator(detector, X, rate=1e-6)
    report = drift(detector, X)
    labels = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert labels[-1] == "score"
    assert labels[-2] == "x0"
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_array_equal(widths, report.loc[labels, "distance"])
    is_filled = [bar.get_facecolor()[3] == 1 for bar in display.bars_]
    np.testing.assert_array_equal(is_filled, report.loc[labels, "p_value"] <= 1e-6)
    few = DriftDisplay(report).plot(n_columns=2)
    assert len(few.bars_) == 3
    plt.close("all")
