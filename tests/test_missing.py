"""Missing cells: what they cost, what they are taken for, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from oracle import apply, jacobians, random_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from surface import draw

from skcae import ContractiveAutoencoder
from skcae._advice import cure
from skcae._core.losses import LOSSES
from skcae._core.noise import Noise
from skcae._core.objective import Objective
from skcae._core.penalties import PENALTIES
from skcae.anomaly import explain
from skcae.inspection import score_field, sensitivity
from skcae.metrics import denoising_score, reconstruction_score

CPU = torch.device("cpu")


def reader(**parameters):
    """An autoencoder that takes missing cells."""
    defaults = {"max_iter": 20, "random_state": 0, "allow_nan": True}
    return ContractiveAutoencoder(4, **defaults | parameters)


def with_holes(rng, X, share=0.3):
    X = X.copy()
    X[rng.random(X.shape) < share] = np.nan
    return X


@pytest.fixture
def complete(rng):
    return draw(rng, 300) + 5


@pytest.fixture
def holes(rng, complete):
    return with_holes(rng, complete)


# what training minimises


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_objective_is_over_observed_cells_and_so_is_its_gradient(loss, tied, output):
    if loss == "log_loss":
        output = "sigmoid"
    network = random_network((6, 5, 3), "tanh", tied, output=output)
    rows = torch.rand(8, 6, dtype=torch.float64)
    means = torch.rand(6, dtype=torch.float64)
    missing = torch.rand(8, 6) < 0.4
    share = 1 - missing.double().mean().item()
    holes = rows.masked_fill(missing, torch.nan)
    objective = Objective(
        network,
        LOSSES[loss],
        PENALTIES["exact"],
        network.depth,
        means=means,
        observed_share=share,
    )
    gradient = torch.zeros_like(network.parameters)
    error, norm = objective.gradient(
        holes, 0.7, Noise(0, CPU), *network.views(gradient)
    )

    flat = network.parameters.clone().requires_grad_()
    weights, biases = network.views(flat)
    filled = torch.where(missing, means, rows)
    outputs, z = apply(network, weights, biases, filled, 4)
    losses = LOSSES[loss].value(rows, z, outputs)[~missing]
    norms = jacobians(network, weights, biases, filled, 2).square().sum()
    value = losses.mean() + 0.7 * norms / rows.numel()
    (expected,) = torch.autograd.grad(value, flat)
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-12)
    total = (error + 0.7 * norm) / rows.numel()
    assert total.item() == pytest.approx(value.item(), rel=1e-10)
    for ours, theirs in zip(
        objective.terms(holes, Noise(0, CPU)), (error, norm), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_fit_learns_what_the_other_columns_say(complete, holes):
    model = reader(max_iter=100).fit(holes)
    restored = model.inverse_transform(model.transform(holes))
    hidden = np.isnan(holes)
    means = np.broadcast_to(np.nanmean(holes, axis=0), holes.shape)

    def error(filled):
        return np.mean((filled - complete)[hidden] ** 2)

    assert error(restored) < 0.5 * error(means)
    untrained = reader(max_iter=1, learning_rate_init=1e-9).fit(holes)
    assert -model.score(holes) < 0.4 * -untrained.score(holes)


def test_history_counts_observed_cells(holes):
    # steps too short to change the network: what they met is what is left
    model = reader(max_iter=1, lam=0, learning_rate_init=1e-12).fit(holes)
    expected = np.nanmean(model.feature_errors(holes))
    assert model.history_["reconstruction"][0] == pytest.approx(expected, rel=1e-5)


# scores


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_are_means_over_observed_cells(loss, complete, holes):
    parameters = {"loss": loss}
    if loss == "log_loss":
        parameters["output_activation"] = "sigmoid"
        low, high = complete.min(axis=0), complete.max(axis=0)
        complete, holes = ((X - low) / (high - low) for X in (complete, holes))
    model = reader(**parameters).fit(holes)
    np.testing.assert_allclose(model.mean_, np.nanmean(holes, axis=0))
    filled = np.where(np.isnan(holes), model.mean_, holes)
    errors = model.feature_errors(holes)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(holes))
    of_filled = model.feature_errors(filled)
    np.testing.assert_allclose(errors, np.where(np.isnan(holes), np.nan, of_filled))
    np.testing.assert_allclose(model.score_samples(holes), -np.nanmean(errors, axis=1))
    for method in ("transform", "jacobian", "contraction"):
        np.testing.assert_array_equal(
            getattr(model, method)(holes), getattr(model, method)(filled)
        )
    # a complete row has the score that it has alone
    mixed = np.vstack([holes, complete[:5]])
    np.testing.assert_allclose(
        model.score_samples(mixed)[-5:], model.score_samples(complete[:5])
    )


def test_rows_with_holes_compare_with_complete_rows(rng, complete):
    model = reader(max_iter=60).fit(with_holes(rng, complete))
    new = draw(rng, 2000) + 5
    few = np.median(-model.score_samples(new))
    some = np.median(-model.score_samples(with_holes(rng, new, 0.1)))
    assert 0.75 < some / few < 1.5


def test_a_row_without_any_value_is_that_of_the_means(holes):
    holes[3] = np.nan
    model = reader().fit(holes)
    of_means = model.score_samples(model.mean_[None])
    np.testing.assert_allclose(model.score_samples(holes[[3]]), of_means)
    np.testing.assert_allclose(model.score_samples(holes)[3], of_means[0])
    assert np.isfinite(model.feature_errors(holes)[3]).all()


def test_no_hole_changes_nothing(complete):
    plain, ours = reader(allow_nan=False), reader()
    np.testing.assert_array_equal(
        plain.fit(complete).score_samples(complete),
        ours.fit(complete).score_samples(complete),
    )
    assert plain.offset_ == ours.offset_


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True},
        {"trim_fraction": 0.1},
        {"noise_std": 0.3, "penalty": "reconstruction"},
        {"masking_fraction": 0.2, "swap_fraction": 0.2},
        {"contamination": 0.1},
        {"penalty_method": "hutchinson", "hidden_layer_sizes": (8, 6)},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_every_way_to_train(parameters, holes):
    model = reader(**parameters).fit(holes)
    assert np.isfinite(model.score_samples(holes)).all()
    assert 0 < np.mean(model.predict(holes) == -1) < 0.2
    model.partial_fit(holes[:50])
    assert np.isfinite(model.transform(holes)).all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.score_samples(holes), model.score_samples(holes)
    )


def test_trimming_leaves_out_far_rows_with_holes(rng, complete):
    X = with_holes(rng, complete, 0.2)
    X[:15] += 20
    kept = reader(trim_fraction=0.05).fit(X)
    assert np.abs(kept.mean_ - np.nanmean(X[15:], axis=0)).max() < 0.2


def test_noise_of_a_narrow_table_is_in_units_of_its_observed_cells(rng, complete):
    X = complete[:, :3]
    # the mean in place of them would make the deviation smaller
    X = with_holes(rng, X, 0.5)
    parameters = {"max_iter": 3, "contamination": 0.1}
    automatic = reader(**parameters).fit(X)
    squares = (X - automatic.mean_) ** 2
    some = ~np.isnan(X).all(axis=1)
    expected = 0.5 * np.sqrt(np.nanmean(squares[some], axis=1).mean())
    by_hand = reader(noise_std=expected, **parameters).fit(X)
    np.testing.assert_allclose(automatic.coefs_[0], by_hand.coefs_[0], atol=1e-6)


# what is refused


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_without_any_value_is_named(method, holes):
    frame = pd.DataFrame(holes).add_prefix("c")
    frame["c2"] = np.nan
    with pytest.raises(ValueError, match="Column 'c2' of X has no value"):
        getattr(reader(), method)(frame)
    with pytest.raises(ValueError, match="Column 2 of X has no value"):
        getattr(reader(), method)(frame.to_numpy())


def test_a_later_part_of_a_stream_may_lack_a_column(holes):
    model = reader().partial_fit(holes)
    part = holes[:40].copy()
    part[:, 2] = np.nan
    mean = model.mean_
    model.partial_fit(part).partial_fit(part)
    np.testing.assert_array_equal(model.mean_, mean)
    assert np.isfinite(model.score_samples(holes)).all()


def test_a_column_that_few_rows_have_needs_no_second_network(complete):
    complete[1:, 2] = np.nan
    model = reader().fit(complete[:60])
    assert np.isfinite(model.offset_)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_stays_refused(bad, holes):
    model = reader().fit(holes)
    holes[3, 2] = bad
    for method in ("fit", "partial_fit", "transform", "score_samples"):
        with pytest.raises(ValueError, match="infinity"):
            getattr(model, method)(holes)


def test_missing_codes_stay_refused(holes):
    model = reader().fit(holes)
    with pytest.raises(ValueError, match="NaN"):
        model.inverse_transform(np.full((1, 4), np.nan))


def test_a_part_of_a_stream_without_any_value_is_refused(holes):
    model = reader().partial_fit(holes)
    with pytest.raises(ValueError, match="X has no value"):
        model.partial_fit(np.full_like(holes, np.nan))


def test_advice_names_a_column_with_holes(holes):
    holes[:, 1] *= 1e9
    text = cure(holes, reader(), None)
    assert f"column 1 has a standard deviation of {np.nanstd(holes[:, 1]):.3g}" in text


def test_tag():
    for allow_nan in (True, False):
        tags = reader(allow_nan=allow_nan).__sklearn_tags__()
        assert tags.input_tags.allow_nan is allow_nan


def test_missing_cells_of_nullable_columns(holes):
    frame = pd.DataFrame(holes).add_prefix("c")
    expected = reader(max_iter=3).fit(frame).score_samples(frame)
    nullable = frame.astype("Float64")
    assert nullable.isna().any(axis=None)
    model = reader(max_iter=3).fit(nullable)
    np.testing.assert_array_equal(model.score_samples(nullable), expected)


# a model that was trained without holes reads them afterwards


@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_a_complete_fit_reads_holes_once_it_is_asked_to(output, complete, holes):
    low, high = complete.min(axis=0), complete.max(axis=0)
    complete, holes = ((X - low) / (high - low) for X in (complete, holes))
    model = reader(output_activation=output, allow_nan=False).fit(complete)
    with pytest.raises(ValueError, match="NaN"):
        model.transform(holes)
    model.set_params(allow_nan=True)
    filled = np.where(np.isnan(holes), complete.mean(axis=0), holes)
    np.testing.assert_allclose(model.transform(holes), model.transform(filled))


# what one does with such a model


def test_explain_treats_a_missing_cell_as_a_value(complete):
    X = pd.DataFrame(complete).add_prefix("c")
    X.iloc[0, 3] = np.nan
    X.iloc[1, 2] += 4
    model = make_pipeline(StandardScaler(), reader()).fit(X)
    reasons = explain(model, X.iloc[:2], X.iloc[2:])
    unit = np.median(-model.score_samples(X.iloc[2:]))
    contribution = reasons["contribution"]
    assert contribution.iloc[1].idxmax() == "c2"
    assert np.isnan(reasons["observed"].iloc[0]["c3"])
    expected = reasons["expected"].iloc[0]["c3"]
    with_value = X.iloc[[0]].fillna({"c3": expected} if np.isfinite(expected) else {})
    fall = (model.score_samples(with_value) - model.score_samples(X.iloc[[0]])) / unit
    np.testing.assert_allclose(contribution.iloc[0]["c3"], fall[0], atol=1e-12)
    assert (contribution.iloc[0]["c3"] > 0) == (
        reasons["direction"].iloc[0]["c3"] == "unusual"
    )
    assert np.isfinite(reasons["reconstructed"]).all(axis=None)


def test_metrics_are_over_observed_cells(holes):
    model = make_pipeline(StandardScaler(), reader()).fit(holes)
    rows, network = model[:-1].transform(holes), model[-1]
    assert reconstruction_score(model, holes) == network.score(rows)
    filled = np.where(np.isnan(rows), network.mean_, rows)
    noise = 0.5 * np.random.RandomState(0).standard_normal(rows.shape)
    restored = network.inverse_transform(network.transform(filled + noise))
    expected = -np.nanmean((restored - rows) ** 2)
    assert denoising_score(model, holes, n_repeats=1) == pytest.approx(expected)


def test_inspection_sees_what_the_network_sees(holes):
    model = make_pipeline(StandardScaler(), reader()).fit(holes)
    rows = model[:-1].transform(holes)
    filled = np.where(np.isnan(rows), model[-1].mean_, rows)
    pd.testing.assert_frame_equal(
        sensitivity(model, holes), sensitivity(model[-1], filled)
    )
    field = score_field(model, holes)
    np.testing.assert_array_equal(np.isnan(field), np.isnan(holes))
    restored = model.inverse_transform(model.transform(holes))
    np.testing.assert_allclose(field, restored - holes, atol=1e-9)
