"""What to say of a bad fit, and what to change."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skcae._checks import column_label
from skcae._table import column_deviations, column_ranges

# Times the loss of the column means. Training undoes epochs that end worse, so a model
# does so only where its output cannot reach the columns.
_USELESS = 1.5


def cure(X, parameters, names, term="reconstruction"):
    """Say what to change after training failed, the likeliest first.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    parameters : ContractiveAutoencoder
    names : sequence of str or None
    term : {"reconstruction", "penalty"}
        The term of the objective that went wrong.
    """
    cures = [
        f"lower {name} (now {getattr(parameters, name):g})"
        for name in (
            "learning_rate_init",
            "lam",
            "weight_decay",
            "noise_std",
            "masking_fraction",
            "swap_fraction",
        )
        if getattr(parameters, name) not in (0, "auto")
    ]
    if term == "penalty" and parameters.lam > 0:
        cures.insert(0, cures.pop(1))
    spread = column_deviations(X)
    lowest, highest = column_ranges(X)
    widest = int(spread.argmax())
    if parameters.warm_start:
        cures.append("start anew with warm_start=False")
    is_outside = np.any(lowest < 0) or np.any(highest > 1)
    if parameters.output_activation == "sigmoid" and is_outside:
        cures.insert(
            0,
            "scale the columns to [0, 1], as MinMaxScaler does, which is all that "
            "output_activation='sigmoid' can reach",
        )
    elif spread[widest] > 0 and not 0.01 <= spread[widest] <= 100:
        cures.insert(
            0,
            "bring the columns to a common scale, as StandardScaler does (column "
            f"{column_label(widest, names)} has a standard deviation of "
            f"{spread[widest]:.3g})",
        )
    first, *others = cures
    otherwise = f"; else {', or '.join(others)}" if others else ""
    return f"{first[0].upper()}{first[1:]}{otherwise}."


def judge(loss, baseline_loss, varies, advise):
    """Refuse a model that is of no use, and warn of one that may be of none.

    Parameters
    ----------
    loss : float
        Of the fitted model on its training rows, per cell.
    baseline_loss : float
        Of their column means.
    varies : bool
        Whether the columns vary.
    advise : callable
        ``term -> str``, see :func:`cure`.

    Raises
    ------
    ValueError
        If the model is so much worse than the column means as training would undo.
    """
    if loss > _USELESS * baseline_loss:
        raise ValueError(
            "Training ended with a model that reconstructs its own training rows "
            f"worse than their column means. {advise('reconstruction')}"
        )
    # one percent is what the last steps of a collapsed network may jitter
    if loss > 1.01 * baseline_loss:
        warnings.warn(
            "The model reconstructs its training rows worse than their column means, "
            f"over all rows. {advise('reconstruction')}",
            ConvergenceWarning,
            stacklevel=5,
        )
    elif varies and loss > 0.999 * baseline_loss:
        warnings.warn(
            "The code has collapsed: the model reconstructs its training rows no "
            f"better than their column means. {advise('penalty')} In a deep network, "
            "use fewer hidden_layer_sizes, or activation='tanh'.",
            ConvergenceWarning,
            stacklevel=5,
        )
