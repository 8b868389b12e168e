"""Every public function and method against hostile tables.

Each case ends in a right answer, or in a ValueError or TypeError that says what is
wrong; the model, unless it is being fitted, and the table stay as they were. Warnings
are errors, but for scikit-learn's own and our ConvergenceWarning.

A few cases of each function run in the suite, the same each time. Thousands:
``python -m pytest tests/test_hostile.py -k transform --hypothesis-profile=hostile``
"""

import functools
import inspect
import pickle
import re
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from hostile_tables import Case, case, letters, snapshot, tables
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skcae
from skcae import (
    ContractiveAutoencoder,
    anomaly,
    export,
    functional,
    inspection,
    metrics,
    plotting,
)
from skcae.anomaly import AnomalyDetector, NeighborDistance

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

PACKAGE = Path(skcae.__file__).parent
WIDTH, N_COMPONENTS = 4, 3
# Larger values are refused where a network is trained.
LARGE = 1e15
# Numbers, in magnitude, whose squares are far from the end of the range.
SAFE = 1e100


# Models, and what they compute, in plain numpy


def training_rows():
    rng = np.random.default_rng(0)
    return np.tanh(rng.normal(size=(60, 2)) @ rng.normal(size=(2, WIDTH)))


def network(**parameters):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 2, "random_state": 0}
    return ContractiveAutoencoder(N_COMPONENTS, **settings | parameters)


@functools.cache
def models():
    X = training_rows()
    frame = pd.DataFrame(X, columns=letters(WIDTH))
    unit = (X - X.min()) / np.ptp(X)
    scaled = make_pipeline(StandardScaler(), network()).fit(X)
    return {
        "deep": network().fit(X),
        "shallow": network(hidden_layer_sizes=(), activation="tanh").fit(X),
        "gaps": network(allow_nan=True).fit(frame),
        "log loss": network(output_activation="sigmoid", loss="log_loss").fit(unit),
        "pipeline": scaled,
        "detector": AnomalyDetector(network(), random_state=0).fit(X),
        "detector of a frame": make_pipeline(
            StandardScaler(), AnomalyDetector(network(), random_state=0)
        ).fit(frame),
        "neighbours": NeighborDistance(scaled).fit(X),
    }


AUTOENCODERS = "deep", "shallow", "gaps", "log loss"
DETECTORS = "detector", "detector of a frame"
PIPELINES = *AUTOENCODERS, "pipeline"

ACTIVATIONS = {
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * np.ones_like(z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: sigmoid(z), lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    ),
}


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def run(model, signal, start, stop):
    """Layers of a model in numpy, in a type of a far larger range."""
    names = [*model._checkpoint.activations][start:stop]
    weights, biases = model.coefs_[start:stop], model.intercepts_[start:stop]
    signals = [signal.astype(np.longdouble)]
    slopes = []
    for name, weight, bias in zip(names, weights, biases, strict=True):
        value, slope = ACTIVATIONS[name]
        z = signals[-1] @ weight + bias
        signals.append(value(z))
        slopes.append(slope(z))
    return signals, slopes


