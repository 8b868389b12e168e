"""
Directions kept and contracted
==============================

Which directions a contractive autoencoder keeps, and which it contracts.

The singular values of the encoder's Jacobian at a row say how much the code moves
along the singular vectors. One layer with tied weights is measured for three
activations; the identity makes it a linear map, whose directions are those of PCA.

It takes three minutes::

    python -m benchmarks.tutorials.directions

"along the data" is how far the step to the nearest training row moves the code, over
a random step of the same length; "overlap with PCA" is the share that the five leading
directions have of the span of the five leading principal components; "far / near" is
the contraction ratio at the largest distance over that at the smallest.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from benchmarks._data import digits
from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import options, save
from skcae import ContractiveAutoencoder
from skcae.inspection import contraction_curve, jacobian_spectrum, tangent_vectors
from skcae.plotting import (
    ContractionCurveDisplay,
    JacobianSpectrumDisplay,
    TangentVectorsDisplay,
)

ACTIVATIONS, LAMS, N_KEPT = ("silu", "sigmoid", "identity"), (0, 0.1, 1), 5


def directions(X, X_test):
    """Unit vectors from rows to their nearest training rows; and random ones."""
    nearest = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(X_test)[1][:, 0]
    anywhere = np.random.default_rng(0).standard_normal(X_test.shape)
    for rows in (X[nearest] - X_test, anywhere):
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure(model, X_test, along, anywhere, components):
    """Figures of one model; the error is a share of the variance."""
    spectrum, curve = jacobian_spectrum(model, X_test), contraction_curve(model, X_test)
    values, ratio = spectrum.singular_values, curve["ratio"]
    kept = tangent_vectors(model, X_test, N_KEPT).to_numpy()
    jacobians = model.jacobian(X_test)
    steps, random_steps = (
        np.linalg.norm(np.einsum("nkd,nd->nk", jacobians, rows), axis=1)
        for rows in (along, anywhere)
    )
    return {
        "error": -model.score(X_test) / X_test.var(axis=0).mean(),
        "largest singular value": values[:, 0].mean(),
        "20th": values[:, 19].mean(),
        "effective rank": spectrum.effective_rank.mean(),
        "its sd over rows": spectrum.effective_rank.std(),
        "along the data": np.mean(steps / random_steps),
        "overlap with PCA": np.square(kept @ components.T).sum() / len(kept),
        "far / near": ratio.iloc[-1] / ratio.iloc[0],
    }


def draw(models, X_test, y_test, folder):
    """Spectra and curves; and of five digits, what is kept and what is contracted."""
    shown = {f"λ = {lam}": models["silu", lam] for lam in LAMS}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    JacobianSpectrumDisplay.from_estimators(shown, X_test, ax=left)
    left.set_ylim(1e-3, 2)
    ContractionCurveDisplay.from_estimators(shown, X_test, ax=right)
    save(figure, folder, "directions_spectrum")
    rows = X_test[[np.flatnonzero(y_test == digit)[0] for digit in (0, 1, 3, 4, 7)]]
    side = int(np.sqrt(rows.shape[1]))
    for lam, which in ((0, "kept"), (1, "kept"), (1, "contracted")):
        figure = TangentVectorsDisplay.from_estimator(
            models["silu", lam], rows, 3, which, image_shape=(side, side)
        ).figure_
        figure.suptitle(f"λ = {lam}")
        save(figure, folder, f"directions_{which}_{lam}")


def main():
    """Measure, print and write."""
    chosen = options(__doc__, n_seeds=3)
    X, X_test, _, y_test = digits(chosen.data, n_test=500)
    held_against = [*directions(X, X_test), PCA(N_KEPT).fit(X).components_]
    epochs = fixed(150 if chosen.data is None else 40) | {"learning_rate_init": 2e-3}
    conditions = setting(data=chosen.data, seeds=chosen.seeds)
    records, models = [], {}
    for activation, lam, seed in product(ACTIVATIONS, LAMS, range(chosen.seeds)):
        model = ContractiveAutoencoder(
            64,
            hidden_layer_sizes=(),
            activation=activation,
            lam=lam,
            random_state=seed,
            **epochs,
        ).fit(X)
        models[activation, lam] = model
        figures = measure(model, X_test, *held_against)
        records.append({"activation": activation, "lam": lam} | figures)
    write(chosen.out, conditions, records)
    groups = pd.DataFrame(records).groupby(["activation", "lam"], sort=False)
    print(spreads(groups).to_string())
    if chosen.pictures:
        draw(models, X_test, y_test, chosen.pictures)


if __name__ == "__main__":
    main()
