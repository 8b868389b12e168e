"""Where the threshold lies among the scores."""

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from skcae import _drawing
from skcae._checks import check_count, check_number, check_numeric
from skcae._pipeline import last_step
from skcae._typing import Model, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_drawing.display
class AnomalyScoresDisplay:
    """Errors, minus the scores, and the threshold among them.

    Where labels are given, inliers and outliers are drawn apart.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        From ``score_samples``.
    offset : float
        ``offset_``: a row whose score lies below it is an outlier.
    y : array-like of shape (n_samples,), default=None
        What the rows are, to draw them apart: 1 for inliers and -1 for outliers, as
        ``predict`` has them.

    Attributes
    ----------
    ax_ : Axes
        Logarithmic in the errors, if all are above 0.
    histograms_ : dict of StepPatch
        "inliers" and "outliers", or "rows".
    threshold_ : Line2D
        The line at the threshold.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.ContractiveAutoencoder : The scores and the threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import AnomalyScoresDisplay
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> display = AnomalyScoresDisplay.from_estimator(model, X)
    >>> list(display.histograms_)
    ['rows']
    """

    scores: ArrayLike
    offset: float
    _: KW_ONLY
    y: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Model,
        X: Table,
        y: ArrayLike | None = None,
        *,
        bins: int = 40,
        ax: "Axes | None" = None,
    ) -> Self:
        """Score the rows, and draw.

        Parameters
        ----------
        estimator : AnomalyDetector, ContractiveAutoencoder or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimator takes them.
        y : array-like of shape (n_samples,), default=None
            1 for inliers, -1 for outliers.
        bins : int, default=40
            Bins from the smallest error to the largest.
        ax : Axes, default=None
            What to draw into; None for a new figure.

        Returns
        -------
        display : AnomalyScoresDisplay
            What was drawn.
        """
        return cls(*_scores_and_offset(estimator, X), y=y).plot(ax, bins=bins)

    def plot(self, ax: "Axes | None" = None, *, bins: int = 40) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.
        bins : int, default=40
            Bins from the smallest error to the largest.

        Returns
        -------
        display : AnomalyScoresDisplay
            The display itself.
        """
        check_count("bins", bins)
        check_number("offset", self.offset)
        errors = -check_numeric("scores of 'rows'", self.scores, 1)
        groups = {"rows": errors}
        if self.y is not None:
            y = np.asarray(self.y)
            if y.shape != errors.shape or not np.isin(y, (1, -1)).all():
                raise ValueError(
                    f"y must hold 1 (inlier) or -1 (outlier) for each of {len(errors)} "
                    f"rows; got shape {y.shape} and values {np.unique(y)[:5]}."
                )
            groups = {"inliers": errors[y == 1], "outliers": errors[y == -1]}
        self.ax_, self.figure_ = _drawing.place(ax)
        log = errors.min() > 0
        edges = np.histogram_bin_edges(np.log(errors) if log else errors, bins)
        if log:
            edges = np.exp(edges)
            # the exponential rounds, but no row may fall out
            edges[[0, -1]] = min(edges[0], errors.min()), max(edges[-1], errors.max())
            _drawing.log_axis(self.ax_.xaxis, [errors])
        self.histograms_ = _drawing.histograms(self.ax_, groups, edges)
        self.threshold_ = self.ax_.axvline(
            -self.offset, linestyle="--", label="threshold", **_drawing.MARK
        )
        _drawing.label(self.ax_, "reconstruction error (minus the score)", "rows")
        _drawing.legend(self.ax_)
        return self


def _scores_and_offset(estimator, X):
    detector = last_step(estimator)
    if not isinstance(detector, OutlierMixin):
        raise TypeError(
            "estimator must be an outlier detector, or a Pipeline, FrozenEstimator "
            f"or fitted search that ends in one; got {type(detector).__name__}."
        )
    check_is_fitted(detector)
    return estimator.score_samples(X), detector.offset_
