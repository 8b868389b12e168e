"""Pictures of fitted autoencoders: displays after scikit-learn's convention.

A display's constructor takes numbers. ``from_estimator``, or ``from_estimators`` with a
dict from names to models where several are compared, computes them, mostly by
:mod:`skcae.inspection`, and draws them. Each estimator is a
:class:`~skcae.ContractiveAutoencoder`, or a Pipeline that ends in one, and fitted.

``plot`` draws into ``ax``, or into a figure of its own, and returns the display, with
``figure_``, ``ax_`` (or ``axes_``) and the artists as attributes. A display of several
panels draws them in the place of ``ax``, or into the axes of a list of as many. Legends
stand above the axes, where they cover no data.

Colours are those of Okabe and Ito, which the colour-blind tell apart; line styles tell
models apart in grey. Matplotlib (``pip install "skcae[plot]"``) is imported when
something is drawn.

References
----------
Okabe, M., Ito, K. (2008). Color universal design: how to make figures and presentations
that are friendly to colorblind people. https://jfly.uni-koeln.de/color/
"""

import textwrap
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcae import _drawing
from skcae._drawing import COLOURS, MARK, SMALL
from skcae.inspection import (
    _index,
    contraction_curve,
    jacobian_spectrum,
    lambda_path,
    score_field,
    sensitivity,
    tangent_vectors,
)
from skcae.metrics import _behind_the_scaler

__all__ = [
    "AnomalyScoresDisplay",
    "ContractionCurveDisplay",
    "JacobianSpectrumDisplay",
    "LambdaPathDisplay",
    "ScoreFieldDisplay",
    "SensitivityDisplay",
    "TangentVectorsDisplay",
    "TrainingCurvesDisplay",
]

# White at 0; the colour-blind tell its ends apart.
_DIVERGING = "RdBu_r"
# Share of the largest singular value below which a logarithm shows rounding.
_FLOOR = 1e-5
_CHANGED = "‖change of code‖ / ‖change of row‖"

# Only numbers are data: two displays are not compared, nor printed, by them.
_display = dataclass(eq=False, repr=False)


