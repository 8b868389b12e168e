"""Tables as callers have them, and the same rows with other cells in one column.

There is one class for each kind of table. Cells of normal rows are put into the
caller's own kind of table, from column to column, and never leave their type on the
way: what is scored is what the caller would have written.
"""

import sys

import numpy as np
import pandas as pd
from scipy import sparse

from skcae._pipeline import index_of, take_rows
from skcae.anomaly._cells import compare

_KINDS = (
    "a DataFrame of pandas or polars, a Table of pyarrow, a 2D array, a sparse matrix "
    "or a list of rows"
)
_NO_COLUMNS = "X must have at least one column."


def as_tables(X, X_normal):
    """Wrap rows to explain and normal rows, of the same columns.

    Parameters
    ----------
    X, X_normal : table
        Of any kind that has a class here, both of one kind; of lists and arrays,
        either may stand beside the other.

    Returns
    -------
    rows, normal : Table
        The same object if ``X_normal`` is ``X``.

    Raises
    ------
    TypeError
        If one of them is of no such kind, or if they are of different kinds.
    ValueError
        If they have different columns, or are no tables.
    """
    rows = _wrapped(X, "X")
    if X_normal is X:
        if rows.n_columns == 0:
            raise ValueError(_NO_COLUMNS)
        return rows, rows
    normal = _wrapped(X_normal, "X_normal")
    kinds = type(rows), type(normal)
    if kinds == (_Rows, _Array):
        normal = _Rows(list(X_normal), "X_normal")
    elif kinds == (_Array, _Rows):
        array = np.asarray(X_normal)
        if array.dtype.kind not in "biuf":  # numbers beside strings stay numbers
            array = np.array(X_normal, dtype=object)
        normal = _Array(array, "X_normal")
    elif kinds[0] is not kinds[1]:
        raise TypeError(
            f"X_normal must be the kind of table that X is, {_described(X)}; "
            f"got {_described(X_normal)}."
        )
    if isinstance(rows, _Rows) and rows.n_rows == 0:  # which show no columns
        rows.n_columns, rows.names = normal.n_columns, normal.names
    if rows.n_columns == 0:
        raise ValueError(_NO_COLUMNS)
    if list(rows.names) != list(normal.names):
        raise ValueError(
            "X_normal must have the columns of X, in the same order, and their names "
            "if these have any."
        )
    return rows, normal


def table_like(X, rows):
    """Write numbers into the kind of table that X is, with its names.

    Parameters
    ----------
    X : table
        Of any kind that has a class here.
    rows : ndarray of shape (n_rows, n_columns)
        The numbers.

    Returns
    -------
    table : table of shape (n_rows, n_columns)
        To stand beside ``X`` in :func:`as_tables`.

    Raises
    ------
    ValueError
        If ``X`` has another number of columns.
    """
    wrapped = _wrapped(X, "X")
    is_known = wrapped.n_rows > 0 or not isinstance(wrapped, _Rows)
    if is_known and wrapped.n_columns != rows.shape[1]:
        raise ValueError(
            f"X must have {rows.shape[1]} columns; got {wrapped.n_columns}."
        )
    return wrapped.like(rows)


