"""Fits that are saved on the way: killed, resumed, and refused."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skcae import ContractiveAutoencoder, _resume
from skcae._core.training import Trainer


@pytest.fixture
def X(rng):
    X = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 8))
    return X + 0.1 * rng.normal(size=X.shape)


def autoencoder(folder=None, **parameters):
    defaults = {
        "n_components": 4,
        "hidden_layer_sizes": (16,),
        "noise_std": 0.1,
        "penalty_method": "hutchinson",
        "max_iter": 20,
        "checkpoint_every": 3,
        "contamination": 0.1,  # "auto" would train a second network
        "random_state": 0,
    }
    return ContractiveAutoencoder(checkpoint_folder=folder, **defaults | parameters)


class Killed(BaseException):
    pass


@pytest.fixture
def epochs(monkeypatch):
    """Epochs begun so far; once they are as many as ``at``, training is broken off."""

    class Epochs(list):
        at = None

    begun, epoch = Epochs(), Trainer._epoch

    def counted(*args):
        if len(begun) == begun.at:
            raise Killed
        begun.append(True)
        return epoch(*args)

    monkeypatch.setattr(Trainer, "_epoch", counted)
    return begun


def same(ours, theirs, X):
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))
    assert ours.offset_ == theirs.offset_
    # nan without early stopping
    np.testing.assert_equal(ours.history_, theirs.history_)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    # and so does what comes after
    np.testing.assert_array_equal(
        ours.partial_fit(X).score_samples(X), theirs.partial_fit(X).score_samples(X)
    )


CASES = {
    "noise and probes": {},
    "early stopping": {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 4},
    "exploding": {"learning_rate_init": 30.0},
    "converging": {"max_iter": 60, "tol": 0.05, "n_iter_no_change": 3},
    "missing cells": {"allow_nan": True},
    "exact": {"penalty_method": "exact", "lam": 0.0},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
def test_resumed_fits_end_as_if_never_interrupted(case, X, tmp_path, epochs):
    if case == "missing cells":
        X[::7, 2] = np.nan
    whole = autoencoder(**CASES[case]).fit(X)
    n_epochs = len(epochs)
    for at in (1, n_epochs // 2, n_epochs - 1):
        epochs.clear()
        epochs.at = at
        model = autoencoder(tmp_path / str(at), **CASES[case])
        with pytest.raises(Killed):
            model.fit(X)
        assert not hasattr(model, "n_iter_")
        epochs.at = None
        model.fit(X)
        # an epoch is begun again for each attempt of recovery, too
        assert len(epochs) - n_epochs <= 2 + (case == "exploding") * 20
        same(model, clone(whole).fit(X), X)


def test_a_fit_that_has_ended_is_there_at_once(X, tmp_path, epochs):
    model = autoencoder(tmp_path).fit(X)
    epochs.clear()
    again = autoencoder(tmp_path, contamination=0.2).fit(X)
    assert len(epochs) == 0
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert again.n_iter_ == model.n_iter_


def test_other_fits_have_files_of_their_own(X, tmp_path, epochs):
    for n_files, (parameters, rows) in enumerate(
        [
            ({}, X),
            ({"lam": 0.2}, X),
            ({"random_state": 1}, X),
            ({"random_state": np.random.RandomState(7)}, X),
            ({}, X[:-1]),
            ({}, X.astype(np.float32)),
            ({}, np.where(X == X[0, 0], 0, X)),
        ],
        start=1,
    ):
        epochs.clear()
        autoencoder(tmp_path, **parameters).fit(rows)
        assert len(epochs) >= 20
        assert len(list(tmp_path.iterdir())) == n_files


def test_a_search_goes_on_where_it_was(X, tmp_path, epochs):
    def search():
        model = autoencoder(tmp_path)
        return GridSearchCV(model, {"lam": [0.01, 1.0]}, cv=2)

    whole = search().set_params(estimator__checkpoint_folder=None).fit(X)
    n_epochs = len(epochs)
    epochs.clear()
    epochs.at = 50
    with pytest.raises(Killed):
        search().fit(X)
    epochs.at = None
    resumed = search().fit(X)
    assert len(epochs) - n_epochs <= 2
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"]
    )


def test_a_warm_start_resumes_from_its_own_weights(X, tmp_path, epochs):
    whole = autoencoder(warm_start=True).fit(X).fit(X[::-1])
    model = autoencoder(tmp_path, warm_start=True).fit(X)
    epochs.clear()
    epochs.at = 10
    with pytest.raises(Killed):
        model.fit(X[::-1])
    epochs.at = None
    same(model.fit(X[::-1]), whole, X)


def test_damaged_foreign_and_older_files_are_refused(X, tmp_path, monkeypatch):
    model = autoencoder(tmp_path).fit(X)
    scores = model.score_samples(X)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()

    def refused(match):
        with pytest.raises(ValueError, match=match):
            model.fit(X)
        np.testing.assert_array_equal(model.score_samples(X), scores)

    for damaged in (content[:-1], content[: len(content) // 2], content[:10], b"?"):
        path.write_bytes(damaged)
        refused(f"{path.name} is damaged: delete it")
    rng = np.random.default_rng(0)
    for bit in rng.integers(8 * len(content), size=300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        refused("is damaged")
    autoencoder(tmp_path / "other", lam=3).fit(X)
    (other,) = (tmp_path / "other").iterdir()
    path.write_bytes(other.read_bytes())
    refused("is of a fit with other parameters or another table")
    path.write_bytes(content)
    monkeypatch.setattr(_resume, "FORMAT", _resume.FORMAT + 1)
    refused("has format 1, but this version of skcae reads format 2")


def test_a_fit_without_a_seed_is_no_fit_to_resume(tmp_path):
    model = autoencoder(tmp_path, random_state=None)
    with pytest.raises(ValueError, match="checkpoint_folder needs a random_state"):
        model.fit(np.eye(4))


CODE = """
import sys
import numpy as np
from skcae import ContractiveAutoencoder

folder = sys.argv[1] or None
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 5)) @ rng.normal(size=(5, 20)) + rng.normal(size=(3000, 20))
print("fitting", flush=True)
model = ContractiveAutoencoder(
    8, hidden_layer_sizes=(64,), noise_std=0.1, max_iter={max_iter}, random_state=0,
    checkpoint_folder=folder, checkpoint_every=2,
).fit(X)
np.save(sys.argv[2], np.r_[model.score_samples(X), model.loss_curve_, model.offset_])
"""


def killed_fits(tmp_path, n_kills, max_iter):
    """Kill a fit by SIGKILL so often, at random moments, and let it end."""
    code = CODE.format(max_iter=max_iter)
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }

    def run(folder, result, seconds=600):
        """How long it trained, or None if it had to be killed."""
        arguments = [sys.executable, "-c", code, str(folder), str(tmp_path / result)]
        with subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()  # the imports are over
            begun = time.monotonic()
            try:
                assert process.wait(timeout=seconds) == 0
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                return None
            return time.monotonic() - begun

    seconds = run("", "whole.npy")
    moments = random.Random(0)
    limits = [moments.uniform(0, 1.5 * seconds / n_kills) for _ in range(n_kills)]
    n_killed = [run(tmp_path / "kept", "resumed.npy", limit) for limit in limits].count(
        None
    )
    run(tmp_path / "kept", "resumed.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "resumed.npy"), np.load(tmp_path / "whole.npy")
    )
    return n_killed


@pytest.mark.slow
def test_fifty_kills(tmp_path):
    assert killed_fits(tmp_path, n_kills=50, max_iter=100) >= 40
