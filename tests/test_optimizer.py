import pytest
import torch

from skcae._core import optimizer
from skcae._core.optimizer import Adam


def steps(adam, parameters, gradient, n_steps=20):
    for i in range(n_steps):
        gradient.copy_(torch.sin(parameters * (i + 1)))
        adam.step(1e-2 / (i + 1))
    return parameters


def start():
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(1037, generator=generator)
    return parameters, torch.zeros_like(parameters)


def test_steps_are_those_of_torch():
    parameters, gradient = start()
    ours = steps(Adam(parameters, gradient), parameters, gradient)
    theirs, gradient = start()
    theirs.grad = gradient
    adam = torch.optim.Adam([theirs], fused=True)

    def step(learning_rate):
        adam.param_groups[0]["lr"] = learning_rate
        adam.step()

    adam_like = type("", (), {"step": staticmethod(step)})
    assert torch.equal(ours, steps(adam_like, theirs, gradient))


def changed_signature(parameters, gradients):
    pass


def changed_meaning(parameters, *args, **kwargs):
    parameters[0].mul_(0.9)


@pytest.mark.parametrize("kernel", [None, changed_signature, changed_meaning])
def test_without_the_private_kernel_steps_are_the_same_to_the_last_bit(
    kernel, monkeypatch
):
    parameters, gradient = start()
    expected = steps(Adam(parameters, gradient), parameters, gradient)
    optimizer._private_kernel_works.cache_clear()
    assert optimizer._private_kernel_works()
    monkeypatch.setattr(optimizer, "_fused_adam", kernel)
    optimizer._private_kernel_works.cache_clear()
    assert not optimizer._private_kernel_works()
    parameters, gradient = start()
    adam = Adam(parameters, gradient)
    assert torch.equal(steps(adam, parameters, gradient), expected)
    assert adam.state["steps"] == 20
    optimizer._private_kernel_works.cache_clear()


def test_state_is_a_copy_and_leads_on_exactly():
    parameters, gradient = start()
    adam = Adam(parameters, gradient)
    steps(adam, parameters, gradient, 3)
    state, weights = adam.state, parameters.clone()
    expected = steps(adam, parameters, gradient, 3).clone()
    assert state["steps"] == 3
    kept = {name: value.copy() for name, value in state.items()}
    other = Adam(weights, gradient, state)
    assert torch.equal(steps(other, weights, gradient, 3), expected)
    # nor do later steps write into what they started from
    assert all((state[name] == kept[name]).all() for name in kept)
    snapshot = adam.snapshot()
    before = adam.state
    steps(adam, parameters, gradient, 2)
    adam.restore(snapshot)
    steps(adam, parameters, gradient, 2)
    adam.restore(snapshot)
    assert all((adam.state[name] == before[name]).all() for name in before)
