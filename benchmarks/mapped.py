"""What it costs to learn from a table on disk, and to shuffle it in runs of rows.

The same table as a memory map and as an array: seconds of a fit, interleaved. Then rows
shuffled in runs of consecutive ones, as large tables are, against rows shuffled one by
one, on a table whose rows come at random and on the same sorted by its largest factor,
which is the worst that runs can meet: the error of new rows after as many epochs.

    python -m benchmarks.mapped           about ten minutes, 400 MB of disk
    python -m benchmarks.mapped --quick   a tenth of the rows
"""

import tempfile
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import conclude, interleaved, parser, ratios, setting
from skcae import ContractiveAutoencoder
from skcae._core import batches

N_COLUMNS = 50
SEEDS = range(5)
# Times of the memory map over the array's; the share of the error that runs may cost.
RATE_BAR, ERROR_BAR = 1 / 0.7, 0.02


def table(n_rows, seed):
    """Rows of five factors of falling size, with noise."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(0).normal(size=(5, N_COLUMNS))
    factors = rng.standard_normal((n_rows, 5)) * [4, 2, 1, 1, 1]
    X = np.float32(np.tanh(factors @ loadings / 4))
    X += 0.1 * rng.standard_normal(X.shape, dtype=np.float32)
    return X, factors[:, 0]


def autoencoder(seed, epochs):
    """A network that is small enough for batches to cost as much as its products."""
    return ContractiveAutoencoder(
        8, hidden_layer_sizes=(64,), max_iter=epochs, random_state=seed
    )


@contextmanager
def one_by_one():
    """Shuffle every table row by row."""
    before = batches._GROUP_ELEMENTS, batches._GROUP_ROWS
    batches._GROUP_ELEMENTS = batches._GROUP_ROWS = 2**40
    yield
    batches._GROUP_ELEMENTS, batches._GROUP_ROWS = before


def rate(X, n_pairs):
    """Times of a fit on the memory map over those on the array."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.npy")
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        fits = [partial(autoencoder(0, 1).fit, each) for each in (mapped, X)]
        return ratios(interleaved(*fits, n_pairs))


def errors(X, new, epochs):
    """Error of new rows for each seed, in runs and one by one."""
    in_runs = [-autoencoder(seed, epochs).fit(X).score(new) for seed in SEEDS]
    with one_by_one():
        alone = [-autoencoder(seed, epochs).fit(X).score(new) for seed in SEEDS]
    return np.array(in_runs), np.array(alone)


def main():
    """Print both, and fail if a bar is missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    n_rows = 200_000 if options.quick else 2_000_000
    conditions = setting(rows=n_rows, columns=N_COLUMNS)
    X, largest = table(n_rows, 1)
    new, _ = table(20_000, 2)
    median, low, high = rate(X, 2 if options.quick else 5)
    print(f"fit, memory map / array: {median:.2f} ({low:.2f}..{high:.2f})", flush=True)
    rows = [{"row": "rate", "value": median, "met": median <= RATE_BAR}]
    # few steps, as many have forgotten how they began; many groups, as of large tables
    n_few = n_rows // 4
    batches._GROUP_ELEMENTS = n_few * N_COLUMNS // 24
    for order, some in (
        ("random", X[:n_few]),
        ("sorted", X[:n_few][np.argsort(largest[:n_few])]),
    ):
        for epochs in (1, 5):
            in_runs, alone = errors(some, new, epochs)
            cost = in_runs.mean() / alone.mean() - 1
            print(
                f"{order} rows, {epochs} epochs: error {in_runs.mean():.5f} in runs, "
                f"{alone.mean():.5f} ± {alone.std():.5f} one by one ({cost:+.1%})",
                flush=True,
            )
            rows.append(
                {
                    "row": f"{order} rows, {epochs} epochs",
                    "in_runs": in_runs.tolist(),
                    "one_by_one": alone.tolist(),
                    "met": cost <= ERROR_BAR,
                }
            )
    conclude(options.out, conditions, rows)


if __name__ == "__main__":
    main()
