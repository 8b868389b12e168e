"""Which directions from a row the code keeps, and which it contracts."""

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from skcae import _drawing
from skcae._checks import (
    check_bool,
    check_choice,
    check_count,
    check_image_shape,
    check_labels,
    check_numeric,
    check_table,
    reading,
)
from skcae._pipeline import (
    Inputs,
    check_smooth,
    index_of,
    inverse_to_numbers,
    names_of,
    reach,
)
from skcae._typing import Model, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHICH = "kept", "contracted"
_MOST_PANELS = 100
# Step of the central difference through a scaler, in the scaler's units. A curved
# inverse is missed by its square; at an offset of a million five digits are left.
_STEP = 1e-4
# The Gram matrix is as good as a singular value decomposition where squared singular
# values, as shares of the largest, lie at least so far apart.
_CLEAR_GAP = 1e-4


def tangent_vectors(
    estimator: Model,
    X: Table,
    n_vectors: int | None = None,
    *,
    which: Literal["kept", "contracted"] = "kept",
) -> pd.DataFrame:
    """Compute directions from each row that the code keeps or contracts most.

    They are right singular vectors of the encoder's Jacobian. The leading ones
    are tangent to the manifold that the code follows [1]_.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    n_vectors : int, default=None
        Directions a row: of those kept at most the smaller of ``n_components_``
        and the number of columns that the autoencoder sees, of those contracted
        at most the latter. None for 3, or as many as there are.
    which : {"kept", "contracted"}, default="kept"
        "kept" for the largest singular values, "contracted" for the smallest,
        those first that the code does not see at all. Where several are equal,
        as these are, the directions are any basis of their space.

    Returns
    -------
    vectors : DataFrame of shape (n_samples * n_vectors, n_features)
        Indexed by the row's label in ``X`` and by "rank", 0 for the most kept or
        contracted. Columns as in ``X``, or "x0", "x1", ... A vector has length 1
        where the autoencoder sees it. Behind a scaler it comes back as the change
        of the caller's columns, in their units, by a central difference of
        ``inverse_transform`` at the row: exact but for rounding where that is
        affine. A column that a step drops does not change. The entry largest in
        absolute value is positive.

    Raises
    ------
    ValueError
        If a step before the autoencoder cannot be undone, or leads to categories.

    See Also
    --------
    skcae.plotting.TangentVectorsDisplay : The picture.
    jacobian_spectrum : How strongly each direction is kept.

    References
    ----------
    .. [1] Rifai, S., Dauphin, Y., Vincent, P., Bengio, Y., Muller, X. (2011). The
       manifold tangent classifier. NIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import tangent_vectors
    >>> X = load_iris(as_frame=True).data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> tangent_vectors(model, X[:2], 1).columns.tolist() == X.columns.tolist()
    True
    """
    check_choice("which", which, _WHICH)
    inputs = Inputs(estimator, X)
    kept = which == "kept"
    n_units, n_columns = inputs.autoencoder.n_components_, inputs.rows.shape[1]
    available = min(n_units, n_columns) if kept else n_columns
    if n_vectors is None:
        n_vectors = min(3, available)
    check_count("n_vectors", n_vectors, available)
    directions = _leading if kept else _trailing
    # a null space takes a basis of all columns
    height = n_units if kept else max(n_units, n_columns)
    vectors = [directions(block, n_vectors) for block in inputs.jacobians(height)]
    vectors = _in_columns(inputs, np.concatenate(vectors))
    largest = np.abs(vectors).argmax(axis=2)[:, :, None]
    vectors *= np.where(np.take_along_axis(vectors, largest, 2) < 0, -1, 1)
    rows = index_of(X, len(vectors)).repeat(n_vectors)
    levels = [rows.get_level_values(level) for level in range(rows.nlevels)]
    index = pd.MultiIndex.from_arrays(
        [*levels, np.tile(np.arange(n_vectors), len(vectors))],
        names=[*rows.names, "rank"],
    )
    names = names_of(X)
    if names is None:
        names = [f"x{i}" for i in range(vectors.shape[2])]
    return pd.DataFrame(vectors.reshape(len(index), -1), index=index, columns=names)


def _as_array(X):
    with reading():
        return X.toarray() if sparse.issparse(X) else np.asarray(X)


