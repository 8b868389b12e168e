r"""The Jacobian of stacked layers and its squared Frobenius norm, three ways.

Write D_l for the diagonal matrix of activation slopes of layer l and W_l for
its weights (out x in). The Jacobian of P layers at one row is

    J = D_P W_P D_{P-1} W_{P-1} ... D_1 W_1.

:func:`closed_form`
    Where only one layer bends: ``sum_i D_i^2 ||W_i||^2`` for one layer, and
    ``D_1' [(W_2' W_2) * (W_1 W_1')] D_1`` for two of which the upper is linear.
:func:`exact`
    For any depth: the rows of J, one for each output unit, pulled down through
    the layers; Gram matrix of the lowest weights where that is cheaper. Nearly
    all of its time goes into matrix products.
:func:`hutchinson`
    For any depth: ``E_v ||v' J||^2 = ||J||^2`` for independent signs v
    (Hutchinson 1989), one v a row; unbiased, for the price of one more
    backward pass.

Each returns the norms of all rows and None. Given gradient buffers, it returns
their sum, and adds the gradient of ``coefficient`` times it: with respect to
weights into the buffers, with respect to slopes into its second result. The latter
meet the curvatures of the activations in the ordinary backward pass, see
``_objective``.
"""

from dataclasses import replace
from typing import NamedTuple

import torch

from skcae._network import times

# Elements of the (units, rows, width) arrays that one piece of work may hold.
_CHUNK_ELEMENTS = 2**19


def has_closed_form(activations):
    """Whether the norm of these layers needs no per-row matrix."""
    return len(activations) == 1 or (len(activations) == 2 and activations[1].linear)


def choose_method(penalty_method, activations, widths):
    """Resolve "auto", "exact" or "hutchinson" into a method of this module.

    Parameters
    ----------
    penalty_method : {"auto", "exact", "hutchinson"}
    activations : list of Activation
        Of the layers that the Jacobian runs through.
    widths : sequence of int
        Their widths, from the input on; one more than layers.

    Returns
    -------
    {"closed_form", "exact", "hutchinson"}
    """
    if penalty_method == "hutchinson":
        return "hutchinson"
    exact = "closed_form" if has_closed_form(activations) else "exact"
    if penalty_method == "exact":
        return exact
    # The estimate's noise is worth a factor of two to be rid of.
    estimate = multiplications("hutchinson", widths)
    return exact if multiplications(exact, widths) <= 2 * estimate else "hutchinson"


def multiplications(method, widths):
    """Multiplications a row that value and gradient of the norm cost.

    What a batch shares is spread over 128 rows.
    """
    width, n_features = widths[1], widths[0]
    products = [a * b for a, b in zip(widths[:-1], widths[1:], strict=True)]
    if method == "hutchinson":
        return 3 * sum(products)
    if method == "closed_form":
        if len(products) == 1:
            return 2 * width + 2 * products[0] / 128
        shared = 2 * width * sum(products) / 128
        return 2 * width**2 + shared
    bottom = min(3 * n_features * width, 2 * width**2)
    return widths[-1] * (3 * sum(products[1:-1]) + bottom + 3 * width)


def jacobian(layers):
    """Jacobian of the layers' outputs with respect to their inputs.

    Parameters
    ----------
    layers : list of Layer

    Returns
    -------
    Tensor of shape (n, n_out, n_in)
    """
    rows = _unit_axis(_slope(layers[-1]), 2) * layers[-1].weight
    for layer in reversed(layers[:-1]):
        rows = times(rows, _unit_axis(layer.slope)) @ layer.weight
    return rows


def squared_norms(layers):
    """Squared Frobenius norm of each row's Jacobian, exact; shape (n,)."""
    only_first_bends = len(layers) == 2 and layers[1].slope is None
    method = closed_form if len(layers) == 1 or only_first_bends else exact
    return method(layers)[0]


