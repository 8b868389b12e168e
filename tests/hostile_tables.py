"""Tables of every kind, sound and broken, for hypothesis to draw.

A table starts as numbers in float64, which are then dressed: as arrays of any type and
order, as frames, as sparse matrices, or as what is no table at all.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from hypothesis import strategies as st
from scipy import sparse

# What may stand in single cells, or scale all of them: squares, sums or the type itself
# end at some of these.
EXTREMES = [1e-320, 1e-160, 1e16, 1e39, 1e155, 1e200, 1.7e308]
CELLS = [0.0, -0.0, np.nan, np.inf, -np.inf, *EXTREMES, *(-x for x in EXTREMES)]
SCALES = [1.0, 1.0, 1.0, 0.0, 1e-3, 1e6, *EXTREMES]


class Case(NamedTuple):
    """A table, and what it stands for.

    Attributes
    ----------
    kind : str
        How it is dressed.
    X : object
        The table.
    values : ndarray of shape (n_samples, n_features) or None
        Its numbers in float64, nan where a cell is missing; None for what is no table
        of numbers.
    plain : bool
        Whether nothing but the values can be a reason to refuse it.
    """

    kind: str
    X: Any
    values: np.ndarray | None
    plain: bool


def _typed(dtype):
    def dress(values):
        with np.errstate(all="ignore"):
            X = values.astype(dtype)
            return X, X.astype(np.float64)

    return dress


def _whole(values, dtype):
    """Whole numbers within the type, which has no nan."""
    limit = {"u": (0, 200), "i": (-100, 100), "b": (0, 1)}[np.dtype(dtype).kind]
    return np.clip(np.rint(np.nan_to_num(values)), *limit).astype(dtype)


def _integer(dtype):
    def dress(values):
        X = _whole(values, dtype)
        return X, X.astype(np.float64)

    return dress


def _strided(values):
    wide = np.full((2 * len(values), 3 * values.shape[1]), np.nan)
    wide[::2, ::3] = values
    return wide[::2, ::3]


def _read_only(values):
    X = values.copy()
    X.flags.writeable = False
    return X


def _objects(cell):
    """Objects, the first of which is the cell."""

    def dress(values):
        X = values.astype(object)
        X.flat[:1] = [cell] if X.size else []
        return X

    return dress


def _gap(values):
    """None in the place of the first cell."""
    X, values = values.astype(object), values.copy()
    X.flat[:1] = [None] if X.size else []
    values.flat[:1] = np.nan
    return X, values


def _masked(values):
    mask = np.zeros(values.shape, dtype=bool)
    mask.flat[:1] = True
    return np.ma.array(values, mask=mask)


def _named(names=None, dtype=None):
    """A DataFrame; the names are a function of the right ones."""

    def dress(values):
        right = letters(values.shape[1])
        columns = right if names is None else names(right)
        return pd.DataFrame(values, columns=columns, dtype=dtype)

    return dress


def letters(n_columns):
    """Names that frames have where nothing else is said."""
    return [f"c{position}" for position in range(n_columns)]


def _with_column(make):
    """A DataFrame whose first column is something else, by its length."""

    def dress(values):
        frame = pd.DataFrame(values, columns=letters(values.shape[1]))
        if values.shape[1]:
            frame = frame.astype({"c0": object})
            frame["c0"] = make(len(values))
        return frame

    return dress


def _nullable(dtype):
    def dress(values):
        if dtype in ("Int64", "boolean"):
            values = _whole(values, {"Int64": "int64", "boolean": bool}[dtype])
        frame = pd.DataFrame(values, columns=letters(values.shape[1])).astype(dtype)
        values = frame.astype(object).to_numpy(dtype=object)
        values = np.where(pd.isna(values), np.nan, values).astype(np.float64)
        if values.size:
            frame.iloc[0, 0] = pd.NA
            values[0, 0] = np.nan
        return frame, values

    return dress


def _columns(values):
    return dict(zip(letters(values.shape[1]), values.T, strict=True))


def _polars(values):
    return pl.DataFrame(_columns(values))


def _polars_gap(values):
    frame = _polars(values).fill_nan(None)
    return frame, values


def _arrow(values):
    return pa.table(_columns(values))


def _arrow_gap(values):
    columns = {
        name: pa.array(column, from_pandas=True)
        for name, column in _columns(values).items()
    }
    return pa.table(columns)


def _sparse(format_):
    return lambda values: sparse.coo_array(values).asformat(format_)


def _repeated_entries(values):
    """A CSR matrix that holds each cell in two halves, out of order."""
    n, d = values.shape
    data = np.repeat(values[:, ::-1].ravel() / 2, 2)
    columns = np.tile(np.repeat(np.arange(d)[::-1], 2), n)
    starts = 2 * d * np.arange(n + 1)
    return sparse.csr_matrix((data, columns, starts), shape=(n, d))


def _dates(values):
    return np.zeros(values.shape, dtype="datetime64[s]")


def _structured(values):
    return np.zeros(len(values), dtype=[(name, float) for name in letters(3)])


# Dressed so, numbers are to be read, and no name is in the way.
PLAIN = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "strided": _strided,
    "backwards": lambda values: values[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": _read_only,
    "big-endian": lambda values: values.astype(">f8"),
    "float16": _typed(np.float16),
    "float32": _typed(np.float32),
    "big-endian float32": _typed(">f4"),
    "longdouble": lambda values: values.astype(np.longdouble),
    "int8": _integer(np.int8),
    "int64": _integer(np.int64),
    "uint16": _integer(np.uint16),
    "bool": _integer(bool),
    "object": lambda values: values.astype(object),
    "lists": lambda values: values.tolist(),
    "tuple of arrays": tuple,
    "csr": _sparse("csr"),
    "csr_matrix": sparse.csr_matrix,
    "DataFrame": _named(),
    "DataFrame of float32": lambda values: (
        (frame := _named(dtype=np.float32)(np.clip(values, -3e38, 3e38))),
        frame.to_numpy(np.float64),
    ),
    "DataFrame of int64": lambda values: (
        (frame := _named()(_whole(values, np.int64))),
        frame.to_numpy(np.float64),
    ),
    "polars": _polars,
    "pyarrow": _arrow,
}
# Read or refused, as scikit-learn has it.
ODD = {
    "objects with None": _gap,
    "masked": lambda values: (_masked(values), None),
    "matrix": lambda values: values.view(np.matrix),
    "tensor": torch.from_numpy,
    "csc": _sparse("csc"),
    "coo": _sparse("coo"),
    "lil": _sparse("lil"),
    "dok": _sparse("dok"),
    "bsr": _sparse("bsr"),
    "dia": _sparse("dia"),
    "entries in halves": lambda values: (
        (X := _repeated_entries(values)),
        X.toarray(),
    ),
    "Float64": _nullable("Float64"),
    "Float32": lambda values: _nullable("Float32")(np.clip(values, -3e38, 3e38)),
    "Int64": _nullable("Int64"),
    "boolean": _nullable("boolean"),
    "categories of numbers": lambda values: (
        _with_column(lambda n: pd.Categorical(np.arange(n)))(values),
        None,
    ),
    "names reversed": lambda values: (_named(lambda names: names[::-1])(values), None),
    "names repeated": lambda values: (
        _named(lambda names: ["c0"] * len(names))(values),
        None,
    ),
    "other names": lambda values: (
        _named(lambda names: [f"d{name}" for name in names])(values),
        None,
    ),
    "names of ints": lambda values: _named(lambda names: range(len(names)))(values),
    "names of ints and strings": lambda values: (
        _named(lambda names: [0, *names[1:]])(values)
        if values.shape[1]
        else pd.DataFrame(values)
    ),
    "names of tuples": lambda values: (
        _named(
            lambda names: pd.MultiIndex.from_product([["c"], names]) if names else []
        )(values),
        None,
    ),
    "names of None": lambda values: (
        _named(lambda names: [None] * len(names))(values),
        None,
    ),
    "repeated index": lambda values: _named()(values).set_axis([7] * len(values)),
    "sparse DataFrame": lambda values: pd.DataFrame.sparse.from_spmatrix(
        sparse.csr_matrix(values), columns=letters(values.shape[1])
    ),
    "polars with null": _polars_gap,
    "pyarrow with null": _arrow_gap,
    "record batch": lambda values: pa.RecordBatch.from_pydict(_columns(values)),
}
# Tables of what is no number, and what is no table.
BROKEN = {
    "objects with text": _objects("text"),
    "objects with an object": _objects(object()),
    "objects with a list": _objects([1, 2]),
    "objects with a huge int": _objects(10**400),
    "text": lambda values: np.full(values.shape, "text"),
    "bytes": lambda values: np.full(values.shape, b"\xff"),
    "complex": lambda values: values.astype(complex) + 1j,
    "dates": _dates,
    "durations": lambda values: _dates(values) - _dates(values),
    "structured": _structured,
    "3D": lambda values: np.stack([values, values]),
    "1D": lambda values: values.ravel(),
    "0D": lambda values: np.array(1.0),
    "number": lambda values: 1.0,
    "string": lambda values: "text",
    "None": lambda values: None,
    "dict": _columns,
    "set": lambda values: {1.0, 2.0},
    "generator": lambda values: (row for row in values),
    "ragged": lambda values: [[1.0, 2.0], [1.0]],
    "list of numbers": lambda values: [1.0, 2.0],
    "list of dicts": lambda values: [{"c0": 1.0}] * len(values),
    "empty list": lambda values: [],
    "list of None": lambda values: [None] * len(values),
    "class": lambda values: np.ndarray,
    "Series": lambda values: pd.Series(values.ravel()),
    "polars Series": lambda values: pl.Series(values.ravel()),
    "LazyFrame": lambda values: _polars(values).lazy(),
    "column of text": _with_column(lambda n: ["text"] * n),
    "column of None": _with_column(lambda n: [None] * n),
    "column of dates": _with_column(lambda n: pd.date_range("2020", periods=n)),
    "column of dates with a zone": _with_column(
        lambda n: pd.date_range("2020", periods=n, tz="UTC")
    ),
    "column of intervals": _with_column(lambda n: pd.interval_range(0, n)),
    "column of text categories": _with_column(lambda n: pd.Categorical(["a"] * n)),
    "column of lists": _with_column(lambda n: [[1.0]] * n),
    "polars text": lambda values: _polars(values).cast(pl.String),
    "polars dates": lambda values: _polars(np.zeros(values.shape)).cast(pl.Date),
    "polars lists": lambda values: pl.DataFrame({"c0": [[1.0]] * len(values)}),
    "pyarrow text": lambda values: pa.table(
        {name: ["text"] * len(values) for name in _columns(values)}
    ),
    "pyarrow lists": lambda values: pa.table({"c0": [[1.0]] * len(values)}),
    "integer tensor": lambda values: torch.zeros(values.shape, dtype=torch.int64),
    "tensor with a gradient": lambda values: torch.ones(
        values.shape, requires_grad=True
    ),
    "sparse complex": lambda values: sparse.csr_matrix(values.astype(complex)),
    "sparse tensor": lambda values: torch.from_numpy(values).to_sparse(),
}


@st.composite
def matrices(draw, width, heights):
    """Numbers in float64: mostly of the width, mostly sound."""
    height = draw(st.sampled_from(heights))
    width = draw(st.sampled_from([width] * 9 + [0, 1, width - 1, width + 1, 40]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    scale = draw(st.sampled_from(SCALES))
    values = np.clip(rng.standard_normal((height, width)), -1, 1) * scale
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        rows = draw(st.sampled_from([0, -1, slice(None)]))
        columns = draw(st.sampled_from([0, -1, slice(None)]))
        if values.size:
            values[rows, columns] = draw(st.sampled_from(CELLS))
    return values


@st.composite
def tables(draw, width, heights):
    """Cases: a third of them plain, a third odd, a third broken."""
    values = draw(matrices(width, heights))
    kinds = draw(st.sampled_from([PLAIN, ODD, BROKEN]))
    kind = draw(st.sampled_from(sorted(kinds)))
    return case(kind, values)


def case(kind, values):
    """Dress numbers."""
    if kind.startswith(("polars", "pyarrow", "record")) and values.shape[1] == 0:
        values = values[:0]  # without columns they have no rows
    dressed = (PLAIN | ODD | BROKEN)[kind](values)
    X, values = (
        dressed
        if type(dressed) is tuple and kind != "tuple of arrays"
        else (
            dressed,
            None if kind in BROKEN else values,
        )
    )
    return Case(kind, X, values, kind in PLAIN)


def snapshot(X):
    """Something that stays equal as long as a table holds the same in the same type."""
    if isinstance(X, np.ndarray):
        return X.dtype.str, X.shape, repr(X.tolist())
    if sparse.issparse(X):
        return X.format, X.dtype, repr(X.toarray().tolist())
    if isinstance(X, pd.DataFrame):
        cells = X.to_numpy(dtype=object).tolist()
        return repr(X.axes), X.dtypes.tolist(), repr(cells)
    if isinstance(X, torch.Tensor):
        return X.dtype, X.requires_grad, repr(X.detach().to_dense().tolist())
    if isinstance(X, pl.DataFrame):
        return repr(X.schema), repr(X.rows())
    if isinstance(X, pa.Table):
        return X.schema, repr(X.to_pylist())
    return repr(X)
