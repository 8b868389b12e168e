"""
Standard against contractive
============================

What a contraction buys, beside no regulariser and beside noise.

Autoencoders of two networks train alike and are compared on held-out images by their
reconstruction error, the sensitivity of their code, and the accuracy of a logistic
regression behind it: on clean images, on noisy ones, and trained with few labels.
The sensitivity falls where a code merely shrinks; the relative one does not.

It takes four minutes::

    python -m benchmarks.tutorials.standard_against_contractive
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data import digits
from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import collapses, options, save, three_layers
from skcae import ContractiveAutoencoder
from skcae.inspection import sensitivity

N_LABELS = 100  # of the classifier that is given few
NOISE_STD = 0.3  # of the denoising autoencoder, and of the noisy images
LAMBDAS = (0.001, 0.01, 0.1, 1)


def networks(large):
    """The tutorial's, with a decoder of its own; and one layer with tied weights."""
    return {
        "three layers, untied": three_layers(large) | {"decoder_activation": "relu"},
        "one layer, tied": {"n_components": 64, "hidden_layer_sizes": ()},
    }


def regularisers(n_columns):
    """Parameters by name, in the order of lam.

    The tutorial's formula sums error and penalty over columns, so that its λ is lam.
    Its code averages the error, so that lam is d times its λ.
    """
    contractive = {
        f"λ = {lam:g}, {counted}": {"lam": factor * lam}
        for counted, factor in (("formula", 1), ("code", n_columns))
        for lam in LAMBDAS
    }
    return {"standard": {"lam": 0}, "noise": {"lam": 0, "noise_std": NOISE_STD}} | dict(
        sorted(contractive.items(), key=lambda item: item[1]["lam"])
    )


def accuracies(encode, split, rng):
    """Of a logistic regression on what images are encoded to."""
    X_train, X_test, y_train, y_test = split
    noisy = X_test + NOISE_STD * rng.standard_normal(X_test.shape)
    codes = encode(X_train)
    all_labels, few_labels = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000)).fit(
            codes[:n_labels], y_train[:n_labels]
        )
        for n_labels in (None, N_LABELS)
    )
    return {
        "accuracy": all_labels.score(encode(X_test), y_test),
        "accuracy, noisy images": all_labels.score(encode(noisy), y_test),
        f"accuracy, {N_LABELS} labels": few_labels.score(encode(X_test), y_test),
    }


def measure(model, split, rng):
    """Figures of one model; the error is a share of the variance."""
    X_train, X_test, *_ = split
    collapsed = collapses(model, X_train)
    moved = sensitivity(model, X_test).mean()
    return {
        "lam": model.lam,
        "collapsed": float(collapsed),
        "error": -model.score(X_test) / X_test.var(axis=0).mean(),
        "sensitivity": moved["sensitivity"],
        "relative": moved["relative"],
    } | accuracies(model.transform, split, rng)


def draw(mean):
    """Reconstruction error against sensitivity, of networks that did not collapse."""
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 3.8), layout="constrained", sharey=True
    )
    names = mean.index.unique("network")
    for axis, column in zip(axes, ("sensitivity", "relative"), strict=True):
        for network, color in zip(names, ("#0072B2", "#D55E00"), strict=True):
            path = mean.loc[network].query("collapsed == 0")
            noise, path = path.loc["noise"], path.drop("noise")
            label = f"{network}: standard, then rising λ"
            axis.plot(path[column], path["error"], "o-", color=color, label=label)
            axis.plot(noise[column], noise["error"], "*", color=color, markersize=13)
        axis.set(xlabel=f"{'relative ' * (column == 'relative')}sensitivity")
    axes[1].plot([], [], "*", color="0.4", markersize=13, label=f"noise {NOISE_STD}")
    axes[0].set(xscale="log", ylabel="reconstruction error, share of variance")
    axes[1].legend(fontsize="small")
    return figure


def main():
    """Measure every model on every split, print and write."""
    chosen = options(__doc__, n_seeds=5)
    epochs = fixed(60 if chosen.data is None else 30) | {"learning_rate_init": 2e-3}
    conditions = setting(data=chosen.data, seeds=chosen.seeds)
    records = []
    for seed in range(chosen.seeds):
        split = digits(chosen.data, seed, n_train=3000)
        for network, parameters in networks(chosen.data is not None).items():
            for name, regulariser in regularisers(split[0].shape[1]).items():
                model = ContractiveAutoencoder(
                    random_state=seed, **parameters, **regulariser, **epochs
                )
                figures = measure(model, split, np.random.default_rng(seed))
                records.append({"network": network, "model": name} | figures)
        pixels = accuracies(lambda X: X, split, np.random.default_rng(seed))
        records.append({"network": "none", "model": "pixels"} | pixels)
        write(chosen.out, conditions, records)
    groups = pd.DataFrame(records).groupby(["network", "model"], sort=False)
    print(spreads(groups, ".3f").to_string())
    if chosen.pictures:
        save(draw(groups.mean().drop("none")), chosen.pictures, "error_by_sensitivity")


if __name__ == "__main__":
    main()
