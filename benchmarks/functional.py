"""What a step with ``jacobian_penalty`` costs, as ratios of interleaved pairs.

A step is the penalty, a loss of the output, and the gradient of both. The rivals are
JacobianReg's exact loop (Hoffman, Roberts, Yaida 2019), one backward pass for each
output, and the whole Jacobian by ``torch.func``: ``vmap`` of ``jacrev``, or of
``jacfwd`` where the output is wider than the row. Below 1 is faster than the rival.
Values and gradients of both are compared first. The command fails where a median is
above its bar.

Where there is a closed form, the bar is a fifth. Deeper stacks have to multiply
matrices for each row, exactly, and with few outputs so does the loop: its extra work is
the product with the lowest weights, which the Gram matrix of these replaces.

    python -m benchmarks.functional               about three minutes on two cores
    python -m benchmarks.functional --only loop   rows whose name has the word
"""

import warnings
from functools import partial

import torch
from torch import nn
from torch.func import jacfwd, jacrev, vmap

from benchmarks._report import conclude, parser, setting
from benchmarks.speed import Contest, measure, name_of
from skcae.functional import jacobian_penalty


def loop(f, x):
    """One backward pass for each output, as JacobianReg takes it."""
    x = x.clone().requires_grad_()
    output = f(x)
    penalty = 0
    for unit in range(output.shape[1]):
        direction = torch.zeros_like(output)
        direction[:, unit] = 1
        (rows,) = torch.autograd.grad(output, x, direction, create_graph=True)
        penalty = penalty + rows.square().sum() / len(x)
    return penalty, output


def whole_jacobian(transform, f, x):
    """The Jacobian of each row, by torch.func."""
    jacobians = vmap(transform(lambda row: f(row[None])[0]))(x)
    return jacobians.square().sum() / len(x), f(x)


def stack(widths, activation, last):
    """Linear layers with an activation behind each."""
    layers = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1], last())


def step(penalty_of, f, x):
    """Gradients of a loss of the output plus the penalty, and the penalty."""
    penalty, output = penalty_of(f, x)
    loss = output.square().mean() + penalty
    return torch.autograd.grad(loss, list(f.parameters())), penalty


def check(f, x, penalty_of):
    """Both agree in float64."""
    f, x = f.double(), x[:8].double()
    close = partial(torch.testing.assert_close, rtol=1e-8, atol=1e-10)
    close(step(jacobian_penalty, f, x), step(penalty_of, f, x))
    f.float()


def contest(name, bar, f, x, rival, n_steps=1, **options):
    """Steps of ours against as many of the rival's."""
    if not options:
        check(f, x, rival)

    def steps(penalty_of):
        for _ in range(n_steps):
            step(penalty_of, f, x)

    ours = partial(jacobian_penalty, **options)
    calls = partial(steps, ours), partial(steps, rival)
    return Contest(name, bar, *calls, n_steps, n_steps)


def contests():
    """Every row, built when it is reached."""
    for widths, activation, last, n, bar in (
        ((784, 256), nn.Sigmoid, nn.Sigmoid, 128, 1 / 5),
        ((30, 64, 30), nn.SiLU, nn.Identity, 256, 1 / 5),
        ((784, 256, 10), nn.Tanh, nn.Identity, 512, 1 / 5),
        ((30, 64, 8), nn.SiLU, nn.SiLU, 256, 1 / 2),
        ((784, 256, 128, 64), nn.SiLU, nn.SiLU, 128, 1 / 2.5),
        ((784, 256, 128, 10), nn.ReLU, nn.Identity, 128, 1 / 1.5),
    ):
        f, x = stack(widths, activation, last), torch.randn(n, widths[0])
        yield contest(f"{name_of(widths)}, exact / loop", bar, f, x, loop)
    f, x = stack((784, 256, 128, 64), nn.SiLU, nn.SiLU), torch.randn(128, 784)
    name = "784-256-128-64, one probe / loop"
    yield contest(name, 1 / 15, f, x, loop, method="hutchinson")
    convolution = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.SiLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(144, 10),
    )
    normalised = nn.Sequential(
        nn.Linear(30, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10)
    )
    images, rows, codes = (
        torch.randn(64, 1, 16, 16),
        torch.randn(256, 30),
        torch.randn(128, 8),
    )
    backward = partial(whole_jacobian, jacrev)
    forward = partial(whole_jacobian, jacfwd)
    decoder = stack((8, 64, 100), nn.GELU, nn.Identity)
    yield contest("convolutions, exact / loop", 1, convolution, images, loop, 5)
    yield contest(
        "convolutions, exact / jacrev", 1.05, convolution, images, backward, 10
    )
    yield contest("LayerNorm, exact / jacrev", 1.05, normalised, rows, backward, 20)
    yield contest("decoder, exact / jacfwd", 1.05, decoder, codes, forward, 20)


def main():
    """Print the table, and fail if a bar is missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", default="", help="a word of the rows to measure")
    arguments.add_argument("--pairs", type=int, default=9, help="interleaved pairs")
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.manual_seed(0)
    # of the code that forward mode loads
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
    conditions = setting(threads=options.threads, pairs=options.pairs)
    print(f"{'ours / rival':56}{'median':>7} {'bar':>7} {'':7}{'range':>13} ours, s")
    rows = [
        measure(row, options.pairs, options.threads)
        for row in contests()
        if options.only in row.name
    ]
    conclude(options.out, conditions, rows)


if __name__ == "__main__":
    main()
