"""Every kind of table that score_samples takes: explained as by brute force.

The brute force writes each table anew from plain cells, with one of them replaced, and
scores it. It shares nothing with the package: tables are made and read here.
"""

from collections import Counter, namedtuple
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from skcae.anomaly import explain

N_NORMAL, N_ROWS = 40, 7
PARTS = "direction", "expected", "observed"
MISSING = {type(None): 7.5, float: -6.5, type(pd.NA): 5.5, type(pd.NaT): 4.5}


def number(cell):
    """Any cell as a number, another for each kind of missing ones."""
    if isinstance(cell, list | np.ndarray):
        return float(np.sum(cell))
    if pd.isna(cell):
        return MISSING.get(type(cell), -6.5)
    if isinstance(cell, bool | np.bool_):
        return 2.0 if cell else -2.0
    if isinstance(cell, str | bytes):
        return (ord(cell[:1]) - ord("e")) / 2
    if isinstance(cell, np.datetime64 | np.timedelta64):
        cell = (pd.Timestamp if cell.dtype.kind == "M" else pd.Timedelta)(cell)
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=None) - datetime(2020, 1, 1)).days / 20
    if isinstance(cell, date):
        return (cell - date(2020, 1, 1)).days / 20
    if isinstance(cell, time):
        return cell.hour / 4
    if isinstance(cell, timedelta):
        return cell.days / 20
    if isinstance(cell, pd.Period):
        return (cell.ordinal - pd.Period("2020-01", cell.freq).ordinal) / 4
    return float(cell)


class Model:
    """Scores rows by how far their numbers lie from each other.

    It insists on a table of the kind, with the types that it was made for.
    """

    def __init__(self, kind, table):
        self.kind, self.types = kind, kind.types(table)

    def score_samples(self, X):
        assert self.kind.types(X) == self.types
        columns = self.kind.cells(X)
        rows = np.array([[number(cell) for cell in column] for column in columns]).T
        rows += np.sqrt(np.arange(2, 2 + rows.shape[1]))  # no two values are as good
        return -np.mean((rows - rows.mean(axis=1, keepdims=True)) ** 2, axis=1) - 0.01


class Kind:
    """A kind of table: how cells are written into it, read from it, and its types.

    Parameters
    ----------
    columns : list of callable
        Each takes a generator and a number of cells, and returns them.
    make : callable
        Takes lists of cells, one for each column.
    cells : callable
        Takes a table and returns such lists.
    types : callable
        Takes a table and returns what substitution must not change.
    """

    def __init__(self, columns, make, cells, types):
        self.columns, self.make, self.cells, self.types = columns, make, cells, types


# Columns


def normals(rng, n):
    return [float(cell) for cell in rng.normal(size=n).round(3)]


def integers(rng, n):
    return [int(cell) for cell in rng.integers(-40, 40, n)]


def digits(rng, n):
    return [int(cell) for cell in rng.integers(-2, 3, n)]


def booleans(rng, n):
    return [bool(cell) for cell in rng.random(n) < 0.5]


def words(rng, n):
    # with letters that few normal rows have
    return [str(cell) for cell in rng.choice(list("aaaabbbcccddeefghijklmno"), n)]


def letters(rng, n):
    return [str(cell) for cell in rng.choice(list("abcd"), n)]


def dates(rng, n):
    return [date(2020, 1, 1) + timedelta(int(day)) for day in rng.integers(-50, 50, n)]


def datetimes(rng, n):
    return [datetime(2020, 1, 1) + timedelta(int(d)) for d in rng.integers(-50, 50, n)]


def spans(rng, n):
    return [timedelta(int(day)) for day in rng.integers(-50, 50, n)]


def times(rng, n):
    return [time(int(hour)) for hour in rng.integers(0, 24, n)]


def periods(rng, n):
    start = pd.Period("2020-01", "M")
    return [start + int(month) for month in rng.integers(-12, 12, n)]


