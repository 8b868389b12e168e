"""Rows as they reach the autoencoder, and distances there."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skcae.metrics import _behind_the_scaler

# Elements of the Jacobians, or of their singular vectors, that are held at once.
_BLOCK_ELEMENTS = 2**22


class Inputs:
    """Rows as they reach the autoencoder, in float64, and what it makes of them."""

    def __init__(self, estimator, X):
        self.autoencoder, reached = _behind_the_scaler(estimator, X)
        check_is_fitted(self.autoencoder)
        self.rows = check_array(reached, dtype=np.float64, input_name="X")
        self._names = getattr(reached, "columns", None)

    def encode(self, rows):
        return np.asarray(self.autoencoder.transform(self._named(rows)))

    def reconstruct(self):
        return self.autoencoder.inverse_transform(self.encode(self.rows))

    def jacobians(self, height):
        """Yield Jacobians of blocks of rows, for work on matrices so high."""
        length = max(1, _BLOCK_ELEMENTS // (height * self.rows.shape[1]))
        for start in range(0, len(self.rows), length):
            block = self.rows[start : start + length]
            yield self.autoencoder.jacobian(self._named(block))

    def _named(self, rows):
        names = self._names
        return rows if names is None else pd.DataFrame(rows, columns=names)


def stretch(inputs, codes, noise):
    moved = np.linalg.norm(inputs.encode(inputs.rows + noise) - codes, axis=1)
    return moved / np.linalg.norm(noise, axis=1)


def scale(inputs, codes):
    """Spread of the codes over that of the inputs; nan where one is 0."""
    spreads = spread(codes), spread(inputs.rows)
    return spreads[0] / spreads[1] if min(spreads) > 0 else np.nan


def spread(rows):
    """Root mean squared distance from the mean."""
    distance = root_mean_square(rows - rows.mean(axis=0))
    # rows that do not differ have a mean that does, by rounding
    return distance if distance > 1e-13 * root_mean_square(rows) else 0.0


def root_mean_square(vectors):
    return np.sqrt(np.mean(np.sum(vectors**2, axis=1)))


def index_of(X, n_rows):
    return X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(n_rows)


def front_of(estimator):
    """The steps before the autoencoder, or None."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return estimator[:-1]
    return None


def autoencoder_of(estimator):
    """The autoencoder at the end, fitted or not; what is none is refused."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    return _behind_the_scaler(last, None)[0]
