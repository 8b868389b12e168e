"""Images of digits in [0, 1] for the experiments: scikit-learn's, or MNIST's.

Every experiment runs on the 1797 images of 8 x 8 pixels that scikit-learn ships. With
``--data FOLDER`` it runs on MNIST instead, from ``mnist_train.npz`` and
``mnist_test.npz`` in that folder, with the arrays ``X`` (n, 784) of uint8 and ``y``.
Ink is 1 and paper 0, whichever way round the file has them.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OUTPUT = Path(__file__).parent / "output"


def folder_of_mnist(description):
    """What the command line says after ``--data``, if anything."""
    parser = ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="MNIST, as npz")
    # in a notebook the command line is not ours
    return parser.parse_known_args()[0].data


def load(folder=None, seed=0, n_train=5000, n_test=2000):
    """Training rows, held-out rows, and the labels of both.

    The split of scikit-learn's digits is three quarters to one, by ``seed``. Of MNIST
    ``n_train`` and ``n_test`` rows are drawn by ``seed``, each from its own file.
    """
    if folder is None:
        X, y = load_digits(return_X_y=True)
        return train_test_split(X / 16, y, random_state=seed, stratify=y)
    rng = np.random.default_rng(seed)
    parts = []
    for name, n_rows in (("train", n_train), ("test", n_test)):
        with np.load(folder / f"mnist_{name}.npz") as arrays:
            rows = rng.permutation(len(arrays["y"]))[:n_rows]
            X, y = arrays["X"][rows] / 255, arrays["y"][rows]
            # most pixels are paper, which is bright in some copies
            parts.append((1 - X if np.median(X) > 0.5 else X, y))
    (X_train, y_train), (X_test, y_test) = parts
    return X_train, X_test, y_train, y_test
