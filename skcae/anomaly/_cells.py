"""What the cells of a column are: which are equal, which is more, which are missing.

It decides which values to try and what to call their difference. The cells themselves
stay in their table: see ``_tables``.
"""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd


class Cells(NamedTuple):
    """The cells of a column, compared.

    Attributes
    ----------
    codes : ndarray of int of shape (n_cells,)
        Equal cells share one, from 0 on without gaps. Among cells of one kind, more
        has the higher code.
    kinds : ndarray of int of shape (n_cells,)
        Cells of one kind above 0 are more or less than each other; those of kind 0,
        such as strings, booleans and missing ones, are just different.
    is_missing : ndarray of bool of shape (n_cells,)
        None, nan, NaT and NA are missing, and differ from each other.
    """

    codes: np.ndarray
    kinds: np.ndarray
    is_missing: np.ndarray


def compare(cells):
    """Compare the cells of a column with each other.

    Parameters
    ----------
    cells : ndarray of shape (n_cells,)
        Of any type; objects where no other type holds all.

    Returns
    -------
    Cells
    """
    if cells.dtype.kind in "biufmM":
        return _compare_numbers(cells)
    is_missing = pd.isna(cells)
    # equal cells have one number, in order of appearance
    numbers, distinct = {}, []
    codes = np.empty(len(cells), dtype=int)
    for i, cell in enumerate(cells):
        key = (_kind_of_missing(cell), None) if is_missing[i] else _hashable(cell)
        codes[i] = numbers.setdefault(key, len(numbers))
        if codes[i] == len(distinct):
            distinct.append(None if is_missing[i] else cell)
    by_kind = {None: []}
    for number, cell in enumerate(distinct):
        by_kind.setdefault(_kind(cell), []).append(number)
    kinds = np.zeros(len(distinct), dtype=int)
    ranks = np.zeros(len(distinct), dtype=int)
    n_ranked = 0
    for kind, (label, members) in enumerate(by_kind.items()):
        if label is not None:
            members.sort(key=distinct.__getitem__)
        kinds[members] = kind
        ranks[members] = np.arange(n_ranked, n_ranked + len(members))
        n_ranked += len(members)
    return Cells(ranks[codes], kinds[codes], is_missing)


def values_to_try(cells, n_values):
    """Choose cells that hold the values which normal rows have.

    Parameters
    ----------
    cells : Cells
        A column of normal rows.
    n_values : int
        Most values to choose, missing ones aside.

    Returns
    -------
    positions : ndarray of int of shape (n_chosen,)
        Of one cell for each value: of so many quantiles, where all present cells are
        of one ordered kind, else of the most frequent values; then of each missing
        value that is as frequent as a quantile.
    """
    codes, is_present = cells.codes, ~cells.is_missing
    counts = np.bincount(codes)
    first = np.empty(len(counts), dtype=int)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    is_value = is_present[first]
    values = np.flatnonzero(is_value)
    kinds = np.unique(cells.kinds[is_present])
    if len(values) > n_values and len(kinds) == 1 and kinds[0] > 0:
        shares = (np.arange(n_values) + 0.5) / n_values
        # values that occur: half of an integer code is no code
        places = np.quantile(np.arange(is_present.sum()), shares, method="nearest")
        values = np.unique(np.sort(codes[is_present])[places.astype(int)])
    else:
        # of equally frequent values, those that come first
        order = np.lexsort((first[values], -counts[values]))
        values = values[order][:n_values]
    is_gap = ~is_value & (counts * n_values >= len(codes))
    return first[np.r_[values, np.flatnonzero(is_gap)]]


def _compare_numbers(cells):
    is_missing = np.asarray(pd.isna(cells))
    codes = np.zeros(len(cells), dtype=int)
    distinct, present = np.unique(cells[~is_missing], return_inverse=True)
    codes[~is_missing] = present
    codes[is_missing] = len(distinct)
    is_ordered = ~is_missing & (cells.dtype.kind != "b")
    return Cells(codes, is_ordered.astype(int), is_missing)


def _kind_of_missing(cell):
    return "nan" if isinstance(cell, float | np.floating) else type(cell)


def _hashable(cell):
    """Something that equal cells share, and that a dictionary takes."""
    try:
        hash(cell)
    except TypeError:  # lists, arrays, dictionaries
        return "unhashable", repr(cell.tolist() if hasattr(cell, "tolist") else cell)
    return cell


def _kind(cell):
    """What cells must share to be more or less than each other; None if they are not.

    A number is also less than a number of another type, but a time without a zone has
    no place among times with one.
    """
    if isinstance(cell, np.datetime64 | np.timedelta64):
        return type(cell)
    if isinstance(cell, bool | np.bool_):
        return None
    if isinstance(cell, Fraction):  # no Decimal compares with it
        return Fraction
    if isinstance(cell, Real | Decimal):
        return Real
    if isinstance(cell, datetime | time):
        return isinstance(cell, datetime), cell.tzinfo is None
    if isinstance(cell, date):
        return date
    if isinstance(cell, timedelta):
        return timedelta
    if isinstance(cell, pd.Period):
        return pd.Period, cell.freqstr
    return None
