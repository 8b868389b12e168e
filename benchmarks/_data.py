"""Data sets that are not shipped: from a folder, or fetched once by scikit-learn."""

from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml


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
