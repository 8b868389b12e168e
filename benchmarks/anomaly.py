"""Anomaly detection on the tables of ADBench, beside the usual detectors.

Half of the normal rows train, the others and all anomalies are scored, seed by seed;
mean and standard deviation of the training rows scale both. With --contaminated every
method trains on all rows, anomalies among them, and scores the same rows.

    python -m benchmarks.anomaly --data FOLDER   npz files of ADBench, three minutes
    python -m benchmarks.anomaly --quick         what scikit-learn ships, one minute
    ... --contaminated                           train on everything, a quarter hour
    ... --methods defaults kNN                   some of the methods only
    ... --out F                                  every figure as JSON, too
"""

import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from benchmarks._data import adbench, shipped
from benchmarks._report import parser, setting, write
from benchmarks._rivals import pyod_autoencoder
from skcae import ContractiveAutoencoder
from skcae.anomaly import NeighborDistance, mean_score

# λ > 0 is compared with λ = 0
PLAIN = {"defaults": "defaults, λ = 0", "recipe": "recipe, λ = 0"}
# where anomalies are among the rows to train on
CONTAMINATED = (
    {"trim_fraction": 0.4, "lam": 0.01},
    {"trim_fraction": 0.4, "lam": 0.03, "noise_std": 0.5},
)


def _network(train, seed, **parameters):
    return ContractiveAutoencoder(random_state=seed, **parameters).fit(train)


def _defaults(train, test, seed, **parameters):
    return -_network(train, seed, **parameters).score_samples(test)


def _recipe(train, test, seed, **parameters):
    """As README.md publishes it, for normal rows and for contaminated ones."""
    # no network of its own for a threshold that only one of them would have
    parameters["contamination"] = 0.1
    if test is train:
        models = [_network(train, seed, **each | parameters) for each in CONTAMINATED]
    else:
        models = [_network(train, seed + 10 * k, **parameters) for k in range(2)]
        models.append(NeighborDistance(models[0]).fit(train))
    return -mean_score(models, test)


def _neighbours(train, test, seed):
    """Mean distance to five neighbours; no row is its own."""
    nearest = NearestNeighbors(n_neighbors=5).fit(train)
    return nearest.kneighbors(None if test is train else test)[0].mean(axis=1)


def _forest(train, test, seed):
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def _factor(train, test, seed):
    if test is train:
        return -LocalOutlierFactor().fit(train).negative_outlier_factor_
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def _components(train, test, seed):
    pca = PCA(0.9).fit(train)
    restored = pca.inverse_transform(pca.transform(test))
    return np.mean((test - restored) ** 2, axis=1)


def _pyod(train, test, seed):
    model = pyod_autoencoder(random_state=seed)
    return model.fit(train).decision_function(test)


METHODS = {
    "defaults": _defaults,
    "recipe": _recipe,
    "defaults, λ = 0": partial(_defaults, lam=0),
    "recipe, λ = 0": partial(_recipe, lam=0),
    "kNN": _neighbours,
    "IForest": _forest,
    "PCA 90 %": _components,
    "LOF": _factor,
    "PyOD AutoEncoder": _pyod,
}


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


def measure(name, X, y, seed, methods, contaminated):
    """One record for each method on one table."""
    train, test, is_anomaly = split(X, y, seed, contaminated)
    for method in methods:
        start = time.perf_counter()
        errors = METHODS[method](train, test, seed)
        seconds = time.perf_counter() - start
        failed = not np.isfinite(errors).all()
        if failed:  # a method that diverges says nothing
            errors = np.zeros(len(test))
        yield {
            "table": name,
            "seed": seed,
            "method": method,
            "AUROC": 100 * roc_auc_score(is_anomaly, errors),
            "AP": 100 * average_precision_score(is_anomaly, errors),
            "seconds": seconds,
            "failed": failed,
        }


def report(records):
    """Mean over seeds, then over tables, of every method; its rank; its seconds."""
    frame = pd.DataFrame(records)
    shape = {"index": "table", "columns": "method", "sort": False}
    areas = frame.pivot_table(values="AUROC", **shape)
    print("\nAUROC by table, mean over seeds")
    print(areas.round(1).to_string())
    by_seed = frame.groupby(["method", "seed"], sort=False)[["AUROC", "AP"]].mean()
    means = by_seed.groupby("method", sort=False).agg(["mean", "std"])
    means.columns = ["AUROC", "sd", "AP", "sd of AP"]
    means["rank"] = areas.rank(axis=1, ascending=False).mean()
    if "kNN" in areas:
        means["above kNN"] = areas.gt(areas["kNN"], axis=0).sum()
    if "34_smtp" in areas.index:
        precision = frame[frame["table"] != "34_smtp"].groupby("method")["AP"].mean()
        means["AP without smtp"] = precision
    totals = frame.groupby("method", sort=False)
    means["seconds"] = totals["seconds"].sum() / frame["seed"].nunique()
    means["failed"] = totals["failed"].sum()
    print("\nMean over tables; sd over seeds; seconds a seed")
    print(means.round(2).to_string())
    for method, plain in PLAIN.items():
        if {method, plain} <= set(areas):
            _compare(method, areas[method] - areas[plain])


def _compare(method, differences):
    p = wilcoxon(differences).pvalue if np.any(differences) else 1.0
    mean, error = differences.mean(), differences.std() / np.sqrt(len(differences))
    print(
        f"{method}, λ > 0 less λ = 0: {mean:+.2f} AUROC (se {error:.2f}), "
        f"better on {np.sum(differences > 0)} of {len(differences)} tables, "
        f"Wilcoxon's p = {p:.3f}"
    )


def main():
    """Measure, print and write."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", help="folder with the tables of ADBench")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--contaminated", action="store_true")
    arguments.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS)
    )
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    options = arguments.parse_args()
    if not (options.data or options.quick):
        arguments.error("--data FOLDER or --quick is needed")
    conditions = setting(contaminated=options.contaminated)
    warnings.simplefilter("ignore")  # what a method says of a table is not compared
    methods = list(options.methods)
    if "PyOD AutoEncoder" in methods and pyod_autoencoder() is None:
        print("PyOD is missing (pip install pyod): left out")
        methods.remove("PyOD AutoEncoder")
    records = []
    for name, X, y in shipped() if options.quick else adbench(options.data):
        for seed in options.seeds:
            records += measure(name, X, y, seed, methods, options.contaminated)
        write(options.out, conditions, records)
        print(name, flush=True)
    report(records)


if __name__ == "__main__":
    main()
