"""The encoders of Rifai et al. 2011 on MNIST: parameters, and candidates for them."""

import joblib

from skcae import ContractiveAutoencoder

# Table 1 of the paper: tied, sigmoid, cross-entropy, 1000 units; trained to the last
# epoch, in two minutes on a core
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
UNITS = 1000
# What each model may be, before the images that validate choose. A rate is that of
# the fine-tuning; the other names are the estimator's.
CANDIDATES = {
    "MLP": [{"rate": 0.001}, {"rate": 0.003}],
    "AE": [{"rate": 0.001}, {"rate": 0.003}],
    "AE + weight decay": [{"weight_decay": decay} for decay in (0.01, 0.1, 1)],
    "DAE, Gaussian": [{"noise_std": std} for std in (0.2, 0.4, 0.6)],
    "CAE": [{"lam": lam} for lam in (0.3, 1, 3)],
}


def name_of(parameters):
    """Short and readable, for a file: "lam=1 seed=0"."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def pretrained(folder, X, seed, device, parameters, *, below=()):
    """An encoder from the folder, or trained on X and put there.

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
        Encoders whose code is to be encoded.

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
    unfinished = path.with_suffix(".part")
    joblib.dump(model, unfinished)
    unfinished.rename(path)
    return model
