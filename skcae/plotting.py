"""Pictures of fitted autoencoders: displays after scikit-learn's convention.

A display's constructor takes numbers. ``from_estimator``, or ``from_estimators`` with a
dict from names to models where several are compared, computes them, mostly by
:mod:`skcae.inspection`, and draws. A model is a fitted
:class:`~skcae.ContractiveAutoencoder`, or a fitted Pipeline that ends in one.

``plot`` draws into ``ax``, or into a figure of its own where that is None, and returns
the display, with ``figure_``, ``ax_`` (or ``axes_``) and the artists as attributes. A
display of several panels draws them in the place of ``ax``, or into the axes of a list
of as many. Legends stand above the axes, where they cover no data. Matplotlib
(``pip install "skcae[plot]"``) is imported when something is drawn.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skcae import _drawing, inspection
from skcae._comparisons import (
    ContractionCurveDisplay,
    JacobianSpectrumDisplay,
    SensitivityDisplay,
)
from skcae._drawing import check_arrays, display
from skcae._pipeline import index_of, reach, split_pipeline

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


@display
class TrainingCurvesDisplay:
    """How training went: both terms of the objective, norms, λ, by epoch.

    Parameters
    ----------
    history : dict of list of float
        ``history_`` of a fitted :class:`~skcae.ContractiveAutoencoder`.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (3,)
        Objective; norms, of the gradient on the left and of the weights on the right;
        λ, and on the right the learning rate if it changed.
    lines_ : dict of Line2D
        By their names in ``history``. "penalty" is times λ, as it enters the
        objective, and itself only where λ was 0 throughout. "validation_loss" is there
        if it was watched.
    figure_ : Figure
    """

    history: Mapping

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the history of a fitted model."""
        return cls(_last(estimator).history_).plot(ax)

    def plot(self, ax=None):
        """Draw three panels, one above the other."""
        history = {name: np.asarray(self.history[name]) for name in self.history}
        penalty = "penalty, with λ = 0"
        contracts = np.any(history["lam"] > 0)
        if contracts:
            penalty = "λ · penalty"
            history["penalty"] = history["penalty"] * history["lam"]
        self.axes_ = _drawing.panels(ax, (3, 1), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        loss, gradient, lam = self.axes_
        curves = [
            (loss, "loss", "reconstruction", "reconstruction"),
            (loss, "loss", "penalty", penalty),
            (loss, "loss", "validation_loss", "validation"),
            (gradient, "gradient\nnorm", "grad_norm", None),
            (gradient.twinx(), "weight\nnorm", "weight_norm", None),
            (lam, "λ", "lam", None),
        ]
        if np.ptp(history["learning_rate"]) > 0:
            curves.append((lam.twinx(), "learning\nrate", "learning_rate", None))
        self.lines_ = {}
        for axes, what, name, label in curves:
            if np.isnan(history[name]).all():
                continue
            epochs = np.arange(1, len(history[name]) + 1)
            on_the_right = axes not in self.axes_
            style = _drawing.style(on_the_right + len(axes.lines)) | {"label": label}
            style["marker"] = _drawing.marker(epochs)
            self.lines_[name] = axes.plot(epochs, history[name], **style)[0]
            _drawing.label(axes, "", what)
            if axes is not loss:  # whose axis it is
                axes.yaxis.label.set_color(style["color"])
            if name not in ("lam", "weight_norm"):
                # where λ starts from 0, the logarithm leaves a gap
                lines = [line.get_ydata() for line in axes.lines]
                _drawing.log_axis(axes.yaxis, lines)
        lam.set_xlabel("epoch", fontsize=_drawing.SMALL)
        if not contracts:
            lam.set_ylim(-0.1, 1)  # or the line would lie on a frame of no scale
        _drawing.legend(loss)
        return self


@display
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
    figure_ : Figure
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
        _drawing.pyplot()  # if it is missing, say so before all the fits
        return cls(inspection.lambda_path(estimator, X, lams, **keywords)).plot(ax)

    def plot(self, ax=None):
        """Draw three panels, one above the other."""
        table, chosen = self.path["table"], self.path["best_lam"]
        score = "score" if "score" in table else "denoising_score"
        names = ("reconstruction_error", "relative_sensitivity", score)
        titles = ("reconstr.\nerror", "relative\nsensitivity", score.replace("_", "\n"))
        self.axes_ = _drawing.panels(ax, (3, 1), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        self.errorbars_, self.chosen_ = {}, []
        for i, (axes, name) in enumerate(zip(self.axes_, names, strict=True)):
            style = _drawing.style(i) | {"marker": "o", "markersize": 3, "capsize": 2}
            columns = table.index, table[name], table[f"{name}_se"]
            self.errorbars_[name] = axes.errorbar(*columns, **style)
            self.chosen_.append(axes.axvline(chosen, zorder=0, **_drawing.MARK))
            _drawing.label(axes, "", titles[i])
            _drawing.lam_axis(axes, table.index.to_numpy())
        best = table.loc[table[score].idxmax()]
        limit = best[score] - best[f"{score}_se"]
        self.threshold_ = axes.axhline(limit, linestyle="--", **_drawing.MARK)
        axes.set_xlabel("λ", fontsize=_drawing.SMALL)
        title = f"chosen: λ = {chosen:g}"
        self.axes_[0].set_title(title, fontsize=_drawing.SMALL)
        return self


@display
class TangentVectorsDisplay:
    """Directions from rows that the code keeps most, or contracts most.

    Images, the row's own first, where white is no change and each direction has its
    own scale; or bars, one a column.

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
    space : str, default="columns"
        What the vectors change, in its units; it stands under the bars.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_samples, n_vectors), one wider for images
    artists_ : ndarray of AxesImage or BarContainer, of the shape of ``axes_``
    figure_ : Figure
    """

    rows: ArrayLike
    vectors: ArrayLike
    _: KW_ONLY
    which: str = "kept"
    image_shape: tuple | None = None
    names: ArrayLike | None = None
    row_names: ArrayLike | None = None
    space: str = "columns"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        n_vectors=None,
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
        row_names, space = index_of(X, len(rows)), cls.space
        if scaled or (scaled is None and image_shape is None):
            estimator, X = reach(estimator, X)
            rows, space = np.asarray(X), "autoencoder's input"
        table = inspection.tangent_vectors(estimator, X, n_vectors, which=which)
        if names is None:  # which a scaler may have dropped
            known = columns is not None and len(columns) == rows.shape[1]
            names = columns if known else table.columns
        return cls(
            rows,
            table.to_numpy().reshape(len(rows), -1, table.shape[1]),
            which=which,
            image_shape=image_shape,
            names=names,
            row_names=row_names,
            space=space,
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
        titles = [f"{self.which} {i + 1}" for i in range(vectors.shape[1])]
        if self.image_shape is None:
            self._draw_bars(ax, vectors, max_columns)
        else:
            self._draw_images(ax, rows, vectors)
            titles.insert(0, "image")
        self.figure_ = self.axes_[0, 0].figure
        for axes, title in zip(self.axes_[0], titles, strict=True):
            axes.set_title(title, fontsize=_drawing.SMALL)
        names = range(len(rows)) if self.row_names is None else self.row_names
        for axes, name in zip(self.axes_[:, 0], names, strict=True):
            axes.set_ylabel(f"row {name}", fontsize=_drawing.SMALL)
        return self

    def _draw_images(self, ax, rows, vectors):
        shape = self.image_shape
        if np.size(shape) != 2 or np.prod(shape) != rows.shape[1]:
            raise ValueError(
                f"image_shape must be a height and a width of {rows.shape[1]} cells "
                f"in all; got {shape!r}."
            )
        grid = len(rows), vectors.shape[1] + 1
        self.axes_ = _drawing.panels(ax, grid, (1.3 * grid[1], 1.3 * grid[0] + 0.3))
        self.artists_ = np.empty(grid, dtype=object)
        for i, j in np.ndindex(grid):
            cells = np.reshape(vectors[i, j - 1] if j else rows[i], shape)
            self.artists_[i, j] = _drawing.image(self.axes_[i, j], cells, j > 0)

    def _draw_bars(self, ax, vectors, max_columns):
        *grid, n_columns = vectors.shape
        largest = np.argsort(-np.abs(vectors).max(axis=(0, 1)), kind="stable")
        shown = np.sort(largest[:max_columns])
        names = self.names
        if names is None:
            names = [f"x{k}" for k in range(n_columns)]
        if len(names) != n_columns:
            raise ValueError(
                f"names must name each of {n_columns} columns; got {len(names)}."
            )
        names = [str(names[k]) for k in shown]
        size = 6.4, grid[0] * (0.2 * len(shown) + 0.3) + 0.6
        self.axes_ = _drawing.panels(ax, grid, size, sharex=True, sharey=True)
        self.artists_ = np.empty(grid, dtype=object)
        for i, j in np.ndindex(*grid):
            bars = _drawing.bars(self.axes_[i, j], vectors[i, j, shown], names)
            self.artists_[i, j] = bars
            if j > 0:  # axes that were given do not share them
                self.axes_[i, j].tick_params(labelleft=False)
        middle = self.axes_[-1, (grid[1] - 1) // 2]
        middle.set_xlabel(f"change of the {self.space}", fontsize=_drawing.SMALL)


@display
class AnomalyScoresDisplay:
    """Reconstruction errors, minus the scores, and the threshold among them.

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
    figure_ : Figure
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
        X : {array-like, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            1 for inliers, -1 for outliers.
        bins : int, default=40
        ax : Axes, default=None
        """
        offset = _last(estimator).offset_
        return cls(estimator.score_samples(X), offset, y=y).plot(ax, bins=bins)

    def plot(self, ax=None, *, bins=40):
        """Draw, with so many bins from the smallest error to the largest."""
        errors = -check_arrays("scores", {"rows": self.scores}, 1)["rows"]
        groups = {"rows": errors}
        if self.y is not None:
            y = np.asarray(self.y)
            if y.shape != errors.shape or not np.isin(y, (1, -1)).all():
                raise ValueError(
                    f"y must hold 1 (inlier) or -1 (outlier) for each of {len(errors)} "
                    f"rows; got shape {y.shape} and values {np.unique(y)[:5]}."
                )
            groups = {"inliers": errors[y == 1], "outliers": errors[y == -1]}
        _drawing.place(self, ax)
        log = errors.min() > 0
        edges = np.histogram_bin_edges(np.log(errors) if log else errors, bins)
        if log:
            edges = np.exp(edges)
            # which rounds, but no row may fall out
            edges[[0, -1]] = min(edges[0], errors.min()), max(edges[-1], errors.max())
            _drawing.log_axis(self.ax_.xaxis, [errors])
        self.histograms_ = _drawing.histograms(self.ax_, groups, edges)
        style = _drawing.MARK | {"linestyle": "--", "label": "threshold"}
        self.threshold_ = self.ax_.axvline(-self.offset, **style)
        _drawing.label(self.ax_, "reconstruction error (minus the score)", "rows")
        _drawing.legend(self.ax_)
        return self


@display
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
    figure_ : Figure
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
        X : {array-like, DataFrame} of shape (n_samples, 2)
            Rows, or points of a grid.
        true_score : array-like of shape (n_samples, 2) or callable, default=None
            Gradients of log p at the rows, or what gives them for ``X``.
        stretch, ax
            As in :meth:`plot`.
        """
        true_score = true_score(X) if callable(true_score) else true_score
        field, names = inspection.score_field(estimator, X), getattr(X, "columns", None)
        drawn = cls(X, field, true_score=true_score, names=names)
        return drawn.plot(ax, stretch=stretch)

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
        _drawing.place(self, ax)
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
        _drawing.label(self.ax_, *(("x0", "x1") if self.names is None else self.names))
        _drawing.legend(self.ax_)
        return self


def _last(estimator):
    """The fitted autoencoder at the end."""
    _, autoencoder = split_pipeline(estimator)
    check_is_fitted(autoencoder)
    return autoencoder
