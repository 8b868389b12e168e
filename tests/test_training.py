import math
import warnings
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import tutorials
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcae import ContractiveAutoencoder
from skcae._core.activations import ACTIVATIONS
from skcae._core.batches import Rows
from skcae._core.losses import LOSSES
from skcae._core.network import Network
from skcae._core.noise import Corruption
from skcae._core.objective import Objective
from skcae._core.penalties import PENALTIES, squared_norms
from skcae._core.training import HISTORY, Trainer, TrainingDivergedError, Watcher

CPU = torch.device("cpu")


def trainer_on(
    X,
    seed=0,
    *,
    sizes=(6, 4),
    batch_size=16,
    penalty="closed_form",
    corruption=(),
    **changes,
):
    generator = torch.Generator().manual_seed(seed)
    network = Network(sizes, ["silu"] * (2 * len(sizes) - 3) + ["identity"], True)
    rows = Rows(X, X.mean(0), CPU)
    sample = rows.take(torch.arange(len(X)))
    network.initialise(generator, sample, torch.zeros(X.shape[1]))
    settings = {
        "lam": 0.1,
        "learning_rate_init": 1e-2,
        "tol": 0.0,
        "n_iter_no_change": 1000,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "lam_warmup": 0,
        "max_iter": 100,
    } | changes
    objective = Objective(
        network,
        LOSSES["squared_error"],
        PENALTIES[penalty],
        len(sizes) - 1,
        corruption=Corruption(*corruption),
    )
    parameters, baseline_loss = SimpleNamespace(**settings), X.var(0).mean()
    return Trainer(objective, parameters, batch_size, baseline_loss, generator), rows


def run(trainer, rows, validation, max_iter):
    trainer.parameters.max_iter = max_iter
    return trainer.run(rows, validation)


@pytest.fixture
def table(rng):
    return rng.normal(size=(64, 3)) @ rng.normal(size=(3, 6))


def test_history_holds_one_finite_entry_an_epoch(table):
    trainer, rows = trainer_on(table)
    run(trainer, rows, None, 7)
    assert set(trainer.history) == set(HISTORY)
    assert {len(values) for values in trainer.history.values()} == {7}
    for name, values in trainer.history.items():
        if name != "validation_loss":
            assert np.isfinite(values).all()
    assert np.isnan(trainer.history["validation_loss"]).all()
    history = {name: np.array(values) for name, values in trainer.history.items()}
    np.testing.assert_allclose(
        history["loss"], history["reconstruction"] + history["lam"] * history["penalty"]
    )
    assert trainer.history["loss"][-1] < 0.8 * trainer.history["loss"][0]


def test_lam_warms_up_linearly_and_is_watched_meanwhile(table):
    trainer, rows = trainer_on(table, lam=2.0, lam_warmup=4)
    run(trainer, rows, None, 8)
    assert trainer.history["lam"] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0]
    assert trainer.history["penalty"][0] > 0


def test_warm_up_counts_epochs_that_came_before(table):
    trainer, rows = trainer_on(table, lam=2.0, lam_warmup=4)
    trainer.epochs = 3
    trainer.run_once(rows)
    assert trainer.history["lam"] == [1.5]


# a probe a row, and every row corrupted: whoever draws them too early shows
DRAWS = {"penalty": "hutchinson", "corruption": (0.3, 0.2, 0.2)}


@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_watching_does_not_change_training(table, lam):
    # what is only looked at draws from streams of its own
    plain, rows = trainer_on(table, lam=lam, **DRAWS)
    run(plain, rows, None, 4)
    unseen, rows = trainer_on(table, lam=lam, **DRAWS)
    unseen._measure = lambda: {"reconstruction": 1.0, "penalty": 1.0}
    run(unseen, rows, None, 4)
    assert torch.equal(plain._weights, unseen._weights)
    watched, rows = trainer_on(table, lam=lam, **DRAWS)
    run(watched, rows, rows, 4)
    for name in ("reconstruction", "grad_norm", "weight_norm"):
        assert watched.history[name] == plain.history[name]