def closed_form(layers, grads=None, coefficient=1.0):
    """Squared norms where only the first of at most two layers bends.

    Parameters
    ----------
    layers : list of Layer
    grads : list of Tensor, optional
        Buffers shaped as the layers' weights, added to; may go on for layers
        that are not here.
    coefficient : float
        Factor on the gradient.

    Returns
    -------
    norms : Tensor of shape (n,), or () with ``grads``
    slope_grads : list of (Tensor of shape (n, n_out) or None), or None
        With respect to each layer's slope.
    """
    first = layers[0]
    slope = _slope(first)
    if len(layers) == 1:
        squares = first.weight.square().sum(1)
        if grads is None:
            return slope.square() @ squares, None
        per_unit = slope.square().sum(0)
        grads[0].addcmul_(per_unit[:, None], first.weight, value=2 * coefficient)
        return per_unit @ squares, [slope * (2 * coefficient * squares)]

    upper = layers[1].weight
    gram, upper_gram = first.weight @ first.weight.T, upper.T @ upper
    weighted = slope @ (gram * upper_gram)
    norms = (slope * weighted).sum(1)
    if grads is None:
        return norms, None
    shared = (2 * coefficient) * (slope.T @ slope)
    grads[0].addmm_(shared * upper_gram, first.weight)
    grads[1].addmm_(upper, shared * gram)
    return norms.sum(), [weighted.mul_(2 * coefficient), None]


