"""From the autoencoder's input back to the columns of the caller."""

import warnings

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from skcae._inputs import Inputs, front_of

# Of the central difference through a scaler, in its units: its square is what a
# curved inverse is missed by, and an offset of a million still leaves five digits.
_STEP = 1e-4


def in_callers_units(estimator, X, rows, vectors):
    """Vectors of shape (n_samples, n_vectors, ...) as changes of the columns of X."""
    if front_of(estimator) is None:
        return vectors
    inverse = way_back(estimator, X, rows)
    moves = _STEP * vectors.reshape(-1, vectors.shape[2])
    starts = np.repeat(rows, vectors.shape[1], axis=0)
    change = (inverse(starts + moves) - inverse(starts - moves)) / (2 * _STEP)
    return change.reshape(*vectors.shape[:2], -1)


def way_back(estimator, X, rows):
    """The way back from the autoencoder's input to the columns of X."""
    front = front_of(estimator)
    if front is None:
        return lambda rows: rows

    def back(rows):
        return np.asarray(_inverse(front, rows))

    try:
        undone = _is_undone(front, back(rows), X, rows)
        reason = "their inverse_transform does not undo their transform"
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        undone, reason = False, str(error)
    if not undone:
        raise ValueError(
            "The steps of estimator before the autoencoder "
            f"({', '.join(name for name, _ in front.steps)}) have no way back to the "
            f"columns of X: {reason}. Use steps with an inverse_transform, or ask for "
            "the units behind them: give estimator[-1] as estimator, and "
            "estimator[:-1].transform(X) as X."
        )
    return back


def reconstructed(estimator, X, table):
    """Reconstructions as a DataFrame like ``table``, the rows X as a DataFrame.

    None where the estimator is not ours, or a step before it cannot be undone.
    """
    front = front_of(estimator)
    # steps fail in ways of their own to undo what they have not done
    try:
        inputs = Inputs(estimator, X)
        rows = inputs.reconstruct()
        if front is not None:
            if not _is_undone(front, _undo(front, inputs.rows), X, inputs.rows):
                return None
            rows = _undo(front, rows)
        return _frame(rows, table.columns).set_axis(table.index)
    except Exception:
        return None


def _is_undone(front, there, X, rows):
    """Whether the steps lead from there to the rows again."""
    there = _frame(there, X.columns) if hasattr(X, "columns") else np.asarray(there)
    with warnings.catch_warnings():
        # older scikit-learns do not know the names of polars' columns
        warnings.filterwarnings("ignore", "X has feature names")
        again = front.transform(there)
    # a FunctionTransformer without an inverse takes the identity for it
    return np.allclose(again, rows, rtol=1e-3, atol=1e-3)


def _frame(rows, columns):
    frame = pd.DataFrame(rows)
    if set(columns) & set(frame.columns):  # named already, perhaps in another order
        return frame.reindex(columns=columns)
    frame.columns = columns
    return frame


def _inverse(step, rows):
    with warnings.catch_warnings():
        # some scalers ask their own output for the names of their input
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return step.inverse_transform(rows)


def _undo(step, rows):
    """As ``inverse_transform``, where it exists and where scikit-learn has none."""
    if isinstance(step, Pipeline):
        for _, part in reversed(step.steps):
            rows = _undo(part, rows)
        return rows
    if step is None or step == "passthrough":
        return rows
    if isinstance(step, ColumnTransformer):
        return _undo_columns(step, rows)
    rows = np.asarray(rows)
    # encoders expect what they could have written
    if isinstance(step, OrdinalEncoder):
        highest = [len(categories) - 1 for categories in step.categories_]
        rows = np.clip(np.rint(rows), 0, highest)
    elif isinstance(step, OneHotEncoder) and step.drop is not None:
        rows = _most_likely(step, rows)
    return _inverse(step, rows)


def _most_likely(encoder, rows):
    """Zeros and a one for each column encoded, no one for the category dropped."""
    chosen, start = np.zeros_like(rows), 0
    for categories, dropped in zip(encoder.categories_, encoder.drop_idx_, strict=True):
        stop = start + len(categories) - (dropped is not None)
        part = rows[:, start:stop]
        best = part.argmax(axis=1)
        wins = part.max(axis=1) > (-np.inf if dropped is None else 1 - part.sum(axis=1))
        chosen[np.arange(len(rows)), start + best] = wins
        start = stop
    return chosen


def _undo_columns(step, rows):
    rows = np.asarray(rows)
    names = getattr(step, "feature_names_in_", np.arange(step.n_features_in_))
    table = {}
    for name, transformer, columns in step.transformers_:
        part = rows[:, step.output_indices_[name]]
        if part.size == 0:  # dropped
            continue
        chosen = _chosen(names, columns)
        table |= dict(zip(chosen, np.asarray(_undo(transformer, part)).T, strict=True))
    return pd.DataFrame(table).reindex(columns=names)


def _chosen(names, columns):
    """Names of the columns that a ColumnTransformer's selection stands for."""
    if isinstance(columns, slice) or np.asarray(columns).dtype.kind in "iub":
        return np.atleast_1d(names[columns])
    return np.atleast_1d(columns)