def decimals(rng, n):
    return [Decimal(int(cell)) / 100 for cell in rng.integers(-200, 200, n)]


def lists(rng, n):
    return [[int(cell), 1] for cell in rng.integers(-2, 3, n)]


def with_gaps(column, gap, share=0.2):
    """The column, with missing cells; the first of them in the first row."""

    def drawn(rng, n):
        cells = column(rng, n)
        is_gap = (rng.random(n) < share) | (np.arange(n) == 0)
        return [gap if is_gap[i] else cell for i, cell in enumerate(cells)]

    return drawn


# Kinds


def array(dtype, *columns, order="C"):
    def make(cells):
        table = np.empty((len(cells[0]), len(cells)), dtype=dtype, order=order)
        for position, column in enumerate(cells):
            for i, cell in enumerate(column):
                table[i, position] = cell
        return table

    return Kind(columns, make, lambda table: [*map(list, table.T)], lambda t: t.dtype)


def masked_array():
    def make(cells):
        values = [[0.0 if cell is None else cell for cell in col] for col in cells]
        mask = [[cell is None for cell in column] for column in cells]
        return np.ma.array(np.array(values).T, mask=np.array(mask).T)

    def cells(table):
        return table.T.tolist()

    columns = normals, normals, with_gaps(normals, None)
    return Kind(columns, make, cells, lambda table: (type(table), table.dtype))


def tensor():
    def make(cells):
        return torch.tensor(cells, dtype=torch.float64).T

    def cells(table):
        return table.T.tolist()

    return Kind([normals, normals, digits], make, cells, lambda t: (type(t), t.dtype))


def frame(*typed, names=None, index=None):
    """A DataFrame of pairs of a column and its type."""
    names = [f"c{i}" for i in range(len(typed))] if names is None else names

    def make(cells):
        columns = [
            pd.Series(column, dtype=dtype)
            for column, (_, dtype) in zip(cells, typed, strict=True)
        ]
        table = pd.concat(columns, axis=1)
        table.columns = names
        return table

    def cells(table):
        columns = [table.iloc[:, i] for i in range(table.shape[1])]
        return [[*np.asarray(column, dtype=object)] for column in columns]

    def types(table):
        return list(table.dtypes), list(table.columns)

    return Kind([column for column, _ in typed], make, cells, types)


def frame_of_arrow():
    pyarrow = pytest.importorskip("pyarrow")
    return frame(
        (with_gaps(integers, None), "int64[pyarrow]"),
        (normals, "double[pyarrow]"),
        (with_gaps(dates, None), pd.ArrowDtype(pyarrow.date32())),
        (decimals, pd.ArrowDtype(pyarrow.decimal128(10, 2))),
        (with_gaps(words, None), "string[pyarrow]"),
        (booleans, "bool[pyarrow]"),
    )


def polars_frame(*names_and_columns):
    polars = pytest.importorskip("polars")
    types = {
        "number": polars.Float64,
        "integer": polars.Int32,
        "text": polars.String,
        "category": polars.Categorical,
        "enum": polars.Enum(list("abcd")),
        "flag": polars.Boolean,
        "day": polars.Date,
        "moment": polars.Datetime("ms"),
        "span": polars.Duration("us"),
        "hour": polars.Time,
        "price": polars.Decimal(10, 2),
        "list": polars.List(polars.Int64),
    }
    schema = [types[name] for name, _ in names_and_columns]

    def make(cells):
        return polars.DataFrame(
            [
                polars.Series(f"{i} {names_and_columns[i][0]}", column, dtype=dtype)
                for i, (column, dtype) in enumerate(zip(cells, schema, strict=True))
            ]
        )

    def cells(table):
        return [column.to_list() for column in table.get_columns()]

    columns = [column for _, column in names_and_columns]
    return Kind(columns, make, cells, lambda table: table.schema)


