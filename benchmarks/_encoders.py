"""The encoders of Rifai et al. 2011 on MNIST: parameters, and candidates for them."""

from functools import partial

import joblib

from benchmarks._rows import name_of, put
from skcae import ContractiveAutoencoder

UNITS = 1000
# Table 1 of the paper: tied, sigmoid, cross-entropy, 1000 units; trained to the last
# epoch, two minutes on a core
_PAPER = {
    "hidden_layer_sizes": (),
    "activation": "sigmoid",
    "output_activation": "sigmoid",
    "loss": "log_loss",
    "lam": 0,
    "batch_size": 100,
    "learning_rate_init": 0.003,
    "max_iter": 25,
    "tol": 0,
    "n_iter_no_change": 1000,
    "contamination": 0.1,  # the cheap threshold: none is used here
}
# What each model may be, before the images that validate choose. A rate is that of
# the fine-tuning; the other names are the estimator's.
CANDIDATES = {
    "MLP": [{"rate": rate} for rate in (0.001, 0.003, 0.01)],
    "AE": [{"rate": rate} for rate in (0.001, 0.003, 0.01)],
    "AE + weight decay": [{"weight_decay": decay} for decay in (0.01, 0.1, 1)],
    "DAE, Gaussian": [{"noise_std": std} for std in (0.2, 0.4, 0.6)],
    "DAE, masking": [{"masking_fraction": share} for share in (0.1, 0.25, 0.5)],
    "CAE": [{"lam": lam} for lam in (0.3, 1, 3)],
}


def pretrained(folder, X, seed, device, parameters, below=()):
    """An autoencoder from the folder, or trained on X and put there.

    Parameters
    ----------
    folder : pathlib.Path
    X : ndarray of shape (n, d), float32
        Images.
    seed : int
    device : str
    parameters : dict
        What differs from the paper's.
    below : sequence of ContractiveAutoencoder
        Those whose code it encodes.

    Returns
    -------
    ContractiveAutoencoder
    """
    layer = {"layer": len(below) + 1} if below else {}
    path = folder / f"{name_of(layer | parameters | {'seed': seed})}.joblib"
    if path.exists():
        return joblib.load(path)
    for encoder in below:
        X = encoder.transform(X)
    model = ContractiveAutoencoder(
        UNITS, **_PAPER | parameters, random_state=seed, device=device
    ).fit(X)
    put(path, partial(joblib.dump, model))
    return model


def layers_of(autoencoder):
    """Weights and biases of the encoding half."""
    depth = len(autoencoder.coefs_) // 2
    return list(
        zip(
            autoencoder.coefs_[:depth],
            autoencoder.intercepts_[:depth],
            strict=True,
        )
    )
