"""Data sets that are not shipped: from a folder, or fetched once by scikit-learn."""

from pathlib import Path

import numpy as np
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.model_selection import train_test_split

MOST_ROWS = 10_000
FOUR_COLUMNS = "four columns"


def mnist(folder=None):
    """Images in [0, 1], ink 1, and labels: 60,000 to train on, then 10,000 to test.

    Parameters
    ----------
    folder : str, optional
        With ``mnist_train.npz`` and ``mnist_test.npz``, which hold ``X`` (uint8)
        and ``y``. Fetched from OpenML if not given.

    Returns
    -------
    X : ndarray of shape (70000, 784), float32
    y : ndarray of shape (70000,), int
    """
    if folder is None:
        X, y = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
    else:
        parts = [np.load(Path(folder) / f"mnist_{p}.npz") for p in ("train", "test")]
        X, y = (np.concatenate([part[name] for part in parts]) for name in "Xy")
    X = np.float32(X) / np.float32(255)
    if np.median(X) > 0.5:  # bright paper
        X = 1 - X
    return X, y.astype(int)


def digits(folder=None, seed=0, n_train=5000, n_test=2000):
    """Small images, or some of MNIST's: rows to train on, and rows held out.

    Parameters
    ----------
    folder : str, optional
        See mnist. None for the 1797 images of 8 x 8 pixels that scikit-learn ships,
        of which a quarter is held out.
    seed : int
        Draws the rows.
    n_train, n_test : int
        How many of MNIST's to draw, each from its own part.

    Returns
    -------
    X_train, X_test : ndarray of shape (n, d), float64
        In [0, 1], ink 1.
    y_train, y_test : ndarray of shape (n,), int
    """
    if folder is None:
        X, y = load_digits(return_X_y=True)
        return train_test_split(X / 16, y, random_state=seed, stratify=y)
    X, y = mnist(folder)
    rng = np.random.default_rng(seed)
    train = rng.permutation(60_000)[:n_train]
    test = 60_000 + rng.permutation(10_000)[:n_test]
    return X[train].astype(float), X[test].astype(float), y[train], y[test]


def adbench(folder):
    """Tables of ADBench, at most 10,000 rows of each, in the order of their names.

    Parameters
    ----------
    folder : str
        With files ``*.npz`` as ADBench distributes them: ``X`` and ``y``, 1 for
        anomalies.

    Yields
    ------
    name : str
    X : ndarray of shape (n, d), float64
    y : ndarray of shape (n,)
    """
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as arrays:
            if not {"X", "y"} <= set(arrays) or path.stem.startswith("mnist_"):
                continue
            X, y = arrays["X"].astype(float), arrays["y"].astype(int)
        kept = slice(None)
        if len(X) > MOST_ROWS:
            kept = np.random.default_rng(123).permutation(len(X))[:MOST_ROWS]
        yield path.stem, X[kept], y[kept]


def shipped():
    """Tables that scikit-learn ships, one class of each the anomalies; see adbench."""
    for name, X, y, anomaly in _shipped():
        yield name, X, (y == anomaly).astype(int)


def families(folder=None):
    """Families of tables with anomalies, the last of them the narrow ones.

    Parameters
    ----------
    folder : str, optional
        With tables as adbench takes them, or with a sub-folder for each family. None
        for the tables that scikit-learn ships.

    Returns
    -------
    dict of str to list
        Of each family its name, and name, rows and labels of its tables. The family
        FOUR_COLUMNS is made of the others.
    """
    if folder is None:
        found = {"shipped": list(shipped())}
    else:
        within = sorted(path for path in Path(folder).iterdir() if path.is_dir())
        found = {path.name: list(adbench(path)) for path in [Path(folder), *within]}
    found = {family: tables for family, tables in found.items() if tables}
    narrow = [_four_columns(*table) for tables in found.values() for table in tables]
    return found | {FOUR_COLUMNS: [table for table in narrow if table is not None]}


def _four_columns(name, X, y):
    """At most 6,000 rows of a table and four of its columns; None if it has not them.

    The table needs five anomalies among these rows, and more than four columns that
    take more than five values there.
    """
    rng = np.random.default_rng(7)
    if len(X) > 6000:
        kept = rng.permutation(len(X))[:6000]
        X, y = X[kept], y[kept]
    columns = [j for j, column in enumerate(X.T) if len(np.unique(column)) > 5]
    if len(columns) <= 4 or y.sum() < 5:
        return None
    return name, X[:, rng.permutation(columns)[:4]], y


def labelled(folder=None, n=750):
    """Tables with classes: four columns or more, 30 rows or more of each class.

    Parameters
    ----------
    folder : str, optional
        With tables as adbench takes them, or with a sub-folder for each family. They
        come beside those that scikit-learn ships.
    n : int
        Rows at most. Of two classes the rare one keeps up to a third of them.

    Yields
    ------
    name : str
    X : ndarray of shape (n, d), float64
    y : ndarray of shape (n,)
    """
    tables = [table[:3] for table in _shipped()]
    if folder is not None:
        within = sorted(path for path in Path(folder).iterdir() if path.is_dir())
        for path in [Path(folder), *within]:
            tables += adbench(path)
    for name, X, y in tables:
        if X.shape[1] < 4 or np.bincount(y).min() < 30:
            continue
        rng = np.random.default_rng(0)
        order, counts = rng.permutation(len(X)), np.bincount(y)
        if len(counts) == 2:
            is_rare = y[order] == counts.argmin()
            order = np.concatenate([order[is_rare][: n // 3], order[~is_rare]])
        kept = rng.permutation(order[:n])
        yield name, X[kept], y[kept]


def _shipped():
    for load, anomaly in (
        (load_breast_cancer, 0),
        (load_digits, 8),
        (load_iris, 2),
        (load_wine, 0),
    ):
        yield load.__name__.removeprefix("load_"), *load(return_X_y=True), anomaly
