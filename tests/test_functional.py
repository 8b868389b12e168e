import functools
import math

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from skcae import functional
from skcae._core.activations import ACTIVATIONS
from skcae.functional import jacobian_penalty

# torch's forward mode loads code that warns
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def stack(widths, activation, last=nn.Identity, dtype=torch.float64):
    layers = []
    for index, (n_in, n_out) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        is_last = index == len(widths) - 2
        layers += [nn.Linear(n_in, n_out), (last if is_last else activation)()]
    return nn.Sequential(*layers).to(dtype)


def brute_force(f, x):
    """Squared norms by the Jacobian of each row, and outputs; for autograd."""
    jacobians = vmap(jacrev(lambda row: f(row[None])[0]))(x)
    return jacobians.square().reshape(len(x), -1).sum(1), f(x)


def grads(penalty, output, inputs, create_graph=False):
    loss = penalty + output.square().mean()
    return torch.autograd.grad(
        loss, inputs, create_graph=create_graph, retain_graph=True
    )


def assert_as_brute_force(f, x, twice=True):
    """Values, gradients and gradients of gradients, for every reduction and norm."""
    x = x.clone().requires_grad_()
    inputs = [*(f.parameters() if isinstance(f, nn.Module) else ()), x]
    truth, truth_output = brute_force(f, x)
    root = truth.clamp(min=1e-300).sqrt()  # flat at zero
    close = functools.partial(torch.testing.assert_close, rtol=1e-8, atol=1e-10)
    for norm, norms in (("squared_frobenius", truth), ("frobenius", root)):
        for reduction in ("mean", "sum", "none"):
            penalty, output = jacobian_penalty(f, x, norm=norm, reduction=reduction)
            close(output, truth_output)
            wanted = norms if reduction == "none" else getattr(norms, reduction)()
            close(penalty, wanted)
            # rows that count differently, where they are told apart
            weights = torch.arange(1.0, len(x) + 1, dtype=x.dtype)
            if reduction == "none":
                penalty, wanted = penalty @ weights, wanted @ weights
            close(grads(penalty, output, inputs), grads(wanted, truth_output, inputs))
            if twice:
                pairs = ((penalty, output), (wanted, truth_output))
                ours, theirs = (
                    sum(
                        g.square().sum()
                        for g in grads(value, of, inputs, create_graph=True)
                    )
                    for value, of in pairs
                )
                close(
                    torch.autograd.grad(ours, inputs, retain_graph=True),
                    torch.autograd.grad(theirs, inputs, retain_graph=True),
                )


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(5, 7), (6, 4, 3), (9, 4, 6), (5, 7, 6, 3)])
@pytest.mark.parametrize("bends", [True, False])
def test_stacks_match_brute_force(widths, name, bends, monkeypatch):
    monkeypatch.setattr(functional, "_of_function", None)  # a closed form does it
    module = ACTIVATIONS[name].module
    f = stack(widths, module, module if bends else nn.Identity)
    assert_as_brute_force(f, torch.randn(6, widths[0], dtype=torch.float64))


WEIGHT = torch.linspace(-1, 1, 24, dtype=torch.float64).sin().view(4, 6)


def tied(x):
    return nn.functional.gelu(x @ WEIGHT.T) @ WEIGHT


OTHERS = {
    "convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.SiLU(), nn.Flatten(), nn.Linear(18, 4)
        ),
        (1, 5, 5),
    ),
    "output that is an image, wider than the row": (
        lambda: nn.Sequential(
            nn.Linear(4, 9),
            nn.GELU(),
            nn.Unflatten(1, (1, 3, 3)),
            nn.ConvTranspose2d(1, 2, 2),
        ),
        (4,),
    ),
    "LayerNorm": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh()),
        (6,),
    ),
    "Softplus of another beta": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.Softplus(beta=3)),
        (6,),
    ),
    "BatchNorm in evaluation mode": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh()).eval(),
        (6,),
    ),
    "activation in front": (lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 5)), (6,)),
    "function": (lambda: tied, (6,)),
    "rows that are numbers": (lambda: torch.sin, ()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_matches_brute_force(name):
    make, shape = OTHERS[name]
    f = make()
    if isinstance(f, nn.Module):
        f = f.double()
    assert functional._linear_stack(f) is None
    assert_as_brute_force(f, torch.randn(3, *shape, dtype=torch.float64), twice=False)


WRAPPED = {
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True)), nn.Linear(5, 3)
    ),
    "two maps in a row": lambda: nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)),
    "without bias": lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh()),
    "one layer": lambda: nn.Linear(6, 5),
    "idle dropout": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.Dropout(0.5).eval(), nn.Tanh()
    ),
    "parametrised": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.Tanh()
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_stacks_are_recognised_in_every_dress(name):
    f = WRAPPED[name]().double()
    assert functional._linear_stack(f) is not None
    assert_as_brute_force(f, torch.randn(4, 6, dtype=torch.float64))


