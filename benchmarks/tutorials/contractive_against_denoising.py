"""Do a contractive and a denoising autoencoder learn the same representation?

For small noise of standard deviation s, denoising acts like ``lam = s²`` on the
Jacobian of the whole reconstruction (Alain & Bengio 2014). Tutorials often write the
formula with the Jacobian of the encoder. Compared are noise of 0.3, both penalties
with lam = 0.3² = 0.09, and the exercise's λ = 0.1 as its code counts it, lam = 0.1 d.
(As its formula counts it, lam = 0.1 is all but the 0.09.)

On scikit-learn's digits, as mean and standard deviation over pairs of five seeds:

- With the penalty on the reconstruction, yes: a denoising and a contractive
  autoencoder differ as much as two denoising ones. Their reconstructions are 0.010 ±
  0.001 of the variance apart, and two denoising ones 0.011 ± 0.001, in one tied layer;
  0.047 ± 0.003 and 0.046 ± 0.004 in three untied ones. This holds although noise of
  0.3 is not small, next to pixels with a standard deviation of 0.27.
- With the penalty on the encoder, no: 0.037 ± 0.002 and 0.070 ± 0.006 apart. It is
  nearer to noise than the standard autoencoder is (0.140 and 0.115).
- lam = 0.1 d is another matter: one tied layer collapses to the column means, and three
  untied ones keep a third of the variance, or less, by seed.
- CKA hardly tells the codes apart: of one tied layer all but the collapsed have 0.97
  or more with each other and with the pixels themselves. It weighs directions by their
  variance, and the leading ones are kept by every model. That two codes have a CKA of
  0.98 says little.
"""

# %%
import warnings
from itertools import permutations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import OUTPUT, folder_of_mnist, load
from sklearn.exceptions import ConvergenceWarning

from skcae import ContractiveAutoencoder

FOLDER = folder_of_mnist(__doc__)
N_SEEDS = 5 if FOLDER is None else 3
S = 0.3
X, X_test, _, _ = load(FOLDER)
D = X.shape[1]

# %% One layer, tied; and three sigmoid layers with a decoder of its own, as in the
# tutorial, but for a decoder that is smooth, as the penalty on the reconstruction
# needs it. All models train for the same epochs.
NETWORKS = {
    "one layer, tied": {
        "n_components": 64,
        "hidden_layer_sizes": (),
        "activation": "silu",
    },
    "three layers, untied": {
        "n_components": 32 if FOLDER is None else 64,
        "hidden_layer_sizes": (128, 64) if FOLDER is None else (256, 128),
        "activation": "sigmoid",
        "output_activation": "sigmoid",
        "tied_weights": False,
    },
}
MODELS = {
    "standard": {"lam": 0},
    "noise": {"lam": 0, "noise_std": S},
    "reconstruction": {"lam": S**2, "penalty": "reconstruction"},
    "encoder": {"lam": S**2},
    "encoder, 0.1 d": {"lam": 0.1 * D},
}
EPOCHS = {
    "max_iter": 60 if FOLDER is None else 30,
    "learning_rate_init": 2e-3,
    "tol": 0,
    "n_iter_no_change": 60,
}


# %% Two measures that do not see which unit of a code is which. Linear CKA compares
# the similarities between rows: it is 1 for codes that are equal but for a rotation, a
# shift and a scale. (Canonical correlations forgive any invertible linear map. Codes of
# as many units as columns then all agree, also those of models that do not.)
def linear_cka(a, b):
    """Kornblith et al. (2019): 1 for equal similarities between rows."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return np.linalg.norm(a.T @ b) ** 2 / norms


def distance(a, b):
    """Mean squared difference of two reconstructions, as a share of the variance."""
    return np.mean((a - b) ** 2) / X_test.var(axis=0).mean()


# %% Every model with every other of another seed; on the diagonal, two seeds of the
# same model say what agreement one can expect at all.
def agreement(measure, outputs):
    """Mean and standard deviation over pairs of seeds, by pair of models."""
    pairs = list(permutations(range(N_SEEDS), 2))
    records = [
        (a, b, measure(outputs[a][i], outputs[b][j]))
        for a, b in product(outputs, repeat=2)
        for i, j in pairs
    ]
    table = pd.DataFrame(records, columns=["model", "other", "value"])
    groups = table.groupby(["model", "other"], sort=False)["value"]
    return groups.mean().unstack(sort=False), groups.std().unstack(sort=False)


def show(title, mean, spread):
    print(f"\n{title}, mean ± sd over pairs of seeds\n")
    print(f"| | {' | '.join(mean.columns)} |")
    print("|---" * (1 + mean.shape[1]) + "|")
    for name in mean.index:
        cells = [
            f"{m:.3f} ± {s:.3f}"
            for m, s in zip(mean.loc[name], spread.loc[name], strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


distances = {}
for network, parameters in NETWORKS.items():
    codes, restored, errors = {}, {}, {}
    for name, regulariser in MODELS.items():
        models = [
            ContractiveAutoencoder(
                random_state=seed, **parameters, **regulariser, **EPOCHS
            )
            for seed in range(N_SEEDS)
        ]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            for model in models:
                model.fit(X)
        if caught:
            print(f"\n{network}, {name}: the code collapsed {len(caught)} times")
        codes[name] = [model.transform(X_test) for model in models]
        restored[name] = [
            model.inverse_transform(code)
            for model, code in zip(models, codes[name], strict=True)
        ]
        errors[name] = np.mean([distance(rows, X_test) for rows in restored[name]])
    codes["the pixels"] = [X_test] * N_SEEDS
    show(f"{network}: CKA of the codes", *agreement(linear_cka, codes))
    mean, spread = agreement(distance, restored)
    show(f"{network}: distance of the reconstructions", mean, spread)
    print("\nReconstruction error, share of variance: ", end="")
    print(", ".join(f"{name} {error:.3f}" for name, error in errors.items()))
    distances[network] = mean

# %% The distance of each model from the denoising one.
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for axis, (network, mean) in zip(axes, distances.items(), strict=True):
    axis.plot(mean["noise"][::-1], mean.index[::-1], "o", color="#0072B2")
    axis.axvline(mean.loc["noise", "noise"], color="black", linestyle="--")
    axis.set(
        xscale="log",
        xlim=(0.005, 1.5),
        title=network,
        xlabel="distance from noise (dashed: itself)",
    )
    axis.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
OUTPUT.mkdir(exist_ok=True)
figure.savefig(OUTPUT / "contractive_against_denoising.png", dpi=150)
print(f"\nSaved {OUTPUT / 'contractive_against_denoising.png'}")
