from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcae import ContractiveAutoencoder
from skcae._advice import cure, judge
from skcae._checks import check_columns
from skcae.metrics import denoising_score

BAD = {
    "n_components": [0, -1, 2.5, "3", None, True, np.nan],
    "hidden_layer_sizes": [5, (0,), (3.5,), "8", None, [(4,)]],
    "activation": ["gelu", None, 3],
    "code_activation": ["Relu", 1],
    "decoder_activation": ["none", 1],
    "output_activation": ["tanh", None],
    "loss": ["mse", None],
    "lam": [-0.1, np.nan, np.inf, "0.1", None, True],
    "penalty": ["decoder", None],
    "penalty_method": ["closed_form", None],
    "tied_weights": [1, "yes", None],
    "noise_std": [-1, np.inf, None],
    "masking_fraction": [1, -0.1, "auto", None, True],
    "swap_fraction": [1.1, -0.1, np.nan, None],
    "trim_fraction": [1, -0.1, "auto", None],
    "learning_rate_init": [0, -1e-3, np.inf, None],
    "batch_size": [0, -1, 2.5, "full", None],
    "max_iter": [0, 1.5, None],
    "tol": [-1e-4, None],
    "n_iter_no_change": [0, np.inf],
    "early_stopping": [0, "no"],
    "validation_fraction": [0, 1, -0.1, None],
    "weight_decay": [-1, None],
    "max_grad_norm": [0, -1, np.inf, "1"],
    "lam_warmup": [-1, 2.5, None],
    "warm_start": [None, 1],
    "allow_nan": [None, 1, "observed"],
    "score_dtype": ["float16", np.float32, None],
    "distributed": [None, 1, "gloo"],
    "checkpoint_folder": [0, True],
    "checkpoint_every": [0, 2.5, None],
    "contamination": [0, 0.6, -0.1, "Auto", None, np.nan],
    "random_state": ["seed", -1],
    "device": ["gpu", 3, None, "cuda:99"],
    "verbose": [-1, 3, "yes", None],
}


def test_every_parameter_is_tried():
    assert set(BAD) == set(ContractiveAutoencoder().get_params())


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        (method, name, value)
        for method in ("fit", "partial_fit")
        for name in BAD
        for value in BAD[name]
        # partial_fit goes on with the random state of the first call
        if (method, name) != ("partial_fit", "random_state")
    ],
)
def test_bad_parameters_are_named_and_nothing_fitted_is_lost(method, name, value, rng):
    X = rng.normal(size=(20, 3))
    model = ContractiveAutoencoder(2, max_iter=2, random_state=0).fit(X)
    before = model.score_samples(X)
    model.set_params(**{name: value})
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(model, method)(X)
    shown = "seed" if name == "random_state" else name
    assert shown in str(caught.value).lower()
    model.set_params(device="cpu", score_dtype="float64")
    np.testing.assert_array_equal(model.score_samples(X), before)


def test_log_loss_needs_a_sigmoid_and_values_in_its_range(rng):
    X = pd.DataFrame(rng.uniform(size=(20, 3)), columns=["a", "b", "c"])
    model = ContractiveAutoencoder(2, loss="log_loss", max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="output_activation='sigmoid'"):
        model.fit(X)
    model.set_params(output_activation="sigmoid").fit(X)
    wrong = X.assign(b=X["b"] * 255)
    with pytest.raises(ValueError, match="Column 'b' .*log_loss"):
        model.fit(wrong)
    with pytest.raises(ValueError, match="Column 'b' .*log_loss"):
        model.score_samples(wrong)


def test_scaler_may_miss_the_range_by_rounding(rng):
    for _ in range(5):
        X = rng.normal(size=(30, 200))
        model = make_pipeline(
            MinMaxScaler(),
            ContractiveAutoencoder(
                2, loss="log_loss", output_activation="sigmoid", lam=0, max_iter=5
            ),
        ).fit(X)
        assert np.isfinite(model.score_samples(X)).all()


def test_rows_out_of_range_can_be_encoded_though_not_scored(rng):
    X = rng.uniform(size=(30, 3))
    model = ContractiveAutoencoder(
        2, loss="log_loss", output_activation="sigmoid", max_iter=2, random_state=0
    ).fit(X)
    for method in (model.transform, model.jacobian, model.contraction):
        assert np.isfinite(method(X + 1)).all()
    for method in (model.score_samples, model.predict, model.feature_errors):
        with pytest.raises(ValueError, match="MinMaxScaler\\(clip=True\\)"):
            method(X + 1)
    assert np.isfinite(denoising_score(model, X))


