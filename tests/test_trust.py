"""Files of models that somebody changed, or chance."""

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from skcae import ContractiveAutoencoder

NAME = "skcae._estimator.ContractiveAutoencoder"
N_FLIPS = 300


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 5))
    model = ContractiveAutoencoder(3, hidden_layer_sizes=(6,), max_iter=3)
    return model.set_params(random_state=0).fit(X), X


def changed(content, change):
    """A skops file, sound as an archive, whose parts went through a function."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


class Payload:
    """Code that runs when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def payload(tmp_path):
    """It is real: the marker comes, unless nothing unpickles it."""
    marker = tmp_path / "marker"
    payload = Payload(marker)
    pickle.loads(pickle.dumps(payload))
    marker.unlink()
    yield payload
    assert not marker.exists()


def test_a_pickle_in_the_place_of_an_array_is_refused(fitted, payload):
    buffer = io.BytesIO()
    np.save(buffer, np.array([payload], dtype=object), allow_pickle=True)
    content = changed(
        skops.io.dumps(fitted[0]),
        lambda name, part: buffer.getvalue() if name.endswith(".npy") else part,
    )
    with pytest.raises(ValueError, match="allow_pickle=False"):
        skops.io.loads(content, trusted=[NAME])


def test_a_pickle_in_the_place_of_a_file_is_refused(payload):
    with pytest.raises(zipfile.BadZipFile):
        skops.io.loads(pickle.dumps(payload), trusted=[NAME])


@pytest.mark.parametrize("name", ["os.system", "pathlib.Path", "builtins.eval"])
def test_a_foreign_name_is_refused(name, fitted):
    module, _, attribute = name.rpartition(".")

    def change(part_name, part):
        if part_name != "schema.json":
            return part
        schema = json.loads(part)
        return json.dumps(
            schema | {"__module__": module, "__class__": attribute}
        ).encode()

    with pytest.raises(UntrustedTypesFoundException, match=name):
        skops.io.loads(changed(skops.io.dumps(fitted[0]), change), trusted=[NAME])


def flipped(content, n_flips, rng):
    """Copies with one flipped bit each."""
    for position in rng.choice(8 * len(content), n_flips, replace=False):
        copy = bytearray(content)
        copy[position // 8] ^= 1 << (position % 8)
        yield bytes(copy)


def test_a_flipped_bit_raises_or_was_in_what_carries_nothing(fitted, rng):
    model, X = fitted
    content = skops.io.dumps(model)
    n_raised = 0
    for copy in flipped(content, N_FLIPS, rng):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's, of repeated names
                twin = skops.io.loads(copy, trusted=[NAME])
        except Exception:
            n_raised += 1
            continue
        # dates and the like, of the archive
        np.testing.assert_array_equal(twin.score_samples(X), model.score_samples(X))
        assert same_parts(copy, content)
    assert n_raised > 0.95 * N_FLIPS


def same_parts(*contents):
    """Whether archives hold the same bytes, in the same order."""
    archives = [zipfile.ZipFile(io.BytesIO(content)) for content in contents]
    parts = [
        [archive.read(name) for name in archive.namelist()] for archive in archives
    ]
    return parts[0] == parts[1]


def test_with_a_hash_every_flipped_bit_raises(fitted, rng):
    content = skops.io.dumps(fitted[0])
    digest = hashlib.sha256(content).hexdigest()

    def load(content):  # as docs/deploy.md has it
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError("model.skops is damaged")
        return skops.io.loads(content, trusted=[NAME])

    load(content)
    for copy in flipped(content, N_FLIPS, rng):
        with pytest.raises(ValueError, match="is damaged"):
            load(copy)
