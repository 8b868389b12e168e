"""Displays that compare models, by name: sensitivity, spectrum, contraction.

They are public in :mod:`skcae.plotting`, whose documentation holds for them.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY

import numpy as np

from skcae import _drawing, inspection
from skcae._drawing import check_arrays, check_dict, display

# Share of the largest singular value below which there may be rounding only.
_FLOOR = 1e-5
_CHANGED = "‖Δcode‖ / ‖Δrow‖"


@display
class SensitivityDisplay:
    """How far codes move when noise moves the rows: distributions over rows.

    Parameters
    ----------
    sensitivities : dict of array-like of shape (n_samples,)
        By the model's name; a column of :func:`skcae.inspection.sensitivity`.
    relative : bool, default=False
        Whether it is the column "relative".

    Attributes
    ----------
    ax_ : Axes
    artists_ : dict of StepPatch (histograms) or PathPatch (boxes)
        By the model's name.
    figure_ : Figure
    """

    sensitivities: Mapping
    _: KW_ONLY
    relative: bool = False

    @classmethod
    def from_estimators(
        cls, estimators, X, *, relative=False, kind="hist", bins=30, ax=None, **keywords
    ):
        """Compute every row's sensitivity for every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        relative : bool, default=False
            Whether to divide by the spread of the codes over that of the inputs, so
            that a code that merely shrank does not look robust.
        kind, bins, ax
            As in :meth:`plot`.
        **keywords
            Of :func:`skcae.inspection.sensitivity`: ``noise_std``, ``n_repeats``,
            ``random_state``.
        """
        column = "relative" if relative else "sensitivity"
        tables = _for_each(estimators, inspection.sensitivity, X, **keywords)
        values = {name: table[column].to_numpy() for name, table in tables.items()}
        return cls(values, relative=relative).plot(ax, kind=kind, bins=bins)

    def plot(self, ax=None, *, kind="hist", bins=30):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
        kind : {"hist", "box"}, default="hist"
            Histograms, all with the same bins; or boxes from quartile to quartile,
            with whiskers to the last row within 1.5 times their height.
        bins : int, default=30
        """
        if not (isinstance(kind, str) and kind in ("hist", "box")):
            raise ValueError(f"kind must be 'hist' or 'box'; got {kind!r}.")
        values = check_arrays("sensitivities", self.sensitivities, 1)
        _drawing.place(self, ax)
        what = f"sensitivity {_CHANGED}"
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


@display
class JacobianSpectrumDisplay:
    """Singular values of the encoder's Jacobian by rank: mean and spread over rows.

    Parameters
    ----------
    singular_values : dict of array-like of shape (n_samples, n_values)
        By the model's name; from :func:`skcae.inspection.jacobian_spectrum`.

    Attributes
    ----------
    ax_ : Axes
        Logarithmic, down to where rounding begins; linear if all values are 0.
    lines_ : dict of Line2D
        Means, by the model's name.
    bands_ : dict of PolyCollection
        From one quantile over rows to the other.
    figure_ : Figure
    """

    singular_values: Mapping

    @classmethod
    def from_estimators(cls, estimators, X, *, quantiles=(0.1, 0.9), ax=None):
        """Compute the spectrum at every row for every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        quantiles : tuple of two floats in [0, 1], default=(0.1, 0.9)
        ax : Axes, default=None
        """
        spectra = _for_each(estimators, inspection.jacobian_spectrum, X)
        values = {name: spectra[name].singular_values for name in spectra}
        return cls(values).plot(ax, quantiles=quantiles)

    def plot(self, ax=None, *, quantiles=(0.1, 0.9)):
        """Draw, with a band between two quantiles of the rows."""
        bands = {}
        for name, values in check_arrays(
            "singular_values", self.singular_values, 2
        ).items():
            band = np.quantile(values, quantiles, axis=0)
            bands[name] = np.arange(1, len(values[0]) + 1), values.mean(axis=0), *band
        _drawing.place(self, ax)
        self.lines_, self.bands_ = _drawing.curves(self.ax_, bands)
        means = np.concatenate([mean for _, mean, *_ in bands.values()])
        if means.max() > 0:
            shown = means[means >= _FLOOR * means.max()]
            _drawing.log_axis(self.ax_.yaxis, [shown])
            self.ax_.set_ylim(shown.min() / 2, shown.max() * 2)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        _drawing.label(self.ax_, "rank", "singular value")
        _drawing.legend(self.ax_)
        return self


@display
class ContractionCurveDisplay:
    """Contraction ratio by distance from the rows.

    Parameters
    ----------
    curves : dict of DataFrame
        By the model's name; from :func:`skcae.inspection.contraction_curve`.

    Attributes
    ----------
    ax_ : Axes
    lines_ : dict of Line2D
        By the model's name.
    bands_ : dict of PolyCollection
        A standard deviation over rows to both sides.
    figure_ : Figure
    """

    curves: Mapping

    @classmethod
    def from_estimators(cls, estimators, X, radii=None, *, ax=None, **keywords):
        """Compute the curve of every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        radii : array-like of shape (n_radii,), default=None
            In the units of the autoencoder's input.
        ax : Axes, default=None
        **keywords
            Of :func:`skcae.inspection.contraction_curve`: ``n_repeats``,
            ``random_state``.
        """
        keywords["radii"] = radii
        curves = _for_each(estimators, inspection.contraction_curve, X, **keywords)
        return cls(curves).plot(ax)

    def plot(self, ax=None):
        """Draw."""
        check_dict("curves", self.curves)
        bands = {}
        for name, curve in self.curves.items():
            mean, std = curve["ratio"], curve["std"]
            bands[name] = curve.index, mean, mean - std, mean + std
        _drawing.place(self, ax)
        self.lines_, self.bands_ = _drawing.curves(self.ax_, bands)
        self.ax_.set_xscale("log")
        self.ax_.set_ylim(bottom=0)
        _drawing.label(self.ax_, "distance from the row", _CHANGED)
        _drawing.legend(self.ax_)
        return self


def _for_each(estimators, function, X, **keywords):
    check_dict("estimators", estimators)
    _drawing.pyplot()
    return {name: function(model, X, **keywords) for name, model in estimators.items()}
