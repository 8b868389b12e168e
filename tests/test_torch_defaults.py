"""Torch's default dtype and device, which users set for their own, play no part."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from skcae import ContractiveAutoencoder, inspection, metrics
from skcae.anomaly import AnomalyDetector, explain, p_values


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


DEFAULTS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    # a device that holds no numbers
    "meta": lambda: torch.device("meta"),
}


def everything(X):
    """What every public method and function gives for a new model, as arrays."""
    model = ContractiveAutoencoder(
        4, hidden_layer_sizes=(8,), noise_std=0.1, max_iter=3, random_state=0
    )
    yield model.fit_transform(X)
    yield model.partial_fit(X).score_samples(X)
    yield model.inverse_transform(model.transform(X))
    yield model.feature_errors(X)
    yield model.jacobian(X)
    yield model.contraction(X)
    yield from model.coefs_
    module = model.to_module()
    assert next(module.parameters()).dtype == torch.float32
    rows = torch.tensor(X, dtype=torch.float32, device="cpu")
    yield module(rows).detach().numpy()
    yield inspection.saturation(model, X)
    yield inspection.tangent_vectors(model, X).to_numpy()
    yield inspection.lambda_path(model, X, [0.1, 1], cv=2).table.to_numpy()
    yield np.array(metrics.denoising_score(model, X))
    yield explain(model, X[:3], X)["contribution"].to_numpy(float)
    yield p_values(model, X, X).to_numpy()
    hutchinson = model.set_params(penalty_method="hutchinson", early_stopping=True)
    yield hutchinson.fit(X).score_samples(X)
    yield AnomalyDetector(model, random_state=0).fit(X).score_samples(X)


@pytest.mark.filterwarnings("ignore:The best λ")
@pytest.mark.parametrize("name", DEFAULTS)
def test_everything_is_the_same_under_other_defaults(name, rng):
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 6))
    expected = list(everything(X))
    with DEFAULTS[name]():
        results = list(everything(X))
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)
