"""How many directions the code keeps: singular values of the Jacobian."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skcae import _drawing
from skcae._checks import check_by_name, check_numeric, check_positive, check_shares
from skcae._pipeline import Inputs
from skcae._typing import Model, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Means below this share of the largest may be rounding only, and are not drawn.
_FLOOR = 1e-5


def jacobian_spectrum(estimator: Model, X: Table, *, threshold: float = 0.1) -> Bunch:
    """Compute the singular values of the encoder's Jacobian at each row.

    A code that follows a manifold of few dimensions has as many large singular
    values, and contracts the other directions.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    threshold : float in (0, 1], default=0.1
        Share of the row's largest singular value from which on a direction counts
        as kept: a tenth as strongly as the strongest, a hundredth of its square.

    Returns
    -------
    spectrum : Bunch
        With r, the smaller of ``n_components_`` and the number of columns that
        the autoencoder sees, and float64 throughout:

        - singular_values : ndarray of shape (n_samples, r), descending, in units
          of the code per unit of input;
        - mean : ndarray of shape (r,), over rows;
        - effective_rank : ndarray of shape (n_samples,), the exponential of the
          entropy of the singular values as shares of their sum [1]_, between 1
          and r; 0 where all are 0;
        - local_dimension : ndarray of int of shape (n_samples,), the number of
          singular values that reach the threshold.

    See Also
    --------
    skcae.plotting.JacobianSpectrumDisplay : The picture.
    tangent_vectors : The directions that belong to the values.

    References
    ----------
    .. [1] Roy, O., Vetterli, M. (2007). The effective rank: a measure of effective
       dimensionality. EUSIPCO.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import jacobian_spectrum
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> jacobian_spectrum(model, X).singular_values.shape
    (150, 3)
    """
    check_positive("threshold", threshold, high=1)
    inputs = Inputs(estimator, X)
    values = np.concatenate(
        [
            np.linalg.svd(jacobians, compute_uv=False)
            for jacobians in inputs.jacobians(inputs.autoencoder.n_components_)
        ]
    )
    total = values.sum(axis=1, keepdims=True)
    shares = values / np.where(total > 0, total, 1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    return Bunch(
        singular_values=values,
        mean=values.mean(axis=0),
        effective_rank=np.exp(entropy) * (total[:, 0] > 0),
        local_dimension=np.sum(
            (values >= threshold * values[:, :1]) & (values > 0), axis=1
        ),
    )


@_drawing.display
class JacobianSpectrumDisplay:
    """Singular values of the encoder's Jacobian by rank, for several models.

    A line for each model is the mean over rows, its band reaches from one quantile of
    the rows to another.

    Parameters
    ----------
    singular_values : dict of array-like of shape (n_samples, n_values)
        From :func:`skcae.inspection.jacobian_spectrum`, by the model's name.

    Attributes
    ----------
    ax_ : Axes
        What was drawn into. Its y axis is logarithmic, down to where rounding begins;
        linear if all values are 0.
    lines_ : dict of Line2D
        Means, by the model's name.
    bands_ : dict of PolyCollection
        Quantiles, by the model's name.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.inspection.jacobian_spectrum : The numbers.
    TangentVectorsDisplay : The directions that belong to the values.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import JacobianSpectrumDisplay
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(
    ...     3, hidden_layer_sizes=(), max_iter=5, random_state=0
    ... ).fit(X)
    >>> display = JacobianSpectrumDisplay.from_estimators({"iris": model}, X)
    >>> display.lines_["iris"].get_xdata().tolist()
    [1, 2, 3]
    """

    singular_values: Mapping[str, ArrayLike]

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Model],
        X: Table,
        *,
        quantiles: tuple[float, float] = (0.1, 0.9),
        ax: "Axes | None" = None,
    ) -> Self:
        """Compute the spectrum at every row for every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
            Fitted models, by name.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimators take them.
        quantiles : tuple of two floats in [0, 1], default=(0.1, 0.9)
            Quantiles of the rows that the band reaches from and to.
        ax : Axes, default=None
            What to draw into; None for a new figure.

        Returns
        -------
        display : JacobianSpectrumDisplay
            What was drawn.
        """
        check_by_name("estimators", estimators)
        spectra = _drawing.for_each(estimators, jacobian_spectrum, X)
        values = {name: spectra[name].singular_values for name in spectra}
        return cls(values).plot(ax, quantiles=quantiles)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        quantiles: tuple[float, float] = (0.1, 0.9),
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.
        quantiles : tuple of two floats in [0, 1], default=(0.1, 0.9)
            Quantiles of the rows that the band reaches from and to.

        Returns
        -------
        display : JacobianSpectrumDisplay
            The display itself.
        """
        quantiles = check_shares("quantiles", quantiles)
        check_by_name("singular_values", self.singular_values)
        bands = {}
        for name, values in self.singular_values.items():
            values = check_numeric(f"singular_values of {name!r}", values, 2)
            band = np.quantile(values, quantiles, axis=0)
            bands[name] = np.arange(1, len(values[0]) + 1), values.mean(axis=0), *band
        self.ax_, self.figure_ = _drawing.place(ax)
        self.lines_, self.bands_ = _drawing.curves(self.ax_, bands)
        means = np.concatenate([mean for _, mean, *_ in bands.values()])
        if means.max() > 0:
            shown = means[means >= _FLOOR * means.max()]
            _drawing.log_axis(self.ax_.yaxis, [shown])
            self.ax_.set_ylim(shown.min() / 2, shown.max() * 2)
        self.ax_.locator_params("x", integer=True)
        _drawing.label(self.ax_, "rank", "singular value")
        _drawing.legend(self.ax_)
        return self
