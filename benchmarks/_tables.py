"""What features are worth to a linear model: all labels, few labels, damaged rows."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.preprocessing import (
    FunctionTransformer,
    SplineTransformer,
    StandardScaler,
)

from skcae import ContractiveAutoencoder
from skcae.metrics import denoising_score, largest_lam_within_one_standard_error

N_UNITS = 256
N_LABELS = (20, 50, 200)
_GRID = 10.0 ** np.arange(-3, 3)
DAMAGES = ("noise 0.5", "noise 1", "20% missing", "40% missing", "a column drifted")
FIGURES = ("clean", *DAMAGES, *(f"{n} labels" for n in N_LABELS))

# One layer of 256 units, for their code.
CODES = {
    "AE": {},
    "DAE, Gaussian": {"noise_std": 0.5},
    "DAE, masking": {"masking_fraction": 0.3},
    "DAE, swap": {"swap_fraction": 0.3},
    "CAE": {"lam": 1},
}
# The same, with the λ that restores noisy rows best: no labels either.
CHOSEN_LAM = "CAE, lam chosen"
_LAMS = (0, 0.03, 0.1, 0.3, 1, 3)
# What fills missing cells, before random ReLU units; the others get column means. The
# autoencoders have 256 units before a code of 64. Masking lets the loss of an epoch
# vary, which must not end the training.
FILLS = {
    "KNNImputer fills": None,
    "regression fills": None,
    "AE fills": {"lam": 0},
    "CAE fills": {"lam": 1},
    "CAE, masking, fills": {
        "masking_fraction": 0.4,
        "max_iter": 200,
        "n_iter_no_change": 200,
    },
}
# What trains the linear model beside the rows themselves: two copies, damaged.
COPIES = ("Nystroem, swapped copies", "random ReLU, noisy copies")
RIVALS = (
    "raw",
    "random ReLU",
    "Nystroem",
    "AE",
    "random ReLU, noisy copies",
    "KNNImputer fills",
    "regression fills",
    "AE fills",
)
METHODS = (
    "raw",
    "PCA, whitened",
    "splines",
    "random ReLU",
    "Nystroem",
    "Nystroem, wide",
    *CODES,
    CHOSEN_LAM,
    *COPIES,
    *FILLS,
)
# Tables on which the autoencoders above were chosen, from one split of each.
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

    def __init__(self, random_state):
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the weights."""
        rng = np.random.default_rng(self.random_state)
        d = X.shape[1]
        self.weights_ = rng.standard_normal((d, N_UNITS)) / np.sqrt(d)
        self.biases_ = rng.standard_normal(N_UNITS)
        return self

    def transform(self, X):
        """Activations of the units."""
        return np.maximum(X @ self.weights_ + self.biases_, 0)


