"""Where reconstruction moves rows."""

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skcae import _drawing
from skcae._checks import check_labels, check_numeric, check_positive
from skcae._pipeline import Inputs, column_of, inverse_to_numbers, names_of
from skcae._typing import Model, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def score_field(estimator: Model, X: Table) -> Table:
    r"""Compute where reconstruction moves each row: r(x) - x.

    With squared error and enough capacity, a penalty on the whole reconstruction
    (``penalty="reconstruction"``) or small Gaussian noise makes it an estimate of
    the score, :math:`r(x) - x \approx s^2 \nabla \log p(x)`, with ``lam``
    or ``noise_std ** 2`` for s² [1]_. A penalty on the encoder alone
    (``penalty="encoder"``) does not: there it is a direction, no more.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted. Of a Pipeline, r is ``inverse_transform(transform(x))`` of the
        whole.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.

    Returns
    -------
    field : ndarray or DataFrame of shape (n_samples, n_features)
        As ``X``, in the units of its columns. Behind a scaler that divides a
        column by c, the score with respect to that column is multiplied by c²
        as well. 0 in a column that a step drops, as a selector does; nan where a
        cell is missing, or a step is given what it has no inverse of, as a
        PowerTransformer may be.

    Raises
    ------
    ValueError
        If a step before the autoencoder cannot be undone.

    See Also
    --------
    skcae.plotting.ScoreFieldDisplay : The picture, of two columns.

    References
    ----------
    .. [1] Alain, G., Bengio, Y. (2014). What regularized auto-encoders learn from
       the data-generating distribution. JMLR 15.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import score_field
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> score_field(model, X).shape
    (150, 4)
    """
    inputs = Inputs(estimator, X)
    field, is_kept = inverse_to_numbers(inputs, inputs.reconstruct())
    for position in np.flatnonzero(is_kept):
        field[:, position] -= np.asarray(column_of(X, position), dtype=np.float64)
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(field, index=X.index, columns=X.columns)
    return field


@_drawing.display
class ScoreFieldDisplay:
    """Where reconstruction moves rows of two columns, as arrows r(x) - x.

    Where the gradients of log p are known, they can be drawn beside the arrows.

    Parameters
    ----------
    X : array-like of shape (n_samples, 2)
        The rows.
    field : array-like of shape (n_samples, 2)
        From :func:`skcae.inspection.score_field`; rows with nan are left out.
    true_score : array-like of shape (n_samples, 2), default=None
        Gradients of log p at the rows, to draw beside it.
    names : array-like of two names, default=None
        Names of the columns; None for "x0" and "x1".

    Attributes
    ----------
    ax_ : Axes
        What was drawn into.
    field_ : Quiver
        The arrows r(x) - x.
    true_ : Quiver or None
        The gradients of log p, if given.
    scale_ : float
        What the true score is multiplied by, to have the root mean squared length
        of the field: an estimate of s² in :func:`skcae.inspection.score_field`.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.inspection.score_field : The numbers, of any number of columns.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import ScoreFieldDisplay
    >>> X, _ = make_moons(100, noise=0.1, random_state=0)
    >>> model = ContractiveAutoencoder(
    ...     4, penalty="reconstruction", activation="tanh", max_iter=5, random_state=0
    ... ).fit(X)
    >>> display = ScoreFieldDisplay.from_estimator(model, X)
    >>> display.ax_.get_xlabel()
    'x0'
    """

    X: ArrayLike
    field: ArrayLike
    _: KW_ONLY
    true_score: ArrayLike | None = None
    names: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Model,
        X: Table,
        true_score: ArrayLike | Callable[[Any], ArrayLike] | None = None,
        *,
        stretch: float = 1.0,
        ax: "Axes | None" = None,
    ) -> Self:
        """Compute the field at the rows, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, 2)
            Rows, or points of a grid.
        true_score : array-like of shape (n_samples, 2) or callable, default=None
            Gradients of log p at the rows, or a function that returns them for ``X``.
        stretch : float, default=1.0
            How many times their length arrows are drawn, see :meth:`plot`.
        ax : Axes, default=None
            What to draw into; None for a new figure.

        Returns
        -------
        display : ScoreFieldDisplay
            What was drawn.
        """
        true_score = true_score(X) if callable(true_score) else true_score
        field = score_field(estimator, X)
        drawn = cls(X, field, true_score=true_score, names=names_of(X))
        return drawn.plot(ax, stretch=stretch)

    def plot(self, ax: "Axes | None" = None, *, stretch: float = 1.0) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.
        stretch : float, default=1.0
            How many times their length arrows are drawn. At 1 those of the field
            end where reconstruction moves the row.

        Returns
        -------
        display : ScoreFieldDisplay
            The display itself.
        """
        check_positive("stretch", stretch)
        arrays = {"X": self.X, "field": self.field}
        if self.true_score is not None:
            arrays["true_score"] = self.true_score
        given = [
            check_numeric(name, array, 2, finite=False)
            for name, array in arrays.items()
        ]
        if any(array.shape != (len(given[0]), 2) for array in given):
            raise ValueError(
                "X, field and true_score must be of shape (n_samples, 2); got "
                f"{', '.join(str(array.shape) for array in given)}."
            )
        names = check_labels("names", self.names, ["x0", "x1"])
        finite = np.isfinite(np.hstack(given)).all(axis=1)
        X, field, *true = (array[finite] for array in given)
        self.ax_, self.figure_ = _drawing.place(ax)
        self.ax_.plot(*X.T, ".", color="0.6", markersize=2)
        self.true_, self.scale_ = None, np.nan
        for score in true:
            self.scale_ = float(np.linalg.norm(field) / np.linalg.norm(score))
            label = f"{self.scale_:.2g} · ∇ log p(x)"
            moves = stretch * self.scale_ * score
            self.true_ = _drawing.arrows(self.ax_, X, moves, label, 1, width=0.01)
        # the thinner on top, so that both show where they agree
        moves = stretch * field
        self.field_ = _drawing.arrows(self.ax_, X, moves, "r(x) − x", 0, width=0.005)
        _drawing.label(self.ax_, *names)
        _drawing.legend(self.ax_)
        return self
