"""Whether one random probe a row trains as well as the exact penalty.

Trains 784-256-64, tied, on MNIST by Hutchinson's estimate and exactly, from the same
seeds, and evaluates the objective of both with the exact penalty on held-out images.

    python -m benchmarks.probes --data FOLDER   about half an hour
    python -m benchmarks.probes --quick         2,000 images, 3 epochs, two minutes
    python -m benchmarks.probes --out F         every run as JSON, too

Without --data, MNIST is fetched from OpenML.
"""

import statistics
import time

from benchmarks._data import mnist
from benchmarks._report import parser, setting, write
from skcae import ContractiveAutoencoder

LAMS, SEEDS = (0.1, 1.0), (0, 1, 2)


def run(X, held_out, lam, method, seed, epochs):
    """Train once; return what the objective consists of."""
    start = time.perf_counter()
    model = ContractiveAutoencoder(
        64,
        hidden_layer_sizes=(256,),
        activation="silu",
        lam=lam,
        penalty_method=method,
        max_iter=epochs,
        random_state=seed,
    ).fit(X)
    seconds = time.perf_counter() - start
    reconstruction = -model.score(held_out)
    penalty = model.contraction(held_out).mean() / X.shape[1]
    return {
        "lam": lam,
        "method": method,
        "seed": seed,
        "reconstruction": reconstruction,
        "penalty": penalty,
        "objective": reconstruction + lam * penalty,
        "seconds": seconds,
    }


def main():
    """Print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", help="folder with MNIST")
    arguments.add_argument("--quick", action="store_true")
    options = arguments.parse_args()
    n, epochs = (2000, 3) if options.quick else (60_000, 10)
    X, _ = mnist(options.data)
    X, held_out = X[:n], X[60_000:]

    conditions = setting(images=n, epochs=epochs, seeds=SEEDS)
    print("lam   hutchinson        exact             ratio of means  ratios  seconds")
    runs = []
    for lam in LAMS:
        by_method = {}
        for method in ("hutchinson", "exact"):
            done = [run(X, held_out, lam, method, seed, epochs) for seed in SEEDS]
            by_method[method] = done
            runs += done
        ours, truth = ([r["objective"] for r in done] for done in by_method.values())
        columns = [
            f"{statistics.mean(values):.6f} ±{statistics.stdev(values):.6f}"
            for values in (ours, truth)
        ]
        ratio = statistics.mean(ours) / statistics.mean(truth)
        single = " ".join(f"{a / b:.3f}" for a, b in zip(ours, truth, strict=True))
        times = " / ".join(
            f"{statistics.median(r['seconds'] for r in done):.0f}"
            for done in by_method.values()
        )
        print(f"{lam:<6g}{'  '.join(columns)}  {ratio:.4f}  {single}  {times}")
    write(options.out, conditions, runs)


if __name__ == "__main__":
    main()