def arrow_table(*typed, batch=False, names=None):
    pyarrow = pytest.importorskip("pyarrow")
    names = [f"c{i}" for i in range(len(typed))] if names is None else names
    types = {
        "dictionary": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
        "codes": pyarrow.dictionary(pyarrow.int32(), pyarrow.int64()),
        "decimal": pyarrow.decimal128(10, 2),
    }
    types |= {
        name: getattr(pyarrow, name)()
        for name in ("float64", "int16", "string", "bool_", "date32")
    }
    schema = pyarrow.schema(
        [(name, types[dtype]) for name, (_, dtype) in zip(names, typed, strict=True)],
        metadata={"source": "a test"},
    )
    new = pyarrow.RecordBatch.from_arrays if batch else pyarrow.Table.from_arrays

    def make(cells):
        arrays = [
            pyarrow.array(column, getattr(field.type, "value_type", field.type))
            for column, field in zip(cells, schema, strict=True)
        ]
        arrays = [
            array.dictionary_encode() if hasattr(field.type, "value_type") else array
            for array, field in zip(arrays, schema, strict=True)
        ]
        return new(arrays, schema=schema)

    def cells(table):
        return [table.column(i).to_pylist() for i in range(table.num_columns)]

    def its_types(table):
        return (
            type(table),
            table.schema.types,
            table.schema.names,
            table.schema.metadata,
        )

    return Kind([column for column, _ in typed], make, cells, its_types)


def sparse_table(new):
    def make(cells):
        return new(np.array(cells, dtype=float).T)

    def types(table):
        return type(table), table.format, table.dtype

    return Kind(
        [digits, digits, normals], make, lambda table: table.toarray().T.tolist(), types
    )


Row = namedtuple("Row", "a b c")


def rows_of(row_type, container, *columns):
    def make(cells):
        new = Row._make if row_type is Row else row_type
        return container(new(row) for row in zip(*cells, strict=True))

    def cells(table):
        return [[row[i] for row in table] for i in range(len(columns))]

    def types(table):
        return type(table), type(table[0]), getattr(table[0], "dtype", None)

    return Kind(columns, make, cells, types)


GRADES = pd.CategoricalDtype(list("abcd"), ordered=True)
NA = pd.NA