def _leading(jacobians, n_vectors):
    """Right singular vectors of the largest singular values, from the largest down."""
    n_units, n_columns = jacobians.shape[1:]
    transposed = jacobians.swapaxes(1, 2)
    is_wide = n_units < n_columns
    squares, basis = np.linalg.eigh(
        jacobians @ transposed if is_wide else transposed @ jacobians
    )
    squares, basis = squares[:, ::-1], basis[:, :, ::-1]
    vectors = basis[:, :, :n_vectors].swapaxes(1, 2)
    gaps = -np.diff(squares, axis=1, append=0)[:, :n_vectors]
    is_clear = gaps.min(axis=1) > _CLEAR_GAP * squares[:, 0]
    if is_wide:
        # QR gives them unit length and right angles to the last bit
        vectors = np.linalg.qr(transposed @ vectors.swapaxes(1, 2))[0].swapaxes(1, 2)
    vectors = vectors.copy()  # a view would keep the whole basis
    if not is_clear.all():
        _, _, exact = np.linalg.svd(jacobians[~is_clear], full_matrices=False)
        vectors[~is_clear] = exact[:, :n_vectors]
    return vectors


def _trailing(jacobians, n_vectors):
    """Right singular vectors of the smallest singular values, from the smallest up."""
    n_units, n_columns = jacobians.shape[1:]
    basis = np.linalg.svd(jacobians, full_matrices=n_units < n_columns)[2]
    return basis[:, ::-1][:, :n_vectors].copy()


def _in_columns(inputs, vectors):
    """Vectors, by row and rank, as changes of the caller's columns."""
    if inputs.front is None:
        return vectors
    check_smooth(inputs)
    n_samples, n_vectors, n_inputs = vectors.shape
    moves = _STEP * np.concatenate([vectors, -vectors], axis=1)
    moved = (inputs.rows[:, None] + moves).reshape(-1, n_inputs)
    there, _ = inverse_to_numbers(inputs, moved)
    there = there.reshape(n_samples, 2, n_vectors, -1)
    return (there[:, 0] - there[:, 1]) / (2 * _STEP)


