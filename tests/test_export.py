import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

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


def fitted(X, **parameters):
    defaults = {"hidden_layer_sizes": (20,), "max_iter": 2, "random_state": 0}
    return ContractiveAutoencoder(12, **defaults | parameters).fit(X)


def trained_further(model, X):
    """A module of the model after some steps, in float64."""
    module = model.to_module().double()
    rows = torch.from_numpy(X)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        (module(rows) - rows).square().mean().backward()
        optimizer.step()
    return module


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_weights_come_back(tied, contamination, digits):
    X, held_out, *_ = digits
    X, held_out = X + 100, held_out + 100  # what the network subtracts and adds
    model = fitted(X, tied_weights=tied, contamination=contamination)
    before = model.score_samples(held_out)
    module = trained_further(model, X)
    assert model.set_weights(module, X) is model
    with torch.no_grad():
        codes = module.encoder(torch.from_numpy(held_out)).numpy()
        restored = module(torch.from_numpy(held_out)).numpy()
    np.testing.assert_allclose(model.transform(held_out), codes, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        model.inverse_transform(model.transform(held_out)), restored, atol=1e-4
    )
    assert np.abs(model.score_samples(held_out) - before).mean() > 1e-3
    outliers = (model.predict(X) == -1).mean()
    assert abs(outliers - 0.1) < 1e-3 if contamination == 0.1 else 0 < outliers < 0.1
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(held_out), model.predict(held_out))


def test_weights_go_round_and_change_nothing_but_rounding(digits):
    X, held_out, *_ = digits
    model = fitted(X)
    before = model.transform(held_out), model.offset_
    model.set_weights(copy.deepcopy(model.to_module()), X)
    np.testing.assert_allclose(model.transform(held_out), before[0], atol=1e-5)


def test_without_rows_there_is_no_threshold_until_one_is_assigned_or_learnt(digits):
    X, *_ = digits
    model = fitted(X)
    module = trained_further(model, X)
    model.set_weights(module)
    assert np.isnan(model.offset_)
    with pytest.raises(ValueError, match="no threshold.*Give it X, or assign offset_"):
        model.predict(X)
    model.partial_fit(X)
    assert model.predict(X).mean() > 0.5
    model.offset_ = -1.5
    model.set_weights(module).partial_fit(X)
    assert model.offset_ == -1.5
    model.set_weights(module, X)
    assert model.offset_ != -1.5


def test_training_goes_on_from_the_weights_that_came_back(digits):
    X, *_ = digits
    model = fitted(X, warm_start=True, max_iter=1, learning_rate_init=1e-9)
    module = trained_further(model, X)
    codes = model.set_weights(module, X).transform(X)
    np.testing.assert_allclose(model.fit(X).transform(X), codes, atol=1e-5)
    model.partial_fit(X)
    np.testing.assert_allclose(model.transform(X), codes, atol=1e-5)


def untied(module):
    module.encoder[0] = copy.deepcopy(module.encoder[0])


def not_finite(module):
    module.decoder[0].bias.data[3] = float("nan")


def too_large(module):
    module.double().encoder[0].weight.data[3] = 1e200


def of_another_activation(module):
    module.encoder[1] = nn.Tanh()


def narrower(module):
    module.encoder[0] = nn.Linear(64, 19)


def deeper(module):
    module.decoder.append(nn.Linear(64, 64))


def complex_(module):
    module.to(torch.complex64)


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (untied, "must have tied weights"),
        (not_finite, "must have finite parameters"),
        (too_large, "must have finite parameters in float32"),
        (of_another_activation, r"'\(1\): ReLU\(\)' is '\(1\): Tanh\(\)'"),
        (narrower, "in_features=64, out_features=19"),
        (deeper, "is '.4.: Linear"),
        (complex_, "must have real parameters; one is of torch.complex64"),
    ],
)
def test_what_is_not_the_model_is_refused_and_leaves_it_alone(change, message, digits):
    X, *_ = digits
    model = fitted(X[:200])
    before, offset = model.transform(X), model.offset_
    module = model.to_module()
    change(module)
    with pytest.raises(ValueError, match=message):
        model.set_weights(module, X)
    np.testing.assert_array_equal(model.transform(X), before)
    assert model.offset_ == offset


def test_any_other_object_is_refused(digits):
    model = fitted(digits[0][:200])
    for other in (nn.Linear(64, 12), model.to_module().encoder, None):
        with pytest.raises(ValueError, match="module must have the layers"):
            model.set_weights(other)
