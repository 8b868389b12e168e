"""What parameters and columns may be, and what to say and change if not."""

import functools
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

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
            f"Column {_label(column, names)} of X runs from {lowest[column]:.6g} to "
            f"{highest[column]:.6g}, but {reason}."
        )


def cure(X, parameters, names, term="reconstruction"):
    """Say what to change after training failed, the likeliest first.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    parameters : types.SimpleNamespace
    names : sequence of str or None
    term : {"reconstruction", "penalty"}
        The term of the objective that went wrong.
    """
    cures = [
        f"lower {name} (now {getattr(parameters, name):g})"
        for name in ("learning_rate_init", "lam", "weight_decay", "noise_std")
        if getattr(parameters, name) > 0
    ]
    if term == "penalty" and parameters.lam > 0:
        cures.insert(0, cures.pop(1))
    spread = X.std(axis=0, dtype=np.float64)
    widest = int(spread.argmax())
    if parameters.warm_start:
        cures.append("start anew with warm_start=False")
    if parameters.output_activation == "sigmoid" and (X.min() < 0 or X.max() > 1):
        cures.insert(
            0,
            "scale the columns to [0, 1], as MinMaxScaler does, which is all that "
            "output_activation='sigmoid' can reach",
        )
    elif spread[widest] > 0 and not 0.01 <= spread[widest] <= 100:
        cures.insert(
            0,
            "bring the columns to a common scale, as StandardScaler does (column "
            f"{_label(widest, names)} has a standard deviation of "
            f"{spread[widest]:.3g})",
        )
    first, *others = cures
    return f"{first[0].upper()}{first[1:]}; else {', or '.join(others)}."


def compare_with_means(loss, means_loss, unit, advise):
    """Refuse what reconstructs worse than the column means, warn of what equals them.

    Parameters
    ----------
    loss, means_loss : float
        Of the fitted model and of the column means, per cell.
    unit : float
        What training counted in; not ``means_loss`` where the columns do not vary.
    advise : callable
        ``term -> str``, see :func:`cure`.
    """
    # one percent is what the last steps of a collapsed network may jitter
    if loss > 1.01 * max(means_loss, unit):
        raise ValueError(
            "Training ended with a model that reconstructs its own training rows "
            f"worse than their column means. {advise('reconstruction')}"
        )
    if means_loss == unit and loss > 0.999 * means_loss:
        warnings.warn(
            "The code has collapsed: the model reconstructs its training rows no "
            f"better than their column means. {advise('penalty')} In a deep network, "
            "use fewer hidden_layer_sizes, or activation='tanh'.",
            ConvergenceWarning,
            stacklevel=5,
        )


def _label(column, names):
    return column if names is None else repr(names[column])
