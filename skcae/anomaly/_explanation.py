"""Which columns make a row anomalous, and what would be normal there."""

from functools import partial
from itertools import starmap

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from skcae._checks import check_count
from skcae._pipeline import reconstructed_columns, take_rows
from skcae._typing import Models, Table
from skcae.anomaly._cells import values_to_try
from skcae.anomaly._one_cell import OneCell
from skcae.anomaly._scores import scores_of
from skcae.anomaly._tables import as_tables

# Fewer rows do not show what is normal.
_MIN_NORMAL_ROWS = 20
# Cells of the rows that are scored at once.
_BLOCK_CELLS = 2**22
# Share of an error that it may differ by from batch to batch: distances to nearest
# neighbours differ by 1e-7.
_ROUNDING = 1e-6


def explain(
    estimator: Models, X: Table, X_normal: Table = None, *, n_values: int = 10
) -> pd.DataFrame:
    """Which columns make each row anomalous, and what would be normal there.

    The contribution of a column is how much the row's error falls when this one
    column takes the best of the values that normal rows have in it, and all others
    stay. The plain error of each column does not tell that: an autoencoder spreads
    the fault of one column over those that go with it [1]_.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline, or list of models
        Fitted; of a list, the :func:`mean_score` counts.
    X : table of shape (n_samples, n_features)
        Rows to explain, as ``score_samples`` takes them; may be none. A DataFrame of
        pandas or polars, a Table of pyarrow, a 2D array, a sparse matrix or a list of
        rows, with cells of any type: the model scores the same kind of table, in which
        cells of one column are replaced by cells of ``X_normal``.
    X_normal : table of shape (n_normal, n_features), default=None
        At least 20 rows of the same kind of table, most of them normal. Rows that a
        network was trained on will do, unless it knows them by heart. None for ``X``
        itself, and then ``X`` is to be mostly normal.
    n_values : int, default=10
        Values to try in each column: so many quantiles of what has an order in
        ``X_normal`` (numbers, dates, times, periods, ordered categories), or the most
        frequent of what has none (strings, booleans, categories); and each missing
        value, such as nan or None, that is as frequent as a quantile. All rows are
        scored with each value in each column, so explain the rows that matter.

    Returns
    -------
    explanation : DataFrame of shape (n_samples, 4 * n_features or 5 * n_features)
        Indexed as ``X``, the columns by kind and name: ``explanation["contribution"]``
        is a table of the shape of ``X``, and ``explanation.loc[row].unstack(0)`` all
        that is said of one row, to sort by its "contribution".

        - "contribution": how much of the row's error this cell adds, in units of the
          median error of a row of ``X_normal``; 0 if no value is better by more than
          rounding.
        - "direction": "too low" or "too high", next to the expected value;
          "unusual" if one of both is missing or has no order; "" if no value is
          better.
        - "observed": ``X``.
        - "expected": the best value, or the observed one if none is better.
        - "reconstructed": what the autoencoder returns, in the columns of ``X``;
          nan where a step drops the column. Missing altogether for several or other
          models, or if a step before the autoencoder has no ``inverse_transform`` that
          undoes it.

    Raises
    ------
    TypeError
        If ``X`` is no table in which one cell can be replaced, such as a list of
        texts, or if ``X_normal`` is another kind of table.
    ValueError
        If the rows are not as described, or if ``X_normal`` has a median error of 0 or
        beyond the range of numbers, so that contributions have no unit.

    See Also
    --------
    AnomalyDetector.explain : The same, with normal rows that the detector has kept.
    skcae.ContractiveAutoencoder.feature_errors : Plain errors of the cells.

    References
    ----------
    .. [1] Alcala, C. F., Qin, S. J. (2009). Reconstruction-based contribution for
       process monitoring. Automatica 45 (7).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae.anomaly import AnomalyDetector, explain
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> normal = X[y == 0]
    >>> model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0))
    >>> model = model.fit(normal)
    >>> odd = normal[:1].assign(alcohol=20.0)
    >>> why = explain(model, odd, normal).loc[0].unstack(0)
    >>> why["contribution"].idxmax(), why.loc["alcohol", "direction"]
    ('alcohol', 'too high')
    """
    check_count("n_values", n_values)
    rows, normal = as_tables(X, X if X_normal is None else X_normal)
    tables = explanation_of_scores(
        partial(scores_of, estimator),
        rows,
        normal,
        n_values,
        partial(OneCell.of, estimator),
    )
    reconstructed = _reconstructed(estimator, rows, normal)
    if reconstructed is not None:
        tables["reconstructed"] = reconstructed
    return pd.concat(tables, axis=1)


