"""Models that were saved: by this version, by others, and by none."""

import copy
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io

from skcae import ContractiveAutoencoder
from skcae._core import checkpoint

NAME = "skcae._estimator.ContractiveAutoencoder"
KEPT = sorted((Path(__file__).parent / "models").glob("format_*.skops"))


@pytest.fixture
def model(rng):
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 5))
    return ContractiveAutoencoder(4, max_iter=3, random_state=0).fit(X), X


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_models_of_every_format_load_and_score_as_they_did(path):
    model = skops.io.load(path, trusted=[NAME])
    with np.load(path.with_suffix(".npz")) as expected:
        X = expected["X"]
        np.testing.assert_allclose(
            model.score_samples(X), expected["scores"], rtol=1e-10
        )
        np.testing.assert_allclose(model.transform(X), expected["codes"], rtol=1e-8)
        np.testing.assert_array_equal(model.predict(X), expected["labels"])
        assert model.partial_fit(X).n_iter_ == expected["n_iter"] + 1


def test_a_model_of_this_format_is_kept():
    assert f"format_{checkpoint.FORMAT}" in {path.stem for path in KEPT}


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: skops.io.loads(skops.io.dumps(model), trusted=[NAME]),
    ],
)
def test_round_trips_are_exact_and_go_on_alike(copied, model):
    model, X = model
    twin = copied(copied(model))
    np.testing.assert_array_equal(twin.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(
        twin.partial_fit(X).score_samples(X), model.partial_fit(X).score_samples(X)
    )


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_joblib_also_by_memory_map(mmap_mode, model, tmp_path):
    model, X = model
    joblib.dump(model, tmp_path / "model.joblib")
    twin = joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode)
    np.testing.assert_array_equal(twin.score_samples(X), model.score_samples(X))
    assert twin.partial_fit(X).n_iter_ == model.n_iter_ + 1


def test_saved_state_says_its_format_in_plain_types(model):
    state = model[0].__getstate__()["_checkpoint"]
    assert state["format"] == checkpoint.FORMAT
    plain = (int, float, str, bool, list, dict, np.ndarray)
    assert all(isinstance(value, plain) for value in state.values())


@pytest.mark.parametrize("found", [checkpoint.FORMAT + 1, 0, None, "1.0"])
def test_another_format_is_refused_by_its_name(found, model):
    state = model[0].__getstate__()
    state["_checkpoint"] = state["_checkpoint"] | {"format": found}
    with pytest.raises(ValueError, match=f"format {found!r}.*reads format"):
        ContractiveAutoencoder().__setstate__(state)


@pytest.mark.parametrize("change", ["lost", "foreign"])
def test_a_state_of_other_fields_is_refused(change, model):
    state = model[0].__getstate__()
    if change == "lost":
        del state["_checkpoint"]["shift"]
    else:
        state["_checkpoint"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="fit it again"):
        ContractiveAutoencoder().__setstate__(state)


def test_unfitted_models_travel_too():
    model = pickle.loads(pickle.dumps(ContractiveAutoencoder(lam=0.3)))
    assert model.lam == 0.3
