"""Experiments of benchmarks.features on MNIST; each returns rows."""

from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from benchmarks._encoders import CANDIDATES, UNITS, layers_of, pretrained
from benchmarks._fine_tuning import BATCH, fine_tune, predict
from benchmarks._rows import once
from skcae.inspection import saturation, tangent_vectors

_SEEDS = (0, 1, 2)
DEEP = ("MLP, two layers", "CAE, stacked", "CAE at once")
FEW = (
    "pixels",
    "MLP",
    "AE",
    "DAE, Gaussian",
    "DAE, masking",
    "CAE",
    "CAE, stacked",
)
_ALL_LABELS = {"rate": 0.003, "epochs": 20, "noise_std": 0.2}
CLEAN = {"part": "clean", "noise_std": 0}

N_LABELS = (100, 600, 1000, 3000)
_DRAWS = range(5)
_FINE_TUNED = {"fine-tuned": {}, "fine-tuned, noise": {"noise_std": 0.5}}
_RATES, _STEPS = (0.001, 0.003, 0.01), (500, 2000, 6000)
_FROZEN = {
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "SVC": SVC(C=10),
}
# Directions a row, and weights of the derivatives along them. The directions of 1000
# images take five minutes, hence fewer draws.
_N_TANGENTS, _TANGENT_WEIGHTS, _TANGENT_DRAWS = 15, (0.01, 0.1, 1), range(3)


@dataclass(frozen=True)
class Digits:
    """Images and labels, and the folder for what has been measured on them.

    Parameters
    ----------
    folder : Path
    train, validation, test : tuple of ndarray
        Images of shape (n, 784), float32, and labels.
    device : str
        Where networks train.
    quick : bool
        One epoch, one seed, one draw and one number of labels, to try the program.
    """

    folder: Path
    train: tuple
    validation: tuple
    test: tuple
    device: str
    quick: bool = False

    def some(self, values):
        """The values, but the first only in a quick run."""
        return values[:1] if self.quick else values

    def row(self, part, measure, **key):
        """See benchmarks._rows.once."""
        return once(self.folder / part, key, measure)

    def encoder(self, seed, parameters, below=()):
        """See benchmarks._encoders.pretrained."""
        if self.quick:
            parameters = parameters | {"max_iter": 1}
        folder = self.folder / "encoders"
        return pretrained(folder, self.train[0], seed, self.device, parameters, below)

    def errors(self, predict):
        """Misclassified images, in percent."""
        return {
            name: round(100 * float(np.mean(predict(X) != y)), 4)
            for name, (X, y) in (("validation", self.validation), ("test", self.test))
        }

    def fine_tuned(self, layers, seed, settings, rows=slice(None)):
        """Errors of a network after supervised training on some of the images."""
        X, y = (part[rows] for part in self.train)
        if self.quick:
            settings = settings | {"epochs": 1}
        net = fine_tune(layers, X, y, **settings, seed=seed, device=self.device)
        return self.errors(partial(predict, net))

    def draw(self, n_labels, seed):
        """Which of the training images have a label."""
        return np.random.default_rng(seed).permutation(len(self.train[0]))[:n_labels]


def trial(digits, model, candidate, seed, part="paper", **fine_tuning):
    """Pre-train, fine-tune with all labels, and look at the codes of new images."""

    def measure():
        parameters = dict(candidate)
        settings = _ALL_LABELS | fine_tuning
        settings["rate"] = parameters.pop("rate", settings["rate"])
        if model == "MLP":
            return digits.fine_tuned(_random(1), seed, settings)
        encoder, images = digits.encoder(seed, parameters), digits.test[0]
        return digits.fine_tuned(layers_of(encoder), seed, settings) | {
            "norm": round(float(np.sqrt(encoder.contraction(images)).mean()), 3),
            "saturated": round(100 * float(saturation(encoder, images).mean()), 2),
        }

    return digits.row(part, measure, model=model, **candidate, seed=seed)


def chosen(digits, model):
    """The candidate that errs least on the images that validate, by seed 0."""
    return min(
        CANDIDATES[model],
        key=lambda candidate: trial(digits, model, candidate, 0)["validation"],
    )


def paper(digits, models, **fine_tuning):
    """Table 1 of the paper: three seeds of the chosen candidates."""
    for model in models:
        best = chosen(digits, model)
        for seed in digits.some(_SEEDS):
            yield trial(digits, model, best, seed, **fine_tuning)


