"""From an estimator to its autoencoder, and from there back to the caller's columns.

An estimator is a :class:`~skcae.ContractiveAutoencoder` or what wraps one: a Pipeline
that ends in it, also inside another, a FrozenEstimator, a fitted search. This is the
one place that unwraps them.
"""

import warnings
from collections import UserList
from functools import partial

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skcae._checks import check_in_memory, check_squares, reading
from skcae._estimator import ContractiveAutoencoder

# So many elements of Jacobians, or of singular vectors, are held at once.
_BLOCK_ELEMENTS = 2**22
# A step may raise these when it is asked to undo, or to do again, what it cannot.
_STEP_ERRORS = (
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
)


class NoWayBackError(ValueError):
    """Raised where steps before the autoencoder cannot be undone."""


# To the autoencoder


def split_pipeline(estimator):
    """Split an estimator into the steps before the autoencoder and the autoencoder.

    Parameters
    ----------
    estimator : ContractiveAutoencoder, Pipeline, FrozenEstimator or fitted search
        Fitted or not, but for the search.

    Returns
    -------
    front : Pipeline or None
        The steps before, in one flat Pipeline, without those that pass rows through;
        None if there are none.
    autoencoder : ContractiveAutoencoder
        The autoencoder itself, not a copy.

    Raises
    ------
    TypeError
        If the estimator does not end in an autoencoder.
    """
    return _split(flat_pipeline(estimator))


def flat_pipeline(estimator):
    """Unwrap an estimator into one flat Pipeline of the same steps.

    Parameters
    ----------
    estimator : ContractiveAutoencoder, Pipeline, FrozenEstimator or fitted search
        Fitted or not, but for the search.

    Returns
    -------
    flat : Pipeline or ContractiveAutoencoder
        The autoencoder itself if nothing that changes rows stands before it. Steps of
        a frozen Pipeline are frozen one by one, so that clones of them stay fitted.

    Raises
    ------
    TypeError
        If the estimator does not end in an autoencoder.
    """
    flat = _flat(estimator)
    _, last = _split(flat)
    if not isinstance(last, ContractiveAutoencoder):
        raise TypeError(
            "estimator must be a ContractiveAutoencoder or a Pipeline, FrozenEstimator "
            f"or fitted search that ends in one; got {type(last).__name__}."
        )
    return flat


def split_anything(estimator):
    """Split an estimator as :func:`split_pipeline`, whatever it ends in."""
    return _split(_flat(estimator))


def _split(flat):
    # one without steps is left whole
    has_front = isinstance(flat, Pipeline) and len(flat) > 1
    return (flat[:-1], flat[-1]) if has_front else (None, flat)


def _flat(estimator):
    steps, pipeline = _flat_steps(estimator)
    if pipeline is None or len(steps) == 1:
        return steps[-1][1]
    if not hasattr(steps[-2][1], "transform"):
        # a sampler of imbalanced-learn: a Pipeline that ends in it has no transform
        steps.insert(-1, ("rows", "passthrough"))
    named = {}
    for name, step in steps:
        while name in named:
            name += "'"
        named[name] = step
    steps = [*named.items()]
    return type(pipeline)(steps, memory=pipeline.memory, verbose=pipeline.verbose)


def last_step(estimator):
    """Return what an estimator ends in, out of all that wraps it."""
    return _flat_steps(estimator)[0][-1][1]


def reach(estimator, X):
    """Take rows through the steps before the autoencoder.

    Parameters
    ----------
    estimator : ContractiveAutoencoder, Pipeline, FrozenEstimator or fitted search
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_columns)
        Rows as the caller has them.

    Returns
    -------
    autoencoder : ContractiveAutoencoder
        The autoencoder itself.
    rows : {array-like, DataFrame} of shape (n_samples, n_features_in_)
        The rows as the autoencoder reads them, in the kind of table that the last step
        before it writes.
    """
    check_in_memory(X)
    front, autoencoder = split_pipeline(estimator)
    return autoencoder, X if front is None else front.transform(X)


