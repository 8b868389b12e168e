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
