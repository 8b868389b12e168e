"""How the cost of training grows with rows, columns, width and depth.

Times one epoch while one of them grows, and fits an exponent to the larger half of
the sizes, where fixed costs no longer flatten the line. By the operation count every
exponent is 1: rows, columns, units of a layer and layers each enter once.

    python -m benchmarks.growth                 about five minutes
    python -m benchmarks.growth --quick         smaller sizes, half a minute
    python -m benchmarks.growth --plot F.png    the picture, too
    python -m benchmarks.growth --out F.json    the raw times, too
"""

import warnings
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import parser, seconds, setting, table, write
from benchmarks._rivals import contractive

# name: sizes, and what they make of (rows, columns, layers of the encoder)
AXES = {
    "rows": ((10_000, 30_000, 100_000, 300_000, 1_000_000), lambda s: (s, 30, (64, 8))),
    "columns": ((10, 30, 100, 300, 1000, 3000, 10_000), lambda s: (2560, s, (64, 8))),
    "width": ((16, 64, 256, 1024, 4096), lambda s: (2560, 100, (s,))),
    "width, two layers": ((16, 64, 256, 1024, 4096), lambda s: (2560, 100, (s, 16))),
    "depth": ((1, 2, 3, 4, 5), lambda s: (10_240, 64, (64,) * s)),
}


def cost(n, d, layers):
    """Seconds of one epoch in batches of 256: what more of them add to a fit.

    The least of three, as anything else that the machine does only adds.
    """
    X = table(n, d)
    few = contractive(layers, 1)
    few.fit(X)
    more = round(np.clip(1 / seconds(lambda: few.fit(X)), 2, 20))
    many = contractive(layers, 1 + more)
    low, high = (
        min(seconds(partial(model.fit, X)) for _ in "123") for model in (few, many)
    )
    return (high - low) / more


def exponent(sizes, costs):
    """Slope of the larger half on logarithmic axes."""
    half = len(sizes) // 2
    return np.polyfit(np.log(sizes[half:]), np.log(costs[half:]), 1)[0]


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
        costs = [cost(*shape(size)) for size in sizes]
        results[name] = sizes, costs, exponent(sizes, costs)
        print(f"{name}: exponent {results[name][2]:.2f}")
        for size, value in zip(sizes, costs, strict=True):
            print(f"  {size:9,} {value:9.4f} s an epoch", flush=True)
    if options.plot:
        draw(results, options.plot)
    rows = [
        {"axis": name, "sizes": sizes, "seconds": costs, "exponent": slope}
        for name, (sizes, costs, slope) in results.items()
    ]
    write(options.out, conditions, rows)


if __name__ == "__main__":
    main()
