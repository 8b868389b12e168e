"""What parameters and values may be, and the way back where they are not."""

import functools
import math
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import cast

import numpy as np
import pandas as pd
import torch

from skcae._core.activations import ACTIVATIONS
from skcae._core.losses import LOSSES
from skcae._core.penalties import PENALTIES
from skcae._table import column_ranges
from skcae._typing import Method

# float32 holds neither the squares of larger values nor their sums.
LARGEST_VALUE = 1e15
# float64 holds the squares of such values, and sums of them.
_LARGEST_ROOT = 1e100
# What a scaler to [0, 1] may miss its range by.
ROUNDING = 1e-6
# A layer of more units would not fit into any memory.
_MOST_UNITS = 2**24


def _is_int(value, low=1, high=sys.maxsize):
    is_int = isinstance(value, Integral) and not isinstance(value, bool)
    return is_int and low <= value <= high


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _is_real(value, low=0.0, *, above=False):
    if not _is_number(value):
        return False
    try:
        value = float(value)
    except OverflowError:
        return False
    return math.isfinite(value) and (value > low if above else value >= low)


def _is_auto(value):
    return isinstance(value, str) and value == "auto"


def _is_bool(value):
    return isinstance(value, bool | np.bool_)


class _OneOf:
    """Test for one of some choices, and for the names of records there are by then."""

    def __init__(self, *choices, names=tuple):
        self._choices, self._names = choices, names

    def __call__(self, value):
        return isinstance(value, str | None) and value in self._all()

    def __str__(self):
        return "one of " + ", ".join(map(repr, self._all()))

    def _all(self):
        return (*self._choices, *self._names())


def _one_of(*choices, **names):
    choice = _OneOf(*choices, **names)
    return choice, choice


def _estimates():
    return [name for name, penalty in PENALTIES.items() if not penalty.is_exact]


def _is_fraction(value, high):
    return _is_real(value, above=True) and value <= high


def _is_device(value):
    if isinstance(value, torch.device):
        return True
    try:
        return isinstance(value, str) and (value == "auto" or bool(torch.device(value)))
    except RuntimeError:
        return False


_POSITIVE_INT = _is_int, "an int >= 1"
_WIDTH = functools.partial(_is_int, high=_MOST_UNITS)
_NON_NEGATIVE = _is_real, "a finite number >= 0"
_SHARE_BELOW_1 = lambda value: _is_real(value) and value < 1, "a number in [0, 1)"
_BOOL = _is_bool, "True or False"

# name: (test, what it wants)
_RULES = {
    "n_components": (
        lambda value: _is_auto(value) or _WIDTH(value),
        f"'auto' or an int from 1 to {_MOST_UNITS}",
    ),
    "hidden_layer_sizes": (
        lambda value: isinstance(value, tuple | list) and all(map(_WIDTH, value)),
        f"a tuple of ints from 1 to {_MOST_UNITS}, () for none",
    ),
    "activation": _one_of(names=ACTIVATIONS.keys),
    "code_activation": _one_of(None, names=ACTIVATIONS.keys),
    "decoder_activation": _one_of(None, names=ACTIVATIONS.keys),
    "output_activation": _one_of("identity", "sigmoid"),
    "loss": _one_of(names=LOSSES.keys),
    "lam": _NON_NEGATIVE,
    "penalty": _one_of("encoder", "reconstruction"),
    "penalty_method": _one_of("auto", "exact", names=_estimates),
    "tied_weights": _BOOL,
    "noise_std": (
        lambda value: _is_auto(value) or _is_real(value),
        "'auto' or a finite number >= 0",
    ),
    "masking_fraction": _SHARE_BELOW_1,
    "swap_fraction": (
        lambda value: _is_real(value) and value <= 1,
        "a number in [0, 1]",
    ),
    "trim_fraction": _SHARE_BELOW_1,
    "learning_rate_init": (
        lambda value: _is_real(value, above=True),
        "a finite number > 0",
    ),
    "batch_size": (
        lambda value: _is_auto(value) or _is_int(value),
        "an int >= 1 or 'auto'",
    ),
    "max_iter": _POSITIVE_INT,
    "tol": _NON_NEGATIVE,
    "n_iter_no_change": _POSITIVE_INT,
    "early_stopping": _BOOL,
    "validation_fraction": (
        lambda value: _is_fraction(value, 1) and value < 1,
        "a number between 0 and 1, both excluded",
    ),
    "weight_decay": _NON_NEGATIVE,
    "max_grad_norm": (
        lambda value: value is None or _is_real(value, above=True),
        "a finite number > 0, or None for no clipping",
    ),
    "lam_warmup": (lambda value: _is_int(value, 0), "an int >= 0"),
    "warm_start": _BOOL,
    "allow_nan": _BOOL,
    "distributed": _BOOL,
    "score_dtype": _one_of("float64", "float32"),
    "checkpoint_folder": (
        lambda value: value is None or isinstance(value, str | os.PathLike),
        "a path, or None for no checkpoints",
    ),
    "checkpoint_every": _POSITIVE_INT,
    "contamination": (
        lambda value: _is_auto(value) or _is_fraction(value, 0.5),
        "'auto' or a number in (0, 0.5]",
    ),
    "device": (_is_device, "'auto' or a torch device such as 'cpu' or 'cuda:1'"),
    "verbose": (
        lambda value: _is_bool(value) or (_is_int(value, 0) and value <= 2),
        "0, 1 or 2",
    ),
}


