"""Which units of the code hardly react any more."""

import numpy as np
import torch

from skcae._checks import check_positive
from skcae._core import threads
from skcae._core.activations import ACTIVATIONS
from skcae._pipeline import Inputs
from skcae._typing import Model, Table


def saturation(estimator: Model, X: Table, *, threshold: float = 0.19) -> np.ndarray:
    """Compute the share of each row's code units that hardly react any more.

    A unit contracts by small weights or by saturation, where its activation is flat.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    threshold : float in (0, 1], default=0.19
        A unit is saturated where the absolute derivative of its activation is below
        this share of the activation's largest. 0.19 is a sigmoid below 0.05 or
        above 0.95, the criterion of Rifai et al. [1]_.

    Returns
    -------
    shares : ndarray of shape (n_samples,)
        Between 0 and 1. 0 for ``code_activation="identity"``; for "relu", the
        share of the units that are off.

    See Also
    --------
    jacobian_spectrum : How many directions the code follows.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011).
       Contractive auto-encoders: explicit invariance during feature extraction.
       ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import saturation
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(
    ...     3, code_activation="sigmoid", max_iter=5, random_state=0
    ... ).fit(X)
    >>> saturation(model, X).shape
    (150,)
    """
    check_positive("threshold", threshold, high=1)
    inputs = Inputs(estimator, X)
    inputs.encode(inputs.rows[:1])  # refuses what transform refuses
    encoder = inputs.autoencoder.to_module().encoder.double()
    activation = next(
        record
        for record in ACTIVATIONS.values()
        if isinstance(encoder[-1], record.module)
    )
    with threads.one(), torch.inference_mode():
        # the module rounds the biases; the first holds the columns' offsets
        for linear, bias in zip(
            encoder[::2], inputs.autoencoder.intercepts_, strict=False
        ):
            linear.bias.copy_(torch.from_numpy(bias))
        # a copy: torch refuses negative strides
        rows = torch.from_numpy(np.array(inputs.rows, order="C"))
        _, derivative, _ = activation.derivatives(encoder[:-1](rows))
    if derivative is None:
        return np.zeros(len(rows))
    limit = threshold * activation.largest_derivative
    return np.mean(derivative.abs().numpy() < limit, axis=1)
