"""Anomaly detection on families of tables, beside the usual detectors.

Half of the normal rows train, the others and all anomalies are scored, seed by seed;
mean and standard deviation of the training rows scale both. The family "four columns"
is made of the others: four columns of every table that is wide enough. Seconds are the
CPU's, for the fits and scores of all tables with one seed.

    python -m benchmarks.anomaly --data FOLDER   npz files as ADBench distributes them
    python -m benchmarks.anomaly                 what scikit-learn ships
    ... --quick                                  one seed, without the slow methods
    ... --contaminated                           train on everything and score that
    ... --methods "AnomalyDetector()" kNN        some of the methods only
    ... --families adbench keel                  some of the families only
    ... --jobs 2                                 tables at once
    ... --out FOLDER                             keep a JSON file for each figure; a run
                                                 that is stopped goes on where it was

FOLDER has a sub-folder for each family, or the files of one. A method whose package is
missing is left out.
"""

import tempfile
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import wilcoxon
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks._data import FOUR_COLUMNS, families
from benchmarks._detectors import (
    CONTAMINATED,
    DETECTOR,
    DETECTOR_PLAIN,
    KNN,
    KNN_DIVIDED,
    NETWORK,
    NETWORK_PLAIN,
    NOVELTY,
)
from benchmarks._report import parser, setting
from benchmarks._rows import once

METRICS = {"AUROC": roc_auc_score, "AP": average_precision_score}
# Shares of new normal rows to flag.
RATES = (0.01, 0.05, 0.1)
# What a detector may lose to the nearest neighbours, in points of AUROC.
MUCH = 2
SLOW = ("PyOD AutoEncoder", "LUNAR", "CAE of autoencoders")
PAIRS = (
    (DETECTOR, KNN),
    (DETECTOR, KNN_DIVIDED),
    (DETECTOR, DETECTOR_PLAIN),
    (NETWORK, KNN),
    (NETWORK, NETWORK_PLAIN),
)


