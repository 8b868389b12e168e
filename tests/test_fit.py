"""A table and parameters to a checkpoint: what is trained on, and what goes on."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae._core.training import Trainer, TrainingDivergedError
from skcae._fit import fit, unseen_scores, update
from skcae._threshold import auto_offset, quantile_offset


@pytest.fixture
def X(rng):
    return rng.normal(size=(90, 3)) @ rng.normal(size=(3, 6)) + 10


def small(**changes):
    return ContractiveAutoencoder(
        **{
            "n_components": 4,
            "hidden_layer_sizes": (),
            "activation": "tanh",
            "lam": 0.1,
            "noise_std": 0.0,
            "tol": 0.0,
            "max_iter": 3,
            "lam_warmup": 0,
            "random_state": 0,
        }
        | changes
    )


@pytest.fixture
def trainers(monkeypatch):
    """Of every training from here on: the trainer, its rows and those it watches."""
    seen = []
    run, run_once = Trainer.run, Trainer.run_once

    def seen_run(trainer, rows, validation, *others):
        seen.append((trainer, rows, validation))
        return run(trainer, rows, validation, *others)

    def seen_run_once(trainer, rows):
        seen.append((trainer, rows, None))
        return run_once(trainer, rows)

    monkeypatch.setattr(Trainer, "run", seen_run)
    monkeypatch.setattr(Trainer, "run_once", seen_run_once)
    return seen


def values(rows):
    return rows.take(torch.arange(len(rows))).numpy()


# What is trained on


@pytest.mark.parametrize(
    ("n", "fraction", "n_watched"),
    [(90, 0.1, 9), (90, 0.28, 25), (10, 0.01, 1), (10, 0.99, 9), (2, 0.9, 1)],
)
def test_early_stopping_sets_its_share_of_the_rows_aside(
    n, fraction, n_watched, X, trainers
):
    fitted = fit(X[:n], small(early_stopping=True, validation_fraction=fraction))
    [(_, trained, watched)] = trainers
    assert (len(trained), len(watched)) == (n - n_watched, n_watched)
    # each row once, on one of the two sides, and not as they came
    both = np.r_[values(watched), values(trained)]
    expected = (X[:n] - fitted.checkpoint.shift).astype(np.float32)
    np.testing.assert_allclose(
        np.sort(both, axis=0), np.sort(expected, axis=0), rtol=1e-6
    )
    assert n < 90 or not np.allclose(both, expected)


def test_without_early_stopping_every_row_is_trained_on(X, trainers):
    fit(X, small())
    [(_, trained, watched)] = trainers
    assert (len(trained), watched) == (len(X), None)


@pytest.mark.parametrize("function", [fit, update])
@pytest.mark.parametrize(
    ("n", "batch_size", "expected"),
    [
        (10, "auto", 10),
        (200, "auto", 16),
        (1600, "auto", 100),
        (6000, "auto", 256),
        (1600, 64, 64),
        (200, 500, 200),
    ],
)
def test_batches_have_the_size_asked_for_or_a_sixteenth(
    function, n, batch_size, expected, rng, trainers
):
    function(rng.normal(size=(n, 2)), small(batch_size=batch_size, max_iter=1))
    assert trainers[0][0].batch_size == expected


def test_size_of_batches_follows_the_rows_trained_on(rng, trainers):
    fit(rng.normal(size=(1600, 2)), small(early_stopping=True, max_iter=1))
    assert trainers[0][0].batch_size == (1600 - 160) // 16


def test_best_weights_are_those_on_the_rows_set_aside(X, trainers):
    model = small(early_stopping=True, learning_rate_init=0.03, max_iter=30).fit(X)
    # the second network of a small table, for its threshold, comes after
    watched = values(trainers[0][2]) + X.mean(axis=0)
    norms = model.contraction(watched).mean() / X.shape[1]
    losses = model.history_["validation_loss"]
    assert -model.score(watched) + 0.1 * norms == pytest.approx(min(losses), rel=1e-3)
    assert min(losses) < 0.5 * losses[0]


def test_untrained_network_gives_the_means_of_all_rows(X):
    # sorted: the first rows are not like the others
    X = np.sort(X, axis=0)
    model = small(learning_rate_init=1e-30, max_iter=1).fit(X)
    restored = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(restored.mean(axis=0), X.mean(axis=0), atol=1e-4)


# The unit of the loss


def test_unit_is_the_loss_of_the_column_means(X):
    fitted = fit(X, small())
    assert fitted.checkpoint.baseline_loss == pytest.approx(X.var(axis=0).mean())
    assert fitted.varies
    fitted = fit(X.astype(np.float32), small())
    assert fitted.checkpoint.baseline_loss == pytest.approx(
        X.var(axis=0).mean(), rel=1e-5
    )


def test_far_columns_in_float32_are_scored_as_they_were_trained(rng):
    # float32 holds whole numbers only so far out, but their mean is none
    X = (rng.integers(-50, 50, size=(5000, 3)) + 2**23 + 2).astype(np.float32)
    model = small(learning_rate_init=1e-30, lam=0, max_iter=1)
    fitted = fit(X, model)
    variance = X.astype(float).var(axis=0).mean()
    assert fitted.checkpoint.baseline_loss == pytest.approx(variance, rel=1e-6)
    error = fitted.history["reconstruction"][0]
    assert -model.fit(X).score(X) == pytest.approx(error, rel=1e-5)


def test_unit_of_the_log_loss_is_the_entropy_that_means_lose(rng):
    X = rng.uniform(size=(50, 4)) * [1, 0.5, 0.1, 0.01]
    fitted = fit(X, small(loss="log_loss", output_activation="sigmoid"))
    means = X.mean(axis=0)
    cross = X * np.log(X / means) + (1 - X) * np.log((1 - X) / (1 - means))
    assert fitted.checkpoint.baseline_loss == pytest.approx(cross.mean(), rel=1e-9)


def test_columns_of_a_sigmoid_are_not_shifted(rng):
    X = rng.uniform(size=(50, 4))
    model = small(output_activation="sigmoid").fit(X)
    assert not fit(X, model).checkpoint.shift.any()
    restored = model.inverse_transform(model.transform(X))
    assert restored.min() > 0
    assert restored.max() < 1


@pytest.mark.parametrize("offset", [0.0, 7.3])
def test_a_table_that_varies_by_rounding_counts_in_its_mean_square(offset, rng):
    X = offset + offset * 1e-14 * rng.normal(size=(40, 3))
    fitted = fit(X, small())
    assert not fitted.varies
    assert fitted.checkpoint.baseline_loss == pytest.approx(offset**2 or 1.0)


def test_a_constant_table_is_fitted_in_silence(rng, capfd):
    X = 7.3 + 1e-13 * rng.normal(size=(40, 3))
    model = small().fit(X)
    assert -model.score(X) < 1e-6 * 7.3**2
    assert capfd.readouterr() == ("", "")


def test_neither_patience_nor_gradients_depend_on_the_scale_of_the_table(rng):
    # a linear network without a penalty: its weights may stay what they are
    half = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 6))
    X = np.r_[half, -half]  # no mean, and so nothing for biases to do
    parameters = small(
        activation="identity",
        lam=0,
        batch_size=120,
        tol=1e-2,
        n_iter_no_change=3,
        learning_rate_init=0.01,
        max_iter=100,
    )
    expected, scaled = fit(X, parameters).history, fit(128 * X, parameters).history
    n_epochs = len(expected["loss"])
    assert 10 < n_epochs < 100
    assert len(scaled["loss"]) == pytest.approx(n_epochs, abs=2)
    np.testing.assert_allclose(
        scaled["grad_norm"][:10], expected["grad_norm"][:10], rtol=0.02
    )


# One pass more


def test_a_pass_goes_on_with_adam(X):
    # at a rate of nearly nothing every gradient is the same one
    parameters = small(learning_rate_init=1e-30, lam=0, batch_size=90)
    first = update(X, parameters).checkpoint
    second = update(X, parameters, first).checkpoint
    assert (first.optimizer["steps"], second.optimizer["steps"]) == (1, 2)
    mean, square = first.optimizer["mean"], first.optimizer["square"]
    largest = np.abs(mean).max()
    np.testing.assert_allclose(
        second.optimizer["mean"], 1.9 * mean, atol=1e-5 * largest
    )
    np.testing.assert_allclose(
        second.optimizer["square"], 1.999 * square, atol=1e-5 * square.max()
    )


def test_a_pass_goes_on_with_the_random_numbers(X):
    parameters = small(noise_std=0.5, learning_rate_init=1e-30, batch_size=90)
    fitted, generators, errors = None, set(), set()
    for _ in range(3):
        fitted = update(X, parameters, fitted and fitted.checkpoint)
        generators.add(fitted.checkpoint.generator.tobytes())
        errors.add(round(fitted.history["reconstruction"][0], 4))
    assert len(generators) == 3
    assert len(errors) == 3  # other noise at the same weights


def test_a_pass_keeps_the_unit_the_shift_and_the_rate(X):
    parameters = small(learning_rate_init=1e-3)
    first = replace(update(X, parameters).checkpoint, rate_factor=0.25)
    fitted = update(3 * X - 20, parameters, first)
    assert fitted.checkpoint.baseline_loss == first.baseline_loss
    np.testing.assert_array_equal(fitted.checkpoint.shift, first.shift)
    assert fitted.history["learning_rate"] == [pytest.approx(0.25e-3)]
    assert fitted.checkpoint.rate_factor == 0.25
    assert fitted.checkpoint.epochs == 2


@pytest.mark.parametrize("function", [fit, update])
def test_going_on_leaves_the_checkpoint_as_it_was(function, X):
    first = fit(X, small()).checkpoint
    before = copy.deepcopy(first.to_state())
    after = function(X, small(), first).checkpoint
    assert not np.array_equal(after.weights, first.weights)
    np.testing.assert_equal(first.to_state(), before)


def test_another_fit_starts_from_the_weights_with_a_new_optimiser(X):
    parameters = small(batch_size=30, lam_warmup=2, max_iter=4)
    first = replace(fit(X, parameters).checkpoint, rate_factor=0.25)
    fitted = fit(X, parameters, first)
    assert fitted.checkpoint.epochs == 8
    assert fitted.checkpoint.optimizer["steps"] == 4 * 3
    assert fitted.history["lam"] == [0.1] * 4  # warm already
    assert fitted.history["learning_rate"] == [0.001] * 4
    still = fit(X, parameters.set_params(learning_rate_init=1e-30), first)
    np.testing.assert_array_equal(still.checkpoint.weights, first.weights)
    moved = fit(X + 1, parameters, first)
    np.testing.assert_array_equal(moved.checkpoint.shift, first.shift)


def test_converged_is_what_ended_by_itself(X):
    model = small(tol=1e9, n_iter_no_change=1).fit(X)
    assert (model.n_iter_, model.converged_) == (2, True)
    assert not model.partial_fit(X).converged_
    assert not model.set_params(max_iter=1).fit(X).converged_


# Thresholds


def test_a_stream_has_a_threshold_without_the_optimism_of_a_fit(rng):
    X = rng.standard_cauchy(size=(60, 4)).clip(-1e3, 1e3)
    model = small().partial_fit(X)
    scores = model.score_samples(X)
    assert auto_offset(scores) != auto_offset(scores, 4)
    assert model.offset_ == auto_offset(scores)


def test_a_stream_after_a_fit_counts_the_rows_of_the_fit_in(X):
    model = small(contamination=0.2).fit(X)
    before = model.score_samples(X)
    model.partial_fit(X[:5])
    seen = np.r_[before, model.score_samples(X[:5])]
    assert model.offset_ == quantile_offset(seen, 0.2)


def test_optimism_counts_the_directions_that_the_code_can_keep(rng):
    # too many rows for a second network
    X = rng.standard_cauchy(size=(1000, 4)).clip(-1e3, 1e3)
    for n_components, kept in ((3, 3), (40, 4)):
        model = small(n_components=n_components).fit(X)
        assert model.offset_ == auto_offset(model.score_samples(X), kept)


def test_a_warm_start_has_no_second_network(X, trainers):
    model = small(warm_start=True).fit(X)
    assert len(trainers) == 2
    model.fit(X)
    assert len(trainers) == 3
    assert model.offset_ == auto_offset(model.score_samples(X), 4)


def test_second_network_is_trained_on_two_thirds_in_silence(X, trainers, capfd):
    model = small(verbose=2).fit(X)
    assert [len(rows) for _, rows, _ in trainers] == [90, 60]
    assert len(capfd.readouterr().out.splitlines()) == 3 + 1
    with pytest.warns(ConvergenceWarning, match="collapsed") as caught:
        model.set_params(
            activation="identity",
            lam=1e4,
            learning_rate_init=0.01,
            max_iter=100,
            verbose=0,
        ).fit(X)
    assert len(caught) == 1


def test_a_second_network_that_diverges_is_done_without(X, monkeypatch):
    run, calls = Trainer.run, []

    def diverging(trainer, rows, *others):
        calls.append(len(rows))
        if len(calls) == 2:
            raise TrainingDivergedError("reconstruction", 1)
        return run(trainer, rows, *others)

    monkeypatch.setattr(Trainer, "run", diverging)
    model = small().fit(X)
    assert calls == [90, 60]
    assert model.offset_ == auto_offset(model.score_samples(X), 4)


def test_scores_of_the_second_network_are_the_same_every_time(X):
    first, again = (unseen_scores(X, small(random_state=None)) for _ in range(2))
    assert first.shape == (30,)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(("n", "n_networks"), [(29, 1), (30, 2), (999, 2), (1000, 1)])
def test_small_tables_have_a_second_network(n, n_networks, rng, trainers):
    small(max_iter=1).fit(rng.normal(size=(n, 3)))
    assert len(trainers) == n_networks


@pytest.mark.parametrize(
    ("n_columns", "parameters", "n_components", "code"),
    [
        (6, {}, 5, "identity"),
        (7, {}, 32, "silu"),
        (4, {"n_components": 3}, 3, "silu"),
        (4, {"code_activation": "silu"}, 3, "silu"),
        (4, {"hidden_layer_sizes": ()}, 3, "silu"),
        (1, {}, 1, "identity"),
        (9, {"activation": "tanh"}, 32, "tanh"),
    ],
)
def test_narrow_tables_have_narrow_and_linear_codes(
    n_columns, parameters, n_components, code, rng
):
    X = rng.normal(size=(40, n_columns))
    model = ContractiveAutoencoder(max_iter=1, random_state=0, **parameters).fit(X)
    assert model.n_components_ == n_components
    n_hidden = len(model.hidden_layer_sizes)
    assert model._checkpoint.activations[n_hidden] == code


def test_code_of_a_narrow_table_keeps_what_a_classifier_needs():
    # units that bend for one sign alone lost a species: 0.84
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    codes = ContractiveAutoencoder(random_state=0).fit_transform(X)
    accuracy = cross_val_score(LogisticRegression(max_iter=1000), codes, y, cv=5)
    assert accuracy.mean() > 0.93
