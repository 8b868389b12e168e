"""
Where reconstruction points
===========================

Whether reconstruction points to where rows are denser.

Alain & Bengio (2014): with squared error, enough capacity and a small s, the field
r(x) - x of an autoencoder is s² times the score, the gradient of log p(x), if it was
trained with noise of standard deviation s, or with ``lam = s²`` on the Jacobian of the
whole reconstruction. Of a penalty on the encoder nothing is known. Here p is a mixture
of Gaussians, so that the score is known, too.

It takes two minutes::

    python -m benchmarks.tutorials.score_field

Printed are, over the dense region, the mean cosine between the field and s² times the
score, and the ratio of their mean lengths; and the same for the score of p blurred by
the noise, which is what noise estimates at any s.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import options, save
from skcae import ContractiveAutoencoder
from skcae.inspection import score_field
from skcae.plotting import ScoreFieldDisplay

MEANS, VARIANCE = np.array([[-1.5, -1.0], [1.5, -1.0], [0.0, 1.5]]), 0.7**2
S = 0.3
MODELS = {
    "penalty on the reconstruction": {"lam": S**2, "penalty": "reconstruction"},
    "noise": {"lam": 0, "noise_std": S},
    "penalty on the encoder": {"lam": S**2},
    "penalty on the encoder, tied": {"lam": S**2, "tied_weights": True},
    "none": {"lam": 0},
}


def draw_rows(n, rng):
    """From three round Gaussians of equal weight."""
    rows = MEANS[rng.integers(len(MEANS), size=n)]
    return rows + rng.normal(scale=np.sqrt(VARIANCE), size=(n, 2))


def density_and_score(X, variance=VARIANCE):
    """p(x) and the gradient of log p(x); adding s² to the variance blurs p."""
    away = X[:, None] - MEANS
    parts = np.exp(-(away**2).sum(axis=2) / (2 * variance))
    density = parts.mean(axis=1) / (2 * np.pi * variance)
    shares = parts / parts.sum(axis=1, keepdims=True)
    return density, -(shares[:, :, None] * away).sum(axis=1) / variance


def fit(X, seed, **parameters):
    """Train twice, the second time with a tenth of the learning rate.

    Near a mode the score is all but 0, and what the last steps leave behind there
    turns the arrows.
    """
    model = ContractiveAutoencoder(
        32,
        hidden_layer_sizes=(64,),
        activation="silu",
        batch_size=256,
        learning_rate_init=3e-3,
        random_state=seed,
        **{"tied_weights": False} | parameters | fixed(150),
    ).fit(X)
    model.set_params(warm_start=True, learning_rate_init=3e-4, **fixed(50))
    return model.fit(X)


def compare(field, score):
    """Mean cosine, and the ratio of mean lengths."""
    lengths, expected = (np.linalg.norm(rows, axis=1) for rows in (field, score))
    cosines = (field * score).sum(axis=1) / (lengths * expected)
    return cosines.mean(), lengths.mean() / expected.mean()


def draw(models):
    """The arrows of three models, over those of the score."""
    axis = np.linspace(-3, 3, 17)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density, score = density_and_score(grid)
    shown = density > 0.005
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.2), layout="constrained")
    for ax, name in zip(axes, models, strict=False):
        ScoreFieldDisplay.from_estimator(
            models[name], grid[shown], score[shown], stretch=3, ax=ax
        )
        ax.set_title(name, pad=32)
        ax.set_aspect("equal")
    return figure


def main():
    """Measure on a table and new rows for each seed, print and write."""
    chosen = options(__doc__, n_seeds=5, images=False)
    conditions = setting(seeds=chosen.seeds)
    records, models = [], {}
    for seed, (name, parameters) in product(range(chosen.seeds), MODELS.items()):
        rng = np.random.default_rng(seed)
        X, rows = draw_rows(4000, rng), draw_rows(2000, rng)
        # dense: all but the fifth of the new rows where p is lowest
        density, _ = density_and_score(rows)
        rows = rows[density >= np.quantile(density, 0.2)]
        models[name] = fit(X, seed, **parameters)
        field, record = score_field(models[name], rows), {"model": name}
        for ending, variance in (("", VARIANCE), (", blurred", VARIANCE + S**2)):
            cosine, length = compare(field, S**2 * density_and_score(rows, variance)[1])
            record |= {f"cosine{ending}": cosine, f"length{ending}": length}
        records.append(record)
    write(chosen.out, conditions, records)
    print(spreads(pd.DataFrame(records).groupby("model", sort=False)).to_string())
    if chosen.pictures:
        save(draw(models), chosen.pictures, "score_field")


if __name__ == "__main__":
    main()