@_drawing.display
class TangentVectorsDisplay:
    """Directions from rows that the code keeps most, or contracts most.

    They are drawn as images, beside the row's own, where white is no change and each
    direction has its own scale; or as bars, one a column.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        The rows.
    vectors : array-like of shape (n_samples, n_vectors, n_features)
        As from :func:`skcae.inspection.tangent_vectors`.
    which : {"kept", "contracted"}, default="kept"
        What the directions are; it stands above them.
    image_shape : tuple of two ints, default=None
        Height and width, where a row is an image.
    names : array-like of shape (n_features,), default=None
        Names of the columns; None for "x0", "x1", ...
    row_names : array-like of shape (n_samples,), default=None
        Names of the rows; None for 0, 1, ...
    space : str, default="columns"
        What the vectors change, in its units; it stands under the bars.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_samples, n_vectors), one wider for images
        What was drawn into.
    artists_ : ndarray of AxesImage or BarContainer, of the shape of ``axes_``
        What was drawn.
    figure_ : Figure
        The figure of ``axes_``.

    See Also
    --------
    skcae.inspection.tangent_vectors : The numbers.
    JacobianSpectrumDisplay : How strongly each direction is kept.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import TangentVectorsDisplay
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(
    ...     3, hidden_layer_sizes=(), max_iter=5, random_state=0
    ... ).fit(X)
    >>> display = TangentVectorsDisplay.from_estimator(model, X[:2], 3)
    >>> display.axes_.shape
    (2, 3)
    """

    rows: ArrayLike
    vectors: ArrayLike
    _: KW_ONLY
    which: Literal["kept", "contracted"] = "kept"
    image_shape: tuple[int, int] | None = None
    names: ArrayLike | None = None
    row_names: ArrayLike | None = None
    space: str = "columns"

    @classmethod
    def from_estimator(
        cls,
        estimator: Model,
        X: Table,
        n_vectors: int | None = None,
        which: Literal["kept", "contracted"] = "kept",
        *,
        image_shape: tuple[int, int] | None = None,
        names: ArrayLike | None = None,
        scaled: bool | None = None,
        max_columns: int = 12,
        ax: "Axes | ArrayLike | None" = None,
    ) -> Self:
        """Compute the directions at a few rows, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows to draw, no more.
        n_vectors : int, default=None
            Directions a row; None for 3, or as many as there are.
        which : {"kept", "contracted"}, default="kept"
            Which directions, see :func:`skcae.inspection.tangent_vectors`.
        image_shape : tuple of two ints, default=None
            Height and width, where a row is an image.
        names : array-like of shape (n_features,), default=None
            Names of the columns; None for those of ``X``.
        scaled : bool, default=None
            Whether to draw what the autoencoder sees, in its units: behind a
            StandardScaler, in standard deviations. Otherwise in the units of the
            columns, where a column in grams dwarfs one in kilograms. None for True,
            but False for images.
        max_columns : int, default=12
            Bars are drawn for so many columns, those with the largest entries.
        ax : Axes or array-like of Axes, default=None
            What to draw into, see :meth:`plot`; None for a new figure.

        Returns
        -------
        display : TangentVectorsDisplay
            What was drawn.
        """
        if scaled is not None:
            check_bool("scaled", scaled)
        check_table(X)
        rows, columns = _as_array(X), names_of(X)
        row_names, space = index_of(X, len(rows)), cls.space
        if scaled or (scaled is None and image_shape is None):
            estimator, X = reach(estimator, X)
            rows, space = _as_array(X), "autoencoder's input"
        table = tangent_vectors(estimator, X, n_vectors, which=which)
        if names is None:  # a step may have dropped some of them
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

    def plot(
        self, ax: "Axes | ArrayLike | None" = None, *, max_columns: int = 12
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            One Axes of a grid, which is divided, or as many as ``axes_`` has; None
            for a new figure.
        max_columns : int, default=12
            Bars are drawn for so many columns, those with the largest entries.

        Returns
        -------
        display : TangentVectorsDisplay
            The display itself.
        """
        check_count("max_columns", max_columns)
        check_choice("which", self.which, _WHICH)
        rows = check_numeric("rows", self.rows, None, finite=False)
        vectors = check_numeric("vectors", self.vectors, None, finite=False)
        if vectors.ndim != 3 or rows.shape != vectors[:, 0].shape:
            raise ValueError(
                "vectors must be of shape (n_samples, n_vectors, n_features), and rows "
                f"of (n_samples, n_features); got {vectors.shape} and {rows.shape}."
            )
        if vectors[..., 0].size > _MOST_PANELS:
            raise ValueError(
                f"rows times directions must be at most {_MOST_PANELS}, or nobody sees "
                f"them; got {len(rows)} times {vectors.shape[1]}."
            )
        positions = [f"x{i}" for i in range(rows.shape[1])]
        names = check_labels("names", self.names, positions)
        row_names = check_labels("row_names", self.row_names, range(len(rows)), "rows")
        titles = [f"{self.which} {i + 1}" for i in range(vectors.shape[1])]
        if self.image_shape is None:
            self._draw_bars(ax, vectors, names, max_columns)
        else:
            check_image_shape("image_shape", self.image_shape, rows.shape[1])
            self._draw_images(ax, rows, vectors)
            titles.insert(0, "image")
        self.figure_ = self.axes_[0, 0].figure
        for axes, title in zip(self.axes_[0], titles, strict=True):
            axes.set_title(title, fontsize=_drawing.SMALL)
        for axes, name in zip(self.axes_[:, 0], row_names, strict=True):
            axes.set_ylabel(f"row {name}", fontsize=_drawing.SMALL)
        return self

    def _draw_images(self, ax, rows, vectors):
        grid = len(rows), vectors.shape[1] + 1
        self.axes_ = _drawing.panels(ax, grid, (1.3 * grid[1], 1.3 * grid[0] + 0.3))
        self.artists_ = np.empty(grid, dtype=object)
        for i, j in np.ndindex(grid):
            cells = np.reshape(vectors[i, j - 1] if j else rows[i], self.image_shape)
            self.artists_[i, j] = _drawing.image(self.axes_[i, j], cells, j > 0)

    def _draw_bars(self, ax, vectors, names, max_columns):
        grid = vectors.shape[:2]
        largest = np.argsort(-np.abs(vectors).max(axis=(0, 1)), kind="stable")
        shown = np.sort(largest[:max_columns])
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