@pytest.mark.parametrize("amounts", [(0.5,), (0, 0.3), (0, 0, 0.5)])
def test_seed_decides_on_the_corruption_too(amounts, table):
    def first_error(seed, corruption):
        # the same weights, for which nearly nothing is learnt, in one batch
        trainer, rows = trainer_on(
            table, corruption=corruption, batch_size=64, learning_rate_init=1e-30
        )
        trainer = Trainer(
            trainer.objective,
            trainer.parameters,
            64,
            trainer.baseline_loss,
            torch.Generator().manual_seed(seed),
        )
        run(trainer, rows, rows, 1)
        # of rows in their order: batches come in another one for every seed
        return trainer.history["validation_loss"][0]

    assert first_error(0, ()) == pytest.approx(first_error(1, ()), rel=1e-5)
    assert first_error(0, amounts) == pytest.approx(first_error(0, amounts), rel=1e-5)
    assert first_error(0, amounts) != pytest.approx(first_error(1, amounts), rel=1e-3)


@pytest.mark.parametrize("batch_size", [7, 64])
def test_validation_loss_is_the_objective_at_full_lam(table, batch_size):
    trainer, rows = trainer_on(table, lam=2.0, lam_warmup=2, batch_size=batch_size)
    watched = Rows(table, table.mean(0), CPU, np.arange(5, 30))
    network, expected = trainer.objective.network, []

    class ByHand(Watcher):
        def end_epoch(self, history):
            sample = watched.take(torch.arange(25))
            layers = network.forward(sample)
            errors = (sample - layers[-1].outputs).square().sum(1)
            loss = (errors + 2.0 * squared_norms(layers[:1])).mean() / 6
            expected.append(loss.item())

    trainer.parameters.max_iter = 4
    trainer.run(rows, watched, [ByHand()])
    assert trainer.history["lam"] == [0, 1, 2, 2]
    np.testing.assert_allclose(trainer.history["validation_loss"], expected, rtol=1e-5)


