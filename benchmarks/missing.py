"""Anomalies in tables with holes: a network that reads them, beside imputers.

Half of the normal rows train, the others and all anomalies are scored, seed by seed.
Cells are taken away from both, at random or not: then a cell is the likelier to go the
higher it is. Mean and standard deviation of the training cells that are left scale
both. All networks are the same but for ``allow_nan``; behind an imputer their errors
are averaged over all cells, or over those that were observed. "filled" is the root mean
square error of what stands for the cells that went, over normal rows.

    python -m benchmarks.missing --data FOLDER   npz files as ADBench distributes them
    python -m benchmarks.missing                 what scikit-learn ships
    ... --families adbench keel                  some of the folder's families only
    ... --seeds 0 1                              some seeds only
    ... --jobs 2                                 tables at once
    ... --out FOLDER                             keep a JSON file for each figure; a run
                                                 that is stopped goes on where it was

At most 1,000 rows of each table, and only tables of 4 to 22 columns.

Twelve tables of ADBench, seed 0, mean AUROC. Wilcoxon's test over the tables tells no
method from ``allow_nan`` (p from 0.1 to 1)::

    missing                       10 %              30 %
    at random                  yes      no       yes      no     all
    no cell missing           83.9    83.3      83.9    83.9    83.7
    allow_nan                 82.8    81.5      80.0    80.6    81.2
    SimpleImputer, all        81.8    81.4      78.0    79.2    80.1
    SimpleImputer, observed   82.4    82.0      78.4    80.0    80.7
    KNNImputer, all           84.1    81.6      80.5    79.0    81.3
    KNNImputer, observed      84.2    81.8      80.9    80.0    81.7
    IterativeImputer, all     82.9    81.7      77.4    78.3    80.1
    IterativeImp., observed   83.2    82.0      78.3    79.1    80.6
    root mean square error of what is filled in
    allow_nan                 0.90    3.32      0.95    3.60    2.19
    SimpleImputer             1.06    3.51      1.05    3.72    2.33
    KNNImputer                0.81    3.23      0.90    3.55    2.12
    IterativeImputer          0.85    3.09      1.30    3.46    2.18
"""

import tempfile
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import wilcoxon
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks._data import FOUR_COLUMNS, families
from benchmarks._report import parser, setting
from benchmarks._rows import once
from skcae import ContractiveAutoencoder

MOST_ROWS, COLUMNS = 1000, range(4, 23)
SHARES = (0.1, 0.3)
HOLES = ("at random", "not at random")
COMPLETE, OURS = "no cell missing", "allow_nan"
IMPUTERS = {
    "SimpleImputer": lambda seed: SimpleImputer(),
    "KNNImputer": lambda seed: KNNImputer(),
    "IterativeImputer": lambda seed: IterativeImputer(random_state=seed),
}