def test_warm_start_keeps_to_its_columns(rng):
    X = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"])
    model = ContractiveAutoencoder(2, warm_start=True, max_iter=2, random_state=0)
    model.fit(X)
    with pytest.raises(ValueError, match="same order"):
        model.fit(X[["b", "a", "c"]])
    with pytest.raises(ValueError, match="feature names"):
        model.fit(X[["a", "b"]])
    model.set_params(warm_start=False).fit(X[["b", "a"]])


def test_score_that_overflows_is_an_outlier(rng):
    model = ContractiveAutoencoder(2, max_iter=2, random_state=0)
    model.fit(rng.normal(size=(30, 3)))
    with np.errstate(all="ignore"):
        rows = np.array([[1.7e308] * 3, [-1.7e308] * 3, [0.0] * 3])
        assert model.predict(rows).tolist() == [-1, -1, 1]
        assert model.score_samples(rows)[:2].tolist() == [-np.inf, -np.inf]
        assert model.decision_function(rows)[:2].tolist() == [-np.inf, -np.inf]
        assert (model.feature_errors(rows)[:2] == np.inf).all()
        assert model.score(rows) == -np.inf


def test_score_of_what_overflows_in_the_network_is_no_nan(rng):
    # units of both signs are infinite, and their sum is no number
    model = ContractiveAutoencoder(20, max_iter=2, random_state=0)
    model.fit(rng.normal(size=(50, 30)))
    rows = 1.7e308 * rng.choice([-1, 1], size=(10, 30))
    with np.errstate(all="ignore"):
        assert np.isnan(model.transform(rows)).any(axis=1).all()
        assert (model.score_samples(rows) == -np.inf).all()
        assert (model.predict(rows) == -1).all()
        assert (model.feature_errors(rows) == np.inf).all()


def test_bad_device_of_a_fitted_model_is_named(rng):
    X = rng.normal(size=(30, 3))
    model = ContractiveAutoencoder(2, max_iter=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="device must be"):
        model.set_params(device="nonsense").score(X)


def test_column_beyond_float32_is_named(rng):
    X = rng.normal(size=(20, 3))
    X[4, 1] = 1e20
    with pytest.raises(ValueError, match="Column 1 .* float32"):
        ContractiveAutoencoder(2, max_iter=2).fit(X)


def test_columns_may_reach_what_float32_can_square():
    for sign in (-1, 1):
        X = np.array([[0.0, 0.0], [1.0, sign * 1e15]])
        check_columns(X, "squared_error", None)
        with pytest.raises(ValueError, match="Column 1 .* float32"):
            check_columns(1.01 * X, "squared_error", None)


def test_failed_first_fit_leaves_nothing(rng):
    X = pd.DataFrame(rng.normal(size=(20, 3)), columns=["a", "b", "c"])
    for method in ("fit", "partial_fit"):
        model = ContractiveAutoencoder(2, max_iter=2, learning_rate_init=1e30)
        model.set_params(max_grad_norm=None, hidden_layer_sizes=(4,))
        before = vars(model).copy()
        with pytest.raises(ValueError, match="diverged"):
            getattr(model, method)(1e10 * X)
        assert vars(model) == before
        with pytest.raises(ValueError, match="float32"):
            getattr(model, method)(1e20 * X)
        assert vars(model) == before


def test_accepted_forms(rng):
    X = rng.normal(size=(20, 3))
    model = ContractiveAutoencoder(
        np.int64(2),
        hidden_layer_sizes=[np.int32(4)],
        lam=np.float32(0.5),
        tied_weights=np.True_,
        max_grad_norm=None,
        device=torch.device("cpu"),
        random_state=np.random.RandomState(0),
        max_iter=1,
    ).fit(X)
    assert model.transform(X).shape == (20, 2)
    assert [coef.shape for coef in model.coefs_] == [(3, 4), (4, 2), (2, 4), (4, 3)]


def test_nothing_is_raised_before_fit():
    model = ContractiveAutoencoder(np.array([1, 2]), device=np.array(["a", "b"]))
    model.set_params(lam=np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="n_components"):
        model.fit(np.eye(3))


