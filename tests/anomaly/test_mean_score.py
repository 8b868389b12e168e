import numpy as np
import pytest
from sklearn.svm import OneClassSVM
from surface import draw, scaled_autoencoder

from skcae.anomaly import (
    NeighborDistance,
    explain,
    mean_score,
    p_values,
    threshold,
)


class Errs:
    """A model whose errors are given."""

    def __init__(self, *errors):
        self.errors = errors

    def score_samples(self, X):
        return -np.array(self.errors)


def test_it_is_the_geometric_mean_of_the_errors(model, rng):
    other = scaled_autoencoder(lam=1, random_state=1).fit(draw(rng, 300))
    rows = draw(rng, 50)
    errors = [-model.score_samples(rows), -other.score_samples(rows)]
    together = mean_score([model, other], rows)
    np.testing.assert_allclose(together, -np.sqrt(errors[0] * errors[1]))
    alone = mean_score((model,), rows)
    np.testing.assert_allclose(alone, model.score_samples(rows))


def test_an_error_that_overflows_is_infinite_in_the_mean():
    models = [Errs(1.0, np.inf, np.nan, np.inf, 1e308), Errs(4.0, 1.0, 2.0, 0.0, 1e308)]
    scores = mean_score(models, np.zeros((5, 1)))
    np.testing.assert_allclose(scores, [-2, -np.inf, -np.inf, -np.inf, -1e308])


def test_an_error_of_zero_does_not_silence_the_others():
    models = [Errs(0.0, 0.0), Errs(1.0, 2.0)]
    scores = mean_score(models, np.zeros((2, 1)))
    assert np.isfinite(scores).all()
    assert scores[1] < scores[0] < 0


def test_repeated_rows_do_not_silence_the_other_models(rng):
    X = rng.integers(0, 3, size=(500, 4)).astype(float)
    model = scaled_autoencoder().fit(X)
    models = [model, NeighborDistance(model).fit(X)]
    scores = mean_score(models, X)
    assert scores.max() < -1e-12
    assert explain(models, X)["contribution"].max(axis=None) < 1e6


def test_it_refuses_what_has_no_geometric_mean(model, rng):
    X = draw(rng, 30)
    for wrong in (model, []):
        with pytest.raises(ValueError, match="estimators must be a list"):
            mean_score(wrong, X)
    with pytest.raises(ValueError, match="of at most 0"):
        mean_score([OneClassSVM().fit(X)], X)


def test_a_list_of_models_is_judged_by_its_mean(model, rng):
    train = draw(rng, 300)
    models = [model, NeighborDistance(model).fit(train)]
    rows, calibration = draw(rng, 40), draw(rng, 99)
    offset = threshold(models, calibration, 0.05)
    flagged = mean_score(models, rows) < offset
    np.testing.assert_array_equal(flagged, p_values(models, rows, calibration) <= 0.05)
    rows[0, 3] += 5
    explanation = explain(models, rows, calibration)
    assert explanation["contribution"].loc[0].idxmax() == "x3"
    assert "reconstructed" not in explanation