def split(X, y, seed):
    """Rows to train on, rows to score, and which of these are anomalies."""
    rng = np.random.default_rng(seed)
    if len(X) > MOST_ROWS:
        kept = rng.permutation(len(X))[:MOST_ROWS]
        X, y = X[kept], y[kept]
    normal = rng.permutation(np.flatnonzero(y == 0))
    train, unseen = np.split(normal, [len(normal) // 2])
    scored = np.concatenate([unseen, np.flatnonzero(y == 1)])
    return X[train], X[scored], y[scored]


def with_holes(tables, share, at_random, seed):
    """The tables without a share of their cells; the first says what is high."""
    rng = np.random.default_rng(1000 + seed)
    means, stds = tables[0].mean(axis=0), tables[0].std(axis=0)
    for X in tables:
        chance = np.full(X.shape, share)
        if not at_random:
            # twice as likely for each standard deviation, within reason
            heights = np.clip((X - means) / np.where(stds > 0, stds, 1), -3, 3)
            chance = 2.0**heights
            chance *= share / chance.mean(axis=0)
        yield np.where(rng.random(X.shape) < chance, np.nan, X)


def network(seed, **parameters):
    """The default network; a float spares a threshold that is not used."""
    return ContractiveAutoencoder(contamination=0.1, random_state=seed, **parameters)


def measure(X, y, share, at_random, seed):
    """Area under the curve of every method, and the errors of what it fills in."""
    warnings.simplefilter("ignore")  # what a method says of a table is not compared
    *complete, is_anomaly = split(X, y, seed)
    tables = [*with_holes(complete, share, at_random, seed)]
    scaler = StandardScaler().fit(tables[0])
    complete, (train, test) = (
        [scaler.transform(rows) for rows in pair] for pair in (complete, tables)
    )
    hidden = np.isnan(test)
    figures = {}

    def keep(name, scores, filled=None):
        figures[name] = round(100 * roc_auc_score(is_anomaly, -scores), 3)
        if filled is not None:
            errors = (filled - complete[1])[hidden & (is_anomaly == 0)[:, None]]
            figures[f"{name}, filled"] = round(float(np.sqrt(np.mean(errors**2))), 4)

    keep(COMPLETE, network(seed).fit(complete[0]).score_samples(complete[1]))
    model = network(seed, allow_nan=True).fit(train)
    restored = model.inverse_transform(model.transform(test))
    keep(OURS, model.score_samples(test), restored)
    for name, build in IMPUTERS.items():
        imputer = build(seed).fit(train)
        model = network(seed).fit(imputer.transform(train))
        imputed = imputer.transform(test)
        errors = model.feature_errors(imputed)
        keep(f"{name}, all cells", -errors.mean(axis=1), imputed)
        errors[hidden & ~hidden.all(axis=1, keepdims=True)] = np.nan
        keep(f"{name}, observed", -np.nanmean(errors, axis=1))
    return figures


def report(records):
    """Print means over tables, and paired tests over tables."""
    frame = pd.DataFrame(records)
    keys = ["family", "table", "share", "holes"]
    means = frame.drop(columns=["seed", "seconds"]).groupby(keys).mean()
    n_tables = len(means.groupby(["family", "table"]))
    print(f"\n{n_tables} tables, mean over seeds, then over tables")
    by_holes = means.groupby(["share", "holes"]).mean().T
    by_holes["all"] = by_holes.mean(axis=1)
    is_error = by_holes.index.str.endswith("filled")
    print(by_holes[~is_error].round(2).to_string())
    print(by_holes[is_error].round(3).to_string())
    areas = means.loc[:, ~means.columns.str.endswith("filled")]
    areas = areas.groupby(["family", "table"]).mean()
    print(f"\n{OURS} less each, AUROC over {n_tables} tables: mean, won, Wilcoxon's p")
    for name in areas.columns.drop([OURS]):
        less = areas[OURS] - areas[name]
        p = wilcoxon(less).pvalue if np.any(less) else 1.0
        print(f"{name:30} {less.mean():+6.2f}  {np.sum(less > 0):3}  {p:.2g}")


def main():
    """Measure and print."""
    arguments = parser(__doc__, "folder for every figure")
    arguments.add_argument("--data", help="folder with the tables")
    arguments.add_argument("--families", nargs="+")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--jobs", type=int, default=1)
    options = arguments.parse_args()
    setting(seeds=options.seeds)
    tables = families(options.data)
    del tables[FOUR_COLUMNS]
    with tempfile.TemporaryDirectory() as unkept:
        folder = Path(options.out or unkept)
        calls = (
            delayed(once)(
                folder / family,
                {"family": family, "table": name, "seed": seed}
                | {"share": share, "holes": holes},
                partial(measure, X, y, share, holes == HOLES[0], seed),
            )
            for family in options.families or tables
            for name, X, y in tables[family]
            if X.shape[1] in COLUMNS
            for seed, share, holes in product(options.seeds, SHARES, HOLES)
        )
        report(Parallel(n_jobs=options.jobs)(calls))


if __name__ == "__main__":
    main()
