"""How the cost of training grows with rows, columns, width, depth and ranks.

Times one epoch while one of them grows, and fits an exponent to the larger half of
the sizes, where fixed costs no longer flatten the line. By the operation count every
exponent is 1: rows, columns, units of a layer and layers enter once. Memory is what
a fit needs beside its table. Ranks share the rows of one table and the cores of this
machine, in batches that are small (32 rows on each of two) and large (512 rows).

    python -m benchmarks.growth                 about fifteen minutes
    python -m benchmarks.growth --quick         smaller sizes, two minutes
    python -m benchmarks.growth --plot F.png    the picture, too
    python -m benchmarks.growth --out F.json    the raw times, too
"""

import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks._memory import of_a_fit
from benchmarks._report import parser, seconds, setting, table, write
from benchmarks._rivals import contractive

# name: sizes, and what they make of (rows, columns, layers of the encoder)
AXES = {
    "rows": ((10_000, 100_000, 1_000_000, 10_000_000), lambda s: (s, 30, (64, 8))),
    "columns": ((10, 30, 100, 300, 1000, 3000, 10_000), lambda s: (2560, s, (64, 8))),
    "width": ((16, 64, 256, 1024, 4096), lambda s: (2560, 100, (s,))),
    "width, two layers": ((16, 64, 256, 1024, 4096), lambda s: (2560, 100, (s, 16))),
    "depth": ((1, 2, 3, 4, 5), lambda s: (10_240, 64, (64,) * s)),
}


# Rows and columns of tables whose fits' memory is measured.
MEMORY = [(10**n, 30) for n in (4, 5, 6, 7)] + [(20_000, 10**n) for n in (1, 2, 3)]
BATCHES = (64, 1024)


def cost(n, d, layers):
    """Seconds of one epoch in batches of 256: what more of them add to a fit.

    The least of three, as anything else that the machine does only adds; of long fits,
    one each.
    """
    X = table(n, d)
    few = contractive(layers, 1)
    few.fit(X[:10_000])
    first = seconds(partial(few.fit, X))
    more = round(np.clip(1 / first, 2, 20))
    many = contractive(layers, 1 + more)
    trials = range(1 if first > 5 else 3)
    low, high = (
        min(seconds(partial(model.fit, X)) for _ in trials) for model in (few, many)
    )
    return (high - low) / more


def exponent(sizes, costs):
    """Slope of the larger half on logarithmic axes."""
    half = len(sizes) // 2
    return np.polyfit(np.log(sizes[half:]), np.log(costs[half:]), 1)[0]


def epoch_of_ranks(n_ranks, n_rows, batch_size):
    """Seconds of an epoch of so many ranks together."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run += ["--nproc-per-node", str(n_ranks), "-m", "benchmarks._ranks"]
    run += [str(n_rows), "30", str(batch_size)]
    return float(subprocess.run(run, check=True, capture_output=True).stdout)


def draw(results, path):
    """Save one panel for each axis."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(results), figsize=(2.6 * len(results), 2.8), layout="constrained"
    )
    for ax, (name, (sizes, costs, slope)) in zip(axes, results.items(), strict=True):
        ax.loglog(sizes, costs, "o-", color="#0072B2")
        line = costs[-1] * np.divide(sizes, sizes[-1])
        ax.loglog(sizes, line, ":", color="grey")
        ax.set(xlabel=name, title=f"exponent {slope:.2f}")
    axes[0].set_ylabel("seconds an epoch")
    figure.savefig(path, dpi=150)


def main():
    """Print the exponents."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--plot", help="file for the picture")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(options.threads)
    conditions = setting(threads=options.threads)
    results = {}
    for name, (sizes, shape) in AXES.items():
        if options.quick and name != "depth":
            sizes = sizes[:-2]
        costs = []
        for size in sizes:
            costs.append(cost(*shape(size)))
            print(f"  {size:10,} {costs[-1]:9.4f} s an epoch", flush=True)
        results[name] = sizes, costs, exponent(sizes, costs)
        print(f"{name}: exponent {results[name][2]:.2f}", flush=True)
    rows = [
        {"axis": name, "sizes": sizes, "seconds": costs, "exponent": slope}
        for name, (sizes, costs, slope) in results.items()
    ]
    for n_rows, n_columns in MEMORY[:: 3 if options.quick else 1]:
        extra = of_a_fit(n_rows, n_columns)
        print(f"memory, {n_rows:10,} x {n_columns:5,}: {extra:6.0f} MiB", flush=True)
        rows.append({"axis": "memory", "sizes": (n_rows, n_columns), "MiB": extra})
    n_rows = 20_000 if options.quick else 200_000
    for batch_size in BATCHES:
        one, two = (epoch_of_ranks(n, n_rows, batch_size) for n in (1, 2))
        steps = n_rows / batch_size
        print(
            f"ranks, batches of {batch_size} in all: {one:.3f} s an epoch on one, "
            f"{two:.3f} s on two ({two / one:.2f}); {1e6 * one / steps:.0f} and "
            f"{1e6 * two / steps:.0f} microseconds a step",
            flush=True,
        )
        rows.append({"axis": "ranks", "batch_size": batch_size, "seconds": (one, two)})
    if options.plot:
        draw(results, options.plot)
    write(options.out, conditions, rows)


if __name__ == "__main__":
    main()