def true_codes(model, values):
    return run(model, values, 0, len(model.coefs_) // 2)[0][-1]


def true_errors(model, values):
    """Of each cell; nan where it is missing in a row that has values."""
    is_missing = np.isnan(values)
    filled = np.where(is_missing, model.mean_, values)
    signals, _ = run(model, filled, 0, len(model.coefs_))
    rows, outputs = filled.astype(np.longdouble), signals[-1]
    errors = (rows - outputs) ** 2
    if model.loss == "log_loss":
        rows = rows.clip(0, 1)
        entropy = sum(
            np.where(p > 0, -p * np.log(np.where(p > 0, p, 1)), 0)
            for p in (rows, 1 - rows)
        )
        errors = -rows * np.log(outputs) - (1 - rows) * np.log1p(-outputs) - entropy
    return np.where(is_missing & ~is_missing.all(1, keepdims=True), np.nan, errors)


def true_jacobians(model, values):
    depth = len(model.coefs_) // 2
    filled = np.where(np.isnan(values), model.mean_, values)
    _, slopes = run(model, filled, 0, depth)
    jacobians = np.eye(values.shape[1], dtype=np.longdouble)[None]
    for weight, slope in zip(model.coefs_, slopes, strict=False):
        jacobians = slope[:, :, None] * (weight.T @ jacobians)
    return jacobians


def scores_of_model(model, values):
    """Scores that a model of another kind gives the plain table."""
    return model.score_samples(pd.DataFrame(values, columns=letters(WIDTH)))


# Checks of results


def close(found, true, values, rtol=1e-5):
    """As large as it is, or as infinite as what is beyond the range.

    A row at the end of the range may be infinite though its true result is not: what
    its layers compute on the way need not fit.
    """
    found, true = np.asarray(found), np.asarray(true)
    assert found.shape == true.shape
    at_the_end = (np.abs(values) > 1e300).any(axis=1)
    has_overflown = (np.abs(found).T == np.inf) & at_the_end
    is_safe = (np.abs(true) < 1e290) & ~has_overflown.T
    size = np.nanmax(np.abs(values), initial=1)
    scale = np.nanmax(np.abs(true), initial=1e-300, where=is_safe)
    atol = max(1e-9 * min(size, SAFE) ** 2, 1e-9 * float(scale))
    np.testing.assert_allclose(
        found[is_safe], true[is_safe].astype(np.float64), rtol=rtol, atol=atol
    )
    assert (np.isnan(found) == np.isnan(true)).all()
    assert (np.abs(found[~is_safe & ~np.isnan(true)]) > 1e280).all()


def numbers(result):
    """Yield all arrays of floats in a result."""
    if isinstance(result, dict):
        for part in result.values():
            yield from numbers(part)
    elif isinstance(result, tuple | list):
        for part in result:
            yield from numbers(part)
    elif isinstance(result, pd.DataFrame):
        for position in range(result.shape[1]):
            yield from numbers(result.iloc[:, position])
    elif isinstance(result, torch.Tensor):
        yield result.detach().numpy()
    elif isinstance(result, np.ndarray | pd.Series | float):
        array = np.asarray(result)
        if array.dtype.kind == "f":
            yield array


def is_moderate(values):
    return bool(np.all(np.abs(values) <= LARGE))


def sound(model, given, result):
    """All is finite where what was given is; nothing is nan where it is finite."""
    if given.values is not None:
        for array in numbers(result):
            if is_moderate(given.values):
                assert np.isfinite(array).all()
            elif not np.isnan(given.values).any():
                assert not np.isnan(array).any()


def soundly(check):
    """A check that the result is sound, too."""

    @functools.wraps(check)
    def both(model, given, result):
        sound(model, given, result)
        if given.values is not None:
            check(model, given.values, result)

    return both


def of_shape(*shape):
    return soundly(
        lambda model, values, result: np.testing.assert_array_equal(
            np.shape(result), (len(values), *shape)
        )
    )


def autoencoder_and_rows(model, values):
    """The autoencoder at the end of a Pipeline, and rows as it reads them."""
    if isinstance(model, ContractiveAutoencoder):
        return model, values
    scaler = model[0]
    with np.errstate(over="ignore"):
        return model[-1], (values - scaler.mean_) / scaler.scale_


@soundly
def right_scores(model, values, scores):
    assert scores.dtype == np.float64
    assert (scores <= 1e-12).all()
    if model in [models()[name] for name in PIPELINES]:
        ours, rows = autoencoder_and_rows(model, values)
        # scikit-learn scales float16 in float16
        rtol = 1e-5 if ours is model else 0.01
        with np.errstate(invalid="ignore"):
            close(scores, -np.nanmean(true_errors(ours, rows), axis=1), rows, rtol)
    else:
        np.testing.assert_allclose(
            scores, scores_of_model(model, values), rtol=0.01, atol=1e-4
        )


@soundly
def right_decision(model, values, decision):
    scores = scores_of_model(model, values)
    last = model[-1] if hasattr(model, "steps") else model
    np.testing.assert_allclose(decision, scores - last.offset_, rtol=0.01, atol=1e-3)


@soundly
def right_labels(model, values, labels):
    last = model[-1] if hasattr(model, "steps") else model
    decision = scores_of_model(model, values) - last.offset_
    is_clear = np.abs(decision) > 1e-3
    np.testing.assert_array_equal(labels[is_clear], np.sign(decision)[is_clear])


def right_codes(model, given, codes):
    values = given.values
    if values is None:
        return
    if not isinstance(codes, np.ndarray):
        codes = codes.to_numpy()
    filled = np.where(np.isnan(values), model.mean_, values)
    true = true_codes(model, filled)
    rtol = 1e-3 if codes.dtype == np.float32 else 1e-6
    assert codes.shape == true.shape
    is_safe = np.abs(filled).max(axis=1, initial=0) < 1e30
    np.testing.assert_allclose(
        codes[is_safe], true[is_safe].astype(np.float64), rtol=rtol, atol=rtol
    )
    if is_moderate(filled):
        assert np.isfinite(codes).all()


def right_rows(model, given, rows):
    if given.values is None:
        return
    depth = len(model.coefs_) // 2
    true = run(model, given.values, depth, 2 * depth)[0][-1]
    assert rows.shape == true.shape
    is_safe = np.abs(given.values).max(axis=1, initial=0) < 1e30
    rtol = 1e-3 if rows.dtype == np.float32 else 1e-6
    np.testing.assert_allclose(
        rows[is_safe], true[is_safe].astype(np.float64), rtol=rtol, atol=rtol
    )


def right_errors(model, given, errors):
    if given.values is not None:
        close(errors, true_errors(model, given.values), given.values)


def right_jacobians(model, given, jacobians):
    values = given.values
    if values is None:
        return
    assert jacobians.shape == (len(values), N_COMPONENTS, WIDTH)
    if is_moderate(values):
        np.testing.assert_allclose(
            jacobians,
            true_jacobians(model, values).astype(np.float64),
            rtol=1e-6,
            atol=1e-9,
        )


def right_contraction(model, given, norms):
    values = given.values
    if values is None:
        return
    assert norms.shape == (len(values),)
    if is_moderate(values):
        true = (true_jacobians(model, values) ** 2).sum(axis=(1, 2))
        np.testing.assert_allclose(norms, true.astype(np.float64), rtol=1e-6, atol=1e-9)


@soundly
def right_p_values(model, values, p):
    last = model[-1] if hasattr(model, "steps") else model
    kept = last.calibration_scores_
    scores = scores_of_model(model, values) if len(values) else np.empty(0)
    as_low = (kept[None, :] <= scores[:, None] * (1 - 1e-12)).sum(axis=1)
    np.testing.assert_allclose(p, (1 + as_low) / (1 + len(kept)), atol=0.05)
    assert isinstance(p, pd.Series)


def right_explanation(model, given, explanation):
    for array in numbers(explanation["contribution"]):
        assert (array >= 0).all()
    directions = explanation["direction"].to_numpy().ravel()
    assert set(directions) <= {"", "too low", "too high", "unusual"}
    if given.values is not None and len(given.values):  # a list of no rows has no width
        assert explanation["contribution"].shape == given.values.shape


@soundly
def right_report(model, values, report):
    assert report.shape == (1 + WIDTH, 3)
    assert report["distance"].between(0, 1).all()
    assert report["p_value"].between(0, 1).all()


@soundly
def right_threshold(model, values, offset):
    scores = np.sort(scores_of_model(model, values) if len(values) else np.empty(0))
    rank = int(0.5 * (len(scores) + 1) * (1 + 1e-12))
    np.testing.assert_allclose(offset, scores[rank - 1], rtol=0.01, atol=1e-4)


def right_contraction_score(model, given, score):
    if given.values is not None and is_moderate(given.values):
        assert -np.inf < score <= 0


def right_ratios(model, given, table):
    """What is relative to the spread of rows that do not differ is nan."""
    assert np.isfinite(table.drop(columns="relative")).all(axis=None)


@soundly
def not_positive(model, values, score):
    assert isinstance(score, float)
    assert score <= 1e-12


def fitted(model, given, result):
    """What was fitted can be used, on what it was fitted to."""
    if given.X is None:
        return
    last = result[-1] if hasattr(result, "steps") else result
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        scores = last.score_samples(given.X)
    assert not np.isnan(scores).any()
    if hasattr(last, "offset_"):
        assert not np.isnan(last.offset_)
    for array in numbers(getattr(last, "coefs_", [])):
        assert np.isfinite(array).all()


def labelled(model, given, labels):
    assert set(labels) <= {1, -1}


# What is tested


class Subject(NamedTuple):
    """A public function or method.

    Attributes
    ----------
    models : tuple of str
        Names of models that it is called with.
    call : callable
        Takes the model and the table.
    check : callable
        Takes the model, the case and the result, and asserts that it is right.
    rows : int or None
        Of so many rows on, it must not refuse a sound table; None if it may.
    fits : bool
        Whether it changes the model, unless it raises an error.
    width : int
        Columns of a sound table.
    heights : tuple of int
        Numbers of rows to try.
    """

    models: tuple
    call: Callable[[Any, Any], Any]
    check: Callable[[Any, Case, Any], None] = sound
    rows: int | None = 1
    fits: bool = False
    width: int = WIDTH
    heights: tuple = (3, 1, 2, 25, 0)


def method(name, *arguments, **keywords):
    return lambda model, X: getattr(model, name)(X, *arguments, **keywords)


def function(function, **keywords):
    return lambda model, X: function(model, X, **keywords)


def picture(display, **keywords):
    """Draw by ``from_estimator`` or ``from_estimators``."""

    def call(model, X):
        if hasattr(display, "from_estimators"):
            return display.from_estimators({"model": model}, X, **keywords)
        return display.from_estimator(model, X, **keywords)

    return call


def anew(name):
    """Call a method of an unfitted clone, which is to stay unfitted if it fails."""

    def call(model, X):
        new = clone(model)
        before = pickle.dumps(new)
        try:
            return getattr(new, name)(X)
        except Exception:
            assert pickle.dumps(new) == before
            raise

    return call


def penalty_of(encoder):
    def call(model, X):
        if type(X) is np.ndarray and X.dtype in (np.float32, np.float64):
            X = torch.from_numpy(np.array(X, dtype=X.dtype.newbyteorder("=")))
        return functional.jacobian_penalty(encoder, X, reduction="none")

    return call


def right_penalty(squares):
    """That of ``tanh(W x + b)``; of infinite rows it is nan, as all is in torch.

    The squares are those of the norms of W's rows.
    """

    def check(model, given, result):
        norms, outputs = (part.detach().double().numpy() for part in result)
        cells = tuple(range(1, outputs.ndim))
        X = given.X.detach() if isinstance(given.X, torch.Tensor) else given.X
        is_finite = np.isfinite(np.asarray(X)).all(axis=cells)
        slopes = 1 - outputs**2
        true = (slopes**2 * squares).sum(axis=cells)
        tolerance = 1e-6 if result[0].dtype == torch.float32 else 1e-12
        np.testing.assert_allclose(
            norms[is_finite], true[is_finite], rtol=tolerance, atol=tolerance
        )

    return check


STACK = nn.Sequential(nn.Linear(WIDTH, 3), nn.Tanh()).double()
FITTED_ALONE = "deep", "shallow", "gaps", "log loss"
ANYTHING = *PIPELINES, *DETECTORS, "neighbours"
SUBJECTS = {
    "ContractiveAutoencoder.fit": Subject(
        AUTOENCODERS, method("fit"), fitted, None, fits=True
    ),
    "ContractiveAutoencoder.partial_fit": Subject(
        AUTOENCODERS, method("partial_fit"), fitted, None, fits=True
    ),
    "ContractiveAutoencoder.partial_fit, first": Subject(
        AUTOENCODERS, anew("partial_fit"), fitted, None
    ),
    "ContractiveAutoencoder.fit, first": Subject(
        AUTOENCODERS, anew("fit"), fitted, None
    ),
    "ContractiveAutoencoder.fit_transform": Subject(
        AUTOENCODERS, method("fit_transform"), sound, None, fits=True
    ),
    "ContractiveAutoencoder.fit_predict": Subject(
        AUTOENCODERS, method("fit_predict"), labelled, None, fits=True
    ),
    "ContractiveAutoencoder.transform": Subject(
        AUTOENCODERS, method("transform"), right_codes
    ),
    "ContractiveAutoencoder.inverse_transform": Subject(
        AUTOENCODERS, method("inverse_transform"), right_rows, width=N_COMPONENTS
    ),
    "ContractiveAutoencoder.score_samples": Subject(
        PIPELINES, method("score_samples"), right_scores
    ),
    "ContractiveAutoencoder.decision_function": Subject(
        PIPELINES, method("decision_function"), right_decision
    ),
    "ContractiveAutoencoder.predict": Subject(
        PIPELINES, method("predict"), right_labels
    ),
    "ContractiveAutoencoder.score": Subject(PIPELINES, method("score"), not_positive),
    "ContractiveAutoencoder.feature_errors": Subject(
        AUTOENCODERS, method("feature_errors"), right_errors
    ),
    "ContractiveAutoencoder.jacobian": Subject(
        AUTOENCODERS, method("jacobian"), right_jacobians
    ),
    "ContractiveAutoencoder.contraction": Subject(
        AUTOENCODERS, method("contraction"), right_contraction
    ),
    "ContractiveAutoencoder.set_weights": Subject(
        AUTOENCODERS,
        lambda model, X: model.set_weights(model.to_module(), X),
        fitted,
        2,
        fits=True,
    ),
    "ContractiveAutoencoder.set_weights, module": Subject(
        AUTOENCODERS,
        lambda model, X: model.set_weights(X),
        fitted,
        None,
        fits=True,
    ),
    "ContractiveAutoencoder.get_feature_names_out": Subject(
        AUTOENCODERS, method("get_feature_names_out"), rows=None
    ),
    "AnomalyDetector.fit": Subject(
        ("detector",), method("fit"), fitted, None, fits=True
    ),
    "AnomalyDetector.fit_predict": Subject(
        ("detector",), method("fit_predict"), labelled, None, fits=True
    ),
    "AnomalyDetector.score_samples": Subject(
        DETECTORS, method("score_samples"), right_scores
    ),
    "AnomalyDetector.decision_function": Subject(
        DETECTORS, method("decision_function"), right_decision
    ),
    "AnomalyDetector.predict": Subject(DETECTORS, method("predict"), right_labels),
    "AnomalyDetector.p_values": Subject(
        ("detector",), method("p_values"), right_p_values
    ),
    "AnomalyDetector.threshold": Subject(
        ("detector",), lambda model, X: model.threshold(X), rows=None
    ),
    "AnomalyDetector.explain": Subject(
        ("detector",), method("explain", n_values=2), right_explanation
    ),
    "AnomalyDetector.drift": Subject(("detector",), method("drift"), right_report),
    "NeighborDistance.fit": Subject(
        ("neighbours",), method("fit"), fitted, 5, fits=True
    ),
    "NeighborDistance.score_samples": Subject(
        ("neighbours",), method("score_samples"), right_scores
    ),
    "anomaly.drift": Subject(DETECTORS, function(anomaly.drift), right_report),
    "anomaly.explain": Subject(
        ANYTHING, function(anomaly.explain, n_values=2), right_explanation, None
    ),
    "anomaly.mean_score": Subject(
        ANYTHING,
        lambda model, X: anomaly.mean_score([model, model], X),
        soundly(
            lambda model, values, scores: np.testing.assert_allclose(
                scores, scores_of_model(model, values), rtol=0.01, atol=1e-4
            )
        ),
    ),
    "anomaly.p_values": Subject(DETECTORS, function(anomaly.p_values), right_p_values),
    "anomaly.p_values, calibration": Subject(
        ANYTHING,
        lambda model, X: anomaly.p_values(model, training_rows(), X),
        rows=1,
    ),
    "anomaly.threshold": Subject(
        ANYTHING, function(anomaly.threshold, rate=0.5), right_threshold
    ),
    "metrics.denoising_score": Subject(
        PIPELINES, function(metrics.denoising_score, n_repeats=2), not_positive, None
    ),
    "metrics.reconstruction_score": Subject(
        PIPELINES, function(metrics.reconstruction_score), not_positive
    ),
    "metrics.contraction_score": Subject(
        PIPELINES, function(metrics.contraction_score), right_contraction_score
    ),
    "metrics.largest_lam_within_one_standard_error": Subject(
        ("deep",),
        lambda model, X: metrics.largest_lam_within_one_standard_error(X),
        rows=None,
    ),
    "inspection.contraction_curve": Subject(
        PIPELINES,
        function(inspection.contraction_curve, radii=[0.1, 1]),
        right_ratios,
    ),
    "inspection.jacobian_spectrum": Subject(
        PIPELINES, function(inspection.jacobian_spectrum)
    ),
    "inspection.lambda_path": Subject(
        ("deep", "pipeline"),
        lambda model, X: inspection.lambda_path(clone(model), X, [0, 1], cv=2),
        lambda model, given, path: np.testing.assert_equal(len(path.table), 2),
        rows=None,
    ),
    "inspection.saturation": Subject(
        ("shallow",), function(inspection.saturation), of_shape()
    ),
    "inspection.score_field": Subject(
        PIPELINES, function(inspection.score_field), rows=None
    ),
    "inspection.sensitivity": Subject(
        PIPELINES, function(inspection.sensitivity), right_ratios
    ),
    "inspection.tangent_vectors": Subject(
        PIPELINES,
        function(inspection.tangent_vectors, n_vectors=2),
        rows=None,
    ),
    "functional.jacobian_penalty": Subject(
        ("deep",),
        penalty_of(STACK),
        right_penalty(STACK[0].weight.detach().square().sum(1).numpy()),
        rows=None,
    ),
    "functional.jacobian_penalty, function": Subject(
        ("deep",), penalty_of(torch.tanh), right_penalty(1), rows=None
    ),
    "export.to_onnx": Subject(
        (*AUTOENCODERS, "pipeline", "detector"), function(export.to_onnx), rows=None
    ),
    "plotting.AnomalyScoresDisplay": Subject(
        ("deep", "detector"), picture(plotting.AnomalyScoresDisplay), rows=None
    ),
    "plotting.ContractionCurveDisplay": Subject(
        ("deep",), picture(plotting.ContractionCurveDisplay, radii=[0.1, 1]), rows=None
    ),
    "plotting.DriftDisplay": Subject(
        ("detector",), picture(plotting.DriftDisplay), rows=None
    ),
    "plotting.JacobianSpectrumDisplay": Subject(
        ("deep",), picture(plotting.JacobianSpectrumDisplay), rows=None
    ),
    "plotting.LambdaPathDisplay": Subject(
        ("deep",),
        lambda model, X: plotting.LambdaPathDisplay.from_estimator(
            clone(model), X, [0, 1], cv=2
        ),
        rows=None,
    ),
    "plotting.ScoreFieldDisplay": Subject(
        ("deep",), picture(plotting.ScoreFieldDisplay), rows=None
    ),
    "plotting.SensitivityDisplay": Subject(
        ("deep",), picture(plotting.SensitivityDisplay), rows=None
    ),
    "plotting.TangentVectorsDisplay": Subject(
        ("deep",),
        picture(plotting.TangentVectorsDisplay, n_vectors=2),
        rows=None,
        heights=(1, 2, 0),
    ),
    "plotting.TrainingCurvesDisplay": Subject(
        ("deep",),
        lambda model, X: plotting.TrainingCurvesDisplay(
            {"loss": X, "validation_loss": X}
        ).plot(),
        rows=None,
    ),
}
# Public methods that take no table.
WITHOUT_A_TABLE = {
    "get_metadata_routing",
    "get_params",
    "plot",
    "set_callbacks",
    "set_output",
    "set_params",
    "to_module",
}


def public_names():
    for module in (skcae, anomaly, metrics, inspection, functional, export, plotting):
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isclass(public) and issubclass(public, nn.Module):
                continue  # which takes tensors, and errors are torch's
            room = module.__name__.rpartition(".")[2]
            if not (inspect.isclass(public) and issubclass(public, BaseEstimator)):
                yield f"{room}.{name}"
                continue
            for method_name, _ in inspect.getmembers(public, callable):
                is_public = not method_name.startswith("_")
                if is_public and method_name not in WITHOUT_A_TABLE:
                    yield f"{name}.{method_name}"


def test_every_public_name_is_tested():
    assert set(public_names()) == {name.split(",")[0] for name in SUBJECTS}


def is_sound(subject, model, given):
    """Whether there is no reason to refuse a table."""
    values = given.values
    if not given.plain or subject.rows is None:
        return False
    if values.ndim != 2 or values.shape[1] != subject.width:
        return False
    last = model[-1] if hasattr(model, "steps") else model
    if isinstance(given.X, list) and len(values) == 0:
        return False
    if sparse.issparse(given.X) and not (
        isinstance(model, ContractiveAutoencoder) and subject.width == WIDTH
    ):
        return False
    if getattr(last, "loss", "") == "log_loss":
        return False
    reads_nan = getattr(last, "allow_nan", False) and subject.width == WIDTH
    if not reads_nan and np.isnan(values).any():
        return False
    return len(values) >= subject.rows and is_moderate(np.nan_to_num(values))


# Whoever says what is wrong names an argument, or a part of a table.
WORDS = re.compile(
    r"\b(X|X_\w+|x|y|columns?|features?|rows?|samples?|arrays?|tables?|types?|dtypes?|"
    r"numbers?|input_features|module|rate|history|cv_results|mean_test_score|n_\w+|"
    r"search|names?|cv|data|lam|Input|DataFrame|radii|string|tensor)\b"
)


@pytest.mark.parametrize("name", SUBJECTS)
@given(data=st.data())
def test_right_or_refused(name, data):
    subject = SUBJECTS[name]
    given_table = data.draw(tables(subject.width, subject.heights))
    model = models()[data.draw(st.sampled_from(subject.models))]
    judge(subject, model, given_table)


def is_of_a_step(error):
    """Whether a step before the autoencoder raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return any("sklearn/preprocessing/" in frame.filename for frame in frames)


def is_ours(error):
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).is_relative_to(PACKAGE) for frame in frames)


def judge(subject, model, given):
    if subject.fits:
        model = pickle.loads(pickle.dumps(model))
    before = pickle.dumps(model), snapshot(given.X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", module="sklearn")
        warnings.filterwarnings("ignore", "The best λ", UserWarning)
        try:
            result = subject.call(model, given.X)
        except Exception as error:
            if not is_of_a_step(error):
                assert not is_sound(subject, model, given), repr(error)
                if is_ours(error):
                    assert isinstance(error, ValueError | TypeError), repr(error)
                    assert WORDS.search(str(error)), repr(error)
            assert pickle.dumps(model) == before[0]
        else:
            subject.check(model, given, result)
            assert subject.fits or pickle.dumps(model) == before[0]
        finally:
            plt.close("all")
    assert snapshot(given.X) == before[1]


# What was found


def like(kind, values):
    return case(kind, np.asarray(values, dtype=float)).X


ROWS = training_rows()[:5]
GAP = np.array([[np.nan, 1.0, 2.0]])
REFUSED = {
    "a huge int": (
        lambda: network().fit(like("objects with a huge int", ROWS)),
        "X cannot be read as a table of numbers",
    ),
    "a tensor with a gradient": (
        lambda: models()["detector"].predict(like("tensor with a gradient", ROWS)),
        "X cannot be read as a table of numbers",
    ),
    "an empty tensor with a gradient": (
        lambda: models()["detector"].explain(like("tensor with a gradient", ROWS[:0])),
        r"X cannot be read as a table of numbers: .* give X.detach\(\)",
    ),
    "missing cells only": (
        lambda: metrics.denoising_score(models()["gaps"], np.full((3, WIDTH), np.nan)),
        "X has missing cells only",
    ),
    "a LazyFrame": (
        lambda: models()["detector"].fit(like("LazyFrame", ROWS)),
        "X is a LazyFrame",
    ),
    "another width behind a missing cell": (
        lambda: inspection.sensitivity(models()["gaps"], GAP),
        "X has 3 features at the autoencoder, which is expecting 4",
    ),
    "squares beyond the range": (
        lambda: inspection.contraction_curve(models()["gaps"], 1e155 * ROWS),
        "Column 0 of X runs from .*, but squares of such values",
    ),
    "a threshold from rows beyond the range": (
        lambda: models()["deep"].set_weights(
            models()["deep"].to_module(), 1e200 * ROWS
        ),
        "Column 0 of X runs from .*, but training is done in float32",
    ),
    "another width to explain": (
        lambda: models()["detector"].explain(ROWS[:, :3]),
        "X must have 4 columns; got 3",
    ),
    "no column to explain": (
        lambda: anomaly.explain(models()["deep"], np.empty((0, 0))),
        "X must have at least one column",
    ),
    "results that are no dict": (
        lambda: metrics.largest_lam_within_one_standard_error([1.0, 2.0]),
        "cv_results must be a dict",
    ),
    "folds of a dict": (
        lambda: inspection.lambda_path(network(), like("dict", ROWS), [0, 1]),
        "X must be a table",
    ),
    "folds of a sparse tensor": (
        lambda: inspection.lambda_path(network(), like("sparse tensor", ROWS), [0, 1]),
        "X must be a table",
    ),
    "a penalty of another width": (
        lambda: functional.jacobian_penalty(STACK, torch.zeros(2, 3).double()),
        "x must have 4 columns, as the first layer of f reads; got 3",
    ),
    "a penalty in another type": (
        lambda: functional.jacobian_penalty(STACK, torch.zeros(2, 4)),
        "x must be of the type of the parameters of f, torch.float64; got torch.fl",
    ),
    "a penalty of a sparse tensor": (
        lambda: functional.jacobian_penalty(STACK, torch.zeros(2, 4).to_sparse()),
        "x must be dense",
    ),
    "a graph of no rows": (
        lambda: export.to_onnx(models()["deep"], ROWS[:0]),
        "X must have rows and columns",
    ),
    "a graph of another width": (
        lambda: export.to_onnx(models()["gaps"], ROWS[:, :1]),
        "X has 1 columns, but model was fitted to 4",
    ),
    "a hundred and one panels": (
        lambda: plotting.TangentVectorsDisplay.from_estimator(
            models()["deep"], np.zeros((101, WIDTH)), 1
        ),
        "rows times directions must be at most 100",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, message = REFUSED[name]
    before = pickle.dumps(models())
    with pytest.raises((ValueError, TypeError), match=message):
        call()
    assert pickle.dumps(models()) == before


def test_reversed_rows_saturate_alike():
    X = like("backwards", ROWS)
    assert min(X.strides) < 0
    np.testing.assert_array_equal(
        inspection.saturation(models()["shallow"], X),
        inspection.saturation(models()["shallow"], ROWS),
    )


def test_codes_beyond_float32_are_infinite():
    codes = np.full((1, N_COMPONENTS), 3e38)
    wide = models()["deep"].inverse_transform(codes)
    narrow = models()["deep"].inverse_transform(codes.astype(np.float32))
    is_beyond = np.abs(wide) > np.finfo(np.float32).max
    assert is_beyond.any()
    np.testing.assert_array_equal(np.isinf(narrow), is_beyond)


def test_drift_of_a_column_that_overflows_to_both_sides():
    X = training_rows()
    X[:2, 0] = 1.7e308, -1.7e308
    report = models()["detector"].drift(X)
    assert np.isfinite(report.drop("score")).all(axis=None)
    assert report.loc["x0", "p_value"] > 0.05  # two rows of sixty


def test_sparse_rows_are_drawn_as_dense_ones():
    displays = [
        plotting.TangentVectorsDisplay.from_estimator(models()["deep"], X, 1)
        for X in (ROWS[:2], sparse.csr_array(ROWS[:2]))
    ]
    plt.close("all")
    np.testing.assert_array_equal(displays[0].rows, displays[1].rows)
    np.testing.assert_array_equal(displays[0].vectors, displays[1].vectors)


@pytest.mark.parametrize("shape", [(2, 0), (0, 4), (2, 0, 4)])
def test_penalties_of_no_columns_or_no_cells(shape):
    x = torch.zeros(shape, dtype=torch.float64)
    if len(x) == 0:
        with pytest.raises(ValueError, match="x must have at least one row"):
            functional.jacobian_penalty(torch.tanh, x)
        return
    f = STACK if shape[-1] else torch.tanh
    norms, _ = functional.jacobian_penalty(f, x, reduction="none")
    assert norms.tolist() == [0, 0]
