"""A network and neighbours in one outlier detector, with its own calibration."""

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skcae import _checks
from skcae._callbacks import CallbackSupportMixin, FitTask, with_callbacks
from skcae._estimator import ContractiveAutoencoder
from skcae._pipeline import index_of
from skcae._threshold import quantile_offset
from skcae._trim import untrimmed
from skcae._typing import Seed, Table
from skcae.anomaly._calibration import (
    p_values_of_scores,
    rank_of_rate,
    threshold_of_scores,
)
from skcae.anomaly._drift import compare
from skcae.anomaly._explanation import explain
from skcae.anomaly._reference import ReferenceRows
from skcae.anomaly._tables import table_like

# Share of the rows that the network does not see, so that their errors are those of new
# rows; and how many such rows are enough.
_CALIBRATION_SHARE = 0.2
_MOST_CALIBRATION_ROWS = 2000
# With fewer rows none is set aside.
_FEWEST_TO_SPLIT = 20
# Share of new normal rows that contamination="auto" flags.
_AUTO_RATE = 0.01
# Mean square of a residual: less is rounding.
SMALLEST_ERROR = 1e-6
_NORMAL_ROWS_TO_EXPLAIN = 1000


class AnomalyDetector(OutlierMixin, CallbackSupportMixin, BaseEstimator):
    r"""Outlier detector of a contractive autoencoder and nearest neighbours.

    It measures in three ways how anomalous a row is, none of which finds everything:

    - the residual :math:`x - r(x)` of the autoencoder, less the mean residual of the
      nearest normal rows: a contraction shrinks, and what it takes from normal rows,
      too, is no anomaly's;
    - the distance from the nearest normal rows;
    - the distance from them after their cells were compressed by arcsinh, relative to
      how far normal rows lie apart there.

    The logarithm of each is standardised by its mean and spread over normal rows. Minus
    the score is the exponential of their mean times the mean spread: a geometric mean
    in which each has the same weight. A typical normal row scores -1.

    A fifth of the rows, at most 2000, is kept from the autoencoder. Their scores are
    those of new normal rows, so :meth:`p_values`, :meth:`threshold` and
    ``contamination="auto"`` need no other rows. Put a scaler before this estimator.

    Callbacks that scikit-learn propagates, as its ``ProgressBar``, are told of the
    network's epochs, too (``set_callbacks``, from scikit-learn 1.9 on). Others are set
    on ``estimator``, such as ``ScoringMonitor`` or one that stops the training.

    Parameters
    ----------
    estimator : ContractiveAutoencoder, default=None
        Network to clone. None for the default one with ``code_activation="silu"`` and
        ``noise_std=0.5``. Parameters of the network go there:
        ``AnomalyDetector(ContractiveAutoencoder(lam=1))``.
    n_neighbors : int, default=10
        Nearest normal rows to average over.
    max_samples : int, default=10000
        Normal rows to keep as neighbours, drawn at random where there are more.
    trim_fraction : float in [0, 1), default=0.0
        Share of the training rows to leave out, the farthest from their neighbours: the
        share of anomalies among them, if there are any. It measures the distance to 3 %
        of the rows. So a group of 5 % of them, which may be normal, is kept, and so is
        a group of as many anomalies that are alike.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of the training rows to call outliers. "auto" calls what one new normal
        row in a hundred falls below; where fewer than 99 rows are kept, one row in as
        many and one more.
    random_state : int, RandomState instance or None, default=None
        Seeds the networks and the choice of rows.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where all are strings.
    estimator_ : ContractiveAutoencoder
        The fitted network.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the rows kept from the networks, ascending; of all rows where there
        are fewer than 20.
    offset_ : float
        Threshold: a row whose score lies below it is an outlier. It may be assigned
        without a refit.

    See Also
    --------
    skcae.ContractiveAutoencoder : One network, which also gives features.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae.anomaly import AnomalyDetector
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0))
    >>> model.fit(X[y == 0]).score_samples(X).shape
    (178,)
    """

    # scikit-learn sets these, where no checker sees it
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self,
        estimator: ContractiveAutoencoder | None = None,
        *,
        n_neighbors: int = 10,
        max_samples: int = 10_000,
        trim_fraction: float = 0.0,
        contamination: float | Literal["auto"] = "auto",
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.max_samples = max_samples
        self.trim_fraction = trim_fraction
        self.contamination = contamination
        self.random_state = random_state

    # Fitting

    @_checks.unchanged_on_error
    @with_callbacks
    def fit(self, X: Table, y: Any = None) -> Self:
        """Train the networks, keep normal rows, and calibrate.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            At least two rows, most of them normal.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : AnomalyDetector
            Fitted.

        Raises
        ------
        TypeError
            If ``estimator`` is no ContractiveAutoencoder.
        ValueError
            If a parameter or the data are not as described, or if training diverges,
            see :meth:`skcae.ContractiveAutoencoder.fit`. An earlier fit is left as it
            was.
        """
        self._check_parameters()
        everything = self._validated(X, ensure_min_samples=2)
        random_state = check_random_state(self.random_state)
        X = untrimmed(everything, self.trim_fraction)
        task = FitTask(self, X, max_subtasks=1)
        order = random_state.permutation(len(X))
        n_set_aside = 0
        if len(X) >= _FEWEST_TO_SPLIT:
            n_set_aside = min(int(_CALIBRATION_SHARE * len(X)), _MOST_CALIBRATION_ROWS)
        set_aside, trained = np.split(order, [n_set_aside])
        network = self.estimator
        if network is None:
            # a float for contamination spares a threshold that is not used
            network = ContractiveAutoencoder(
                code_activation="silu", noise_std=0.5, contamination=0.1
            )
        self.estimator_ = clone(network).set_params(
            random_state=random_state.randint(2**31)
        )
        with task.member(self.estimator_):
            self.estimator_.fit(X[trained])
        self._center = X.mean(axis=0)
        kept = random_state.permutation(len(X))[: self.max_samples]
        self._keep(np.float32(X[kept] - self._center))
        own = np.full(len(X), -1)
        own[kept] = np.arange(len(kept))
        parts = self._parts(self._reference.rows, np.arange(len(kept)))
        self._means, self._spreads = parts.mean(axis=1), parts.std(axis=1) + 1e-3
        calibration = set_aside if n_set_aside else order
        self.calibration_scores_ = np.sort(
            self._score_rows(X[calibration], own[calibration])
        )
        if self.contamination == "auto":
            rate = max(_AUTO_RATE, 1 / (1 + len(calibration)))
            self.offset_ = self._between(self.calibration_scores_, rate)
        else:
            self.offset_ = quantile_offset(
                self._score_rows(everything), self.contamination
            )
        task.end()
        return self

    def _check_parameters(self):
        if not isinstance(self.estimator, ContractiveAutoencoder | None):
            raise TypeError(
                "estimator must be a ContractiveAutoencoder or None; got "
                f"{type(self.estimator).__name__}. Put other steps before the "
                "AnomalyDetector, in a Pipeline."
            )
        if self.estimator is not None and self.estimator.distributed:
            raise ValueError(
                "estimator must have distributed=False: every rank would keep other "
                "rows. Fit the detector on some of the rows, on one process."
            )
        _checks.check_count("n_neighbors", self.n_neighbors)
        _checks.check_count("max_samples", self.max_samples, low=2)
        _checks.check_parameter("trim_fraction", self.trim_fraction)
        _checks.check_parameter("contamination", self.contamination)

    def _validated(self, X, **keywords):
        _checks.check_in_memory(X)
        return validate_data(self, X, dtype=np.float64, **keywords)

    def _keep(self, rows):
        self._reference = ReferenceRows(rows, self.n_neighbors)
        self._residuals = self._residual(rows).astype(np.float32)

    def _residual(self, rows):
        rows, network = rows + self._center, self.estimator_
        return rows - network.inverse_transform(network.transform(rows))

    def _parts(self, rows, own=None):
        """Logarithms of all that says how anomalous rows are, shape (n_parts, n)."""
        return np.concatenate(
            [
                self._parts_of_block(rows[part], None if own is None else own[part])
                for part in self._reference.parts(rows)
            ],
            axis=1,
        )

    def _parts_of_block(self, rows, own):
        distances, nearest = self._reference.distances(rows, own)
        bias = self._residuals[nearest].mean(axis=1)
        error = np.mean((self._residual(rows) - bias) ** 2, axis=1)
        return np.vstack([0.5 * np.log(error + SMALLEST_ERROR), distances])

    def _score_rows(self, X, own=None):
        scores = np.full(len(X), -np.inf)
        with np.errstate(over="ignore"):
            rows = X - self._center
            within = np.abs(rows).max(axis=1) <= _checks.LARGEST_VALUE
            if within.any():
                parts = self._parts(
                    rows[within].astype(np.float32),
                    None if own is None else own[within],
                )
                standardised = (parts - self._means[:, None]) / self._spreads[:, None]
                scores[within] = -np.exp(
                    standardised.mean(axis=0) * self._spreads.mean()
                )
        return scores

    @staticmethod
    def _between(ascending, rate):
        """Threshold between two scores, as many below as the rate says."""
        rank = rank_of_rate(rate, len(ascending))
        return quantile_offset(ascending, rank / len(ascending))

    # Using the fitted detector

    def score_samples(self, X: Table) -> np.ndarray:
        """Score rows; higher is more normal.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative, -1 for a typical normal row. -inf for what is
            beyond the range of the numbers that networks take.
        """
        check_is_fitted(self)
        return self._score_rows(self._validated(X, reset=False))

    def decision_function(self, X: Table) -> np.ndarray:
        """Score rows relative to the threshold: ``score_samples(X) - offset_``.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        scores = self.score_samples(X)
        _checks.check_number("offset_", self.offset_)
        return scores - self.offset_

    def predict(self, X: Table) -> np.ndarray:
        """Label rows as inliers or outliers.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            1 for inliers, -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X: Table) -> pd.Series:
        """Chance of a normal row to score as low as each row does.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows to test.

        Returns
        -------
        p_values : Series of shape (n_samples,)
            Indexed as ``X``; at least ``1 / (n_calibration + 1)``. See
            :func:`skcae.anomaly.p_values`.
        """
        p = p_values_of_scores(self.score_samples(X), self.calibration_scores_)
        return pd.Series(p, index=index_of(X, len(p)), name="p_value")

    def threshold(self, rate: float = 0.01) -> float:
        """Score below which a new normal row comes at a given rate, at most.

        Parameters
        ----------
        rate : float in (0, 1], default=0.01
            Share of normal rows to call outliers.

        Returns
        -------
        offset : float
            To assign to ``offset_``. See :func:`skcae.anomaly.threshold`.

        Raises
        ------
        ValueError
            If there are too few calibration scores for the rate.
        """
        check_is_fitted(self)
        _checks.check_positive("rate", rate, high=1)
        return threshold_of_scores(self.calibration_scores_, rate)

    def explain(
        self, X: Table, X_normal: Table = None, *, n_values: int = 10
    ) -> pd.DataFrame:
        """Which columns make each row anomalous, and what would be normal there.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows to explain; may be none.
        X_normal : table of the kind of ``X``, default=None
            Normal rows. None for up to 1000 of those that were kept.
        n_values : int, default=10
            Values to try in each column.

        Returns
        -------
        explanation : DataFrame
            See :func:`skcae.anomaly.explain`.
        """
        check_is_fitted(self)
        if X_normal is None:
            rows = self._reference.rows[:_NORMAL_ROWS_TO_EXPLAIN] + self._center
            X_normal = table_like(X, rows)
        return explain(self, X, X_normal, n_values=n_values)

    def drift(self, X: Table) -> pd.DataFrame:
        """How far a batch of rows is from the normal rows that were kept.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows of some time.

        Returns
        -------
        report : DataFrame
            See :func:`skcae.anomaly.drift`.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        X = self._validated(X, reset=False)
        if names is None:
            names = [f"x{position}" for position in range(X.shape[1])]
        with np.errstate(over="ignore"):
            # rounded as those that were kept
            rows = (X - self._center).astype(np.float32)
        score = "score", self._score_rows(X), self.calibration_scores_
        columns = zip(names, rows.T, self._reference.rows.T, strict=True)
        return compare([score, *columns])

    # Keeping it

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_reference" in state:
            # plain arrays, so that one class is all that a loader has to trust
            state["_reference"] = self._reference.rows
            state["estimator_"] = self.estimator_.__getstate__()
            del state["_residuals"]
        return state

    def __setstate__(self, state):
        state = dict(state)
        rows = state.pop("_reference", None)
        network = state.pop("estimator_", None)
        super().__setstate__(state)
        if rows is not None:
            self.estimator_ = ContractiveAutoencoder()
            self.estimator_.__setstate__(network)
            self._keep(rows)
