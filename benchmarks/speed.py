"""What a fit, a step and a score cost, as ratios of interleaved pairs.

Every row runs the two rivals in turn, several times, in one process, and reports the
median of the ratios. Absolute times are printed for orientation only.

    python -m benchmarks.speed             the whole table, about ten minutes
    python -m benchmarks.speed --quick     fewer pairs and epochs, about one minute
    python -m benchmarks.speed --out F     the raw times as JSON, too
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from skcae import ContractiveAutoencoder, __version__

BATCH = 256


def table(n, d, dtype=np.float32):
    """Rows of a Gaussian with correlated columns of about unit variance."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    return (rng.normal(size=(n, d)) @ mixing).astype(dtype)


def seconds(function):
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def plain_autoencoder(sizes, epochs):
    """Scikit-learn's regressor, asked to return what it is given."""
    return MLPRegressor(
        hidden_layer_sizes=(*sizes, *sizes[-2::-1]),
        batch_size=BATCH,
        max_iter=epochs,
        tol=0,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )


def contractive(sizes, epochs, **parameters):
    """Our estimator, at full λ from the first step and without stopping early."""
    return ContractiveAutoencoder(
        sizes[-1],
        hidden_layer_sizes=sizes[:-1],
        batch_size=BATCH,
        max_iter=epochs,
        lam_warmup=0,
        tol=0,
        n_iter_no_change=epochs + 1,
        random_state=0,
        **parameters,
    )


def fit_against_mlp(n, d, sizes, epochs, **parameters):
    """Fit with the penalty against a plain autoencoder without one."""
    X = table(n, d)
    ours = contractive(sizes, epochs, **parameters)
    rival = plain_autoencoder(sizes, epochs)
    return partial(ours.fit, X), partial(rival.fit, X, X)


def fit_against_no_penalty(n, d, sizes, epochs, **parameters):
    """Fit with the penalty against the same fit at λ = 0."""
    X = table(n, d)
    ours = contractive(sizes, epochs, **parameters)
    rival = contractive(sizes, epochs, **parameters | {"lam": 0})
    return partial(ours.fit, X), partial(rival.fit, X)


def score_against_predict(n, dtype):
    """Scores of many rows against the regressor's predictions for them."""
    X = table(n, 30, dtype)
    ours = contractive((64, 8), 1).fit(X[:2000])
    rival = plain_autoencoder((64, 8), 1).fit(X[:2000], X[:2000])
    return partial(ours.score_samples, X), partial(rival.predict, X)


def import_against_torch_and_sklearn():
    """Import of the package against that of what it stands on."""

    def importing(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    stands_on = "import torch, sklearn.base, sklearn.pipeline"
    return importing(f"{stands_on}; import skcae"), importing(stands_on)


def rows(quick):
    """Name and pair of every row of the table."""
    epochs = 5 if quick else 20
    small, medium, wide = (20_000, 30, (64, 8)), (50_000, 100, (128, 16)), (64,)
    for activation in ("silu", "relu", "tanh"):
        yield (
            f"fit, 30-64-8, {activation} / MLPRegressor",
            fit_against_mlp(*small, epochs, activation=activation),
        )
    yield (
        "fit, 100-128-16 / MLPRegressor",
        fit_against_mlp(*medium, epochs // 2),
    )
    yield (
        "fit, 30-64 / MLPRegressor",
        fit_against_mlp(20_000, 30, wide, epochs),
    )
    yield "fit, 30-64 / lam = 0", fit_against_no_penalty(20_000, 30, wide, epochs)
    yield "fit, 30-64-8 / lam = 0", fit_against_no_penalty(*small, epochs)
    yield (
        "fit, 100-128-16 / lam = 0",
        fit_against_no_penalty(*medium, epochs // 2),
    )
    yield (
        "fit, 784-256-128-64 / lam = 0",
        fit_against_no_penalty(5000, 784, (256, 128, 64), max(1, epochs // 5)),
    )
    for dtype in (np.float64, np.float32):
        yield (
            f"score_samples, {dtype.__name__} / MLPRegressor.predict",
            score_against_predict(50_000 if quick else 200_000, dtype),
        )
    yield "import / torch and scikit-learn", import_against_torch_and_sklearn()


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about one minute")
    parser.add_argument("--pairs", type=int, help="interleaved pairs (3 or 7)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", help="JSON file for the raw times")
    options = parser.parse_args()
    n_pairs = options.pairs or (3 if options.quick else 7)

    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(options.threads)
    setting = {
        "skcae": __version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "threads": options.threads,
        "pairs": n_pairs,
    }
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    print(f"{'ours / rival':52} {'median':>7} {'range':>13} {'ours, s':>9}")
    raw = []
    with threadpool_limits(options.threads):
        for name, (ours, rival) in rows(options.quick):
            ours(), rival()
            times = [(seconds(ours), seconds(rival)) for _ in range(n_pairs)]
            ratios = sorted(mine / theirs for mine, theirs in times)
            spread = f"{ratios[0]:.2f}..{ratios[-1]:.2f}"
            typical = statistics.median(mine for mine, _ in times)
            median = statistics.median(ratios)
            print(f"{name:52} {median:7.2f} {spread:>13} {typical:9.3f}", flush=True)
            raw.append({"row": name, "median": median, "seconds": times})
    if options.out:
        with open(options.out, "w") as file:
            json.dump({"setting": setting, "rows": raw}, file, indent=1)


if __name__ == "__main__":
    main()
