"""Rows on a curved surface, and models of them."""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

LOADINGS = np.random.default_rng(7).standard_normal((3, 12))


def draw(rng, n):
    """Rows on a curved surface in twelve columns, with noise."""
    rows = np.tanh(rng.standard_normal((n, 3)) @ LOADINGS)
    return rows + 0.1 * rng.standard_normal(rows.shape)


def scaled_autoencoder(**parameters):
    model = ContractiveAutoencoder(**{"max_iter": 30, "random_state": 0} | parameters)
    return make_pipeline(StandardScaler(), model)
