"""
Contractive against denoising
=============================

Whether a contractive and a denoising autoencoder learn the same representation.

For small noise of standard deviation s, denoising acts like ``lam = s²`` on the
Jacobian of the whole reconstruction (Alain & Bengio 2014). Tutorials often write the
formula with the Jacobian of the encoder. Compared are noise of 0.3, both penalties
with lam = 0.3² = 0.09, and an exercise's λ = 0.1 as its code counts it, lam = 0.1 d.

Every model is compared with every other of another seed; two seeds of the same model
say what agreement one can expect at all.

It takes two minutes::

    python -m benchmarks.tutorials.contractive_against_denoising
"""

from itertools import permutations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks._data import digits
from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import collapses, options, save, three_layers
from skcae import ContractiveAutoencoder

S = 0.3


def networks(large):
    """One layer; and three whose decoder is smooth, as its penalty needs."""
    return {
        "one layer, tied": {
            "n_components": 64,
            "hidden_layer_sizes": (),
            "activation": "silu",
        },
        "three layers, untied": three_layers(large),
    }


def regularisers(n_columns):
    """Parameters by name."""
    return {
        "standard": {"lam": 0},
        "noise": {"lam": 0, "noise_std": S},
        "reconstruction": {"lam": S**2, "penalty": "reconstruction"},
        "encoder": {"lam": S**2},
        "encoder, 0.1 d": {"lam": 0.1 * n_columns},
    }


def linear_cka(a, b):
    """Compare the similarities between rows (Kornblith et al. 2019).

    It is 1 for codes that are equal but for a rotation, a shift and a scale.
    (Canonical correlations forgive any invertible linear map, so that all codes of as
    many units as columns agree.)
    """
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return np.linalg.norm(a.T @ b) ** 2 / norms


def compare(network, codes, restored, unit):
    """Records of all pairs of seeds of all pairs of models."""
    for a, b in product(codes, repeat=2):
        for i, j in permutations(range(len(codes[a])), 2):
            gap = np.mean((restored[a][i] - restored[b][j]) ** 2)
            yield {
                "network": network,
                "model": a,
                "other": b,
                "CKA of codes": linear_cka(codes[a][i], codes[b][j]),
                "distance of reconstructions": gap / unit,
            }


def draw(distances):
    """How far each model's reconstructions are from those of the denoising one."""
    names = distances.index.unique("network")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
    for axis, network in zip(axes, names, strict=True):
        to_noise = distances.loc[network, :, "noise"].drop("the images")[::-1]
        axis.plot(to_noise, to_noise.index, "o", color="#0072B2")
        axis.axvline(to_noise["noise"], color="black", linestyle="--")
        axis.set(
            xscale="log",
            xlim=(0.005, 1.5),
            title=network,
            xlabel="distance from noise (dashed: itself)",
        )
        axis.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    return figure


def main():
    """Fit, compare all pairs, print and write."""
    chosen = options(__doc__, n_seeds=5)
    if chosen.seeds < 2:
        raise SystemExit(
            "--seeds must be 2 or more: models of other seeds are compared"
        )
    X, X_test, *_ = digits(chosen.data)
    epochs = fixed(60 if chosen.data is None else 30) | {"learning_rate_init": 2e-3}
    conditions = setting(data=chosen.data, seeds=chosen.seeds)
    seeds, records = range(chosen.seeds), []
    for network, parameters in networks(chosen.data is not None).items():
        # the images themselves are a code, and their own reconstruction
        codes = {"the images": [X_test] * chosen.seeds}
        restored = dict(codes)
        for name, regulariser in regularisers(X.shape[1]).items():
            models = [
                ContractiveAutoencoder(
                    random_state=seed, **parameters, **regulariser, **epochs
                )
                for seed in seeds
            ]
            n_collapsed = sum(collapses(model, X) for model in models)
            if n_collapsed:
                print(f"{network}, {name}: collapsed {n_collapsed} times")
            codes[name] = [model.transform(X_test) for model in models]
            restored[name] = [
                model.inverse_transform(code)
                for model, code in zip(models, codes[name], strict=True)
            ]
        records += compare(network, codes, restored, X_test.var(axis=0).mean())
    write(chosen.out, conditions, records)
    groups = pd.DataFrame(records).groupby(["network", "model", "other"], sort=False)
    table = spreads(groups, ".3f")
    for measure in table:
        print(f"\n{measure}, mean ± sd over pairs of seeds")
        print(table[measure].unstack(sort=False).to_string())
    if chosen.pictures:
        distances = groups["distance of reconstructions"].mean()
        save(draw(distances), chosen.pictures, "contractive_against_denoising")


if __name__ == "__main__":
    main()