@_display
class TrainingCurvesDisplay:
    """How training went: both terms of the objective, norms, λ, by epoch.

    Parameters
    ----------
    history : dict of list of float
        ``history_`` of a fitted :class:`~skcae.ContractiveAutoencoder`.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (2, 2)
        Objective, norm of the gradient; norm of the weights, λ.
    lines_ : dict of Line2D
        By their names in ``history``. "penalty" is times λ, as it enters the
        objective, and itself only where λ was 0 throughout. "validation_loss" and
        "learning_rate" are there where one was watched, and the other changed.
    """

    history: dict

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the history of a fitted model."""
        return cls(_last(estimator).history_).plot(ax)

    def plot(self, ax=None):
        """Draw four panels."""
        history = {name: np.asarray(self.history[name]) for name in self.history}
        self.axes_ = _drawing.panels(ax, (2, 2), sharex=True)
        self.figure_ = self.axes_[0, 0].figure
        (objective, gradient), (weight, lam) = self.axes_
        contracts = np.any(history["lam"] > 0)
        if contracts:
            history["penalty"] = history["penalty"] * history["lam"]
        panels = [
            (objective, "reconstruction", "reconstruction", 0),
            (
                objective,
                "penalty",
                "λ · penalty" if contracts else "penalty (λ = 0)",
                1,
            ),
            (objective, "validation_loss", "validation, both", 2),
            (gradient, "grad_norm", "gradient norm", 0),
            (weight, "weight_norm", "weight norm", 0),
            (lam, "lam", "λ", 0),
        ]
        if np.ptp(history["learning_rate"]) > 0:
            panels.append((lam.twinx(), "learning_rate", "learning rate", 1))
        self.lines_ = {}
        for axes, name, label, i in panels:
            if np.isnan(history[name]).all():
                continue
            epochs = np.arange(1, len(history[name]) + 1)
            line = axes.plot(epochs, history[name], label=label, **_drawing.style(i))[0]
            self.lines_[name] = line
            axes.set_ylabel("loss" if axes is objective else label, fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)
            if axes not in (weight, lam):
                # a gap, not a fall, where λ starts from 0
                axes.set_yscale("log", nonpositive="mask")
        for axes in self.axes_[1]:
            axes.set_xlabel("epoch", fontsize=SMALL)
        _drawing.legend(objective)
        if "learning_rate" in self.lines_:
            self.lines_["learning_rate"].axes.yaxis.label.set_color(COLOURS[1])
            lam.yaxis.label.set_color(COLOURS[0])
        return self


@_display
class LambdaPathDisplay:
    """What each λ costs and what it buys, and the λ that the rule chooses.

    Dots are means over folds of held-out rows, bars their standard errors. The dashed
    line lies one standard error below the best score; the largest λ above it is
    chosen, and marked by a line through all panels.

    Parameters
    ----------
    path : Bunch
        From :func:`skcae.inspection.lambda_path`.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (3,)
        Reconstruction error, relative sensitivity and the score that decided, over λ,
        whose axis is logarithmic, with 0 to the left of the smallest other.
    errorbars_ : dict of ErrorbarContainer
        By the names in ``path.table``.
    chosen_ : list of Line2D
    threshold_ : Line2D
    """

    path: Mapping

    @classmethod
    def from_estimator(cls, estimator, X, lams, *, ax=None, **keywords):
        """Fit along the path by :func:`skcae.inspection.lambda_path`, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            It is cloned and need not be fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        lams : array-like of shape (n_lams,)
        ax : Axes or array-like of three Axes, default=None
        **keywords
            As there: ``cv``, ``scoring``, ``noise_std``, ``random_state``.
        """
        _drawing.pyplot()  # that it is missing should not come out after all the fits
        return cls(lambda_path(estimator, X, lams, **keywords)).plot(ax)

    def plot(self, ax=None):
        """Draw three panels, one above the other."""
        table, chosen = self.path["table"], self.path["best_lam"]
        score = "score" if "score" in table else "denoising_score"
        self.axes_ = _drawing.panels(ax, (3, 1), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        self.errorbars_, self.chosen_ = {}, []
        names = ("reconstruction_error", "relative_sensitivity", score)
        for i, (axes, name) in enumerate(zip(self.axes_, names, strict=True)):
            style = {"marker": "o", "markersize": 4, "capsize": 2} | _drawing.style(i)
            columns = table.index, table[name], table[f"{name}_se"]
            self.errorbars_[name] = axes.errorbar(*columns, **style)
            self.chosen_.append(axes.axvline(chosen, **MARK))
            axes.set_ylabel(name.replace("_", "\n"), fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)
            _drawing.lam_axis(axes, table.index.to_numpy())
        best = table.loc[table[score].idxmax()]
        limit = best[score] - best[f"{score}_se"]
        self.threshold_ = axes.axhline(limit, linestyle="--", **MARK)
        axes.set_xlabel("λ", fontsize=SMALL)
        self.axes_[0].set_title(f"chosen: λ = {chosen:g}", fontsize=SMALL)
        return self


@_display
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
            Fitted, by name.
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
        tables = _for_each(estimators, lambda m: sensitivity(m, X, **keywords))
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
        values = _arrays("sensitivities", self.sensitivities, 1)
        self.ax_ = _drawing.panel(ax)
        self.figure_ = self.ax_.figure
        what = "relative sensitivity" if self.relative else "sensitivity"
        unit = " (1: only scales)" if self.relative else f": {_CHANGED}"
        if kind == "hist":
            edges = np.histogram_bin_edges(np.concatenate([*values.values()]), bins)
            self.artists_ = _drawing.histograms(self.ax_, values, edges)
            self.ax_.set(xlabel=what + unit, ylabel="rows")
            _drawing.legend(self.ax_)
            return self
        dots = {"marker": ".", "markersize": 3}
        boxes = self.ax_.boxplot(
            [*values.values()], patch_artist=True, flierprops=dots, medianprops=MARK
        )["boxes"]
        for i, box in enumerate(boxes):
            box.set_facecolor((_drawing.colour(i), 0.5))
        self.artists_ = dict(zip(values, boxes, strict=True))
        names = [textwrap.fill(str(name), max(8, 36 // len(values))) for name in values]
        self.ax_.set_xticks(range(1, len(names) + 1), names)
        self.ax_.set_ylabel(what)
        return self


@_display
class JacobianSpectrumDisplay:
    """Singular values of the encoder's Jacobian by rank: mean and spread over rows.

    Parameters
    ----------
    singular_values : dict of array-like of shape (n_samples, n_values)
        By the model's name; from :func:`skcae.inspection.jacobian_spectrum`.

    Attributes
    ----------
    ax_ : Axes
        Logarithmic down to where rounding begins, unless all values are 0.
    lines_ : dict of Line2D
        Means, by the model's name.
    bands_ : dict of PolyCollection
        From one quantile over rows to the other.
    """

    singular_values: Mapping

    @classmethod
    def from_estimators(cls, estimators, X, *, quantiles=(0.1, 0.9), ax=None):
        """Compute the spectrum at every row for every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
            Fitted, by name.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        quantiles : tuple of two floats in [0, 1], default=(0.1, 0.9)
        ax : Axes, default=None
        """
        spectra = _for_each(estimators, lambda m: jacobian_spectrum(m, X))
        values = {name: spectra[name].singular_values for name in spectra}
        return cls(values).plot(ax, quantiles=quantiles)

    def plot(self, ax=None, *, quantiles=(0.1, 0.9)):
        """Draw, with a band between two quantiles of the rows."""
        spectra = _arrays("singular_values", self.singular_values, 2)
        bands = {
            name: np.quantile(spectra[name], quantiles, axis=0) for name in spectra
        }
        means = {name: spectra[name].mean(axis=0) for name in spectra}
        self.ax_ = _drawing.panel(ax)
        self.figure_ = self.ax_.figure
        self.lines_, self.bands_ = {}, {}
        for i, (name, mean) in enumerate(means.items()):
            ranks = np.arange(1, len(mean) + 1)
            self.lines_[name], self.bands_[name] = _drawing.curve_in_band(
                self.ax_, ranks, mean, *bands[name], name, i
            )
        largest = max(mean.max() for mean in means.values())
        if largest > 0:
            self.ax_.set_yscale("log")
            self.ax_.set_ylim(bottom=max(self.ax_.get_ylim()[0], _FLOOR * largest))
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.set(xlabel="rank", ylabel="singular value")
        _drawing.legend(self.ax_)
        return self


@_display
class TangentVectorsDisplay:
    """Directions from rows that the code keeps most, or contracts most.

    Images in colours of which white is 0, each with its own scale and after the row
    itself; or bars, one a column.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
    vectors : array-like of shape (n_samples, n_vectors, n_features)
        As from :func:`skcae.inspection.tangent_vectors`.
    which : {"kept", "contracted"}, default="kept"
    image_shape : tuple of two ints, default=None
        Height and width, where a row is an image.
    names : array-like of shape (n_features,), default=None
        Of the columns; None for "x0", "x1", ...
    row_names : array-like of shape (n_samples,), default=None
        None for 0, 1, ...
    unit : str, default="units of the columns"
        Of the vectors.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_samples, n_vectors), one wider for images
    artists_ : ndarray of AxesImage or BarContainer, of the shape of ``axes_``
    """

    rows: ArrayLike
    vectors: ArrayLike
    _: KW_ONLY
    which: str = "kept"
    image_shape: tuple | None = None
    names: ArrayLike | None = None
    row_names: ArrayLike | None = None
    unit: str = "units of the columns"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        n_vectors=3,
        which="kept",
        *,
        image_shape=None,
        names=None,
        scaled=None,
        max_columns=12,
        ax=None,
    ):
        """Compute the directions at a few rows, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows to draw, no more.
        n_vectors, which
            As in :func:`skcae.inspection.tangent_vectors`.
        image_shape, names
            As in the constructor.
        scaled : bool, default=None
            Whether to draw what the autoencoder sees, in its units: behind a
            StandardScaler, in standard deviations. Otherwise in the units of the
            columns, where a column in grams dwarfs one in kilograms. None for True,
            but False for images.
        max_columns, ax
            As in :meth:`plot`.
        """
        rows, columns = np.asarray(X), getattr(X, "columns", None)
        row_names, unit = _index(X, len(rows)), cls.unit
        if scaled or (scaled is None and image_shape is None):
            estimator, X = _behind_the_scaler(estimator, X)
            rows, unit = np.asarray(X), "units of the autoencoder's input"
        table = tangent_vectors(estimator, X, n_vectors, which=which)
        if names is None:  # which a scaler may have dropped
            known = columns is not None and len(columns) == rows.shape[1]
            names = columns if known else table.columns
        vectors = table.to_numpy().reshape(len(rows), n_vectors, -1)
        return cls(
            rows,
            vectors,
            which=which,
            image_shape=image_shape,
            names=names,
            row_names=row_names,
            unit=unit,
        ).plot(ax, max_columns=max_columns)

    def plot(self, ax=None, *, max_columns=12):
        """Draw.

        Parameters
        ----------
        ax : Axes or array-like of as many Axes as ``axes_`` has, default=None
        max_columns : int, default=12
            Bars are drawn for so many columns, those with the largest entries.
        """
        rows = np.asarray(self.rows, dtype=float)
        vectors = np.asarray(self.vectors, dtype=float)
        if vectors.ndim != 3 or rows.shape != vectors[:, 0].shape:
            raise ValueError(
                "vectors must be of shape (n_samples, n_vectors, n_features), and rows "
                f"of (n_samples, n_features); got {vectors.shape} and {rows.shape}."
            )
        n_rows, n_vectors, n_columns = vectors.shape
        titles = [f"{self.which} {i + 1}" for i in range(n_vectors)]
        if self.image_shape is None:
            self._draw_bars(ax, vectors, max_columns)
        elif np.size(self.image_shape) == 2 and np.prod(self.image_shape) == n_columns:
            self._draw_images(ax, rows, vectors)
            titles.insert(0, "row")
        else:
            raise ValueError(
                f"image_shape must be a height and a width, {n_columns} cells in all; "
                f"got {self.image_shape!r}."
            )
        self.figure_ = self.axes_[0, 0].figure
        for axes, title in zip(self.axes_[0], titles, strict=True):
            axes.set_title(title, fontsize=SMALL)
        row_names = range(n_rows) if self.row_names is None else self.row_names
        for axes, name in zip(self.axes_[:, 0], row_names, strict=True):
            axes.set_ylabel(name, fontsize=SMALL)
        return self

    def _draw_images(self, ax, rows, vectors):
        shape = len(rows), vectors.shape[1] + 1
        size = 1.3 * shape[1] + 0.3, 1.3 * shape[0] + 0.3
        self.axes_ = _drawing.panels(ax, shape, size)
        self.artists_ = np.empty(shape, dtype=object)
        for i, j in np.ndindex(shape):
            values, colours = rows[i], {"cmap": "gray"}
            if j > 0:
                values = vectors[i, j - 1]
                limit = np.abs(values).max()
                colours = {"cmap": _DIVERGING, "vmin": -limit, "vmax": limit}
            image = values.reshape(self.image_shape)
            self.artists_[i, j] = self.axes_[i, j].imshow(image, **colours)
            self.axes_[i, j].set(xticks=[], yticks=[])

    def _draw_bars(self, ax, vectors, max_columns):
        *shape, n_columns = vectors.shape
        largest = np.argsort(-np.abs(vectors).max(axis=(0, 1)), kind="stable")
        shown = np.sort(largest[:max_columns])
        names = self.names
        if names is None:
            names = [f"x{k}" for k in range(n_columns)]
        size = 6.4, shape[0] * (0.2 * len(shown) + 0.3) + 0.6
        self.axes_ = _drawing.panels(ax, shape, size, sharex=True, sharey=True)
        self.artists_ = np.empty(shape, dtype=object)
        for i, j in np.ndindex(*shape):
            axes, values = self.axes_[i, j], vectors[i, j, shown]
            colours = np.where(values < 0, COLOURS[0], COLOURS[1])
            self.artists_[i, j] = axes.barh(range(len(shown)), values, color=colours)
            axes.axvline(0, **MARK | {"linewidth": 0.5})
            axes.set_yticks(range(len(shown)), [names[k] for k in shown])
            axes.set_ylim(len(shown) - 0.5, -0.5)  # the first column on top
            axes.tick_params(labelsize="x-small")
        middle = self.axes_[-1, (shape[1] - 1) // 2]
        middle.set_xlabel(f"change, in {self.unit}", fontsize=SMALL)


@_display
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
    """

    curves: Mapping

    @classmethod
    def from_estimators(cls, estimators, X, radii=None, *, ax=None, **keywords):
        """Compute the curve of every model, and draw.

        Parameters
        ----------
        estimators : dict of ContractiveAutoencoder or Pipeline
            Fitted, by name.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        radii : array-like of shape (n_radii,), default=None
            In the units of the autoencoder's input.
        ax : Axes, default=None
        **keywords
            Of :func:`skcae.inspection.contraction_curve`: ``n_repeats``,
            ``random_state``.
        """
        keywords["radii"] = radii
        curves = _for_each(estimators, lambda m: contraction_curve(m, X, **keywords))
        return cls(curves).plot(ax)

    def plot(self, ax=None):
        """Draw."""
        _check_dict("curves", self.curves)
        self.ax_ = _drawing.panel(ax)
        self.figure_ = self.ax_.figure
        self.lines_, self.bands_ = {}, {}
        for i, (name, curve) in enumerate(self.curves.items()):
            mean, std = curve["ratio"], curve["std"]
            self.lines_[name], self.bands_[name] = _drawing.curve_in_band(
                self.ax_, curve.index, mean, mean - std, mean + std, name, i
            )
        self.ax_.set(xscale="log", xlabel="distance from the row", ylabel=_CHANGED)
        self.ax_.set_ylim(bottom=0)
        _drawing.legend(self.ax_)
        return self


