"""What parameters and values may be, and the way back where they are not."""

import functools
from numbers import Integral, Real

import numpy as np
import torch

from skcae._network import ACTIVATIONS
from skcae._objective import LOSSES

# float32 holds neither the squares of larger values nor their sums.
_LARGEST_VALUE = 1e15
# What a scaler to [0, 1] may miss its range by.
_ROUNDING = 1e-6


def _is_int(value, low=1):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= low


def _is_real(value, low=0.0, *, above=False):
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        return False
    return np.isfinite(value) and (value > low if above else value >= low)


def _is_bool(value):
    return isinstance(value, bool | np.bool_)


def _one_of(*choices):
    wanted = "one of " + ", ".join(map(repr, choices))
    return lambda value: isinstance(value, str | None) and value in choices, wanted


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
_NON_NEGATIVE = _is_real, "a finite number >= 0"
_BOOL = _is_bool, "True or False"

# name: (test, what it wants)
_RULES = {
    "n_components": _POSITIVE_INT,
    "hidden_layer_sizes": (
        lambda value: isinstance(value, tuple | list) and all(map(_is_int, value)),
        "a tuple of ints >= 1, () for none",
    ),
    "activation": _one_of(*ACTIVATIONS),
    "code_activation": _one_of(None, *ACTIVATIONS),
    "decoder_activation": _one_of(None, *ACTIVATIONS),
    "output_activation": _one_of("identity", "sigmoid"),
    "loss": _one_of(*LOSSES),
    "lam": _NON_NEGATIVE,
    "penalty": _one_of("encoder", "reconstruction"),
    "penalty_method": _one_of("auto", "exact", "hutchinson"),
    "tied_weights": _BOOL,
    "noise_std": _NON_NEGATIVE,
    "trim_fraction": (
        lambda value: _is_real(value) and value < 1,
        "a number in [0, 1)",
    ),
    "learning_rate_init": (
        lambda value: _is_real(value, above=True),
        "a finite number > 0",
    ),
    "batch_size": (
        lambda value: _is_int(value) or (isinstance(value, str) and value == "auto"),
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
    "contamination": (
        lambda value: (
            (isinstance(value, str) and value == "auto") or _is_fraction(value, 0.5)
        ),
        "'auto' or a number in (0, 0.5]",
    ),
    "device": (_is_device, "'auto' or a torch device such as 'cpu' or 'cuda:1'"),
    "verbose": (
        lambda value: _is_bool(value) or (_is_int(value, 0) and value <= 2),
        "0, 1 or 2",
    ),
}


def unchanged_on_error(method):
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

    return wrapped


def check_parameters(parameters):
    """Raise a ValueError that names the first parameter with a bad value.

    Parameters
    ----------
    parameters : types.SimpleNamespace
        ``random_state`` is left to scikit-learn.
    """
    for name, (test, wanted) in _RULES.items():
        value = getattr(parameters, name)
        if not test(value):
            raise ValueError(f"{name} must be {wanted}; got {value!r}.")
    if parameters.loss == "log_loss" and parameters.output_activation != "sigmoid":
        raise ValueError(
            "loss='log_loss' needs outputs between 0 and 1: set "
            "output_activation='sigmoid'."
        )


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
    if not _is_device(device):
        raise ValueError(f"device must be {_RULES['device'][1]}; got {device!r}.")
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
    """Raise a ValueError that names a column whose values the loss cannot take.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    loss : str
    names : sequence of str or None
        Of the columns; None where they have none.
    """
    low, high = -_LARGEST_VALUE, _LARGEST_VALUE
    reason = "training is done in float32: scale the columns first"
    if loss == "log_loss":
        low, high = -_ROUNDING, 1 + _ROUNDING
        reason = "loss='log_loss' needs values in [0, 1]: use MinMaxScaler(clip=True)"
    lowest, highest = X.min(axis=0), X.max(axis=0)
    bad = np.flatnonzero((lowest < low) | (highest > high))
    if bad.size:
        column = bad[0]
        raise ValueError(
            f"Column {column_label(column, names)} of X runs from "
            f"{lowest[column]:.6g} to {highest[column]:.6g}, but {reason}."
        )


def column_label(column, names):
    """Name of a column in a message: its name in quotes, or its position."""
    return column if names is None else repr(names[column])


def check_positive(name, value, high=np.inf):
    if not (isinstance(value, Real) and np.isfinite(value) and 0 < value <= high):
        wanted = "finite number > 0" if high == np.inf else f"number in (0, {high}]"
        raise ValueError(f"{name} must be a {wanted}; got {value!r}.")


def check_count(name, value, high=None):
    is_int = isinstance(value, Integral) and not isinstance(value, bool)
    if not (is_int and 1 <= value and (high is None or value <= high)):
        wanted = "an int >= 1" if high is None else f"an int from 1 to {high}"
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")


def check_numbers(name, values, *, zero):
    """In ascending order, each once."""
    try:
        numbers = np.unique(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    valid = numbers.size > 0 and np.isfinite(numbers).all() and numbers[0] >= 0
    if not valid or (numbers[0] == 0 and not zero):
        wanted = f"a list of finite numbers {'>=' if zero else '>'} 0"
        raise ValueError(f"{name} must be {wanted}; got {values!r}.")
    return numbers
