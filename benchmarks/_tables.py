"""What features are worth to a linear model: all labels, few labels, damaged rows."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    SplineTransformer,
    StandardScaler,
)

from skcae import ContractiveAutoencoder

N_UNITS = 256
N_LABELS = (20, 50, 200)
GRID = 10.0 ** np.arange(-3, 3)

# What differs from one layer of 256 SiLU units without penalty and noise. Chosen,
# together with RECIPE, on the tables of CHOSEN_ON, one split of each.
AUTOENCODERS = {
    "AE": {},
    "DAE, Gaussian": {"noise_std": 0.5},
    "DAE, masking": {"masking_fraction": 0.3},
    "DAE, swap": {"swap_fraction": 0.5},
    "CAE": {"lam": 1},
    "CAE, swap": {"lam": 1, "swap_fraction": 0.3},
}
# Steps, one behind the other
KERNEL = " > Nystroem"
COPIES, IMPUTED = "Nystroem, swapped copies", "KNNImputer > Nystroem"
METHODS = (
    "raw",
    "PCA, whitened",
    "splines",
    "random ReLU",
    "random ReLU, 1024",
    "Nystroem",
    "Nystroem, wide",
    "AE",
    "DAE, Gaussian",
    "DAE, masking",
    "DAE, swap",
    "CAE",
    "PCA" + KERNEL,
    COPIES,
    IMPUTED,
    "CAE" + KERNEL,
    "DAE, swap" + KERNEL,
    "CAE, swap" + KERNEL,
)
RECIPE = "CAE, swap" + KERNEL
DAMAGES = ("noise 0.5", "noise 1", "20% missing", "40% missing", "a column drifted")
CHOSEN_ON = (
    "18_Ionosphere",
    "20_letter",
    "22_magic.gamma",
    "24_mnist",
    "30_satellite",
    "39_vertebral",
    "41_Waveform",
    "47_yeast",
    "4_breastw",
    "6_cardio",
)


class RandomUnits(TransformerMixin, BaseEstimator):
    """ReLU units that nobody trained."""

    def __init__(self, n_units, random_state):
        self.n_units = n_units
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the weights."""
        rng = np.random.default_rng(self.random_state)
        d = X.shape[1]
        self.weights_ = rng.standard_normal((d, self.n_units)) / np.sqrt(d)
        self.biases_ = rng.standard_normal(self.n_units)
        return self

    def transform(self, X):
        """Activations of the units."""
        return np.maximum(X @ self.weights_ + self.biases_, 0)