class Split:
    """Two thirds of a table to train on, a third to test, clean and damaged.

    Features are fitted without labels, once, on all training rows. Only the linear
    model and its C, by three folds, know labels.

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

    def measure(self, method):
        """Balanced accuracies in percent.

        Parameters
        ----------
        method : str
            One of METHODS.

        Returns
        -------
        dict
            "clean", one for each of DAMAGES, and "n labels" for each of N_LABELS of
            which the training rows have enough. Of FILLS those with missing cells
            alone; few labels only where rows are not copied.
        """
        features = self._features(method).fit(self.X)
        X, y, folds = self.X, self.y, list(self._folds(self.y))
        if method in COPIES:
            X, y, folds = self._with_copies(folds, noisy="noisy" in method)
        codes = features.transform(X)
        # one grid of C suits features of any scale
        mean, scale = codes.mean(axis=0), 4 / np.sqrt(codes.var(axis=0).sum())

        def accuracies(rows, y, folds, tests):
            model = _classifier(folds).fit((codes[rows] - mean) * scale, y)
            for name, test in tests.items():
                found = (features.transform(test) - mean) * scale
                accuracy = _balanced_accuracy(model, found, self.y_test)
                yield name, round(100 * accuracy, 2)

        rows = slice(None)
        if method in FILLS:
            return dict(accuracies(rows, y, folds, self._filled(method)))
        tests = {"clean": self.X_test} | self._damaged()
        figures = dict(accuracies(rows, y, folds, tests))
        drifted = [figures.pop(name) for name in list(figures) if "drift" in name]
        figures["a column drifted"] = round(float(np.mean(drifted)), 2)
        if method not in COPIES:
            for n, rows in self._labelled():
                few, test = self.y[rows], {f"{n} labels": self.X_test}
                figures |= accuracies(rows, few, self._folds(few), test)
        return figures

    def _damaged(self):
        """Test rows with noise, without cells, and with a column that has drifted."""
        rng = np.random.default_rng([self.seed, 1])
        X = self.X_test
        rows = {
            f"noise {std}": X + std * rng.standard_normal(X.shape) for std in (0.5, 1)
        }
        rows |= {name: np.where(hole, 0, X) for name, hole in self._holes().items()}
        for column in rng.permutation(X.shape[1])[:3]:
            drifted = X.copy()
            drifted[:, column] += rng.choice([-3, 3])
            rows[f"drift of {column}"] = drifted
        return rows

    def _holes(self):
        """Cells of the test rows that are missing, at random."""
        rng = np.random.default_rng([self.seed, 2])
        shape = self.X_test.shape
        return {
            f"{share:.0%} missing": rng.random(shape) < share for share in (0.2, 0.4)
        }

    def _filled(self, method):
        """Test rows without cells, and what the method has in their place."""
        if method == "KNNImputer fills":
            fill = KNNImputer(n_neighbors=10).fit(self.X).transform
        elif method == "regression fills":
            fill = _regression(self.X)
        else:
            model = self._autoencoder((N_UNITS,), 64, FILLS[method])
            fill = _restoration(model.fit(self.X))
        return {
            name: fill(np.where(hole, np.nan, self.X_test))
            for name, hole in self._holes().items()
        }

    def _features(self, method):
        without = {"lam": 0, "noise_std": 0}
        if method in CODES:
            return self._autoencoder((), N_UNITS, without | CODES[method])
        if method == CHOSEN_LAM:
            return GridSearchCV(
                self._autoencoder((), N_UNITS, without),
                {"lam": _LAMS},
                scoring=denoising_score,
                refit=largest_lam_within_one_standard_error,
                cv=3,
            )
        if method.startswith("Nystroem"):
            gamma = (0.3 if method == "Nystroem, wide" else 1) / self.X.shape[1]
            n = min(N_UNITS, len(self.X))
            return Nystroem(gamma=gamma, n_components=n, random_state=self.seed)
        return {
            "raw": FunctionTransformer(),
            "PCA, whitened": PCA(0.99, whiten=True),
            "splines": SplineTransformer(6, knots="quantile", extrapolation="constant"),
        }.get(method, RandomUnits(self.seed))

    def _autoencoder(self, hidden, n_units, parameters):
        return ContractiveAutoencoder(
            n_units,
            hidden_layer_sizes=hidden,
            allow_nan=True,
            contamination=0.1,  # the cheap threshold: none is used here
            random_state=self.seed,
            **parameters,
        )

    def _folds(self, y):
        folds = StratifiedKFold(3, shuffle=True, random_state=self.seed)
        return folds.split(y, y)

    def _with_copies(self, folds, noisy):
        """Training rows and two damaged copies, which no fold tests on."""
        rng = np.random.default_rng([self.seed, 3])
        X, n = self.X, len(self.X)
        copies = [X]
        for std in (0.5, 1):
            if noisy:
                copies.append(X + std * rng.standard_normal(X.shape))
            else:
                others = np.take_along_axis(X, rng.integers(n, size=X.shape), axis=0)
                copies.append(np.where(rng.random(X.shape) < 0.3, others, X))
        folds = [
            (np.concatenate([train, train + n, train + 2 * n]), test)
            for train, test in folds
        ]
        return np.vstack(copies), np.tile(self.y, 3), folds

    def _labelled(self):
        """Of each number of labels, training rows at random, at least 4 of a class."""
        order = np.random.default_rng([self.seed, 4]).permutation(len(self.y))
        labels = np.unique(self.y)
        least = np.concatenate([order[self.y[order] == label][:4] for label in labels])
        order = np.concatenate([least, order[~np.isin(order, least)]])
        for n in N_LABELS:
            if len(least) <= n <= 0.7 * len(order):
                yield n, order[:n]


def _restoration(model):
    def fill(rows):
        restored = model.inverse_transform(model.transform(rows))
        return np.where(np.isnan(rows), restored, rows)

    return fill


def _regression(X):
    """The mean of missing cells given the others, if rows were Gaussian."""
    covariance = 0.99 * np.cov(X.T) + 0.01 * np.eye(X.shape[1])

    def fill(rows):
        rows = rows.copy()
        for row in rows:
            hole = np.isnan(row)
            known = covariance[np.ix_(~hole, ~hole)]
            row[hole] = covariance[np.ix_(hole, ~hole)] @ np.linalg.solve(
                known, row[~hole]
            )
        return rows

    return fill


def _balanced_accuracy(model, X, y):
    """That of scikit-learn, whose checks take longer than a small fold."""
    right = model.predict(X) == y
    return float(np.mean([right[y == label].mean() for label in np.unique(y)]))


class _Quiet(LogisticRegressionCV):
    """Without what scikit-learn says of its next versions, or of a large C."""

    def fit(self, X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().fit(X, y)


def _classifier(folds):
    return _Quiet(
        Cs=_GRID,
        cv=list(folds),
        scoring=_balanced_accuracy,
        class_weight="balanced",
        max_iter=1000,
        tol=1e-3,
    )
