"""How distances shrink on the way to the code, by the distance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skcae import _drawing
from skcae._checks import (
    check_by_name,
    check_count,
    check_keys,
    check_numbers,
    check_numeric,
)
from skcae._pipeline import Inputs, spread
from skcae._typing import Model, Seed, Table
from skcae.inspection._distances import RATIO, scale, stretch

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def contraction_curve(
    estimator: Model,
    X: Table,
    *,
    radii: ArrayLike | None = None,
    n_repeats: int = 5,
    random_state: Seed = 0,
) -> pd.DataFrame:
    r"""Measure the contraction ratio by the distance from the rows.

    The ratio says how the distance of two points changes on the way to the code, for
    pairs of a row and a point on a sphere around it [1]_. A contractive autoencoder
    has its lowest ratios near the rows; they rise with the radius until the code
    saturates.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    radii : array-like of shape (n_radii,), default=None
        Radii of the spheres, in the units of the autoencoder's input. None for nine,
        geometric from a hundredth of the spread of the rows (their root mean
        squared distance from the mean) to three times it.
    n_repeats : int, default=5
        Random directions per row; the same at every radius.
    random_state : int, RandomState instance or None, default=0
        Seeds the directions.

    Returns
    -------
    table : DataFrame of shape (n_radii, 3)
        Indexed by "radius", ascending.

        - "ratio": mean over rows and directions of
          :math:`\|f(x + e) - f(x)\| / \|e\|`, where :math:`\|e\|` is the radius;
        - "std": standard deviation over rows of the ratio;
        - "relative": the ratio, divided as in :func:`sensitivity`.

    Raises
    ------
    ValueError
        If ``radii`` is None and the rows do not differ.

    See Also
    --------
    skcae.plotting.ContractionCurveDisplay : The picture.
    sensitivity : The ratio at one distance, row by row.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011).
       Contractive auto-encoders: explicit invariance during feature extraction.
       ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import contraction_curve
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> contraction_curve(model, X, radii=[0.1, 1, 10]).shape
    (3, 3)
    """
    check_count("n_repeats", n_repeats)
    inputs = Inputs(estimator, X)
    if radii is None:
        width = spread(inputs.rows)
        if width == 0:
            raise ValueError("radii must be given where the rows of X do not differ.")
        radii = width * np.geomspace(0.01, 3, 9)
    ascending = check_numbers("radii", radii, zero=False)
    codes = inputs.encode(inputs.rows)
    rng = check_random_state(random_state)
    ratios = np.zeros((len(ascending), len(codes)))
    for _ in range(n_repeats):
        directions = rng.standard_normal(inputs.rows.shape)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for ratio, radius in zip(ratios, ascending, strict=True):
            ratio += stretch(inputs, codes, radius * directions) / n_repeats
    mean = ratios.mean(axis=1)
    return pd.DataFrame(
        {
            "ratio": mean,
            "std": ratios.std(axis=1),
            "relative": mean / scale(inputs, codes),
        },
        index=pd.Index(ascending, name="radius"),
    )


@_drawing.display
class ContractionCurveDisplay:
    """Contraction ratio of several models by the distance from the rows.

    A line for each model is the mean over rows, its band a standard deviation to both
    sides.

    Parameters
    ----------
    curves : dict of DataFrame
        From :func:`skcae.inspection.contraction_curve`, by the model's name.

    Attributes
    ----------
    ax_ : Axes
        What was drawn into. Its x axis is logarithmic.
    lines_ : dict of Line2D
        Means, by the model's name.
    bands_ : dict of PolyCollection
        Standard deviations, by the model's name.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.inspection.contraction_curve : The numbers.
    SensitivityDisplay : The distribution over rows at one distance.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import ContractionCurveDisplay
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(
    ...     3, hidden_layer_sizes=(), max_iter=5, random_state=0
    ... ).fit(X)
    >>> display = ContractionCurveDisplay.from_estimators({"iris": model}, X)
    >>> len(display.lines_["iris"].get_xdata())
    9
    """

    curves: Mapping[str, pd.DataFrame]

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Model],
        X: Table,
        radii: ArrayLike | None = None,
        *,
        ax: "Axes | None" = None,
        **keywords: Any,
    ) -> Self:
        """Compute the curve of every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
            Fitted models, by name.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimators take them.
        radii : array-like of shape (n_radii,), default=None
            Distances, in the units of the autoencoder's input. None for nine.
        ax : Axes, default=None
            What to draw into; None for a new figure.
        **keywords : dict
            Parameters of :func:`skcae.inspection.contraction_curve`: ``n_repeats``,
            ``random_state``.

        Returns
        -------
        display : ContractionCurveDisplay
            What was drawn.
        """
        check_by_name("estimators", estimators)
        keywords["radii"] = radii
        return cls(
            _drawing.for_each(estimators, contraction_curve, X, **keywords)
        ).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.

        Returns
        -------
        display : ContractionCurveDisplay
            The display itself.
        """
        check_by_name("curves", self.curves)
        bands = {}
        for name, curve in self.curves.items():
            what = f"curves of {name!r}"
            if not isinstance(curve, pd.DataFrame):
                raise ValueError(
                    f"{what} must be a DataFrame; got {type(curve).__name__}."
                )
            check_keys(what, curve, ("ratio", "std"))
            radii = check_numeric(f"index of {what}", curve.index, 1)
            mean, std = check_numeric(what, curve[["ratio", "std"]], 2).T
            bands[name] = radii, mean, mean - std, mean + std
        self.ax_, self.figure_ = _drawing.place(ax)
        self.lines_, self.bands_ = _drawing.curves(self.ax_, bands)
        self.ax_.set_xscale("log")
        self.ax_.set_ylim(bottom=0)
        _drawing.label(self.ax_, "distance from the row", RATIO)
        _drawing.legend(self.ax_)
        return self
