from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.metrics import (
    contraction_score,
    denoising_score,
    largest_lam_within_one_standard_error,
    reconstruction_score,
)

SCORERS = [denoising_score, reconstruction_score, contraction_score]


@pytest.fixture(scope="module")
def fitted():
    X = load_digits().data
    scaler = StandardScaler()
    model = ContractiveAutoencoder(16, max_iter=10, random_state=0)
    return make_pipeline(scaler, model).fit(X), X


@pytest.mark.parametrize("score", SCORERS)
def test_pipeline_is_scored_in_the_units_behind_its_scaler(fitted, score):
    pipeline, X = fitted
    value = score(pipeline, X)
    assert type(value) is float
    assert value < 0
    assert value == score(pipeline[-1], pipeline[0].transform(X), y=object())
    assert value == score(make_pipeline(pipeline[-1]), pipeline[0].transform(X))


def test_scores_are_what_they_say(fitted):
    pipeline, X = fitted
    model, Z = pipeline[-1], pipeline[0].transform(X)
    assert reconstruction_score(pipeline, X) == model.score(Z)
    assert contraction_score(pipeline, X) == -model.contraction(Z).mean()
    assert denoising_score(pipeline, X, noise_std=0) == pytest.approx(model.score(Z))
    by_noise = [denoising_score(pipeline, X, noise_std=s) for s in (0.1, 0.5, 2)]
    assert by_noise == sorted(by_noise, reverse=True)


def test_denoising_score_of_a_linear_network_is_known(fitted):
    # error + s^2 ||R||^2 / d, by the theorem that it is exact for
    _, X = fitted
    Z = StandardScaler().fit_transform(X)
    model = ContractiveAutoencoder(
        8, hidden_layer_sizes=(), activation="identity", max_iter=5, random_state=0
    ).fit(Z)
    encoder, decoder = model.coefs_
    expected = model.score(Z) - 0.49 * np.sum((encoder @ decoder) ** 2) / 64
    value = denoising_score(model, Z, noise_std=0.7, n_repeats=10)
    assert value == pytest.approx(expected, rel=0.005)


def test_denoising_score_is_the_same_every_time_unless_told(fitted):
    pipeline, X = fitted
    assert denoising_score(pipeline, X) == denoising_score(pipeline, X)
    other = denoising_score(pipeline, X, random_state=1)
    assert other != denoising_score(pipeline, X)
    assert other == pytest.approx(denoising_score(pipeline, X), rel=0.02)


@pytest.mark.parametrize("score", SCORERS)
def test_frames_are_scored_without_warnings(fitted, score):
    _, X = fitted
    frame = pd.DataFrame(X).add_prefix("pixel")
    model = ContractiveAutoencoder(4, max_iter=2, random_state=0).fit(frame)
    assert np.isfinite(score(model, frame))
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas")
    assert np.isfinite(score(pipeline.fit(frame), frame))


@pytest.mark.parametrize("score", SCORERS)
def test_other_estimators_are_refused(fitted, score):
    pipeline, X = fitted
    for wrong in (PCA(2).fit(X), make_pipeline(pipeline[-1], PCA(2))):
        with pytest.raises(TypeError, match="ends in one; got PCA"):
            score(wrong, X)


def results(lams, means, spread, name="param_lam", metric="score"):
    means, offsets = np.asarray(means), spread * np.array([-1, 0, 1])
    return {
        name: np.ma.array(lams, dtype=object),
        f"mean_test_{metric}": means,
        **{f"split{i}_test_{metric}": means + offsets[i] for i in range(3)},
    }


def test_one_standard_error_rule():
    pick = largest_lam_within_one_standard_error
    lams, means = [1, 0, 0.1, 10], [-1.05, -1.2, -1.0, -3.0]
    # the standard error is spread / sqrt(3)
    assert pick(results(lams, means, 0.01)) == 2
    assert pick(results(lams, means, 0.1)) == 0
    assert pick(results(lams, means, 10.0)) == 3
    inside = results(lams, means, 0.1, "param_cae__lam", "denoising")
    assert pick(inside, metric="denoising") == 0
    # of several candidates with that λ, the best
    assert pick(results([1, 1, 0.1], [-1.05, -1.01, -1.0], 0.1)) == 1
    # a candidate that failed is no candidate
    assert pick(results([1, 0.1], [np.nan, -1.0], 0.1)) == 1