def test_history_is_the_mean_over_cells_as_the_steps_met_them(table):
    # one batch and nearly no step: the objective at the initial weights
    trainer, rows = trainer_on(
        table, batch_size=64, lam=0.7, learning_rate_init=1e-30, max_grad_norm=None
    )
    network = trainer.objective.network
    sample = rows.take(torch.arange(64))
    layers = network.forward(sample)
    error = (sample - layers[-1].outputs).square().mean().item()
    norm = squared_norms(layers[:1]).mean().item() / 6
    run(trainer, rows, None, 1)
    history = {name: values[0] for name, values in trainer.history.items()}
    assert history["reconstruction"] == pytest.approx(error, rel=1e-5)
    assert history["penalty"] == pytest.approx(norm, rel=1e-5)
    assert history["loss"] == pytest.approx(error + 0.7 * norm, rel=1e-5)
    assert history["weight_norm"] == pytest.approx(network.weights[0].norm().item())
    gradient = torch.zeros_like(network.parameters)
    trainer.objective.gradient(
        sample, 0.7, None, *network.views(gradient), 1 / trainer.baseline_loss
    )
    assert history["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-4)


def test_small_batches_weigh_as_their_rows(table):
    # 64 rows in batches of 60 and 4
    losses = [
        run_once(trainer_on(table, batch_size=size, learning_rate_init=1e-30))
        for size in (60, 64)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def run_once(trainer_and_rows):
    trainer, rows = trainer_and_rows
    trainer.run_once(rows)
    return trainer.history["loss"][0]


def test_gradients_are_clipped(table):
    trainer, rows = trainer_on(table, max_grad_norm=1e-3)
    seen = []
    step = trainer._adam.step
    trainer._adam.step = lambda rate: (
        seen.append(trainer._gradient.norm()),
        step(rate),
    )
    run(trainer, rows, None, 1)
    assert max(seen) <= 1e-3 * 1.0001
    assert trainer.history["grad_norm"][0] > 1e-2


def test_small_gradients_are_left_alone(table):
    clipped, rows = trainer_on(table, max_grad_norm=1e6)
    run(clipped, rows, None, 3)
    free, rows = trainer_on(table, max_grad_norm=None)
    run(free, rows, None, 3)
    assert torch.equal(clipped._weights, free._weights)
    np.testing.assert_equal(clipped.history, free.history)


def test_weight_decay_is_decoupled_and_spares_biases(table):
    trainer, rows = trainer_on(table, weight_decay=0.5, batch_size=64)
    plain, _ = trainer_on(table, batch_size=64)
    run(trainer, rows, None, 1)
    run(plain, rows, None, 1)
    n_weights = plain.objective.network.flat_weights().numel()
    factor = torch.full_like(plain._weights, 1.0)
    factor[:n_weights] = 1 - 1e-2 * 0.5
    torch.testing.assert_close(trainer._weights, plain._weights * factor)


def test_stops_when_nothing_improves(table):
    trainer, rows = trainer_on(table, tol=1e9, n_iter_no_change=3, lam_warmup=4)
    run(trainer, rows, None, 100)
    # epoch 5 is the first at full λ; the three after it improve on nothing
    assert trainer.epochs == 5 + 3


def test_patience_reads_lam_as_training_does(table):
    # the float next to a third is less than a third
    trainer, rows = trainer_on(
        table, lam=Fraction(1, 3), lam_warmup=4, tol=1e9, n_iter_no_change=3
    )
    run(trainer, rows, None, 20)
    assert trainer.epochs == 5 + 3


def scripted(trainer, **losses):
    """Let epochs report the given terms, in units of the baseline."""
    epoch, n_epochs = trainer._epoch, iter(range(1000))

    def reported(rows, lam):
        record, index = epoch(rows, lam), next(n_epochs)
        for name, values in losses.items():
            record[name] = values[index] * trainer.baseline_loss
        return record

    trainer._epoch = reported


def test_patience_counts_epochs_since_the_last_improvement_by_tol(table):
    trainer, rows = trainer_on(
        table, tol=0.1, n_iter_no_change=3, learning_rate_init=1e-6
    )
    # 0.75 improves on 0.8 by less than 0.1; what comes is measured by 0.75
    losses = [1.0, 0.8, 0.85, 0.75, 0.66, 0.5, 0.45, 0.5, 0.44, 0.1]
    scripted(trainer, loss=losses)
    assert run(trainer, rows, None, 100) == "converged"
    waited = [0, 0, 1, 2, 3]
    assert trainer.history["n_iter_no_change"] == waited
    trainer, rows = trainer_on(
        table, tol=0.1, n_iter_no_change=4, learning_rate_init=1e-6
    )
    scripted(trainer, loss=losses)
    assert run(trainer, rows, None, 8) == "max_iter"
    assert trainer.history["n_iter_no_change"] == [*waited, 0, 1, 2]


def test_early_stopping_restores_the_best_weights(rng):
    # eight rows of noise in thirty columns: there is nothing to learn but them
    table = rng.normal(size=(64, 30))
    trainer, _ = trainer_on(table, sizes=(30, 40), lam=1e-3)
    training = Rows(table, table.mean(0), CPU, np.arange(8))
    watched = Rows(table, table.mean(0), CPU, np.arange(8, 64))
    run(trainer, training, watched, 300)
    losses = trainer.history["validation_loss"]
    assert min(losses) < 0.95 * losses[-1]
    assert trainer._loss(watched) == pytest.approx(min(losses))


def test_an_exploding_epoch_is_undone(table):
    trainer, rows = trainer_on(table, learning_rate_init=1e6, max_grad_norm=None)
    before = trainer._weights.clone()
    run(trainer, rows, None, 5)
    assert trainer._weights.isfinite().all()
    assert not torch.equal(trainer._weights, before)
    assert trainer.history["learning_rate"][0] < 1e6
    assert max(trainer.history["reconstruction"]) <= 1.5 * trainer.baseline_loss


def test_the_last_step_of_an_epoch_is_watched_too(table):
    # one step: its losses were measured before it
    trainer, rows = trainer_on(table, learning_rate_init=100.0, batch_size=64)
    trainer.run_once(rows)
    assert trainer.history["learning_rate"][0] < 100
    assert trainer._measure()["reconstruction"] <= 1.5 * trainer.baseline_loss


def test_non_finite_steps_are_undone_and_then_given_up(table):
    trainer, rows = trainer_on(table)
    run(trainer, rows, None, 2)
    trainer.objective.gradient = lambda *args: (torch.tensor(math.nan),) * 2
    good = trainer._weights.clone()
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.run_once(rows)
    assert caught.value.epoch == 3
    assert caught.value.term == "reconstruction"
    assert torch.equal(trainer._weights, good)


def test_after_bad_tries_adam_and_the_weights_are_those_before(table):
    trainer, rows = trainer_on(table, batch_size=32)
    run(trainer, rows, None, 2)
    before = trainer._weights.clone(), trainer.optimizer
    gradient, tries = trainer.objective.gradient, []

    def bad_at_first(rows, lam, noise, weight_grads, bias_grads, scale):
        tries.append((trainer._weights.clone(), trainer.optimizer))
        terms = gradient(rows, lam, noise, weight_grads, bias_grads, scale)
        if len(tries) <= 4:  # two epochs of two steps
            weight_grads[0].fill_(math.nan)
            return torch.tensor(math.nan), terms[1]
        return terms

    trainer.objective.gradient = bad_at_first
    trainer.run_once(rows)
    assert len(tries) == 6
    for index in (2, 4):  # the first steps of the second and third try
        weights, optimizer = tries[index]
        assert torch.equal(weights, before[0])
        np.testing.assert_equal(optimizer, before[1])
    assert trainer.history["learning_rate"] == [1e-2, 1e-2, pytest.approx(1e-4)]
    assert trainer.epochs == 3
    assert trainer.optimizer["steps"] == 6
    trainer.run_once(rows)
    # the rate stays what recovery made it
    assert trainer.history["learning_rate"][-1] == pytest.approx(1e-4)


def test_an_epoch_worse_than_the_means_halves_the_rate(table):
    trainer, rows = trainer_on(table)
    # a half, but not where it gets better again
    scripted(trainer, reconstruction=[0.9, 1.3, 1.2, 1.25, 1.25, 0.5])
    run(trainer, rows, None, 6)
    rates = np.array(trainer.history["learning_rate"]) / 1e-2
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


def test_a_term_explodes_beyond_its_factor(table):
    trainer, _ = trainer_on(table)
    unit = trainer.baseline_loss

    def exploded(reconstruction, penalty, lam=0.5):
        terms = {"reconstruction": reconstruction * unit, "penalty": penalty * unit}
        return trainer._exploded(terms, lam)

    trainer._start = {"reconstruction": 2 * unit, "penalty": 4 * unit}
    # half as bad again as at the start
    assert exploded(2.99, 0) is None
    assert exploded(3.01, 0) == "reconstruction"
    assert exploded(math.nan, 0) == exploded(math.inf, 0) == "reconstruction"
    # ten times λ times the start
    assert exploded(0, 39) is None
    assert exploded(0, 41) == "penalty"
    assert exploded(0, math.nan) == "penalty"
    # or ten times the last epoch, which may have grown
    trainer.history["penalty"] = [100 * unit, 8 * unit]
    assert exploded(0, 79) is None
    assert exploded(0, 81) == "penalty"
    trainer.history["penalty"] = [1 * unit]
    assert exploded(0, 39) is None
    # or ten times the means, where the start was better
    trainer._start = {"reconstruction": 0.1 * unit, "penalty": 0.1 * unit}
    trainer.history["penalty"] = []
    assert exploded(1.49, 19) is None
    assert exploded(1.51, 0) == "reconstruction"
    assert exploded(0, 21) == "penalty"


def test_optimizer_state_goes_on_exactly(table):
    whole, rows = trainer_on(table, batch_size=64)
    whole.run_once(rows)
    whole.run_once(rows)
    first, rows = trainer_on(table, batch_size=64)
    first.run_once(rows)
    second = Trainer(
        first.objective,
        first.parameters,
        64,
        first.baseline_loss,
        torch.Generator(),
        epochs=1,
        optimizer=first.optimizer,
    )
    second.run_once(rows)
    torch.testing.assert_close(whole._weights, second._weights)


# The networks and settings of tutorials that diverge


@pytest.fixture(scope="module")
def images():
    """Digits enlarged to 28 x 28, in [0, 1]."""
    from sklearn.datasets import load_digits

    small = load_digits().images / 16
    large = np.kron(small, np.ones((1, 4, 4)))[:, 2:30, 2:30]
    return large.reshape(len(large), 784)


def tutorial(**changes):
    """The network that diverges, without warm-up or clipping."""
    return ContractiveAutoencoder(
        **tutorials.PARAMETERS["diverging"]
        | {
            "lam_warmup": 0,
            "max_grad_norm": None,
            "batch_size": 128,
            "max_iter": 6,
            "random_state": 0,
        }
        | changes
    )


COLLAPSED = "ignore:The code has collapsed"


@pytest.mark.filterwarnings(COLLAPSED)
@pytest.mark.parametrize(
    ("scale", "changes"),
    [
        (1, {}),
        (1, {"lam": 1e5}),
        (1, {"learning_rate_init": 0.3}),
        (1, {"lam": 1e5, "learning_rate_init": 0.3}),
        (255, {"output_activation": "identity"}),
        (255, {"output_activation": "identity", "learning_rate_init": 0.3}),
        (255, {"output_activation": "identity", "lam": 1e5}),
    ],
)
def test_tutorial_network_ends_finite_and_no_worse_than_the_means(
    images, scale, changes
):
    X = images * scale
    model = tutorial(**changes).fit(X)
    assert all(np.isfinite(coef).all() for coef in model.coefs_)
    assert -model.score(X) <= 1.01 * X.var(axis=0).mean()


def test_sigmoid_on_raw_pixels_is_told_to_scale_them(images):
    with pytest.raises(ValueError, match=r"MinMaxScaler.*output_activation"):
        tutorial().fit(images * 255)


def wild_setting(rng):
    """A table and parameters such as nobody should combine."""
    n, d = int(rng.integers(2, 150)), int(rng.integers(1, 20))
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    kind = rng.choice(["raw", "huge", "tiny", "constant"])
    if kind == "raw":
        X = X * 10.0 ** rng.uniform(-3, 4, size=d) + 100 * rng.normal(size=d)
    elif kind == "huge":
        X = X * 10.0 ** rng.uniform(3, 8)
    elif kind == "tiny":
        X = X * 10.0 ** rng.uniform(-8, -3)
    else:
        X[:, rng.random(d) < 0.5] = 10.0 ** rng.uniform(-3, 6)
    lam = float(rng.choice([0, 10.0 ** rng.uniform(-3, 8)]))
    return X, {
        "n_components": int(rng.integers(1, 30)),
        "hidden_layer_sizes": tuple(
            rng.integers(1, 30, size=rng.integers(0, 3)).tolist()
        ),
        "activation": str(rng.choice(list(ACTIVATIONS))),
        "output_activation": str(rng.choice(["identity", "sigmoid"], p=[0.9, 0.1])),
        "tied_weights": bool(rng.random() < 0.5),
        "lam": lam,
        "penalty": str(rng.choice(["encoder", "reconstruction"])),
        "penalty_method": str(rng.choice(["auto", "exact", "hutchinson"])),
        "learning_rate_init": float(10.0 ** rng.uniform(-4, 0)),
        "max_grad_norm": [None, 1.0][int(rng.integers(2))],
        "lam_warmup": int(rng.integers(0, 6)),
        "noise_std": float(rng.choice([0, 0.3], p=[0.8, 0.2])),
        "masking_fraction": float(rng.choice([0, 0.3], p=[0.8, 0.2])),
        "swap_fraction": float(rng.choice([0, 0.3], p=[0.8, 0.2])),
        "early_stopping": bool(rng.random() < 0.3),
        "max_iter": 15,
    }


@pytest.mark.filterwarnings(COLLAPSED)
def test_wild_settings_end_in_a_sound_model_or_in_a_clear_error(rng):
    errors, n_warned = [], 0
    for seed in range(80):
        X, parameters = wild_setting(rng)
        model = ContractiveAutoencoder(**parameters, random_state=seed)
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always", ConvergenceWarning)
                model.fit(X)
        except ValueError as error:
            errors.append(str(error))
            assert "learning_rate_init (now" in errors[-1]
            assert (parameters["lam"] == 0) == ("lam (now" not in errors[-1])
            continue
        assert np.isfinite(model.score_samples(X)).all(), parameters
        assert np.isfinite(model.transform(X)).all(), parameters
        bound, mean_square = X.var(axis=0).mean(), np.square(X).mean()
        if bound < 1e-12 * mean_square:
            bound = 1e-2 * mean_square  # nothing varies
        worse = any("worse than" in str(warning.message) for warning in warned)
        n_warned += worse
        assert -model.score(X) <= (1.5 if worse else 1.01) * bound, parameters
    assert len(errors) <= 15
    assert n_warned <= 15


def test_collapsed_code_warns(digits):
    model = ContractiveAutoencoder(8, lam=1e6, max_iter=30, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"collapsed.*lam \(now 1e\+06\)"):
        model.fit(digits[0])


@pytest.mark.parametrize("offset", [1e3, 1e7, 1e10])
def test_one_far_or_constant_column_does_not_stop_training(digits, offset):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=5, random_state=0)
    alone = clone(model).fit(X).score(X) * X.shape[1]
    X = np.c_[X, np.full(len(X), offset), X[:, 5] + offset]
    assert model.fit(X).score(X) * X.shape[1] > 1.2 * alone


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["cancer", "digits"])
def test_raw_tables_fit_better_than_their_means(name, activation, cancer):
    from sklearn.datasets import load_digits

    X = cancer.to_numpy() if name == "cancer" else load_digits().data[:600]
    model = ContractiveAutoencoder(
        activation=activation, max_iter=50, contamination=0.1, random_state=0
    ).fit(X)
    assert -model.score(X) < 0.99 * X.var(axis=0).mean()
