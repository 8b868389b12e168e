"""The rooms of the package: which may import which, and what one record adds."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import skcae
from skcae import ContractiveAutoencoder
from skcae._core import activations, losses, penalties
from skcae.inspection import saturation

PACKAGE = Path(skcae.__file__).parent
# From the ground up: a file imports from the floors below its own, or from its own.
FLOORS = [
    {"_core"},
    {
        "_callbacks",
        "_drawing",
        "_module",
        "_progress",
        "_resume",
        "_table",
        "_threshold",
        "_trim",
        "_typing",
    },
    {"_checks"},
    {"_advice", "functional"},
    {"_fit"},
    {"_estimator"},
    {"_pipeline"},
    {"metrics"},
    {"anomaly", "inspection"},
    {"export", "plotting"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imports(path):
    """Dotted names of all modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    room = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "skcae" and len(parts) > 1 and parts[1] in FLOOR:
            assert FLOOR[parts[1]] <= FLOOR[room], f"{room} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_name_leaves_its_file(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "skcae" and parts[-1].startswith("_"):
            module = PACKAGE.parent.joinpath(*parts)
            assert module.is_dir() or module.with_suffix(".py").exists(), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_unpickles(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"cloudpickle", "dill", "joblib", "pickle", "shelve"}
    calls = [line for line in path.read_text().splitlines() if ".load(" in line]
    assert all("np.load" in line and "allow_pickle=False" in line for line in calls)


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if room_of(path) == "_core"],
    ids=lambda path: path.name,
)
def test_the_core_knows_neither_scikit_learn_nor_pandas_nor_scipy(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"sklearn", "pandas", "scipy"}


def test_one_record_adds_an_activation(monkeypatch, rng):
    def derivatives(z):
        size = 1 + z.abs()
        return z / size, size**-2, lambda: -2 * z.sign() * size**-3

    softsign = activations.Activation(
        nn.functional.softsign, derivatives, nn.Softsign, bounded=True
    )
    monkeypatch.setitem(activations.ACTIVATIONS, "softsign", softsign)
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 6))
    model = ContractiveAutoencoder(
        4, activation="softsign", hidden_layer_sizes=(8,), random_state=0
    ).fit(X)
    assert -model.score(X) < 0.5 * X.var(axis=0).mean()
    module = model.to_module()
    assert any(isinstance(layer, nn.Softsign) for layer in module.encoder)
    codes = module.encoder(torch.from_numpy(X).float()).detach()
    np.testing.assert_allclose(codes, model.transform(X), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        model.contraction(X[:1]),
        np.square(brute_force_jacobian(model, X[0])).sum(),
        rtol=1e-5,
    )
    # the derivative of the softsign falls below a tenth where |a| > 1 - 0.1 ** 0.5
    expected = np.mean(np.abs(model.transform(X)) > 1 - 0.1**0.5, axis=1)
    np.testing.assert_allclose(saturation(model, X, threshold=0.1), expected)


def brute_force_jacobian(model, row, step=1e-5):
    moves = step * np.eye(len(row))
    return (model.transform(row + moves) - model.transform(row - moves)) / (2 * step)


def test_one_record_adds_a_loss(monkeypatch, rng):
    def value(rows, z, outputs):
        return (torch.hypot(rows - outputs, torch.ones_like(rows)) - 1) * 2

    def gradient(rows, layer, coefficient):
        difference = layer.outputs - rows
        delta = (
            2 * coefficient * difference / torch.hypot(difference, difference * 0 + 1)
        )
        return value(rows, None, layer.outputs).sum(), delta

    pseudo_huber = losses.Loss(value, gradient)
    monkeypatch.setitem(losses.LOSSES, "pseudo_huber", pseudo_huber)
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 6))
    model = ContractiveAutoencoder(4, loss="pseudo_huber", random_state=0).fit(X)
    restored = model.inverse_transform(model.transform(X))
    expected = 2 * (np.hypot(X - restored, 1) - 1)
    np.testing.assert_allclose(model.feature_errors(X), expected, atol=1e-12)
    assert -model.score(X) < 0.2 * np.mean(2 * (np.hypot(X - X.mean(0), 1) - 1))


def test_one_class_adds_a_penalty(monkeypatch, rng):
    class FourProbes(penalties.Hutchinson):
        def cost(self, widths):
            return 0

        def add_gradient(self, layers, noise, weight_grads, coefficient):
            parts = [
                super(FourProbes, self).add_gradient(
                    layers, noise, weight_grads, coefficient / 4
                )
                for _ in range(4)
            ]
            total = sum(total for total, _ in parts) / 4
            grads = [sum(g) for g in zip(*(grads for _, grads in parts), strict=True)]
            return total, grads

    monkeypatch.setitem(penalties.PENALTIES, "four_probes", FourProbes())
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 6))
    parameters = {"activation": "tanh", "max_iter": 20, "random_state": 0}
    fitted = {
        method: ContractiveAutoencoder(4, penalty_method=method, **parameters).fit(X)
        for method in ("auto", "four_probes", "exact")
    }
    assert fitted["auto"].penalty_method_ == "four_probes"
    assert fitted["exact"].penalty_method_ == "exact"
    np.testing.assert_array_equal(
        fitted["auto"].score_samples(X), fitted["four_probes"].score_samples(X)
    )
    ratio = fitted["auto"].contraction(X).mean() / fitted["exact"].contraction(X).mean()
    assert 0.8 < ratio < 1.25


def test_unknown_names_are_told_the_names_of_the_records():
    with pytest.raises(ValueError, match="activation must be one of 'identity', 'sig"):
        ContractiveAutoencoder(activation="gelu").fit(np.eye(3))