@pytest.mark.parametrize(
    ("scale", "changes", "term", "first"),
    [
        (1, {}, "reconstruction", "Lower learning_rate_init"),
        (1, {}, "penalty", "Lower lam"),
        (1e6, {}, "penalty", "Bring the columns to a common scale"),
        (1e-6, {}, "reconstruction", "Bring the columns to a common scale"),
        (5, {"output_activation": "sigmoid"}, "penalty", "Scale the columns to"),
        (0, {}, "penalty", "Lower lam"),
    ],
)
def test_cure_names_the_likeliest_culprit_first(rng, scale, changes, term, first):
    X = rng.normal(size=(50, 3)) * [0.5, 1, 0.2] * scale
    parameters = SimpleNamespace(**ContractiveAutoencoder(**changes).get_params())
    message = cure(X, parameters, ["a", "b", "c"], term)
    assert message.startswith(first)
    assert "lam (now 0.1)" in message
    assert "learning_rate_init (now 0.001)" in message
    if "common scale" in first:
        assert "column 'b'" in message


def test_cure_names_what_is_at_work_only(rng):
    def message(**changes):
        parameters = SimpleNamespace(**ContractiveAutoencoder(**changes).get_params())
        return cure(rng.normal(size=(50, 3)), parameters, None)

    assert "lam" not in message(lam=0)
    assert "weight_decay (now 10000)" in message(weight_decay=1e4)
    assert "noise_std (now 5)" in message(noise_std=5)
    assert "warm_start=False" in message(warm_start=True)


@pytest.mark.parametrize(
    ("loss", "varies", "said"),
    [
        (0.99, True, None),
        (1.0, True, "The code has collapsed.* penalty"),
        (1.005, True, "The code has collapsed.* penalty"),
        # nothing to learn is nothing that collapses
        (1.0, False, None),
        (1.02, True, "worse than their column means, over all rows.* reconstruction"),
        (1.49, False, "worse than their column means, over all rows.* reconstruction"),
    ],
)
def test_models_are_judged_by_the_loss_of_the_column_means(loss, varies, said):
    def judged():
        judge(loss * 40, 40, varies, lambda term: f"Cure the {term}.")

    if said is None:
        judged()  # warnings are errors
    else:
        with pytest.warns(ConvergenceWarning, match=said):
            judged()


def test_models_far_worse_than_the_column_means_are_refused():
    with pytest.raises(ValueError, match="worse than their column means"):
        judge(1.51, 1.0, True, str)


# Numbers of other kinds, and subclasses


@pytest.mark.parametrize(
    ("parameters", "same"),
    [
        ({"lam": Fraction(1, 10)}, {"lam": 0.1}),
        ({"lam": np.float32(0.5)}, {"lam": 0.5}),
        ({"max_grad_norm": Fraction(1, 2)}, {"max_grad_norm": 0.5}),
        ({"n_components": np.int64(3)}, {"n_components": 3}),
    ],
)
def test_numbers_of_other_kinds_are_numbers(parameters, same, rng):
    X = rng.normal(size=(40, 5))
    quick = {"n_components": 4, "max_iter": 3, "random_state": 0}
    ours, theirs = (
        ContractiveAutoencoder(**quick | changes).fit(X)
        for changes in (parameters, same)
    )
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 2**70},
        {"hidden_layer_sizes": (2**70,)},
        {"max_iter": 2**70},
        {"batch_size": 2**70},
        {"lam": 2**2000},
        {"tol": Fraction(-1, 3)},
    ],
)
def test_numbers_beyond_the_range_are_named(parameters, rng):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name} must be"):
        ContractiveAutoencoder(**parameters).fit(rng.normal(size=(9, 3)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_very_large_lam_ends_in_a_sound_model(rng):
    X = rng.normal(size=(60, 8))
    model = ContractiveAutoencoder(2, lam=2**70, max_iter=20, random_state=0).fit(X)
    assert -model.score(X) <= 1.5 * X.var(axis=0).mean()


@pytest.mark.parametrize("offset", [np.nan, "low", None])
def test_an_offset_that_is_no_number_is_named(offset, rng):
    X = rng.normal(size=(30, 3))
    model = ContractiveAutoencoder(2, max_iter=2, random_state=0).fit(X)
    model.offset_ = offset
    for method in (model.predict, model.decision_function):
        with pytest.raises(ValueError, match="offset_ must be a number"):
            method(X)


class Small(ContractiveAutoencoder):
    """A constructor of its own, whose parameters are not those of the class."""

    def __init__(self, width=3):
        super().__init__(width, hidden_layer_sizes=(8,), max_iter=3, random_state=0)
        self.width = width


def test_a_subclass_with_a_constructor_of_its_own_fits(rng):
    X = rng.normal(size=(40, 5))
    model = clone(Small(4)).fit(X)
    assert model.get_params() == {"width": 4}
    assert model.transform(X).shape == (40, 4)
    plain = ContractiveAutoencoder(
        4, hidden_layer_sizes=(8,), max_iter=3, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(model.score_samples(X), plain.score_samples(X))
    assert model.partial_fit(X).n_iter_ == 4