def test_images_are_flattened_and_positions_are_rows_of_their_own():
    f = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh()).double()
    assert_as_brute_force(f, torch.randn(4, 2, 3, dtype=torch.float64))
    assert_as_brute_force(f[1:], torch.randn(4, 3, 6, dtype=torch.float64))


def test_a_layer_with_a_hook_is_called():
    f = stack((6, 5, 3), nn.Tanh)
    f[0].register_forward_hook(lambda module, args, output: 2 * output)
    assert_as_brute_force(f, torch.randn(4, 6, dtype=torch.float64))


@pytest.mark.parametrize("make", [lambda: stack((6, 8, 4), nn.Tanh), lambda: tied])
@pytest.mark.parametrize("n_probes", [1, 5])
def test_hutchinson_is_unbiased_with_the_variance_of_theory(make, n_probes):
    f, x = make(), torch.randn(1, 6, dtype=torch.float64)
    jacobian = jacrev(lambda row: f(row[None])[0])(x[0])
    jacobian, n = jacobian.detach(), 4000
    gram = jacobian @ jacobian.T
    # Var = 2 (||J J'||_F^2 - sum of squared diagonal entries)
    variance = 2 * (gram.square().sum() - gram.diagonal().square().sum()) / n_probes
    estimates, _ = jacobian_penalty(
        f,
        x.expand(n, -1),
        method="hutchinson",
        n_probes=n_probes,
        reduction="none",
        generator=torch.Generator().manual_seed(0),
    )
    estimates = estimates.detach()
    error = estimates.mean() - gram.trace()
    assert abs(error) < 4 * math.sqrt(variance / n)
    assert estimates.var().item() == pytest.approx(variance.item(), rel=0.15)


@pytest.mark.parametrize("n_probes", [1, 3])
@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: lambda x: f(x)])
def test_gradient_of_an_estimate_is_that_of_its_value(wrap, n_probes):
    f, x = stack((5, 6, 4, 3), nn.SiLU, nn.SiLU), torch.randn(4, 5, dtype=torch.float64)
    inputs = list(f.parameters())

    def penalty(function, reduction="sum"):
        return jacobian_penalty(
            function,
            x,
            method="hutchinson",
            n_probes=n_probes,
            generator=torch.Generator().manual_seed(1),
            reduction=reduction,
        )[0]

    signs = torch.empty(n_probes, 4, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    signs.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
    jacobians = vmap(jacrev(lambda row: f(row[None])[0]))(x)
    expected = torch.einsum("pno,noi->pni", signs, jacobians).square().sum((0, 2))
    expected = expected / n_probes
    torch.testing.assert_close(penalty(wrap(f), "none"), expected)
    torch.testing.assert_close(
        torch.autograd.grad(penalty(wrap(f)), inputs, materialize_grads=True),
        torch.autograd.grad(expected.sum(), inputs, materialize_grads=True),
    )


def test_global_random_state_is_left_alone_where_a_generator_is_given():
    f, x = stack((5, 6, 4), nn.Tanh), torch.randn(4, 5, dtype=torch.float64)
    before = torch.get_rng_state()
    for function in (f, lambda x: f(x)):
        for method in ("exact", "hutchinson"):
            jacobian_penalty(function, x, method=method, generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_output_and_jacobian_see_one_draw_of_dropout():
    dropout = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)).double()
    with torch.no_grad():
        dropout[0].weight.copy_(torch.eye(6))
        dropout[0].bias.zero_()
    x = torch.ones(7, 6, dtype=torch.float64)
    norms, output = jacobian_penalty(dropout, x, reduction="none")
    torch.testing.assert_close(norms, output.square().sum(1))
    # wider than the row, where forward mode would draw anew
    norms, output = jacobian_penalty(
        lambda x: dropout(x).repeat(1, 2), x, reduction="none"
    )
    torch.testing.assert_close(norms, output.square().sum(1))


@pytest.mark.parametrize("widths", [(5, 8, 3), (3, 8, 5)])
def test_chunks_change_nothing(widths):
    f = stack(widths, nn.GELU)
    x = torch.randn(4, widths[0], dtype=torch.float64)
    for options in ({}, {"method": "hutchinson", "n_probes": 5}):
        parts = [
            jacobian_penalty(
                f, x, chunk_size=size, generator=torch.Generator(), **options
            )[0]
            for size in (None, 2)
        ]
        torch.testing.assert_close(*parts)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nothing_is_kept_for_a_gradient_without_grad_mode(activation, mode):
    f, x = stack((5, 6, 4), activation), torch.randn(4, 5, dtype=torch.float64)
    with mode():
        penalty, output = jacobian_penalty(f, x)
    assert not penalty.requires_grad and not output.requires_grad
    torch.testing.assert_close(penalty, brute_force(f, x)[0].mean())