@_display
class AnomalyScoresDisplay:
    """Reconstruction errors, minus the scores, and the threshold among them.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        From ``score_samples``.
    offset : float
        ``offset_``: a row whose score lies below it is an outlier.
    y : array-like of shape (n_samples,), default=None
        What the rows are, to draw them apart: 1 for inliers, -1 for outliers.

    Attributes
    ----------
    ax_ : Axes
        Logarithmic in the errors, where all are above 0.
    histograms_ : dict of StepPatch
        "inliers" and "outliers", or "rows".
    threshold_ : Line2D
    """

    scores: ArrayLike
    offset: float
    _: KW_ONLY
    y: ArrayLike | None = None

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, bins=40, ax=None):
        """Score the rows, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            1 for inliers, -1 for outliers, as ``predict`` has them.
        bins : int, default=40
        ax : Axes, default=None
        """
        offset = _last(estimator).offset_
        return cls(estimator.score_samples(X), offset, y=y).plot(ax, bins=bins)

    def plot(self, ax=None, *, bins=40):
        """Draw, with so many bins from the smallest error to the largest."""
        errors = -_arrays("scores", {"rows": self.scores}, 1)["rows"]
        groups = {"rows": errors}
        if self.y is not None:
            y = np.asarray(self.y)
            if y.shape != errors.shape or not np.isin(y, (1, -1)).all():
                raise ValueError(
                    f"y must hold 1 (inlier) or -1 (outlier) for each of {len(errors)} "
                    f"rows; got shape {y.shape} and values {np.unique(y)[:5]}."
                )
            groups = {"inliers": errors[y == 1], "outliers": errors[y == -1]}
        self.ax_ = _drawing.panel(ax)
        self.figure_ = self.ax_.figure
        there, back = (np.log, np.exp) if errors.min() > 0 else (np.copy, np.copy)
        edges = back(np.histogram_bin_edges(there(errors), bins))
        # which rounding may have moved past the rows
        edges[[0, -1]] = min(edges[0], errors.min()), max(edges[-1], errors.max())
        self.histograms_ = _drawing.histograms(self.ax_, groups, edges)
        style = {"linestyle": "--", "label": "threshold"} | MARK
        self.threshold_ = self.ax_.axvline(-self.offset, **style)
        if errors.min() > 0:
            self.ax_.set_xscale("log")
        self.ax_.set(xlabel="reconstruction error (minus the score)", ylabel="rows")
        _drawing.legend(self.ax_)
        return self