KINDS = {
    "floats": partial(array, "f8", normals, normals, digits),
    "float32, Fortran": partial(array, "f4", normals, normals, digits, order="F"),
    "big-endian": partial(array, ">f8", normals, with_gaps(normals, np.nan), digits),
    "integers": partial(array, "i4", integers, digits, digits),
    "flags": partial(array, "?", booleans, booleans, booleans),
    "strings": partial(array, "U1", words, letters, letters),
    "bytes": partial(array, "S1", words, letters, letters),
    "moments": partial(array, "M8[D]", dates, dates, dates),
    "spans": partial(array, "m8[D]", spans, spans, spans),
    "objects": partial(array, object, normals, with_gaps(words, None), decimals),
    "objects with flags": partial(
        array, object, booleans, dates, with_gaps(integers, np.nan)
    ),
    "masked array": masked_array,
    "tensor": tensor,
    "frame of floats": partial(frame, (normals, "f8"), (normals, "f8"), (digits, "f8")),
    "frame of mixed types": partial(
        frame,
        (normals, "f8"),
        (integers, "i8"),
        (booleans, "?"),
        (with_gaps(words, None), object),
        (with_gaps(letters, np.nan), object),
        (words, "str"),
    ),
    "frame of two kinds of gaps": partial(
        frame,
        (normals, "f8"),
        (with_gaps(with_gaps(words, None), np.nan), object),
        (with_gaps(with_gaps(integers, NA), None), object),
    ),
    "frame of nullable numbers": partial(
        frame,
        (with_gaps(integers, NA), "Int64"),
        (with_gaps(normals, NA), "Float64"),
        (with_gaps(booleans, NA), "boolean"),
        (integers, "Int32"),
        (with_gaps(words, NA), "string"),
    ),
    "frame of Arrow": frame_of_arrow,
    "frame of times": partial(
        frame,
        (with_gaps(datetimes, pd.NaT), "M8[s]"),
        (datetimes, pd.DatetimeTZDtype("ns", "Europe/Paris")),
        (with_gaps(spans, pd.NaT), "m8[s]"),
        (with_gaps(periods, pd.NaT), "period[M]"),
    ),
    "frame of objects": partial(
        frame,
        (with_gaps(dates, None), object),
        (decimals, object),
        (times, object),
        (periods, object),
        (datetimes, object),
        (spans, object),
    ),
    "frame of categories": partial(
        frame,
        (words, pd.CategoricalDtype(list("abcdefghijklmnop"))),
        (with_gaps(letters, np.nan), pd.CategoricalDtype(list("dcba"))),
        (with_gaps(letters, np.nan), GRADES),
        (digits, pd.CategoricalDtype([-2, -1, 0, 1, 2])),
    ),
    "frame of sparse columns": partial(
        frame,
        (digits, pd.SparseDtype("f8", 0.0)),
        (digits, pd.SparseDtype("f8", np.nan)),
    ),
    "frame with a name twice": partial(
        frame, (normals, "f8"), (words, object), (normals, "f8"), names=["a", "b", "a"]
    ),
    "frame with a name twice, of one type": partial(
        frame, (normals, "f8"), (normals, "f8"), (digits, "f8"), names=["a", "b", "a"]
    ),
    "frame with lists": partial(frame, (normals, "f8"), (lists, object)),
    "polars of numbers": partial(
        polars_frame,
        ("number", normals),
        ("number", with_gaps(with_gaps(normals, None), np.nan)),
        ("integer", with_gaps(integers, None)),
        ("flag", with_gaps(booleans, None)),
        ("price", with_gaps(decimals, None)),
    ),
    "polars of texts": partial(
        polars_frame,
        ("number", normals),
        ("text", with_gaps(words, None)),
        ("category", with_gaps(letters, None)),
        ("enum", letters),
        ("list", lists),
    ),
    "polars of times": partial(
        polars_frame,
        ("day", with_gaps(dates, None)),
        ("moment", datetimes),
        ("span", spans),
        ("hour", times),
    ),
    "Arrow table": partial(
        arrow_table,
        (with_gaps(normals, None), "float64"),
        (with_gaps(integers, None), "int16"),
        (with_gaps(words, None), "string"),
        (with_gaps(letters, None), "dictionary"),
        (digits, "codes"),
        (booleans, "bool_"),
        (dates, "date32"),
        (decimals, "decimal"),
    ),
    "Arrow table with a name twice": partial(
        arrow_table, (normals, "float64"), (normals, "float64"), names=["a", "a"]
    ),
    "Arrow batch": partial(
        arrow_table,
        (normals, "float64"),
        (with_gaps(letters, None), "dictionary"),
        batch=True,
    ),
    "list of lists": partial(
        rows_of, list, list, normals, with_gaps(words, None), decimals
    ),
    "list of tuples": partial(rows_of, tuple, list, normals, booleans, dates),
    "tuple of lists": partial(rows_of, list, tuple, normals, integers, digits),
    "list of named tuples": partial(rows_of, Row, list, normals, words, dates),
    "list of arrays": partial(rows_of, np.array, list, normals, normals, digits),
}
for layout in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil"):
    for ending in ("array", "matrix"):
        new = getattr(sparse, f"{layout}_{ending}")
        KINDS[new.__name__] = partial(sparse_table, new)


# Brute force

UNORDERED = bool, np.bool_, str, bytes, list


def is_missing(cell):
    return not isinstance(cell, list) and pd.isna(cell)


