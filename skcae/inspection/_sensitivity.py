"""How far codes move when noise moves the rows."""

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skcae import _drawing
from skcae._checks import (
    check_bool,
    check_by_name,
    check_choice,
    check_count,
    check_numeric,
    check_positive,
)
from skcae._pipeline import Inputs, index_of
from skcae._typing import Model, Seed, Table
from skcae.inspection._distances import RATIO, scale, stretch

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sensitivity(
    estimator: Model,
    X: Table,
    *,
    noise_std: float = 0.1,
    n_repeats: int = 10,
    random_state: Seed = 0,
) -> pd.DataFrame:
    r"""Measure how far the code of each row moves when noise moves the row.

    A contractive code moves little, and so does a code that merely shrank: hence the
    relative column.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    noise_std : float, default=0.1
        Standard deviation of the Gaussian noise e, in the units of the
        autoencoder's input: behind a StandardScaler, in standard deviations of
        the columns.
    n_repeats : int, default=10
        Draws of noise to average over.
    random_state : int, RandomState instance or None, default=0
        Seeds the noise.

    Returns
    -------
    table : DataFrame of shape (n_samples, 2)
        Indexed as ``X``.

        - "sensitivity": mean of :math:`\|f(x + e) - f(x)\| / \|e\|`, in units of
          the code per unit of input;
        - "relative": the same divided by the spread of the codes over that of the
          inputs, so that a code that merely shrank does not look robust: 1 for a
          map that only scales. The spread is the root mean squared distance from
          the mean over the rows given; nan where they do not differ.

    See Also
    --------
    skcae.plotting.SensitivityDisplay : The picture.
    contraction_curve : The same by the distance that rows move.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import sensitivity
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> sensitivity(model, X).columns.tolist()
    ['sensitivity', 'relative']
    """
    check_positive("noise_std", noise_std)
    check_count("n_repeats", n_repeats)
    inputs = Inputs(estimator, X)
    codes = inputs.encode(inputs.rows)
    rng = check_random_state(random_state)
    total = np.zeros(len(codes))
    for _ in range(n_repeats):
        noise = noise_std * rng.standard_normal(inputs.rows.shape)
        total += stretch(inputs, codes, noise)
    mean = total / n_repeats
    columns = {"sensitivity": mean, "relative": mean / scale(inputs, codes)}
    return pd.DataFrame(columns, index=index_of(X, len(mean)))


@_drawing.display
class SensitivityDisplay:
    """Distribution over rows of how far codes move when noise moves the rows.

    Several models are drawn into one panel, to compare them.

    Parameters
    ----------
    sensitivities : dict of array-like of shape (n_samples,)
        A column of :func:`skcae.inspection.sensitivity` for each model, by the
        model's name.
    relative : bool, default=False
        Whether it is the column "relative".

    Attributes
    ----------
    ax_ : Axes
        What was drawn into.
    artists_ : dict of StepPatch (histograms) or PathPatch (boxes)
        By the model's name.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.inspection.sensitivity : The numbers.
    ContractionCurveDisplay : The same by the distance that rows move.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import SensitivityDisplay
    >>> X = load_iris().data
    >>> models = {
    ...     f"λ = {lam}": ContractiveAutoencoder(
    ...         3, hidden_layer_sizes=(), lam=lam, max_iter=5, random_state=0
    ...     ).fit(X)
    ...     for lam in (0, 1)
    ... }
    >>> display = SensitivityDisplay.from_estimators(models, X, relative=True)
    >>> list(display.artists_)
    ['λ = 0', 'λ = 1']
    """

    sensitivities: Mapping[str, ArrayLike]
    _: KW_ONLY
    relative: bool = False

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Model],
        X: Table,
        *,
        relative: bool = False,
        kind: Literal["hist", "box"] = "hist",
        bins: int = 30,
        ax: "Axes | None" = None,
        **keywords: Any,
    ) -> Self:
        """Compute every row's sensitivity for every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
            Fitted models, by name.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimators take them.
        relative : bool, default=False
            Whether to divide by the spread of the codes over that of the inputs, so
            that a code that merely shrank does not look robust.
        kind : {"hist", "box"}, default="hist"
            Histograms or boxes, see :meth:`plot`.
        bins : int, default=30
            Bins of the histograms.
        ax : Axes, default=None
            What to draw into; None for a new figure.
        **keywords : dict
            Parameters of :func:`skcae.inspection.sensitivity`: ``noise_std``,
            ``n_repeats``, ``random_state``.

        Returns
        -------
        display : SensitivityDisplay
            What was drawn.
        """
        check_bool("relative", relative)
        check_by_name("estimators", estimators)
        tables = _drawing.for_each(estimators, sensitivity, X, **keywords)
        column = "relative" if relative else "sensitivity"
        values = {name: table[column].to_numpy() for name, table in tables.items()}
        return cls(values, relative=relative).plot(ax, kind=kind, bins=bins)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: Literal["hist", "box"] = "hist",
        bins: int = 30,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.
        kind : {"hist", "box"}, default="hist"
            Histograms, all with the same bins; or boxes from quartile to quartile,
            with whiskers to the last row within 1.5 times their height.
        bins : int, default=30
            Bins of the histograms.

        Returns
        -------
        display : SensitivityDisplay
            The display itself.
        """
        check_choice("kind", kind, ("hist", "box"))
        check_count("bins", bins)
        check_bool("relative", self.relative)
        check_by_name("sensitivities", self.sensitivities)
        values = {
            name: check_numeric(f"sensitivities of {name!r}", of_model, 1)
            for name, of_model in self.sensitivities.items()
        }
        self.ax_, self.figure_ = _drawing.place(ax)
        what = f"sensitivity {RATIO}"
        if self.relative:
            what = "relative sensitivity (1: only scales)"
        if kind == "box":
            self.artists_ = _drawing.boxes(self.ax_, values)
            _drawing.label(self.ax_, "", what)
            return self
        edges = np.histogram_bin_edges(np.concatenate([*values.values()]), bins)
        self.artists_ = _drawing.histograms(self.ax_, values, edges)
        _drawing.label(self.ax_, what, "rows")
        _drawing.legend(self.ax_)
        return self
