"""How every benchmark measures, prints and writes."""

import argparse
import json
import platform
import statistics
import sys
import time

import numpy as np
import sklearn
import torch

from skcae import __version__

# The threads of one library spin for a while after its last product, and would
# slow down the rival that comes next.
_PAUSE_SECONDS = 0.2


def parser(doc, out="JSON file for every figure"):
    """Command line of a benchmark, whose help is its docstring."""
    arguments = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--out", help=out)
    return arguments


def seconds(function):
    """Time one call, after a pause."""
    time.sleep(_PAUSE_SECONDS)
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(ours, rival, n_pairs):
    """Seconds of both, in turn, after one call each that does not count."""
    ours(), rival()
    return [(seconds(ours), seconds(rival)) for _ in range(n_pairs)]


def ratios(pairs):
    """Median, least and greatest of ours over the rival's."""
    values = sorted(mine / theirs for mine, theirs in pairs)
    return statistics.median(values), values[0], values[-1]


def spreads(groups, form=".2f"):
    """Mean ± standard deviation of every column within groups of rows, as text.

    Only the mean of a group of one row, and nothing where no row has a figure.

    Parameters
    ----------
    groups : DataFrameGroupBy or SeriesGroupBy
    form : str
        How to write a number.
    """
    mean, std = groups.mean(), groups.std()
    text, ends = mean.map(f"{{:{form}}}".format), std.map(f" ± {{:{form}}}".format)
    return text.where(mean.notna(), "") + ends.where(std.notna(), "")


def setting(**extra):
    """Print and return what the figures depend on."""
    versions = {
        "skcae": __version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    } | extra
    print(", ".join(f"{name} {value}" for name, value in versions.items()), flush=True)
    return versions


def write(path, setting, rows):
    """Write the raw figures as JSON, if a path was given."""
    if path:
        with open(path, "w") as file:
            json.dump({"setting": setting, "rows": rows}, file, indent=1)


def conclude(path, setting, rows):
    """Write the figures, and end the command with an error where a bar is missed."""
    write(path, setting, rows)
    missed = [row["row"] for row in rows if not row["met"]]
    if missed:
        sys.exit(f"{len(missed)} of {len(rows)} bars missed: {'; '.join(missed)}")


def each_seed(doc, measure, n_seeds):
    """Measure a row of figures for each seed, print and write them.

    Parameters
    ----------
    doc : str
        Help of the command; one seed with --quick.
    measure : callable
        From a seed to a dict of numbers.
    n_seeds : int

    Returns
    -------
    list of dict
    """
    arguments = parser(doc)
    arguments.add_argument("--quick", action="store_true", help="one seed")
    options = arguments.parse_args()
    conditions, rows = setting(), []
    for seed in range(1 if options.quick else n_seeds):
        row = {"seed": seed} | measure(seed)
        print(", ".join(f"{name} {row[name]:.3g}" for name in row), flush=True)
        rows.append(row)
    write(options.out, conditions, rows)
    return rows


def table(n, d, dtype=np.float32):
    """Rows of a Gaussian with correlated columns of about unit variance."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    mixing = rng.standard_normal((d, d), dtype=np.float32) / np.float32(np.sqrt(d))
    return (X @ mixing).astype(dtype, copy=False)
