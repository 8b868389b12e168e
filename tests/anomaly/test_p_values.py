from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from surface import draw

from skcae.anomaly import AnomalyDetector, p_values, threshold


class Given:
    """Scores rows by their first cell."""

    def score_samples(self, X):
        return np.asarray(X)[:, 0]


def column(*cells):
    return np.array(cells, dtype=float)[:, None]


def test_p_values_are_valid_on_clean_rows(model, rng):
    n = 150
    shares = [
        np.mean(p_values(model, draw(rng, 200), draw(rng, n)) <= 0.05)
        for _ in range(200)
    ]
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - np.floor(0.05 * (n + 1)) / (n + 1)) < 3 * error


def test_false_discoveries_are_controlled(model, rng):
    proportions, found = [], []
    is_anomaly = np.arange(200) < 20
    for _ in range(200):
        rows = draw(rng, 200)
        rows[is_anomaly] += rng.normal(0, 1.5, (20, 12))
        p = p_values(model, rows, draw(rng, 500))
        alarms = false_discovery_control(p) <= 0.2
        proportions.append(np.sum(alarms & ~is_anomaly) / max(1, alarms.sum()))
        found.append(np.mean(alarms[is_anomaly]))
    error = np.std(proportions, ddof=1) / np.sqrt(len(proportions))
    assert np.mean(proportions) <= 0.2 + 2 * error
    assert np.mean(found) > 0.8


def test_ties_only_raise_p_values():
    calibration = column(-1, *range(-30, -10), -1)
    # as low as itself, twice, and as the twenty that are lower
    assert p_values(Given(), column(-1), calibration).tolist() == [1.0]
    assert p_values(Given(), column(-99), calibration).tolist() == [1 / 23]


def test_weighted_p_values_are_those_of_the_definition(rng):
    calibration, rows = rng.normal(size=(50, 1)), rng.normal(size=(20, 1))

    def ratio(X):
        return 2 * np.exp(0.7 * X[:, 0])

    p = p_values(Given(), rows, calibration, density_ratio=ratio)
    for own, value in zip(rows[:, 0], p, strict=True):
        everything = np.append(calibration[:, 0], own)
        weights = np.exp(0.7 * everything)
        as_low = weights[everything <= own].sum()
        assert value == pytest.approx(as_low / weights.sum())


def test_weights_keep_the_rate_of_shifted_rows(rng):
    # N(1, 1) over N(0, 1)
    plain, weighted = [], []
    for _ in range(200):
        calibration, rows = (
            column(*rng.normal(size=400)),
            column(*rng.normal(-1, 1, 50)),
        )
        plain.append(np.mean(p_values(Given(), rows, calibration) <= 0.1))
        p = p_values(
            Given(), rows, calibration, density_ratio=lambda X: np.exp(-X[:, 0])
        )
        weighted.append(np.mean(p <= 0.1))
    error = np.std(weighted, ddof=1) / np.sqrt(200)
    assert np.mean(plain) > 0.3
    assert np.mean(weighted) < 0.1 + 3 * error


@pytest.mark.parametrize(
    ("ratio", "message"),
    [
        (lambda X: 1.0, "one number for each of 3 rows"),
        (lambda X: np.array([1.0, np.nan, 1.0]), "positive and finite"),
        (lambda X: np.zeros(3), "positive and finite"),
    ],
)
def test_what_is_no_ratio_is_refused(ratio, message):
    with pytest.raises(ValueError, match=message):
        p_values(Given(), column(1, 2, 3), column(1, 2, 3), density_ratio=ratio)
    with pytest.raises(ValueError, match=r"density_ratio takes the rows of X_calib"):
        p_values(Given(), column(1, 2, 3), density_ratio=ratio)


def test_unfitted_detectors_and_a_rate_without_its_name_are_told_apart():
    X = column(1, 2, 3)
    with pytest.raises(NotFittedError, match="AnomalyDetector"):
        p_values(make_pipeline(AnomalyDetector()), X)
    with pytest.raises(TypeError, match=r"must be a table; got 0.02.*rate=0.01"):
        threshold(Given(), 0.02)


def test_p_values_keep_the_index(mixed, staff):
    p = p_values(mixed, staff[500:], staff[400:500])
    assert p.index.equals(staff.index[500:])
    assert p.name == "p_value"


def test_a_score_that_overflows_is_lower_than_all_others():
    rows = column(-np.inf, np.nan, -1e300, 0)
    normal = column(*range(-9, 0))
    assert p_values(Given(), rows, normal).tolist() == [0.1, 0.1, 0.1, 1]
    # and as low as another that does
    overflown = column(*range(-8, 0), np.nan)
    assert p_values(Given(), rows, overflown).tolist() == [0.2, 0.2, 0.2, 1]


def test_a_missing_number_of_spss_is_no_normal_row(model, rng):
    normal = draw(rng, 99)
    autoencoder = model[-1]
    row = normal[:1].copy()
    row[0, :2] = -np.finfo(float).max
    for models in (autoencoder, [autoencoder, autoencoder]):
        assert p_values(models, row, normal).tolist() == [0.01]


def test_no_rows_have_no_p_values(model, rng):
    rows = pd.DataFrame(draw(rng, 30))
    p = p_values(model, rows[:0], rows)
    assert p.shape == (0,) and p.dtype == float and p.name == "p_value"
    with pytest.raises(ValueError, match="X_calibration has no rows"):
        p_values(model, rows, rows[:0])


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5])
def test_threshold_flags_what_has_small_p_values(model, rng, rate):
    model = deepcopy(model)
    calibration, rows = draw(rng, 99), draw(rng, 5000)
    coefs = model[-1].coefs_[0].copy()
    model[-1].offset_ = threshold(model, calibration, rate)
    np.testing.assert_array_equal(
        model.predict(rows) == -1, p_values(model, rows, calibration) <= rate
    )
    np.testing.assert_array_equal(model[-1].coefs_[0], coefs)


def test_threshold_says_how_many_rows_a_rate_takes():
    normal = column(*range(-99, 0))
    assert threshold(Given(), normal) == -99
    with pytest.raises(
        ValueError, match="has 98 rows: a rate of 0.01 takes at least 99"
    ):
        threshold(Given(), normal[1:], 0.01)
    with pytest.raises(ValueError, match="has 0 rows: a rate of 0.5 takes at least 1"):
        threshold(Given(), normal[:0], 0.5)
    for rate in (0, 1.5, "auto"):
        with pytest.raises(ValueError, match="rate must be"):
            threshold(Given(), normal, rate)


def test_a_rate_of_one_flags_all():
    assert threshold(Given(), column(*range(-5, 0)), 1) == np.inf


def test_threshold_among_scores_that_overflow():
    normal = column(-np.inf, np.nan, *range(-97, 0))
    assert threshold(Given(), normal, 0.03) == -97
    # no score is below: fewer would be flagged than may be
    assert threshold(Given(), normal, 0.02) == -np.inf