class Inputs:
    """Rows as they reach the autoencoder, and what it makes of them.

    Parameters
    ----------
    estimator : ContractiveAutoencoder, Pipeline, FrozenEstimator or fitted search
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_columns)
        Rows as the caller has them.
    bounded : bool
        Whether to refuse values whose squares are beyond the range of numbers.

    Attributes
    ----------
    X : {array-like, DataFrame} of shape (n_samples, n_columns)
        As given.
    front : Pipeline or None
        The steps before the autoencoder.
    autoencoder : ContractiveAutoencoder
        The autoencoder itself.
    rows : ndarray of shape (n_samples, n_features_in_)
        The rows as the network reads them: in float64, sparse ones made dense, missing
        cells filled with the means of their columns.
    observed : ndarray of bool of shape (n_samples, n_features_in_) or True
        Which cells were not missing; True for all.
    """

    def __init__(self, estimator, X, *, bounded=True):
        check_in_memory(X)
        self.X = X
        self.front, self.autoencoder = split_pipeline(estimator)
        reached = X if self.front is None else self.front.transform(X)
        check_is_fitted(self.autoencoder)
        check_in_memory(reached)
        finite = "allow-nan" if self.autoencoder.allow_nan else True
        with reading():
            self.rows = _dense(
                check_array(
                    reached,
                    accept_sparse="csr",
                    dtype=np.float64,
                    ensure_all_finite=finite,
                    input_name="X",
                )
            )
        wanted = self.autoencoder.n_features_in_
        if self.rows.shape[1] != wanted:
            raise ValueError(
                f"X has {self.rows.shape[1]} features at the autoencoder, "
                f"which is expecting {wanted} features as input."
            )
        self._names = names_of(reached)
        if bounded:
            check_squares(self.rows, self._names)
        self.observed = True
        if np.isnan(self.rows.min()):
            self.observed = ~np.isnan(self.rows)
            self.rows = np.where(self.observed, self.rows, self.autoencoder.mean_)

    def encode(self, rows):
        """Return the codes of rows that the autoencoder reads."""
        return np.asarray(self.autoencoder.transform(self._named(rows)))

    def reconstruct(self, rows=None):
        """Return the reconstructions of such rows; of its own without any."""
        codes = self.encode(self.rows if rows is None else rows)
        return self.autoencoder.inverse_transform(codes)

    def jacobians(self, height):
        """Yield Jacobians of blocks of rows, for work on matrices so high."""
        length = max(1, _BLOCK_ELEMENTS // (height * self.rows.shape[1]))
        for start in range(0, len(self.rows), length):
            block = self.rows[start : start + length]
            yield self.autoencoder.jacobian(self._named(block))

    def _named(self, rows):
        names = self._names
        return rows if names is None else pd.DataFrame(rows, columns=names)


def spread(rows):
    """Return the root mean squared distance of rows from their mean."""
    distance = _root_mean_square(rows - rows.mean(axis=0))
    # by rounding, equal rows differ from their own mean
    return distance if distance > 1e-13 * _root_mean_square(rows) else 0.0


def _dense(table):
    return table.toarray() if sparse.issparse(table) else table


def _root_mean_square(vectors):
    return np.sqrt(np.mean(np.sum(vectors**2, axis=1)))


def _flat_steps(estimator):
    """Names and steps of an estimator, and the Pipeline whose kind holds them all."""
    if isinstance(estimator, FrozenEstimator):
        steps, pipeline = _flat_steps(estimator.estimator)
        front = [(name, FrozenEstimator(step)) for name, step in steps[:-1]]
        return [*front, steps[-1]], pipeline
    if hasattr(estimator, "best_estimator_"):
        return _flat_steps(estimator.best_estimator_)
    steps = getattr(estimator, "steps", []) if isinstance(estimator, Pipeline) else []
    steps = [(name, step) for name, step in steps if not _passes_through(step)]
    if not steps:
        return [(type(estimator).__name__.lower(), estimator)], None
    name, last = steps.pop()
    inner, pipeline = _flat_steps(last)
    if pipeline is None:  # the last step stands alone, and has a name here only
        inner = [(name, inner[0][1])]
    # the outermost Pipeline counts, unless the inner one has a class of its own
    if type(pipeline) in (type(None), Pipeline) or type(estimator) is not Pipeline:
        pipeline = estimator
    return steps + inner, pipeline


def unwrapped(step):
    """What works in a frozen step, or in one that was searched for."""
    while isinstance(step, FrozenEstimator) or hasattr(step, "best_estimator_"):
        is_frozen = isinstance(step, FrozenEstimator)
        step = step.estimator if is_frozen else step.best_estimator_
    return step


def _passes_through(step):
    return step is None or (isinstance(step, str) and step == "passthrough")


# Back to the caller's table


def index_of(X, n_rows):
    """Return the row labels of a table, a range where it has none."""
    return X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(n_rows)


def names_of(X):
    """Return the column labels of a table, None where it has none."""
    # the columns of a pyarrow Table are the columns themselves
    return getattr(X, "column_names", getattr(X, "columns", None))


def take_rows(X, positions):
    """Return rows of a table of any kind, in that kind."""
    if hasattr(X, "iloc"):
        return X.iloc[positions]
    if hasattr(X, "column_names"):  # pyarrow
        return X.take(positions)
    if sparse.issparse(X):
        return X.tocsr()[positions]
    if hasattr(X, "shape"):
        return X[positions]
    return [X[position] for position in positions]


def column_of(X, position):
    """Return a column of a table of any kind as an array."""
    if hasattr(X, "iloc"):
        return X.iloc[:, position].to_numpy()
    if hasattr(X, "column_names"):
        return np.asarray(X.column(int(position)))
    if sparse.issparse(X):
        return X.tocsc()[:, [position]].toarray()[:, 0]
    if hasattr(X, "columns"):  # polars
        return X.to_series(position).to_numpy()
    return np.asarray(X)[:, position]


def reconstructed_columns(estimator, X):
    """Reconstruct rows in the columns of the caller, if there is a way back.

    Parameters
    ----------
    estimator : object
        Fitted, of any kind.
    X : {array-like, DataFrame} of shape (n_samples, n_columns)
        Rows as the caller has them.

    Returns
    -------
    table : DataFrame of shape (n_samples, n_columns) or None
        Labelled as ``X``; nan in the columns that a step drops. None if the estimator
        does not end in an autoencoder, or if a step before it cannot be undone.
    """
    steps, _ = _flat_steps(estimator)
    if not isinstance(steps[-1][1], ContractiveAutoencoder):
        return None
    inputs = Inputs(estimator, X, bounded=False)
    try:
        table, is_kept = inverse_to_columns(inputs, inputs.reconstruct())
    except NoWayBackError:
        return None
    for position in np.flatnonzero(~is_kept):
        table.isetitem(position, np.nan)
    return table.set_axis(index_of(X, len(table)))


def inverse_to_columns(inputs, rows):
    """Undo the steps before the autoencoder.

    A column that a step drops takes the value that the caller's row has there: it does
    not move.

    Parameters
    ----------
    inputs : Inputs
        The caller's rows.
    rows : ndarray of shape (n_samples * n_variants, n_features_in_)
        Variants of these rows as the autoencoder reads or writes them, those of the
        first row first.

    Returns
    -------
    table : DataFrame of shape (n_samples * n_variants, n_columns)
        With the columns of the caller, and a range for an index.
    is_kept : ndarray of bool of shape (n_columns,)
        False for a column that a step drops.

    Raises
    ------
    NoWayBackError
        If a step has no ``inverse_transform``, or one that does not undo it.
    """
    if inputs.front is None:
        return _table(rows, inputs.X), np.ones(rows.shape[1], dtype=bool)
    try:
        _check_undone(inputs)
        return _undone(inputs, rows)
    except NoWayBackError as error:
        raise _with_a_way_out(error, inputs) from error


def inverse_to_numbers(inputs, rows):
    """Undo the steps before the autoencoder, where they lead to numbers.

    Parameters
    ----------
    inputs : Inputs
        The caller's rows.
    rows : ndarray of shape (n_samples * n_variants, n_features_in_)
        As in :func:`inverse_to_columns`.

    Returns
    -------
    numbers : ndarray of shape (n_samples * n_variants, n_columns)
        In float64; 0 in a column that a step drops.
    is_kept : ndarray of bool of shape (n_columns,)
        False for a column that a step drops.

    Raises
    ------
    NoWayBackError
        As in :func:`inverse_to_columns`, or if a column holds what is no number.
    """
    table, is_kept = inverse_to_columns(inputs, rows)
    numbers = np.zeros(table.shape)
    for position in np.flatnonzero(is_kept):
        try:
            numbers[:, position] = table.iloc[:, position]
        except (TypeError, ValueError) as error:
            name = table.columns[position]
            reason = f"column {name!r} does not hold numbers"
            raise _with_a_way_out(reason, inputs) from error
    return numbers, is_kept


def check_smooth(inputs):
    """Raise a NoWayBackError if a step leads back to categories, which jump."""
    for step in _leaves(inputs.front):
        if isinstance(step, OneHotEncoder | OrdinalEncoder | KBinsDiscretizer):
            reason = f"categories of {type(step).__name__} have no directions"
            raise _with_a_way_out(reason, inputs)


def _leaves(step):
    """Yield the steps that a step is made of."""
    step = unwrapped(step)
    if isinstance(step, Pipeline):
        for _, part in step.steps:
            yield from _leaves(part)
    elif isinstance(step, ColumnTransformer):
        for _, part, _ in step.transformers_:
            yield from _leaves(part)
    else:
        yield step


def _with_a_way_out(reason, inputs):
    """An error that says what to ask for instead."""
    names = ", ".join(name for name, _ in inputs.front.steps)
    reason = str(reason).rstrip(".")
    return NoWayBackError(
        f"The steps of estimator before the autoencoder ({names}) have no way back to "
        f"the columns of X: {reason}. Use steps with an inverse_transform, or ask for "
        "the units behind them: give estimator[-1] as estimator, and "
        "estimator[:-1].transform(X) as X."
    )


def _undone(inputs, rows):
    n_variants = len(rows) // len(inputs.rows)

    def given():
        if n_variants == 1:
            return inputs.X
        return take_rows(inputs.X, np.arange(len(inputs.rows)).repeat(n_variants))

    is_kept = np.ones(rows.shape[1], dtype=bool)
    table, is_kept = _undo(inputs.front, rows, is_kept, given)
    return _table(table, inputs.X), is_kept


def _check_undone(inputs):
    """Raise an error if the steps do not lead from where they came to the rows."""
    there, _ = _undone(inputs, inputs.rows)
    if names_of(inputs.X) is None:
        there = there.to_numpy()
    with warnings.catch_warnings():
        # older scikit-learns do not know the names of polars' columns
        warnings.filterwarnings("ignore", "X has feature names")
        again = _call(inputs.front.transform, there, np.float64)
    # a FunctionTransformer without an inverse takes the identity for it
    is_same_shape = again.shape == inputs.rows.shape
    if not (is_same_shape and np.allclose(again, inputs.rows, rtol=1e-3, atol=1e-3)):
        raise NoWayBackError("their inverse_transform does not undo their transform")


def _table(rows, X):
    """Rows as a DataFrame with the column labels of X."""
    table = pd.DataFrame(rows)
    names = names_of(X)
    if names is None:
        names = [f"x{i}" for i in range(table.shape[1])]
    if len(names) != table.shape[1]:
        raise NoWayBackError(
            f"they lead to {table.shape[1]} columns, where X has {len(names)}"
        )
    return table.set_axis(names, axis=1)


def _call(method, rows, dtype=None):
    """Call a method of a step, and turn what it raises into one kind of error."""
    try:
        return np.asarray(_dense(method(rows)), dtype=dtype)
    except _STEP_ERRORS as error:
        raise NoWayBackError(str(error)) from error


def _inverse(step, rows):
    if not hasattr(step, "inverse_transform"):
        raise NoWayBackError(f"{type(step).__name__} has no inverse_transform")
    # where a step has no inverse, as for the logarithm of a negative number, nan comes
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # some scalers ask their own output for the names of their input
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return _call(step.inverse_transform, rows)


def _undo(step, rows, is_kept, given):
    """Undo a step, where scikit-learn has an inverse and where it has none.

    Parameters
    ----------
    step : estimator, None or "passthrough"
        Fitted.
    rows : {ndarray, DataFrame} of shape (n_samples, n_out)
        Such as the step writes.
    is_kept : ndarray of bool of shape (n_out,)
        False for the columns that later steps drop.
    given : callable
        Returns the table that the step was given.

    Returns
    -------
    rows : {ndarray, DataFrame} of shape (n_samples, n_in)
        Such as the step reads.
    is_kept : ndarray of bool of shape (n_in,)
        False for the columns that this or later steps drop.
    """
    step = unwrapped(step)
    if isinstance(step, Pipeline):
        for position in reversed(range(len(step.steps))):
            before = partial(_before, step, position, given)
            rows, is_kept = _undo(step.steps[position][1], rows, is_kept, before)
        return rows, is_kept
    # samplers of imbalanced-learn work in fit alone
    if _passes_through(step) or hasattr(step, "fit_resample"):
        return rows, is_kept
    if isinstance(step, ColumnTransformer):
        return _undo_columns(step, rows, is_kept, given)
    if isinstance(step, SelectorMixin):
        return _undo_selection(step, rows, is_kept, given)
    rows = np.asarray(rows)
    # encoders expect what they could have written
    if isinstance(step, OrdinalEncoder):
        rows = np.clip(np.rint(rows), 0, np.subtract(_n_codes(step), 1))
    elif isinstance(step, KBinsDiscretizer) and step.encode == "ordinal":
        rows = np.clip(np.rint(rows), 0, step.n_bins_ - 1)
    elif isinstance(step, OneHotEncoder) and step.drop is not None:
        rows = _most_likely(step, rows)
    rows = _inverse(step, rows)
    if rows.ndim != 2:
        raise NoWayBackError(f"{type(step).__name__} does not lead back to a table")
    mixes = isinstance(step, ClassNamePrefixFeaturesOutMixin)
    if mixes or rows.shape[1] != len(is_kept):
        is_kept = np.ones(rows.shape[1], dtype=bool)
    return rows, is_kept


def _before(pipeline, position, given):
    """The table that a step of a Pipeline was given."""
    X = given()
    return X if position == 0 else pipeline[:position].transform(X)


def _undo_selection(selector, rows, is_kept, given):
    support = selector.get_support()
    X = given()
    whole = np.array(_dense(X))
    whole = whole.astype(np.result_type(whole, np.float64), copy=False)
    whole[:, support] = rows
    kept = np.zeros(len(support), dtype=bool)
    kept[support] = is_kept
    return whole, kept


def _n_codes(encoder):
    """Number of categories of each column; infrequent ones share a code."""
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    return [
        len(categories) - (0 if together is None else len(together) - 1)
        for categories, together in zip(encoder.categories_, rare, strict=True)
    ]


def _most_likely(encoder, rows):
    """Zeros and a one for each column encoded, no one for the category dropped."""
    chosen, start = np.zeros_like(rows), 0
    for n_codes, dropped in zip(_n_codes(encoder), encoder.drop_idx_, strict=True):
        stop = start + n_codes - (dropped is not None)
        part = rows[:, start:stop]
        best = part.argmax(axis=1)
        wins = part.max(axis=1) > (-np.inf if dropped is None else 1 - part.sum(axis=1))
        chosen[np.arange(len(rows)), start + best] = wins
        start = stop
    return chosen


def _undo_columns(step, rows, is_kept, given):
    """Undo a ColumnTransformer: into the columns that it was given, in their order."""
    X, rows = given(), np.asarray(rows)
    labels = names_of(X)
    fitted = getattr(step, "feature_names_in_", None)
    n_columns = step.n_features_in_ if labels is None else len(labels)
    whole, kept = {}, np.zeros(n_columns, dtype=bool)
    for name, transformer, columns in step.transformers_:
        place = step.output_indices_[name]
        if rows[:, place].shape[1] == 0:  # dropped
            continue
        selected = _positions(columns, step.n_features_in_, fitted)
        if not (fitted is None or labels is None or list(labels) == list(fitted)):
            selected = pd.Index(labels).get_indexer(fitted[selected])
        part, part_kept = _undo(
            transformer,
            rows[:, place],
            is_kept[place],
            partial(_selection, given, selected),
        )
        part = pd.DataFrame(part)
        if part.shape[1] != len(selected):
            raise NoWayBackError(
                f"{name} leads to {part.shape[1]} columns, where it has {len(selected)}"
            )
        for i, position in enumerate(selected):
            if part_kept[i] or position not in whole:  # another step may keep it
                whole[position] = part.iloc[:, i].to_numpy()
                kept[position] = part_kept[i]
    for position in np.setdiff1d(np.arange(n_columns), [*whole]):
        whole[position] = column_of(X, position)
    return pd.DataFrame({i: whole[i] for i in range(n_columns)}), kept


def _positions(columns, n_columns, names):
    """Positions of the columns that a ColumnTransformer's selection stands for."""
    positions = pd.Series(np.arange(n_columns), index=names)
    if isinstance(columns, UserList):  # scikit-learn 1.6 warns of any other look at it
        columns = columns.data
    if isinstance(columns, slice):
        by_name = isinstance(columns.start, str) or isinstance(columns.stop, str)
        chosen = positions.loc[columns] if by_name else positions.iloc[columns]
    else:
        columns = np.atleast_1d(columns)
        by_position = columns.dtype.kind in "iub"
        chosen = positions.iloc[columns] if by_position else positions.loc[columns]
    return chosen.to_numpy()


def _selection(given, positions):
    """Columns of the table that a ColumnTransformer was given."""
    X = given()
    if hasattr(X, "iloc"):
        return X.iloc[:, positions]
    table = pd.DataFrame({i: column_of(X, i) for i in positions})
    names = names_of(X)
    if names is None:
        return table.to_numpy()
    return table.set_axis([names[i] for i in positions], axis=1)