@_display
class ScoreFieldDisplay:
    """Where reconstruction moves rows of two columns: arrows r(x) - x.

    Parameters
    ----------
    X : array-like of shape (n_samples, 2)
    field : array-like of shape (n_samples, 2)
        From :func:`skcae.inspection.score_field`; rows with nan are left out.
    true_score : array-like of shape (n_samples, 2), default=None
        Gradients of log p at the rows, to draw beside it.
    names : array-like of two names, default=None
        Of the columns; None for "x0" and "x1".

    Attributes
    ----------
    ax_ : Axes
    field_ : Quiver
    true_ : Quiver or None
    scale_ : float
        What the true score is multiplied by, to have the root mean squared length
        of the field: an estimate of s² in :func:`skcae.inspection.score_field`.
    """

    X: ArrayLike
    field: ArrayLike
    _: KW_ONLY
    true_score: ArrayLike | None = None
    names: ArrayLike | None = None

    @classmethod
    def from_estimator(cls, estimator, X, true_score=None, *, stretch=1.0, ax=None):
        """Compute the field at the rows, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted, to two columns.
        X : {array-like, DataFrame} of shape (n_samples, 2)
            Rows, or points of a grid.
        true_score : array-like of shape (n_samples, 2) or callable, default=None
            Gradients of log p at the rows, or what gives them for ``X``.
        stretch, ax
            As in :meth:`plot`.
        """
        true_score = true_score(X) if callable(true_score) else true_score
        names = getattr(X, "columns", None)
        display = cls(X, score_field(estimator, X), true_score=true_score, names=names)
        return display.plot(ax, stretch=stretch)

    def plot(self, ax=None, *, stretch=1.0):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
        stretch : float, default=1.0
            How many times their length arrows are drawn. At 1 those of the field
            end where reconstruction moves the row.
        """
        given = [self.X, self.field]
        if self.true_score is not None:
            given.append(self.true_score)
        given = [np.asarray(array, dtype=float) for array in given]
        if any(array.shape != (len(given[0]), 2) for array in given):
            raise ValueError(
                "X, field and true_score must be of shape (n_samples, 2); got "
                f"{', '.join(str(array.shape) for array in given)}."
            )
        finite = np.isfinite(np.hstack(given)).all(axis=1)
        X, field, *true = (array[finite] for array in given)
        self.ax_ = ax = _drawing.panel(ax)
        self.figure_ = ax.figure
        ax.plot(*X.T, ".", color="0.6", markersize=3)
        self.true_, self.scale_ = None, np.nan
        for score in true:
            self.scale_ = float(np.linalg.norm(field) / np.linalg.norm(score))
            label = f"{self.scale_:.2g} · ∇ log p(x)"
            moves = stretch * self.scale_ * score
            self.true_ = _drawing.arrows(ax, X, moves, COLOURS[1], label)
        moves = stretch * field
        self.field_ = _drawing.arrows(ax, X, moves, COLOURS[0], "r(x) − x")
        names = ("x0", "x1") if self.names is None else self.names
        ax.set(xlabel=names[0], ylabel=names[1])
        _drawing.legend(ax)
        return self


def _last(estimator):
    """The fitted autoencoder at the end."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    autoencoder = _behind_the_scaler(last, None)[0]  # refuses what is none
    check_is_fitted(autoencoder)
    return autoencoder


def _for_each(estimators, function):
    _check_dict("estimators", estimators)
    _drawing.pyplot()
    return {name: function(estimator) for name, estimator in estimators.items()}


def _check_dict(name, value):
    if not (isinstance(value, Mapping) and len(value) > 0):
        raise ValueError(
            f"{name} must be a dict with the models' names as keys; got "
            f"{type(value).__name__}."
        )


def _arrays(name, groups, ndim):
    _check_dict(name, groups)
    arrays = {key: np.asarray(group, dtype=float) for key, group in groups.items()}
    for key, array in arrays.items():
        if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
            raise ValueError(
                f"{name} of {key!r} must be finite numbers in {ndim} dimensions; got "
                f"shape {array.shape} and {(~np.isfinite(array)).sum()} not finite."
            )
    return arrays