def deep(digits, models):
    """Two layers and all labels: three seeds of each way to train them."""
    for model, seed in product(models, digits.some(_SEEDS)):
        measure = partial(_deep_errors, digits, model, seed)
        yield digits.row("deep", measure, model=model, seed=seed)


def _deep_errors(digits, model, seed):
    layers = _layers(_encoders(digits, model, seed)) or _random(2)
    return digits.fine_tuned(layers, seed, _ALL_LABELS)


def labels(digits, models, numbers):
    """Few labels: five draws, and the encoders of three seeds in turn."""
    draws = digits.some(_DRAWS)
    for n_labels, model in product(digits.some(numbers), models):
        for method in () if model == "pixels" else _FINE_TUNED:
            best = _chosen_with_few(digits, model, method, n_labels)
            for draw in draws:
                yield _with_few(digits, model, method, n_labels, draw, *best)
        for method, draw in () if model == "MLP" else product(_FROZEN, draws):
            yield digits.row(
                "labels",
                partial(_frozen, digits, model, method, n_labels, draw),
                model=model,
                method=method,
                n_labels=n_labels,
                draw=draw,
            )


def tangents(digits):
    """1000 labels, and small derivatives along the CAE's tangents.

    The weight is the one that errs least on the images that validate, by draw 0.
    """
    n_labels = 20 if digits.quick else 1000
    best_without = _chosen_with_few(digits, "CAE", "fine-tuned", n_labels)

    @cache
    def vectors(draw):
        images = digits.train[0][digits.draw(n_labels, draw)]
        (encoder,) = _encoders(digits, "CAE", _seed(digits, draw))
        frame = tangent_vectors(encoder, images, _N_TANGENTS)
        return frame.to_numpy(np.float32, copy=True).reshape(n_labels, _N_TANGENTS, -1)

    def row(weight, draw):
        def measure():
            settings = {"tangents": vectors(draw), "tangent_weight": weight}
            return _few(digits, "CAE", n_labels, draw, *best_without, **settings)

        return digits.row("tangents", measure, weight=weight, draw=draw)

    weights = digits.some(_TANGENT_WEIGHTS)
    best = min(weights, key=lambda weight: row(weight, 0)["validation"])
    for draw in digits.some(_TANGENT_DRAWS):
        yield row(best, draw)


def _chosen_with_few(digits, model, method, n_labels):
    """Rate and steps that err least on the images that validate: draw 0."""

    def error(candidate):
        return _with_few(digits, model, method, n_labels, 0, *candidate)["validation"]

    return min(product(digits.some(_RATES), digits.some(_STEPS)), key=error)


def _with_few(digits, model, method, n_labels, draw, rate, steps):
    settings = _FINE_TUNED[method]
    return digits.row(
        "labels",
        partial(_few, digits, model, n_labels, draw, rate, steps, **settings),
        model=model,
        method=method,
        n_labels=n_labels,
        rate=rate,
        steps=steps,
        draw=draw,
    )


def _few(digits, model, n_labels, draw, rate, steps, **settings):
    layers = _layers(_encoders(digits, model, _seed(digits, draw))) or _random(1)
    settings |= {"rate": rate, "epochs": max(1, steps // -(-n_labels // BATCH))}
    return digits.fine_tuned(layers, draw, settings, digits.draw(n_labels, draw))


def _frozen(digits, model, classifier, n_labels, draw):
    X, y = (part[digits.draw(n_labels, draw)] for part in digits.train)
    encoders = _encoders(digits, model, _seed(digits, draw))
    steps = [FrozenEstimator(encoder) for encoder in encoders]
    return digits.errors(make_pipeline(*steps, _FROZEN[classifier]).fit(X, y).predict)


def _seed(digits, draw):
    seeds = digits.some(_SEEDS)
    return seeds[draw % len(seeds)]


def _encoders(digits, model, seed):
    """Autoencoders whose encoders follow one another; none for what is not trained."""
    if model in ("MLP", "MLP, two layers", "pixels"):
        return []
    if model == "CAE at once":
        deep = {"hidden_layer_sizes": (UNITS,)}
        return [digits.encoder(seed, chosen(digits, "CAE") | deep)]
    name = model.removesuffix(", stacked")
    parameters = {k: v for k, v in chosen(digits, name).items() if k != "rate"}
    encoders = [digits.encoder(seed, parameters)]
    if name != model:
        encoders.append(digits.encoder(seed, parameters, encoders))
    return encoders


def _layers(encoders):
    return [layer for encoder in encoders for layer in layers_of(encoder)]


def _random(depth):
    return [(784, UNITS), (UNITS, UNITS)][:depth]