def split(X, y, seed, contaminated):
    """Scaled rows to train on, rows to score, and which of these are anomalies."""
    if contaminated:
        rows = StandardScaler().fit_transform(X)
        return rows, rows, y
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    train, unseen = np.split(normal, [len(normal) // 2])
    scored = np.concatenate([unseen, np.flatnonzero(y == 1)])
    scaler = StandardScaler().fit(X[train])
    return scaler.transform(X[train]), scaler.transform(X[scored]), y[scored]


def measure(build, family, X, y, seed, contaminated):
    """Figures of one method on one table of a family."""
    train, test, is_anomaly = split(X, y, seed, contaminated)
    warnings.simplefilter("ignore")  # what a method says of a table is not compared
    model = build(seed)
    start = time.process_time()  # of the CPU: another process does not count
    errors = -model.fit(train).score_samples(test)
    figures = {"family": family, "seconds": round(time.process_time() - start, 4)}
    # a method that diverges says nothing; an infinite score is one
    figures["failed"] = bool(np.isnan(errors).any())
    errors = np.nan_to_num(errors) * (not figures["failed"])
    for name, metric in METRICS.items():
        figures[name] = round(100 * metric(is_anomaly, errors), 3)
    if hasattr(model, "p_values") and not contaminated:
        p = model.p_values(test[is_anomaly == 0]).to_numpy()
        figures["n_calibration"] = len(model.calibration_scores_)
        figures["n_new"] = len(p)
        figures["flagged"] = [float(np.mean(p <= rate)) for rate in RATES]
    return figures


def by_family(frame):
    """Every method's mean over seeds, then over the tables of a family."""
    for family, rows in frame.groupby("family", sort=False):
        n_tables = rows["table"].nunique()
        print(f"\n{family}, {n_tables} tables, mean over seeds, then over tables")
        shape = {"index": "table", "columns": "method", "sort": False}
        areas = rows.pivot_table(values="AUROC", **shape)
        methods = rows.groupby("method", sort=False)
        means = rows.groupby(["method", "table"], sort=False)[list(METRICS)].mean()
        table = means.groupby("method", sort=False).mean()
        table["mean rank"] = areas.rank(axis=1, ascending=False).mean()
        if KNN in areas:
            below = areas.lt(areas[KNN] - MUCH, axis=0).sum()
            table[f"below kNN by > {MUCH}"] = below
        table["seconds"] = methods["seconds"].sum() / methods["seed"].nunique()
        table["failed"] = methods["failed"].sum()
        print(table.round(2).to_string())


def paired(frame):
    """Differences between methods, tested over tables by Wilcoxon's signed ranks."""
    narrow = frame["family"] == FOUR_COLUMNS
    for name, rows in (("whole tables", frame[~narrow]), (FOUR_COLUMNS, frame[narrow])):
        if rows.empty:
            continue
        index = ["family", "table"]
        means = rows.pivot_table(values=list(METRICS), index=index, columns="method")
        tests = {
            f"{ours} less {rival}": _test(means, ours, rival)
            for ours, rival in PAIRS
            if {ours, rival} <= set(rows["method"])
        }
        if tests:
            print(f"\n{name}, {len(means)}: mean difference, tables won, p")
            print(pd.DataFrame(tests).T.to_string())


def _test(means, ours, rival):
    texts = {}
    for metric in METRICS:
        differences = (means[metric, ours] - means[metric, rival]).dropna()
        p = wilcoxon(differences).pvalue if np.any(differences) else 1.0
        n_won = np.sum(differences > 0)
        texts[metric] = f"{differences.mean():+.2f}, {n_won}, {p:.4f}"
    return texts


def rates(frame):
    """Share of new normal rows that p-values flag, against what was asked."""
    for method, rows in frame.dropna(subset=["flagged"]).groupby("method", sort=False):
        print(f"\n{method}: new normal rows whose p-value is at most")
        flagged = np.array(rows["flagged"].to_list())
        for rate, shares in zip(RATES, flagged.T, strict=True):
            # both the threshold and the share are drawn
            variance = (1 / rows["n_calibration"] + 1 / rows["n_new"]).to_numpy()
            off = (shares - rate) / np.sqrt(rate * (1 - rate) * variance)
            print(
                f"{rate:5}: {shares.mean():.4f} of them, at most {shares.max():.3f}; "
                f"within 3 standard errors on {np.sum(np.abs(off) <= 3)} of {len(off)} "
                f"splits, above on {np.sum(off > 3)}"
            )


def report(records):
    """Print all that the rows have."""
    frame = pd.DataFrame(records)
    by_family(frame)
    paired(frame)
    if "flagged" in frame:
        rates(frame)


def installed(methods, names):
    """Those of the methods whose packages are there; print which are not."""
    chosen = {}
    for name in names:
        try:
            methods[name](0)
        except ImportError as error:
            print(f"{name} is left out: {error}.")
        else:
            chosen[name] = methods[name]
    return chosen


def tasks(folder, options, methods):
    """Calls that measure, or look up, a row each."""
    tables = families(options.data)
    unknown = set(options.families or ()) - set(tables)
    if unknown:
        raise SystemExit(f"there is no family {', '.join(unknown)} in the folder")
    for family in options.families or tables:
        for (name, X, y), seed in product(tables[family], options.seeds):
            for method, build in methods.items():
                yield delayed(once)(
                    folder / family,
                    {"table": name, "seed": seed, "method": method},
                    partial(measure, build, family, X, y, seed, options.contaminated),
                )


def main():
    """Measure and print."""
    arguments = parser(__doc__, "folder for every figure")
    arguments.add_argument("--data", help="folder with the tables")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--contaminated", action="store_true")
    arguments.add_argument("--methods", nargs="+", choices=NOVELTY | CONTAMINATED)
    arguments.add_argument("--families", nargs="+")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    arguments.add_argument("--jobs", type=int, default=1)
    options = arguments.parse_args()
    methods = CONTAMINATED if options.contaminated else NOVELTY
    names = options.methods or methods
    if options.quick:
        options.seeds = options.seeds[:1]
        names = [name for name in names if name not in SLOW]
    setting(contaminated=options.contaminated, seeds=options.seeds)
    with tempfile.TemporaryDirectory() as unkept:
        folder = Path(options.out or unkept)
        if options.contaminated:
            folder /= "contaminated"
        chosen = installed(methods, names)
        calls = tasks(folder, options, chosen)
        report(Parallel(n_jobs=options.jobs)(calls))


if __name__ == "__main__":
    main()