class _Table:
    """Rows of one kind of table, whose columns are known by position.

    A column is what the table's own library calls one, with as many cells as the table
    has rows, or as were taken.

    Parameters
    ----------
    X : table
        As the caller has it; it stays as it is.
    argument : str
        What the caller calls it.
    """

    def __init__(self, X, argument):
        self.X = X
        self.n_rows, self.n_columns = self._shape(argument)
        self.index = index_of(X, self.n_rows)
        self.names = [f"x{i}" for i in range(self.n_columns)]

    def _shape(self, argument):
        if len(self.X.shape) != 2:
            raise ValueError(
                f"{argument} must be a 2D table; got an array of {len(self.X.shape)}D."
            )
        return self.X.shape

    def column(self, position):
        """Return the column at a position."""
        raise NotImplementedError

    def take(self, column, positions):
        """Return cells of a column as a column."""
        return column[positions]

    def joined(self, position, others):
        """Return the column at a position, longer by cells of another table's column.

        Raises
        ------
        TypeError
            If they are of types that do not go together.
        """
        raise NotImplementedError

    def _type_error(self, position, wanted, got):
        return TypeError(
            f"X_normal must have the types of X, in column {self.names[position]!r} "
            f"{wanted}; got {got}."
        )

    def replaced(self, positions, column_position, column):
        """Return rows of the table, in its kind, with another column in place of one.

        Parameters
        ----------
        positions : ndarray of int of shape (n_rows,)
            The rows.
        column_position : int
            The place.
        column : column of n_rows cells
            What takes it.
        """
        raise NotImplementedError

    def like(self, rows):
        """Return an array of numbers as a table of this kind."""
        return rows

    def compared(self, column):
        """Compare the cells of a column with each other."""
        compared = compare(self.cells(column))
        if self.is_category(column):
            return compared._replace(kinds=np.zeros_like(compared.kinds))
        return compared

    def is_category(self, column):
        """Return whether a column has no order, even if its values have one."""
        return False

    def cells(self, column):
        """Return the cells of a column as an array."""
        raise NotImplementedError

    def shown(self, column):
        """Return a column as a Series, to print it."""
        cells = self.cells(column)
        if cells.dtype == object and pd.isna(cells).any():
            return pd.Series(cells, dtype=object)  # None stays apart from nan
        return pd.Series(cells.astype(cells.dtype.newbyteorder("="))).infer_objects()


class _Array(_Table):
    """A numpy array, of any type but a structured one."""

    def column(self, position):
        return self.X[:, position]

    def joined(self, position, others):
        column = self.column(position)
        kinds = {_kind_of_type(cells.dtype) for cells in (column, others)}
        if len(kinds) > 1 and "O" not in kinds:
            raise self._type_error(position, column.dtype, others.dtype)
        # what numpy joins, it puts in the machine's own byte order
        is_same = column.dtype == others.dtype
        dtype = column.dtype if is_same else None
        return np.concatenate([column, others], dtype=dtype)

    def replaced(self, positions, column_position, column):
        rows = self.X[positions].astype(column.dtype, copy=False)
        rows[:, column_position] = column
        return rows

    def cells(self, column):
        return column


class _MaskedArray(_Array):
    """A masked array of numpy."""

    def joined(self, position, others):
        return np.ma.concatenate([self.column(position), others])

    def like(self, rows):
        return np.ma.array(rows)

    def cells(self, column):
        cells = np.ma.getdata(column).astype(object)
        cells[np.ma.getmaskarray(column)] = None
        return cells


class _Tensor(_Array):
    """A tensor of PyTorch."""

    def _shape(self, argument):
        if self.X.requires_grad:
            raise ValueError(
                f"{argument} cannot be read as a table of numbers: it is a tensor with "
                f"a gradient; give {argument}.detach()."
            )
        return super()._shape(argument)

    def joined(self, position, others):
        return sys.modules["torch"].cat([self.column(position), others])

    def replaced(self, positions, column_position, column):
        rows = self.X[positions].to(column.dtype)
        rows[:, column_position] = column
        return rows

    def like(self, rows):
        return sys.modules["torch"].as_tensor(rows)

    def cells(self, column):
        return np.asarray(column)


class _Rows(_Table):
    """A list or tuple of rows, each a list, a tuple or a 1D array."""

    def _shape(self, argument):
        widths = {len(row) for row in self.X}
        if len(widths) > 1:
            raise ValueError(
                f"{argument} must have rows of one length; "
                f"got rows of {min(widths)} to {max(widths)} cells."
            )
        return len(self.X), max(widths, default=0)

    def column(self, position):
        return [row[position] for row in self.X]

    def take(self, column, positions):
        return [column[position] for position in positions]

    def joined(self, position, others):
        return self.column(position) + others

    def replaced(self, positions, column_position, column):
        return type(self.X)(
            _with_cell(self.X[position], column_position, cell)
            for position, cell in zip(positions, column, strict=True)
        )

    def cells(self, column):
        return _objects(column)


