"""The contraction penalty for anybody's torch module or function."""

import functools
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import jvp, vjp, vmap

from skcae import _checks
from skcae._core.activations import ACTIVATIONS
from skcae._core.network import Layer
from skcae._core.penalties import PENALTIES, choose

__all__ = ["jacobian_penalty"]

_IDENTITY = ACTIVATIONS["identity"]


def jacobian_penalty(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    method: Literal["exact", "hutchinson"] = "exact",
    n_probes: int = 1,
    norm: Literal["squared_frobenius", "frobenius"] = "squared_frobenius",
    generator: torch.Generator | None = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
    chunk_size: int | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Norm of a function's Jacobian at every row, to be minimised by autograd.

    What :class:`skcae.ContractiveAutoencoder` adds to its loss [1]_, for a loop of your
    own: ``(loss(output) + lam * penalty).backward()``.

    Parameters
    ----------
    f : torch.nn.Module or callable
        From a batch of rows to a batch of outputs, both of any shape behind the first
        axis. An output may depend on its own row only.
    x : Tensor of shape (n, ...)
        Rows, at least one, in a floating type, on any device. Those that are infinite
        or nan give nan, as elsewhere in torch.
    method : {"exact", "hutchinson"}, default="exact"
        "exact" computes the norm, "hutchinson" an unbiased estimate of its square from
        random signs [2]_, which costs one more backward pass for each probe.
    n_probes : int, default=1
        Probes a row of "hutchinson". The variance of the estimate falls as
        ``1 / n_probes``.
    norm : {"squared_frobenius", "frobenius"}, default="squared_frobenius"
        :math:`\|J\|_F^2`, the sum of the squared entries, or its root. The root of an
        estimate is biased downwards.
    generator : torch.Generator or None, default=None
        Where the probes are drawn from, on the device of ``x``. None for torch's own
        generator, which is seeded by nobody here.
    reduction : {"mean", "sum", "none"}, default="mean"
        Over rows. "none" returns the norm of each.
    chunk_size : int or None, default=None
        Directions that are pulled through ``f`` at once where there is no closed form.
        None for all; fewer take less memory as long as no gradient is asked for.

    Returns
    -------
    penalty : Tensor of shape () or, for ``reduction="none"``, (n,)
        In squared units of the output by squared units of ``x``.
    output : Tensor of shape (n, ...)
        ``f(x)`` of the same evaluation, to be used in the rest of the loss.

    Raises
    ------
    ValueError
        If a parameter is not as described, or if rows are mixed: by a module of ``f``
        that normalises over the batch, or where the output has another number of rows.
    TypeError
        If ``f`` does not return one tensor.

    See Also
    --------
    skcae.ContractiveAutoencoder : An autoencoder that is trained with this penalty.

    Notes
    -----
    A :class:`torch.nn.Sequential`, nested or not, of ``Linear``, ``Sigmoid``, ``Tanh``,
    ``ReLU``, ``Softplus``, ``SiLU`` and ``Identity`` takes the estimator's own way:
    products of matrices, with an analytic gradient. There may be a ``Flatten`` in front
    and dropout in evaluation mode, but no hooks and no other module.

    Everything else goes through :mod:`torch.func`. Where the output is wider than the
    row, forward mode replaces reverse mode if ``f`` allows it and draws no random
    numbers. The output and the Jacobian come from one draw of ``f``'s dropout.

    The penalty can be differentiated twice, but not under :func:`torch.compile`, which
    does not support it. Inside a transform of :mod:`torch.func`, a stack of linear
    layers takes ``reduction="none"`` only.

    BatchNorm in training mode is found in ``f``, in the module of a bound method and
    behind :func:`functools.partial`, but not inside another function.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011).
       Contractive auto-encoders: explicit invariance during feature extraction.
       ICML.
    .. [2] Hutchinson, M. F. (1989). A stochastic estimator of the trace of the
       influence matrix for Laplacian smoothing splines. Communications in
       Statistics 18 (3).

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from skcae.functional import jacobian_penalty
    >>> encoder = nn.Sequential(nn.Linear(30, 64), nn.SiLU(), nn.Linear(64, 8))
    >>> penalty, code = jacobian_penalty(encoder, torch.zeros(5, 30))
    >>> code.shape
    torch.Size([5, 8])
    >>> penalty.backward()
    """
    _check(f, x, method, n_probes, norm, generator, reduction, chunk_size)
    draw = functools.partial(_signs, generator=generator)
    n_probes = n_probes if method == "hutchinson" else 1
    stack = _linear_stack(f)
    if stack is not None:
        pairs, flattens = stack
        only_total = norm == "squared_frobenius" and reduction != "none"
        squares, output = _of_stack(
            pairs, flattens, x, method, n_probes, draw, only_total
        )
    else:
        squares, output = _of_function(f, x, method, n_probes, draw, chunk_size)
    # by rounding, terms that cancel may add up to less than zero
    norms = squares.clamp(min=0)
    if norm == "frobenius":
        # the gradient of a root is infinite at zero, where a norm is flat
        norms = torch.where(norms > 0, norms, 1).sqrt() * (norms > 0)
    if reduction == "none":
        return norms, output
    total = norms.sum()
    return (total / len(x) if reduction == "mean" else total), output


def _check(f, x, method, n_probes, norm, generator, reduction, chunk_size):
    if not callable(f):
        raise ValueError(f"f must be a module or function; got {f!r}.")
    if not (isinstance(x, torch.Tensor) and x.is_floating_point() and x.ndim):
        raise ValueError(
            "x must be a tensor of a floating type whose first axis counts rows; got "
            + (
                f"{x.dtype} of shape {tuple(x.shape)}."
                if torch.is_tensor(x)
                else f"{x!r}."
            )
        )
    if len(x) == 0:
        raise ValueError("x must have at least one row.")
    if x.layout != torch.strided:
        raise ValueError("x must be dense: x.to_dense().")
    _checks.check_choice("method", method, ("exact", "hutchinson"))
    _checks.check_choice("norm", norm, ("squared_frobenius", "frobenius"))
    _checks.check_choice("reduction", reduction, ("mean", "sum", "none"))
    _checks.check_count("n_probes", n_probes)
    if chunk_size is not None:
        _checks.check_count("chunk_size", chunk_size)
    if not isinstance(generator, torch.Generator | None):
        raise ValueError(f"generator must be a torch.Generator; got {generator!r}.")
    _check_rows_apart(f)


def _check_rows_apart(f):
    while isinstance(f, functools.partial):
        f = f.func
    f = getattr(f, "__self__", f)
    for name, module in f.named_modules() if isinstance(f, nn.Module) else ():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            module.training or module.running_mean is None
        ):
            where = f" {name!r}" if name else ""
            raise ValueError(
                f"{type(module).__name__}{where} normalises over the batch, which "
                "mixes rows: the Jacobian of one row is not defined. Put it into "
                "evaluation mode, or take LayerNorm or GroupNorm in its place."
            )


def _signs(like, shape, generator):
    """Independent entries of -1 or 1 in the type and on the device of a tensor."""
    signs = torch.empty(shape, dtype=like.dtype, device=like.device)
    return signs.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)


# Any function


def _of_function(f, x, method, n_probes, draw, chunk_size):
    output, pull = vjp(f, x)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"f must return one tensor; got {type(output).__name__}.")
    if output.ndim == 0 or len(output) != len(x):
        raise ValueError(
            f"f must return an output for each of the {len(x)} rows; got shape "
            f"{tuple(output.shape)}."
        )

    def pulled(vectors):
        return _row_squares(pull(vectors)[0])

    if method == "hutchinson":
        signs = draw(output, (n_probes, *output.shape))
        if n_probes == 1:
            return pulled(signs[0]), output
        return vmap(pulled, chunk_size=chunk_size)(signs).mean(0), output
    if x[0].numel() < output[0].numel():

        def pushed(vectors):
            return _row_squares(jvp(f, (x,), (vectors,))[1])

        try:
            return vmap(pushed, chunk_size=chunk_size)(_directions(x)).sum(0), output
        except RuntimeError:
            # an operation without a forward mode, or one that draws anew
            pass
    return vmap(pulled, chunk_size=chunk_size)(_directions(output)).sum(0), output


def _row_squares(vectors):
    return vectors.square().reshape(len(vectors), math.prod(vectors.shape[1:])).sum(1)


def _directions(rows):
    """Unit vectors of one row, each repeated for all, in views."""
    n, shape = len(rows), rows.shape[1:]
    size = math.prod(shape)
    unit = torch.eye(size, dtype=rows.dtype, device=rows.device)
    return unit.view(size, 1, *shape).expand(size, n, *shape)


# Linear layers and known activations


def _linear_stack(f):
    """Layers as pairs of a Linear and an Activation, and whether rows are flattened.

    None where there is more than these.
    """
    pairs, flattens = [], False
    for module in _steps(f):
        activation = _known_activation(module)
        if _is_linear(module):
            pairs.append((module, _IDENTITY))
        elif activation and pairs and pairs[-1][1] is _IDENTITY:
            pairs[-1] = pairs[-1][0], activation
        elif type(module) is nn.Flatten and not pairs:
            flattens = module.start_dim == 1 and module.end_dim == -1
            if not flattens:
                return None
        elif not (activation is _IDENTITY or _is_idle_dropout(module)):
            return None
    return (pairs, flattens) if pairs else None


def _steps(module):
    """What nested Sequentials run one after the other."""
    if type(module) is nn.Sequential and not _has_hooks(module):
        for child in module:
            yield from _steps(child)
    else:
        yield module


def _has_hooks(module):
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _is_linear(module):
    # a parametrised Linear is of a class of its own
    is_linear = isinstance(module, nn.Linear) and not _has_hooks(module)
    return is_linear and type(module).forward is nn.Linear.forward


def _is_idle_dropout(module):
    return type(module) is nn.Dropout and not module.training and not _has_hooks(module)


def _known_activation(module):
    """The record of this activation, or None; Softplus of another beta has none."""
    for activation in ACTIVATIONS.values():
        if type(module) is activation.module and not _has_hooks(module):
            usual = activation.module()
            options = set(getattr(usual, "__constants__", ())) - {"inplace"}
            if all(getattr(module, o) == getattr(usual, o) for o in options):
                return activation
    return None


def _of_stack(pairs, flattens, x, method, n_probes, draw, only_total):
    rows = x.flatten(1) if flattens else x
    if rows.ndim < 2:
        raise ValueError("x must have an axis of rows before that of columns.")
    first = pairs[0][0]
    if rows.shape[-1] != first.in_features:
        raise ValueError(
            f"x must have {first.in_features} columns, as the first layer of f reads; "
            f"got {rows.shape[-1]}."
        )
    if rows.dtype != first.weight.dtype and not torch.is_autocast_enabled(
        rows.device.type
    ):
        raise ValueError(
            f"x must be of the type of the parameters of f, {first.weight.dtype}; got "
            f"{rows.dtype}."
        )
    signals, derivatives = [rows.reshape(-1, rows.shape[-1])], []
    for linear, activation in pairs:
        z = nn.functional.linear(signals[-1], linear.weight, linear.bias)
        outputs, derivative, second_derivative = activation.derivatives(z)
        if derivative is not None and second_derivative is None:
            derivative = derivative.detach()
        signals.append(outputs)
        derivatives.append(derivative)
    weights = [linear.weight for linear, _ in pairs]
    output = signals[-1].view(*rows.shape[:-1], signals[-1].shape[1])

    name = choose(
        method,
        [activation for _, activation in pairs],
        [signal.shape[1] for signal in signals],
    )
    # autocast may have made the activations, but squares need more than 16 bits
    with torch.autocast(x.device.type, enabled=False):
        dtype = weights[0].dtype
        signals = [signal.detach().to(dtype) for signal in signals]
        derivatives = [d if d is None else d.to(dtype) for d in derivatives]
        squares = [
            _squares(name, weights, derivatives, signals, draw, only_total)
            for _ in range(n_probes)
        ]
        squares = squares[0] if n_probes == 1 else torch.stack(squares).mean(0)
        if not only_total:
            squares = squares.view(len(x), math.prod(rows.shape[1:-1])).sum(1)
        return squares, output


def _squares(name, weights, derivatives, signals, draw, only_total):
    """Squared norms of all rows or, more cheaply, their sum."""
    penalty, probes = PENALTIES[name], None
    if not penalty.is_exact:
        probes = _Probes(draw(signals[-1], signals[-1].shape))
    tensors = (*weights, *derivatives, *signals)
    if only_total and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _Total.apply(penalty, probes, len(weights), *tensors)
    norms = penalty.value(_layers(len(weights), tensors), probes)
    return norms.sum() if only_total else norms


class _Probes:
    """The signs of one probe, where a penalty asks for noise."""

    def __init__(self, signs):
        self._signs = signs

    def signs_like(self, tensor):
        return self._signs


def _layers(depth, tensors):
    weights, derivatives = tensors[:depth], tensors[depth : 2 * depth]
    signals = tensors[2 * depth :]
    return [
        Layer(
            weights[index],
            weights[index].T,
            signals[index],
            signals[index + 1],
            signals[index + 1],
            derivatives[index],
            _left_to_autograd if _is_differentiable(derivatives[index]) else None,
        )
        for index in range(depth)
    ]


def _is_differentiable(derivative):
    return derivative is not None and derivative.requires_grad


def _left_to_autograd():
    """Stand in for second derivatives: a penalty only asks whether there are any."""


class _Total(torch.autograd.Function):
    """Sum of the squared norms, with the gradient in closed form.

    The gradient is made together with the value, from what both need. A gradient that
    is differentiated again takes autograd's way through the value.
    """

    @staticmethod
    def forward(ctx, penalty, probes, depth, *tensors):
        layers = _layers(depth, tensors)
        weight_grads = [torch.zeros_like(layer.weight) for layer in layers]
        total, derivative_grads = penalty.add_gradient(
            layers, probes, weight_grads, 1.0
        )
        derivative_grads += [None] * (depth - len(derivative_grads))
        ctx.penalty, ctx.probes, ctx.depth = penalty, probes, depth
        ctx.save_for_backward(*tensors, *weight_grads, *derivative_grads)
        return total

    @staticmethod
    def backward(ctx, total_grad):
        n_tensors = 3 * ctx.depth + 1
        tensors = ctx.saved_tensors[:n_tensors]
        grads = ctx.saved_tensors[n_tensors:]
        needed = ctx.needs_input_grad[3 : 3 + 2 * ctx.depth]
        if torch.is_grad_enabled():
            # aliases: weights must not be reached through the derivatives
            tensors = [t if t is None else t.view_as(t) for t in tensors]
            total = ctx.penalty.value(_layers(ctx.depth, tensors), ctx.probes).sum()
            inputs = [t for t, need in zip(tensors, needed, strict=False) if need]
            made = iter(torch.autograd.grad(total, inputs, create_graph=True))
            grads = [next(made) if need else None for need in needed]
        grads = [
            grad * total_grad if need and grad is not None else None
            for grad, need in zip(grads, needed, strict=True)
        ]
        return None, None, None, *grads, *[None] * (ctx.depth + 1)