def exact(layers, grads=None, coefficient=1.0):
    """Squared norms through at least two layers; see :func:`closed_form`."""
    n = layers[0].inputs.shape[0]
    widest = max(layer.inputs.shape[1] for layer in layers[1:])
    chunk = max(1, _CHUNK_ELEMENTS // (layers[-1].outputs.shape[1] * widest))
    pieces = [
        _exact_chunk(
            [layer.rows(start, start + chunk) for layer in layers], grads, coefficient
        )
        for start in range(0, n, chunk)
    ]
    if grads is None:
        return torch.cat([norms for norms, _ in pieces]), None
    total = torch.stack([total for total, _ in pieces]).sum()
    slope_grads = [
        None if parts[0] is None else torch.cat(parts)
        for parts in zip(*(slope_grads for _, slope_grads in pieces), strict=True)
    ]
    return total, slope_grads


def hutchinson(layers, signs, grads=None, coefficient=1.0):
    """Estimates of the squared norms from one probe a row.

    Parameters
    ----------
    layers, grads, coefficient
        As in :func:`closed_form`.
    signs : Tensor of shape (n, n_out)
        Independent entries of -1 or 1 (the Rademacher distribution).

    Returns
    -------
    norms, slope_grads
        As in :func:`closed_form`.
    """
    tape = _pull_down(signs, layers)
    if grads is None:
        return _squares(tape), None
    if tape.bottom is None:
        norm = _squares(tape).sum()
    else:
        norm = torch.linalg.vector_norm(tape.bottom).square_()
    slope_grads, _ = _push_up(tape, layers, grads, 2 * coefficient)
    return norm, slope_grads


def _exact_chunk(layers, grads, coefficient):
    top = layers[-1]
    as_pair = len(layers) == 2 and not _metric_pays(
        layers[0].weight, top.outputs.numel()
    )
    if as_pair:
        below, signal = [], _pair_rows(*layers)
    else:
        below = [replace(layer, slope=_unit_axis(layer.slope)) for layer in layers[:-1]]
        signal = top.weight.expand(len(top.outputs), -1, -1)

    # what is pulled down are the rows of J without the uppermost slopes
    tape = _pull_down(signal, below)
    weighted = times(_squares(tape), top.slope)
    norms = times(weighted, top.slope).sum(1)
    if grads is None:
        return norms, None
    factor = 2 * coefficient
    top_grad = weighted * factor
    if top.slope is not None:
        factor = _unit_axis(top.slope.square().mul_(factor), 2)
    slope_grads, pushed = _push_up(tape, below, grads, factor)
    if as_pair:
        slope_grads = [_push_pair(pushed, *layers, grads)]
    else:
        grads[len(below)].add_(pushed.sum(0))
    return norms.sum(), [*slope_grads, top_grad]


def _pair_rows(first, top):
    """Rows of the Jacobian of two layers, shape (n, n_out, n_in).

    Without the upper slopes. They are linear in the slopes between the layers, so
    that one product makes the rows of all units.
    """
    rows = _slope(first) @ _pair_weight(first, top).flatten(1)
    return rows.view(len(rows), len(top.weight), -1)


def _push_pair(pushed, first, top, grads):
    """Reverse :func:`_pair_rows`; returns the gradient of the slopes between."""
    pushed, weight = pushed.flatten(1), _pair_weight(first, top)
    grad = (_slope(first).T @ pushed).view(weight.shape)
    grads[0].add_((grad * top.weight.T[:, :, None]).sum(1))
    grads[1].add_((grad * first.weight[:, None, :]).sum(2).T)
    return pushed @ weight.flatten(1).T


def _pair_weight(first, top):
    return top.weight.T[:, :, None] * first.weight[:, None, :]


def _unit_axis(slope, axis=1):
    return None if slope is None else slope.unsqueeze(axis)


def _slope(layer):
    return torch.ones_like(layer.outputs) if layer.slope is None else layer.slope


def _metric_pays(weight, n_vectors):
    """Whether vectors meet ``W W'`` more cheaply than W, gradient included."""
    n_out, n_in = weight.shape
    return 2 * n_out * (n_in + n_vectors) < 3 * n_in * n_vectors


class _Tape(NamedTuple):
    """What :func:`_push_up` needs of :func:`_pull_down`.

    ``passed`` holds each layer's signal before and after its slope, from the top;
    ``bottom`` the products with J, or ``metric`` what stands in for them.
    """

    passed: list
    bottom: torch.Tensor | None
    metric: torch.Tensor | None


def _pull_down(signal, layers):
    """Multiply row vectors by J from the top to the bottom.

    ``signal`` has the shape (n, n_out) or, where the layers' slopes have an axis
    for it, (n, n_vectors, n_out).
    """
    passed = []
    for layer in reversed(layers):
        scaled = times(signal, layer.slope)
        passed.append((signal, scaled))
        if layer is layers[0]:
            n_vectors = scaled.numel() // scaled.shape[-1]
            if _metric_pays(layer.weight, n_vectors):
                metric = scaled @ (layer.weight @ layer.transposed)
                return _Tape(passed, None, metric)
        signal = scaled @ layer.weight
    return _Tape(passed, signal, None)


def _squares(tape):
    """Squared norm of every vector that was pulled down."""
    if tape.bottom is not None:
        return tape.bottom.square().sum(-1)
    return (tape.passed[-1][1] * tape.metric).sum(-1)


def _push_up(tape, layers, grads, factor):
    """Reverse :func:`_pull_down`, from the bottom to the top.

    ``factor`` is a number or one for every vector. Returns the gradients with
    respect to the slopes of the layers and to the signal that entered at the top.
    """
    pushed = None if tape.bottom is None else tape.bottom.mul_(factor)
    slope_grads = []
    for layer, grad, (signal, scaled) in zip(
        layers, grads, reversed(tape.passed), strict=False
    ):
        if pushed is None:
            rows = _flat(scaled)
            grad.addmm_(_flat(scaled * factor).T @ rows, layer.weight)
            pushed = tape.metric.mul_(factor)
        else:
            grad.addmm_(_flat(scaled).T, _flat(pushed))
            pushed = pushed @ layer.transposed
        slope_grad = None
        if layer.curvature is not None:
            slope_grad = pushed * signal
            if slope_grad.ndim > 2:
                slope_grad = slope_grad.sum(1)
        slope_grads.append(slope_grad)
        pushed = times(pushed, layer.slope)
    return slope_grads, pushed


def _flat(vectors):
    return vectors if vectors.ndim == 2 else vectors.flatten(0, -2)