class _Sparse(_Table):
    """A sparse matrix or array of scipy, of any format."""

    def __init__(self, X, argument):
        super().__init__(X, argument)
        is_array = isinstance(X, sparse.sparray)
        columns = sparse.csc_array if is_array else sparse.csc_matrix
        self._rows, self._columns = X.tocsr(), columns(X)

    def column(self, position):
        return self._columns[:, [position]]

    def joined(self, position, others):
        column = self.column(position)
        return sparse.vstack([column, type(column)(others)], format="csc")

    def replaced(self, positions, column_position, column):
        rows = self._rows[positions].tocsc()
        parts = rows[:, :column_position], column, rows[:, column_position + 1 :]
        return sparse.hstack(parts, format=self.X.format)

    def cells(self, column):
        return column.toarray()[:, 0]


class _Frame(_Table):
    """A DataFrame of pandas, with columns of any type, also two of one name."""

    def __init__(self, X, argument):
        super().__init__(X, argument)
        self.names = X.columns
        # one array is many times faster to change than the blocks of a DataFrame
        self._array = X.to_numpy() if _is_of_one_type(X) else None

    def column(self, position):
        return self.X.iloc[:, position]

    def take(self, column, positions):
        return column.iloc[positions]

    def joined(self, position, others):
        column = self.column(position)
        if isinstance(column.dtype, pd.CategoricalDtype):
            # rows loaded apart have categories apart; those of X keep their codes
            known = column.cat.categories
            new = [value for value in others.dropna().unique() if value not in known]
            column = column.cat.add_categories(new)
            others = others.astype(column.dtype)
        return pd.concat([column, others], ignore_index=True)

    def replaced(self, positions, column_position, column):
        if self._array is None or self._array.dtype != column.dtype:
            rows = take_rows(self.X, positions)
            # an array of strings and None would become one of strings and nan
            rows.isetitem(column_position, column.set_axis(rows.index))
            return rows
        cells = self._array[positions]
        cells[:, column_position] = column
        index = self.index[positions]
        return pd.DataFrame(cells, index=index, columns=self.names, copy=False)

    def like(self, rows):
        return pd.DataFrame(rows, columns=self.names)

    def is_category(self, column):
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        return is_category and not column.dtype.ordered

    def cells(self, column):
        dtype = column.dtype
        if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
            codes = column.cat.codes.to_numpy(dtype=float)
            return np.where(codes < 0, np.nan, codes)
        if isinstance(dtype, np.dtype) or dtype.kind in "biuf":
            return column.to_numpy()
        return np.asarray(column, dtype=object)

    def shown(self, column):
        return column


class _Polars(_Table):
    """A DataFrame of polars."""

    def __init__(self, X, argument):
        super().__init__(X, argument)
        self.names = X.columns

    def column(self, position):
        return self.X.to_series(position)

    def joined(self, position, others):
        polars = sys.modules["polars"]
        column = self.column(position)
        kinds = {_kind_of_polars(cells.dtype, polars) for cells in (column, others)}
        if len(kinds - {polars.Null}) > 1:
            raise self._type_error(position, column.dtype, others.dtype)
        if kinds == {"text"} and column.dtype != others.dtype:
            column, others = _same_text(column, others, polars)
        both = [cells.alias("cells").to_frame() for cells in (column, others)]
        return polars.concat(both, how="vertical_relaxed").to_series()

    def replaced(self, positions, column_position, column):
        name = self.names[column_position]
        return take_rows(self.X, positions).with_columns(column.alias(name))

    def like(self, rows):
        return sys.modules["polars"].DataFrame(rows, schema=self.names)

    def cells(self, column):
        is_number = column.dtype.is_integer() or column.dtype.is_float()
        if is_number and column.null_count() == 0:
            return column.to_numpy()
        return _objects(column.to_list())