def test_one_standard_error_is_one_of_the_mean_of_the_folds():
    pick = largest_lam_within_one_standard_error
    # of three folds 0.3 apart: a deviation of 0.3, an error of 0.1732
    assert pick(results([0.1, 1], [-1.0, -1.17], 0.3)) == 1
    assert pick(results([0.1, 1], [-1.0, -1.18], 0.3)) == 0
    # that of the best, not of the others
    known = results([0.1, 1], [-1.0, -1.17], 0.3)
    for name in ("split0_test_score", "split1_test_score", "split2_test_score"):
        known[name][0] = -1.0
    assert pick(known) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_repeats": 0}, "n_repeats must be an int >= 1; got 0"),
        ({"n_repeats": 1.5}, "n_repeats must be an int >= 1; got 1.5"),
        ({"n_repeats": True}, "n_repeats must be an int >= 1; got True"),
        ({"n_repeats": None}, "n_repeats must be an int"),
        ({"noise_std": -1}, "noise_std must be a finite number >= 0; got -1"),
        ({"noise_std": np.nan}, "noise_std must be a finite number >= 0; got nan"),
        ({"noise_std": np.inf}, "noise_std must be a finite number"),
        ({"noise_std": "0.5"}, "noise_std must be a finite number"),
    ],
)
def test_bad_arguments_are_named(fitted, arguments, message):
    pipeline, X = fitted
    with pytest.raises(ValueError, match=message):
        denoising_score(pipeline, X, **arguments)


def test_noise_of_the_denoising_score_is_half_a_deviation(fitted):
    pipeline, X = fitted
    expected = denoising_score(pipeline, X, noise_std=0.5, n_repeats=3, random_state=0)
    assert denoising_score(pipeline, X) == expected


def test_rule_says_what_is_missing():
    pick = largest_lam_within_one_standard_error
    some = results([1, 0.1], [-1.0, -2.0], 0.1)
    with pytest.raises(ValueError, match="two folds"):
        pick(
            {name: some[name] for name in some if name[:6] not in ("split1", "split2")}
        )
    with pytest.raises(ValueError, match="all of mean_test_score are nan"):
        pick(results([1, 0.1], [np.nan, np.nan], 0.1))
    some["param_lam"] = np.ma.array([1, 0.1], mask=[False, True], dtype=object)
    with pytest.raises(ValueError, match="must set lam"):
        pick(some)
    with pytest.raises(ValueError, match="one parameter lam; it is over none"):
        pick(results([1], [-1.0], 1, "param_noise_std"))
    with pytest.raises(ValueError, match=r"one of \['score'\]; got 'denoising'"):
        pick(results([1], [-1.0], 1), metric="denoising")


def test_search_without_labels_does_not_choose_zero(fitted):
    _, X = fitted
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(),
            ContractiveAutoencoder(max_iter=40, contamination=0.1, random_state=0),
        ),
        {"contractiveautoencoder__lam": [0, 0.1, 1, 30]},
        cv=2,
        scoring={
            "denoising": denoising_score,
            "reconstruction": reconstruction_score,
            "contraction": contraction_score,
        },
        refit=partial(largest_lam_within_one_standard_error, metric="denoising"),
    ).fit(X[:600])
    table = search.cv_results_
    assert search.best_params_["contractiveautoencoder__lam"] in (0.1, 1)
    # reconstruction prefers a small λ, contraction the largest
    assert np.argmax(table["mean_test_reconstruction"]) <= 1
    assert np.argmax(table["mean_test_contraction"]) == 3
    plain = search.estimator.set_params(contractiveautoencoder__lam=0).fit(X[:600])
    chosen = denoising_score(search.best_estimator_, X[600:])
    assert chosen > denoising_score(plain, X[600:])


def test_scorer_fits_a_search_with_labels_too(fitted):
    _, X = fitted
    y = load_digits().target
    search = GridSearchCV(
        ContractiveAutoencoder(4, max_iter=2, random_state=0),
        {"lam": [0.1, 1]},
        cv=2,
        scoring=denoising_score,
        refit=largest_lam_within_one_standard_error,
    ).fit(X[:200], y[:200])
    assert search.best_params_["lam"] in (0.1, 1)
    assert search.transform(X[:5]).shape == (5, 4)