def key_of(cell):
    """Equal for equal cells, and for missing ones of one kind."""
    if isinstance(cell, list):
        return tuple(cell)
    if is_missing(cell):
        return "nan" if isinstance(cell, float | np.floating) else type(cell).__name__
    return cell


def values_of(cells, n_values, is_ordered):
    """The values that normal rows have: quantiles or the most frequent, and gaps."""
    present = [cell for cell in cells if not is_missing(cell)]
    gaps = [cell for cell in cells if is_missing(cell)]
    counts = Counter(map(key_of, present))
    if is_ordered and len(counts) > n_values:
        shares = (np.arange(n_values) + 0.5) / n_values
        places = np.quantile(np.arange(len(present)), shares, method="nearest")
        values = [sorted(present)[int(place)] for place in np.unique(places)]
    else:
        most = {key for key, _ in counts.most_common(n_values)}
        values = [next(c for c in present if key_of(c) == key) for key in most]
    for key, count in Counter(map(key_of, gaps)).items():
        if count * n_values >= len(cells):
            values.append(next(cell for cell in gaps if key_of(cell) == key))
    return values


def by_brute_force(kind, model, rows, normal, n_values, is_ordered):
    """Contribution, direction and expected value of each cell, by column."""
    unit = np.median(-model.score_samples(kind.make(normal)))
    errors = -model.score_samples(kind.make(rows))
    explained = []
    for position, column in enumerate(rows):
        values = values_of(normal[position], n_values, is_ordered[position])
        cells = []
        for i, observed in enumerate(column):
            tried = [[cells[i]] * len(values) for cells in rows]
            tried[position] = values
            tried = -model.score_samples(kind.make(tried))
            best = values[int(np.argmin(tried))]
            fall = errors[i] - tried.min()
            if fall > 1e-8 * errors[i]:
                way = direction(observed, best, is_ordered[position])
                cells.append((fall / unit, way, best))
            else:
                cells.append((0.0, "", observed))
        explained.append(cells)
    return explained


def direction(observed, best, is_ordered):
    if is_missing(observed) or is_missing(best) or not is_ordered:
        return "unusual"
    return "too high" if observed > best else "too low"


def has_order(table, position, cells):
    if isinstance(table, pd.DataFrame):
        dtype = table.dtypes.iloc[position]
        if isinstance(dtype, pd.CategoricalDtype):
            return dtype.ordered
    if hasattr(table, "schema") and hasattr(table.schema, "types"):
        dtype = table.schema.types[position]
        if hasattr(dtype, "value_type"):  # a dictionary
            return dtype.ordered
    present = [cell for cell in cells if not is_missing(cell)]
    return not any(isinstance(cell, UNORDERED) for cell in present)


@pytest.mark.parametrize("name", KINDS)
def test_contributions_are_those_of_brute_force(name, rng):
    kind, n_values = KINDS[name](), 6
    X, X_normal = (
        kind.make([column(rng, n) for column in kind.columns])
        for n in (N_ROWS, N_NORMAL)
    )
    # cells as the table gives them back
    rows, normal = kind.cells(X), kind.cells(X_normal)
    model = Model(kind, X)
    is_ordered = [has_order(X, i, cells) for i, cells in enumerate(normal)]
    wanted = by_brute_force(kind, model, rows, normal, n_values, is_ordered)
    explanation = explain(model, X, X_normal, n_values=n_values)
    falls = np.array([[fall for fall, _, _ in cells] for cells in wanted]).T
    np.testing.assert_allclose(explanation["contribution"], falls, rtol=1e-7)
    assert (falls > 0).any()
    for i, cells in enumerate(wanted):
        column = {part: explanation[part].iloc[:, i] for part in PARTS}
        assert list(column["direction"]) == [way for _, way, _ in cells]
        for got, (_, _, expected) in zip(column["expected"], cells, strict=True):
            assert number(got) == number(expected)
        assert [*map(number, column["observed"])] == [*map(number, rows[i])]