def unchanged_on_error(method: Method) -> Method:
    """Decorate an estimator's method to leave the estimator as it was if it fails."""

    @functools.wraps(method)
    def wrapped(estimator, *args, **kwargs):
        before = vars(estimator).copy()
        try:
            return method(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return cast(Method, wrapped)


def check_parameters(parameters):
    """Raise a ValueError that names the first parameter with a bad value.

    Parameters
    ----------
    parameters : ContractiveAutoencoder
        Its ``random_state`` is left to scikit-learn.
    """
    for name in _RULES:
        check_parameter(name, getattr(parameters, name))
    wanted = LOSSES[parameters.loss].output_activation
    if wanted not in (None, parameters.output_activation):
        raise ValueError(
            f"loss={parameters.loss!r} needs output_activation={wanted!r}; got "
            f"{parameters.output_activation!r}."
        )
    if parameters.checkpoint_folder is not None and parameters.random_state is None:
        raise ValueError(
            "checkpoint_folder needs a random_state: without one, no fit can be told "
            "from another of the same table."
        )
    if parameters.distributed and parameters.trim_fraction > 0:
        raise ValueError(
            "trim_fraction must be 0 with distributed=True: no rank knows the "
            "neighbours of its rows."
        )


def check_parameter(name, value):
    """Raise a ValueError if an estimator's parameter of that name may not be that."""
    test, wanted = _RULES[name]
    if not test(value):
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")


def resolve_device(device, or_cpu=False):
    """Turn the parameter ``device`` into a torch.device that exists here.

    Parameters
    ----------
    device : str or torch.device
    or_cpu : bool
        Whether to fall back to the CPU.

    Raises
    ------
    ValueError
        If this machine or this build of torch has no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    check_parameter("device", device)
    device = torch.device(device)
    if not _is_available(device):
        if or_cpu:
            return torch.device("cpu")
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; "
            "use device='cpu' or device='auto'."
        )
    return device


def _is_available(device):
    if device.type == "cuda":
        return torch.cuda.is_available() and (
            device.index is None or device.index < torch.cuda.device_count()
        )
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def check_columns(X, loss, names):
    """Raise a ValueError that names a column that a network cannot be trained on.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    loss : str
    names : sequence of str or None
        Of the columns; None where they have none.
    """
    check_range(X, loss, names)
    _check_within(
        X,
        -LARGEST_VALUE,
        LARGEST_VALUE,
        "training is done in float32: scale the columns first",
        names,
    )


def check_range(X, loss, names):
    """Raise a ValueError that names a column whose values the loss is not defined for.

    Parameters are those of :func:`check_columns`.
    """
    record = LOSSES[loss]
    low, high = record.lowest, record.highest
    if np.isfinite([low, high]).all():
        reason = f"loss={loss!r} needs values in [{low:g}, {high:g}]: {record.advice}"
        _check_within(X, low - ROUNDING, high + ROUNDING, reason, names)


def check_squares(X, names):
    """Raise a ValueError that names a column whose squares are beyond the range.

    Parameters are those of :func:`check_columns`.
    """
    reason = "squares of such values are beyond the range of numbers: leave them out"
    _check_within(X, -_LARGEST_ROOT, _LARGEST_ROOT, reason, names)


def _check_within(X, low, high, reason, names):
    lowest, highest = column_ranges(X)
    bad = np.flatnonzero((lowest < low) | (highest > high))
    if bad.size:
        column = bad[0]
        raise ValueError(
            f"Column {column_label(column, names)} of X runs from "
            f"{lowest[column]:.6g} to {highest[column]:.6g}, but {reason}."
        )


def check_observed(X, names, *, every_column):
    """Raise a ValueError if a table, or a column, is missing altogether.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        nan for missing cells.
    names : sequence of str or None
        As in :func:`check_columns`.
    every_column : bool
        Whether every column needs a value, or any.
    """
    unknown = np.flatnonzero(np.isnan(column_ranges(X)[0]))
    if unknown.size == X.shape[1]:
        raise ValueError("X has no value: all of its cells are missing.")
    if unknown.size and every_column:
        raise ValueError(
            f"Column {column_label(unknown[0], names)} of X has no value in any row to "
            "train on: leave the column out."
        )


@contextmanager
def reading():
    """Say that X cannot be read where scikit-learn lets others' errors through.

    It adds up all cells to look for infinite ones, which may overflow.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (OverflowError, RuntimeError) as error:
        raise ValueError(f"X cannot be read as a table of numbers: {error}") from error


def check_table(X):
    """Raise a TypeError if rows cannot be taken from X by their positions."""
    check_in_memory(X)
    if isinstance(X, list | tuple):
        is_table = len(X) > 0 and np.ndim(X[0]) == 1
    else:
        shape, is_sparse = getattr(X, "shape", None), getattr(X, "is_sparse", False)
        # torch cannot take rows of its sparse tensors
        is_table = isinstance(shape, tuple) and len(shape) == 2 and is_sparse is False
    if not is_table:
        raise TypeError(
            "X must be a table: a DataFrame, an array or sparse matrix of two "
            f"dimensions, or a list of rows; got {type(X).__name__}."
        )


def check_in_memory(X):
    """Raise a TypeError if a table is a plan to compute one."""
    # the protocol of dask's collections; other kinds may have it, and no graph
    graph = getattr(X, "__dask_graph__", None)
    if graph is not None and graph() is not None:
        by = "map_partitions" if hasattr(X, "map_partitions") else "map_blocks"
        raise TypeError(_refusal(X, "dask", by, "X.compute()"))
    if type(X).__module__.startswith("pyspark."):
        raise TypeError(_refusal(X, "Spark", "mapInPandas", "X.toPandas()"))
    if type(X).__name__ == "LazyFrame":
        raise TypeError(
            "X is a LazyFrame, which is not computed yet: give X.collect()."
        )


def _refusal(X, engine, by, computed):
    return (
        f"X is a {type(X).__name__} of {engine}, which is not computed yet. To score "
        f"it, let {by} give its parts to a fitted model: see 'On a cluster' in "
        f"docs/scale.md. To train, give {computed}, or its parts one by one to "
        "partial_fit."
    )


def column_label(column, names):
    """Name of a column in a message: its name in quotes, or its position."""
    return column if names is None else repr(names[column])


# What functions and displays are given. Each raises a ValueError that names the
# parameter, says what it may be, and shows what came.


def check_positive(name, value, high=np.inf):
    """Check a finite number > 0, at most ``high``."""
    if not (_is_real(value, above=True) and value <= high):
        wanted = "finite number > 0" if high == np.inf else f"number in (0, {high}]"
        raise ValueError(f"{name} must be a {wanted}; got {value!r}.")


def check_not_negative(name, value):
    """Check a finite number >= 0."""
    if not _is_real(value):
        raise ValueError(f"{name} must be a finite number >= 0; got {value!r}.")


def check_number(name, value):
    """Check a number that is not nan."""
    if not _is_number(value) or np.isnan(float(value)):
        raise ValueError(f"{name} must be a number; got {value!r}.")


def check_count(name, value, high=None, *, low=1):
    """Check an int from ``low`` to ``high``."""
    if not (_is_int(value, low) and (high is None or value <= high)):
        wanted = f"an int >= {low}" if high is None else f"an int from {low} to {high}"
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")


def check_choice(name, value, choices):
    """Check one of several strings."""
    if not (isinstance(value, str) and value in choices):
        wanted = " or ".join(map(repr, choices))
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")


def check_bool(name, value):
    """Check True or False."""
    if not _is_bool(value):
        raise ValueError(f"{name} must be True or False; got {value!r}.")


def check_numbers(name, values, *, zero):
    """Check finite numbers, above 0 or from 0 on; return them ascending, each once."""
    numbers = _as_floats(values)
    valid = numbers is not None and numbers.ndim == 1 and numbers.size > 0
    valid = valid and np.isfinite(numbers).all() and numbers.min() >= 0
    if not valid or (numbers.min() == 0 and not zero):
        wanted = f"a list of finite numbers {'>=' if zero else '>'} 0"
        raise ValueError(f"{name} must be {wanted}; got {values!r}.")
    return np.unique(numbers)


def check_shares(name, values):
    """Check two ascending numbers in [0, 1]; return them."""
    numbers = _as_floats(values)
    valid = numbers is not None and numbers.shape == (2,)
    if not (valid and 0 <= numbers[0] <= numbers[1] <= 1):
        raise ValueError(
            f"{name} must be two ascending numbers in [0, 1]; got {values!r}."
        )
    return numbers


def check_numeric(name, values, ndim, *, finite=True):
    """Check an array of numbers that is not empty; return it as floats."""
    array = _as_floats(values)
    if array is None or array.size == 0 or ndim not in (None, array.ndim):
        got = type(values).__name__ if array is None else f"shape {array.shape}"
    elif finite and not np.isfinite(array).all():
        got = f"{np.sum(~np.isfinite(array))} that are not"
    else:
        return array
    wanted = "finite numbers" if finite else "numbers"
    wanted += "" if ndim is None else f" in {ndim} dimensions"
    raise ValueError(f"{name} must be {wanted}; got {got}.")


def check_labels(name, labels, default, what="columns"):
    """Check a label for each of the default ones, or None for these."""
    if labels is None:
        return default
    labels = list(labels) if isinstance(labels, Iterable) else [labels]
    if len(labels) != len(default):
        raise ValueError(
            f"{name} must name each of {len(default)} {what}; got {len(labels)}."
        )
    return labels


def check_image_shape(name, shape, n_cells):
    """Check a height and a width of so many cells in all."""
    valid = isinstance(shape, tuple | list | np.ndarray) and len(shape) == 2
    if not (valid and all(map(_is_int, shape)) and shape[0] * shape[1] == n_cells):
        raise ValueError(
            f"{name} must be a height and a width of {n_cells} cells in all; got "
            f"{shape!r}."
        )


def check_keys(name, value, keys):
    """Check a dict, or a table, that has some keys."""
    if not isinstance(value, Mapping | pd.DataFrame):
        raise ValueError(
            f"{name} must have the keys {', '.join(map(repr, keys))}; got "
            f"{type(value).__name__}."
        )
    missing = [repr(key) for key in keys if key not in value]
    if missing:
        raise ValueError(f"{name} must have the key {missing[0]}, which is missing.")


def check_by_name(name, value):
    """Check a dict whose keys are the names of models."""
    if not (isinstance(value, Mapping) and len(value) > 0):
        raise ValueError(
            f"{name} must be a dict, not empty, with the models' names as keys; got "
            f"{type(value).__name__}."
        )


def _as_floats(values):
    """An array of floats, or None for what holds anything but numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            return None
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return None