class Split:
    """Two thirds of a table to train on, a third to test, clean and damaged.

    Features are fitted without labels, once, on all training rows. Only the linear model
    and its C, by three folds, know labels.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    seed : int
    """

    def __init__(self, X, y, seed):
        self.seed = seed
        X, X_test, self.y, self.y_test = train_test_split(
            X, y, test_size=1 / 3, stratify=y, random_state=seed
        )
        kept = X.std(axis=0) > 0
        scaler = StandardScaler().fit(X[:, kept])
        self.X = scaler.transform(X[:, kept])
        # one cell of a rare column can be hundreds of deviations out
        self.X_test = np.clip(scaler.transform(X_test[:, kept]), -10, 10)
        self._fitted = {}

    def measure(self, method):
        """Balanced accuracies in percent.

        Parameters
        ----------
        method : str
            One of METHODS.

        Returns
        -------
        dict
            "clean"; a name for each damage of :meth:`damaged`; "n labels" for each of
            N_LABELS, where there are as many training rows. And "C".
        """
        features = self._features(method)
        X, y, folds = self.X, self.y, list(self._folds(self.y))
        if method == COPIES:
            X, y, folds = self._copies(folds)
        X = features.transform(X)
        # one grid of C suits features of any scale
        mean, scale = X.mean(axis=0), 4 / np.sqrt(X.var(axis=0).sum())

        def scores(rows, y, folds, tests):
            model = _classifier(folds).fit((rows - mean) * scale, y)
            figures = {}
            for name, test in tests.items():
                codes = (features.transform(test) - mean) * scale
                figures[name] = 100 * _balanced_accuracy(model, codes, self.y_test)
            return figures, float(model.C_[0])

        tests = {"clean": self.X_test} | self.damaged(impute=method == IMPUTED)
        figures, C = scores(X, y, folds, tests)
        drifted = [figures.pop(name) for name in list(figures) if "drift" in name]
        figures["a column drifted"] = float(np.mean(drifted))
        if method not in (COPIES, IMPUTED):
            for n, rows in self._labelled():
                y = self.y[rows]
                few, _ = scores(X[rows], y, self._folds(y), {"": self.X_test})
                figures[f"{n} labels"] = few[""]
        figures = {name: round(value, 2) for name, value in figures.items()}
        return figures | {"C": C}

    def damaged(self, impute=False):
        """Test rows with noise, without cells, and with a column that has drifted.

        Cells are missing at random, and are the mean of their column, or, with impute,
        what the ten nearest training rows have there.
        """
        rng = np.random.default_rng([self.seed, 1])
        X = self.X_test
        rows = {
            f"noise {std}": X + std * rng.standard_normal(X.shape) for std in (0.5, 1)
        }
        for share in (0.2, 0.4):
            missing = rng.random(X.shape) < share
            if impute:
                imputer = KNNImputer(n_neighbors=10).fit(self.X)
                holes = np.where(missing, np.nan, X)
                rows[f"{share:.0%} missing"] = imputer.transform(holes)
            else:
                rows[f"{share:.0%} missing"] = np.where(missing, 0, X)
        for column in rng.permutation(X.shape[1])[:3]:
            drifted = X.copy()
            drifted[:, column] += rng.choice([-3, 3])
            rows[f"drift of {column}"] = drifted
        return rows

    def _features(self, method):
        if method in (COPIES, IMPUTED):
            method = "Nystroem"
        if not method.endswith(KERNEL):
            return self._first(method)
        below = self._first(method.removesuffix(KERNEL))
        if "PCA" in method:
            below = FunctionTransformer(_projection(below))
        else:
            below = make_pipeline(below, StandardScaler().fit(below.transform(self.X)))
        return make_pipeline(below, self._kernel(below.transform(self.X)))

    def _first(self, method):
        if method not in self._fitted:
            self._fitted[method] = self._unfitted(method).fit(self.X)
        return self._fitted[method]

    def _unfitted(self, method):
        if method in AUTOENCODERS:
            return ContractiveAutoencoder(
                N_UNITS,
                hidden_layer_sizes=(),
                contamination=0.1,  # the cheap threshold: none is used here
                random_state=self.seed,
                **{"lam": 0, "noise_std": 0} | AUTOENCODERS[method],
            )
        if method.startswith("Nystroem"):
            return self._kernel(self.X, 0.3 if "wide" in method else 1)
        return {
            "raw": FunctionTransformer(),
            "PCA": PCA(0.95),
            "PCA, whitened": PCA(0.99, whiten=True),
            "splines": SplineTransformer(6, knots="quantile", extrapolation="constant"),
            "random ReLU": RandomUnits(N_UNITS, self.seed),
            "random ReLU, 1024": RandomUnits(1024, self.seed),
        }[method]

    def _kernel(self, X, factor=1):
        gamma = factor / X.var(axis=0).sum()
        kernel = Nystroem(
            gamma=gamma, n_components=min(N_UNITS, len(X)), random_state=self.seed
        )
        return kernel.fit(X)

    def _folds(self, y):
        folds = StratifiedKFold(3, shuffle=True, random_state=self.seed)
        return folds.split(y, y)

    def _copies(self, folds):
        """Training rows and two copies with swapped cells, which no fold tests on."""
        rng = np.random.default_rng([self.seed, 2])
        n, copies = len(self.X), [self.X]
        for _ in range(2):
            others = np.take_along_axis(
                self.X, rng.integers(n, size=self.X.shape), axis=0
            )
            copies.append(np.where(rng.random(self.X.shape) < 0.3, others, self.X))
        folds = [
            (np.concatenate([train, train + n, train + 2 * n]), test)
            for train, test in folds
        ]
        return np.vstack(copies), np.tile(self.y, 3), folds

    def _labelled(self):
        """Of each number of labels, training rows at random, at least 4 of a class."""
        rng = np.random.default_rng([self.seed, 3])
        order = rng.permutation(len(self.y))
        least = [order[self.y[order] == label][:4] for label in np.unique(self.y)]
        order = np.concatenate([*least, np.setdiff1d(order, np.concatenate(least))])
        n_least = sum(map(len, least))
        rng.shuffle(order[n_least:])
        for n in N_LABELS:
            if n_least <= n <= 0.7 * len(order):
                yield n, order[:n]


def _balanced_accuracy(model, X, y):
    """That of scikit-learn, whose checks take longer than small folds."""
    right = model.predict(X) == y
    return float(np.mean([right[y == label].mean() for label in np.unique(y)]))


def _projection(model):
    return lambda X: model.inverse_transform(model.transform(X))


class _Quiet(LogisticRegressionCV):
    """Without what scikit-learn says of its next versions, or of a large C."""

    def fit(self, X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().fit(X, y)


def _classifier(folds):
    return _Quiet(
        Cs=GRID,
        cv=list(folds),
        scoring=_balanced_accuracy,
        class_weight="balanced",
        max_iter=1000,
        tol=1e-3,
    )