def test_gradient_of_the_root_is_finite_where_the_jacobian_is_zero():
    f, x = stack((5, 4), nn.ReLU, nn.ReLU), torch.randn(3, 5, dtype=torch.float64)
    nn.init.constant_(f[0].bias, -100)
    penalty, _ = jacobian_penalty(f, x, norm="frobenius")
    penalty.backward()
    assert penalty == 0 and not f[0].weight.grad.any()


@pytest.mark.parametrize("activation", [nn.SiLU, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_autocast_squares_in_full_precision(activation, method):
    f = stack((20, 16, 4), activation, activation, dtype=torch.float32)
    x = torch.randn(8, 20)

    def penalty():
        generator = torch.Generator().manual_seed(0)
        return jacobian_penalty(f, x, method=method, generator=generator)

    with torch.autocast("cpu", torch.bfloat16):
        low, output = penalty()
    (low + output.float().square().mean()).backward()
    assert output.dtype == torch.bfloat16 and low.dtype == torch.float32
    assert f[0].weight.grad.isfinite().all()
    torch.testing.assert_close(low, penalty()[0], rtol=0.05, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [nn.SiLU, nn.GELU])
def test_other_types_stay_what_they_are(dtype, activation):
    f, x = stack((5, 6, 4), activation, dtype=dtype), torch.randn(4, 5, dtype=dtype)
    for method in ("exact", "hutchinson"):
        penalty, output = jacobian_penalty(f, x, method=method)
        penalty.backward()
        assert penalty.dtype == output.dtype == dtype


def test_works_under_compile_without_a_break():
    f, x = stack((5, 6, 4, 3), nn.Tanh, nn.SiLU), torch.randn(4, 5).double()

    def loss(x):
        penalty, output = jacobian_penalty(f, x)
        return penalty + output.square().mean()

    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(
        torch.autograd.grad(compiled(x), f.parameters()),
        torch.autograd.grad(loss(x), f.parameters()),
    )
    torch.compiler.reset()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU])
def test_transforms_of_torch_pass_through_rows_told_apart(activation):
    f, x = stack((5, 6, 4), activation), torch.randn(4, 5, dtype=torch.float64)

    def penalty(x):
        return jacobian_penalty(f, x, reduction="none")[0].sum()

    expected = torch.func.grad(lambda x: brute_force(f, x)[0].sum())(x)
    torch.testing.assert_close(torch.func.grad(penalty)(x), expected)


def test_a_compiled_module_is_taken():
    f, x = stack((5, 6, 4), nn.Tanh), torch.randn(4, 5, dtype=torch.float64)
    compiled = torch.compile(f, backend="eager")
    torch.testing.assert_close(
        jacobian_penalty(compiled, x)[0], jacobian_penalty(f, x)[0]
    )
    torch.compiler.reset()


def test_weight_of_two_layers_gets_both_gradients():
    layer = nn.Linear(5, 5).double()
    f = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh())
    assert_as_brute_force(f, torch.randn(4, 5, dtype=torch.float64))


BATCH_NORM = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    "f",
    [
        BATCH_NORM,
        BATCH_NORM.forward,
        functools.partial(BATCH_NORM),
        nn.BatchNorm1d(5, track_running_stats=False).eval(),
    ],
)
def test_rows_that_are_mixed_are_refused(f):
    with pytest.raises(ValueError, match="BatchNorm1d.*Jacobian of one row is not def"):
        jacobian_penalty(f, torch.randn(4, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f": 3}, "f must be a module or function; got 3"),
        (
            {"x": torch.ones(4, 5, dtype=torch.int64)},
            "x must be a tensor of a floating",
        ),
        ({"x": [[1.0]]}, "x must be a tensor of a floating"),
        ({"x": torch.tensor(1.0)}, "x must be a tensor of a floating"),
        ({"x": torch.ones(0, 5)}, "x must have at least one row"),
        ({"x": torch.ones(5)}, "x must have an axis of rows before that of columns"),
        ({"method": "trace"}, "method must be 'exact' or 'hutchinson'; got 'trace'"),
        ({"norm": "nuclear"}, "norm must be"),
        ({"reduction": None}, "reduction must be"),
        ({"n_probes": 0}, "n_probes must be an int >= 1; got 0"),
        ({"chunk_size": 0}, "chunk_size must be an int >= 1; got 0"),
        ({"generator": 0}, "generator must be a torch.Generator; got 0"),
        ({"f": lambda x: x.sum()}, r"an output for each of the 4 rows; got shape \(\)"),
        ({"f": lambda x: x[:2]}, "an output for each of the 4 rows"),
    ],
)
def test_bad_input_is_named(change, message):
    valid = {"f": nn.Linear(5, 3), "x": torch.ones(4, 5)} | change
    f, x = valid.pop("f"), valid.pop("x")
    with pytest.raises(ValueError, match=message):
        jacobian_penalty(f, x, **valid)


def test_a_function_of_several_outputs_is_refused():
    with pytest.raises(TypeError, match="f must return one tensor; got tuple"):
        jacobian_penalty(lambda x: (x, x), torch.ones(4, 5))
