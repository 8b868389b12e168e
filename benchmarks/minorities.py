"""Find faults in training rows that hold a small normal group, too.

A majority, a compact normal group elsewhere, and scattered faults, 1000 rows in all, of
which every method trains. The figure is the share of faults among as many of the worst
rows as there are faults; a method that takes the group for anomalies finds few.

    python -m benchmarks.minorities            three seeds, a few minutes
    python -m benchmarks.minorities --quick    one seed
    python -m benchmarks.minorities --out F    every figure as JSON, too
"""

import warnings
from itertools import product

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from benchmarks._detectors import FOREST, NOVELTY, TRIMMED
from benchmarks._report import parser, setting, write

METHODS = TRIMMED | {FOREST: NOVELTY[FOREST]}
GROUPS, FAULTS = (0.05, 0.1, 0.2), (0.01, 0.05, 0.1)


def table(group, faults, seed, n=1000):
    """Rows, and whether each is a fault.

    Parameters
    ----------
    group, faults : float
        Shares of the rows.
    seed : int
    n : int

    Returns
    -------
    X : ndarray of shape (n, 8)
    is_fault : ndarray of bool of shape (n,)
    """
    rng = np.random.default_rng(seed)
    n_group, n_faults = round(group * n), round(faults * n)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 8))
    X += 0.2 * rng.normal(size=X.shape)
    X[:n_group] = 4 + 0.5 * X[:n_group]
    X[n - n_faults :] = 3 * rng.normal(size=(n_faults, 8))
    return StandardScaler().fit_transform(X), np.arange(n) >= n - n_faults


def measure(group, faults, seed):
    """Share of the worst rows that are faults, for each method."""
    X, is_fault = table(group, faults, seed)
    for method, build in METHODS.items():
        scores = build(seed).fit(X).score_samples(X)
        worst = np.argsort(scores)[: is_fault.sum()]
        yield {
            "group": group,
            "faults": faults,
            "seed": seed,
            "method": method,
            "found": is_fault[worst].mean(),
        }


def main():
    """Measure, print and write."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true", help="one seed")
    options = arguments.parse_args()
    conditions, rows = setting(), []
    warnings.simplefilter("ignore")  # what a method says of a table is not compared
    for case in product(GROUPS, FAULTS, range(1 if options.quick else 3)):
        rows += measure(*case)
    frame = pd.DataFrame(rows)
    shape = {"index": ["group", "faults"], "columns": "method", "sort": False}
    print(frame.pivot_table(values="found", **shape).round(2).to_string())
    write(options.out, conditions, rows)


if __name__ == "__main__":
    main()