class _Arrow(_Table):
    """A Table or RecordBatch of pyarrow."""

    def __init__(self, X, argument):
        super().__init__(X, argument)
        self.names = X.schema.names
        pyarrow = sys.modules["pyarrow"]
        self._is_batch = isinstance(X, pyarrow.RecordBatch)
        self._table = pyarrow.Table.from_batches([X]) if self._is_batch else X

    def column(self, position):
        return self._table.column(position)

    def take(self, column, positions):
        return column.take(positions)

    def joined(self, position, others):
        pyarrow = sys.modules["pyarrow"]
        column = self.column(position)
        try:
            both = [pyarrow.table({"cells": cells}) for cells in (column, others)]
            table = pyarrow.concat_tables(both, promote_options="permissive")
        except pyarrow.ArrowTypeError as error:
            raise self._type_error(position, column.type, others.type) from error
        return table.column(0)

    def replaced(self, positions, column_position, column):
        field = self._table.field(column_position).with_type(column.type)
        rows = take_rows(self._table, positions)
        rows = rows.set_column(column_position, field, column)
        return rows.combine_chunks().to_batches()[0] if self._is_batch else rows

    def like(self, rows):
        return type(self.X).from_arrays([*rows.T], names=self.names)

    def is_category(self, column):
        is_category = sys.modules["pyarrow"].types.is_dictionary(column.type)
        return is_category and not column.type.ordered

    def cells(self, column):
        types = sys.modules["pyarrow"].types
        is_number = types.is_integer(column.type) or types.is_floating(column.type)
        if is_number and column.null_count == 0:
            return column.to_numpy()
        return _objects(column.to_pylist())


def _wrapped(X, argument):
    # whoever has a table of theirs has imported them
    polars, pyarrow, torch = map(sys.modules.get, ("polars", "pyarrow", "torch"))
    if isinstance(X, pd.DataFrame):
        return _Frame(X, argument)
    if polars is not None and isinstance(X, polars.DataFrame):
        return _Polars(X, argument)
    if pyarrow is not None and isinstance(X, pyarrow.Table | pyarrow.RecordBatch):
        return _Arrow(X, argument)
    if sparse.issparse(X):
        return _Sparse(X, argument)
    if torch is not None and isinstance(X, torch.Tensor):
        return _Tensor(X, argument)
    is_array = isinstance(X, np.ndarray) and not isinstance(X, np.matrix)
    if is_array and X.dtype.names is None:
        is_masked = isinstance(X, np.ma.MaskedArray)
        return _MaskedArray(X, argument) if is_masked else _Array(X, argument)
    is_row = (list, tuple, np.ndarray)
    if isinstance(X, list | tuple) and all(isinstance(row, is_row) for row in X):
        return _Rows(X, argument)
    raise TypeError(
        f"{argument} must be a table with cells to replace: {_KINDS}; "
        f"got {_described(X)}."
    )


def _described(X):
    """What X is, in a message."""
    if isinstance(X, list | tuple):
        inner = {type(row).__name__ for row in X}
        return f"a {type(X).__name__} of " + (" and ".join(sorted(inner)) or "nothing")
    if isinstance(X, np.ndarray) and X.dtype.names is not None:
        return "a structured array"
    package = type(X).__module__.partition(".")[0]
    return f"a {type(X).__name__} of {package}"


def _kind_of_type(dtype):
    """What numpy joins without changing what a cell is."""
    return "number" if dtype.kind in "biufc" else dtype.kind


def _is_of_one_type(frame):
    types = set(frame.dtypes)
    only = types.pop() if len(types) == 1 else None
    is_number = isinstance(only, np.dtype) and only.kind in "iuf"
    return is_number and type(frame) is pd.DataFrame


def _objects(cells):
    """A list of cells as an array that leaves each as it is."""
    return np.fromiter(cells, dtype=object, count=len(cells))


def _with_cell(row, position, cell):
    """A row, in its own kind, with another cell."""
    if isinstance(row, np.ndarray):
        dtypes = row.dtype, np.asarray(cell).dtype
        are_alike = len({_kind_of_type(dtype) for dtype in dtypes}) == 1
        row = row.astype(np.result_type(*dtypes) if are_alike else object)
        row[position] = cell
        return row
    cells = [*row[:position], cell, *row[position + 1 :]]
    # a named tuple's own constructor takes its cells one by one
    return tuple.__new__(type(row), cells) if isinstance(row, tuple) else cells


def _kind_of_polars(dtype, polars):
    """What polars joins without changing what a cell is."""
    if dtype.is_numeric():
        return "number"
    is_text = dtype in (polars.String, polars.Categorical, polars.Enum)
    return "text" if is_text else dtype.base_type()


def _same_text(column, others, polars):
    """Columns of text in the type of the first, with the categories of both."""
    others = others.cast(polars.String)
    if isinstance(column.dtype, polars.Enum):
        categories = [*column.dtype.categories, *others.drop_nulls()]
        column = column.cast(polars.Enum(list(dict.fromkeys(categories))))
    return column, others.cast(column.dtype)
