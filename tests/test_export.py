import numpy as np
import pytest
import torch

from skcae import ContractiveAutoencoder


@pytest.mark.parametrize("tied", [True, False])
def test_module_is_the_same_network(tied, digits):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(
        12,
        hidden_layer_sizes=(20,),
        code_activation="tanh",
        tied_weights=tied,
        max_iter=3,
        random_state=0,
    ).fit(X)
    module = model.to_module()
    rows = torch.from_numpy(held_out).float()
    codes = module.encoder(rows)
    np.testing.assert_allclose(
        codes.detach(), model.transform(held_out), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        module(rows).detach(),
        model.inverse_transform(model.transform(held_out)),
        rtol=1e-4,
        atol=1e-4,
    )
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert n_parameters == (64 * 20 + 20 * 12) * (1 if tied else 2) + 20 + 12 + 20 + 64


def test_module_trains_on_and_leaves_the_estimator_alone(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=2, random_state=0).fit(X)
    before = model.score_samples(X)
    module = model.to_module()
    rows = torch.from_numpy(X).float()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (module(rows) - rows).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_array_equal(model.score_samples(X), before)


def test_module_saves_and_loads_its_state(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=1, random_state=0).fit(X)
    first, second = model.to_module(), model.to_module()
    rows = torch.from_numpy(X[:5]).float()
    for parameter in second.parameters():
        parameter.data.zero_()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(rows), second(rows), rtol=0, atol=0)