def explanation_of_scores(score, rows, normal, n_values, one_cell=lambda rows: None):
    """Explain rows by any function that scores them, see :func:`explain`.

    Parameters
    ----------
    score : callable
        Takes the kind of table that ``rows`` wraps and returns scores that are minus
        an error, -inf for one beyond the range of numbers.
    rows, normal : Table
        Rows to explain and normal rows, as ``as_tables`` wraps them.
    n_values : int
        Values to try in each column.
    one_cell : callable
        From ``rows``, once they have scores, to a :class:`OneCell` that takes less time
        than the scores, or to None.

    Returns
    -------
    tables : dict of DataFrame of shape (n_samples, n_features)
        "contribution", "direction", "observed" and "expected".

    Raises
    ------
    ValueError
        If the normal rows are too few, or give no unit.
    """
    errors, unit, replaced_errors = np.empty(0), 1.0, None
    if rows.n_rows > 0:
        _check_normal(normal, normal is rows)
        errors = -score(rows.X)
        unit = _unit(errors if normal is rows else -score(normal.X))
        replaced_errors = one_cell(rows)
    if replaced_errors is None:
        replaced_errors = _Scored(score, rows)
    shape = rows.n_rows, rows.n_columns
    contributions, directions = np.zeros(shape), np.empty(shape, dtype="U8")
    observed, expected = {}, {}
    columns = _columns(rows, normal, n_values)
    find = partial(_best_values, replaced_errors, rows)
    for position, joined, cells, least, places in replaced_errors.map(find, columns):
        is_better = least + _ROUNDING * np.maximum(least, unit) < errors
        places = np.where(is_better, places, np.arange(rows.n_rows))
        falls = errors[is_better] - least[is_better]
        with np.errstate(over="ignore"):
            contributions[is_better, position] = falls / unit
        directions[:, position] = _directions(cells, places)
        observed[position] = rows.shown(rows.column(position))
        expected[position] = rows.shown(rows.take(joined, places))
    return {
        "contribution": _table(contributions, rows),
        "direction": _table(directions, rows),
        "observed": _table(_side_by_side(observed), rows),
        "expected": _table(_side_by_side(expected), rows),
    }


def _check_normal(normal, is_rows):
    if normal.n_rows < _MIN_NORMAL_ROWS:
        which = "X, in place of X_normal," if is_rows else "X_normal"
        raise ValueError(
            f"{which} has {normal.n_rows} rows, which do not show what is normal: give "
            f"at least {_MIN_NORMAL_ROWS} rows as X_normal that are."
        )


def _unit(errors):
    """The median error of a normal row."""
    unit = np.median(errors)
    if not unit > 0:
        raise ValueError(
            "Half of the rows of X_normal are reconstructed without any error, so that "
            "contributions have no unit: give rows that training has not seen."
        )
    if unit == np.inf:
        raise ValueError(
            "Half of the rows of X_normal have errors beyond the range of numbers, so "
            "that contributions have no unit: give rows that are normal."
        )
    return unit


def _columns(rows, normal, n_values):
    """Yield each column: its position, its cells and those to try, and their codes."""
    for position in range(rows.n_columns):
        column = normal.column(position)
        values = normal.take(column, values_to_try(normal.compared(column), n_values))
        has_rows = rows.n_rows > 0
        joined = rows.joined(position, values) if has_rows else rows.column(position)
        yield position, joined, rows.compared(joined)


def _best_values(replaced_errors, rows, position, joined, cells):
    """Least error of each row over the values of a column, and where that value is.

    Parameters
    ----------
    replaced_errors : OneCell or _Scored
    rows : Table
        Rows to explain.
    position, joined, cells
        As :func:`_columns` yields them.

    Returns
    -------
    position, joined, cells
        As given.
    least : ndarray of shape (n_samples,)
        inf where no other value is to be tried.
    places : ndarray of int of shape (n_samples,)
        Places of the values in ``joined``.
    """
    n_rows, codes = rows.n_rows, cells.codes
    tried = codes[n_rows:]
    errors = np.full((n_rows, len(tried) + 1), np.inf)
    # equal values change nothing
    row, value = np.nonzero(codes[:n_rows, None] != tried)
    if len(row) > 0:
        values = rows.take(joined, np.arange(n_rows, len(codes)))
        errors[row, value] = replaced_errors.of_pairs(position, values, row, value)
    best = errors.argmin(axis=1)
    return position, joined, cells, errors.min(axis=1), n_rows + best


def _directions(cells, places):
    """From the best value to the observed one; "" where that is itself the best."""
    n_rows = len(places)
    kinds, codes = cells.kinds[places], cells.codes[places]
    have_order = (cells.kinds[:n_rows] == kinds) & (kinds > 0)
    return np.select(
        [places < n_rows, ~have_order, cells.codes[:n_rows] > codes],
        ["", "unusual", "too high"],
        "too low",
    )


class _Scored:
    """Errors of rows in which one cell is replaced, by scoring such rows.

    Parameters
    ----------
    score, rows
        As in :func:`explanation_of_scores`.
    """

    # one column after the other: not every score may be called by several threads
    map = staticmethod(starmap)

    def __init__(self, score, rows):
        self._score, self._rows = score, rows

    def of_pairs(self, position, cells, row, value):
        """See :meth:`OneCell.of_pairs`."""
        errors = np.empty(len(row))
        for part in gen_batches(len(row), max(1, _BLOCK_CELLS // self._rows.n_columns)):
            column = self._rows.take(cells, value[part])
            errors[part] = -self._score(
                self._rows.replaced(row[part], position, column)
            )
        return errors


def _side_by_side(columns):
    """The Series of each position as one table; None without any."""
    if not columns:
        return None
    positions = range(len(columns))
    columns = [columns[position].reset_index(drop=True) for position in positions]
    return pd.concat(columns, axis=1, keys=positions)


def _table(cells, rows):
    table = pd.DataFrame(cells, index=range(rows.n_rows), columns=range(rows.n_columns))
    return table.set_axis(rows.names, axis=1).set_axis(rows.index)


def _reconstructed(estimator, rows, normal):
    if rows.n_rows > 0:
        return reconstructed_columns(estimator, rows.X)
    if normal.n_rows == 0:
        return None
    # the columns of an empty table are those of any row
    table = reconstructed_columns(estimator, take_rows(normal.X, np.arange(1)))
    return None if table is None else table.iloc[:0].set_axis(rows.index)
