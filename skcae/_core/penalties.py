r"""The squared Frobenius norm of the Jacobian of stacked layers: three penalties.

Write D_l for the diagonal matrix of activation derivatives of layer l and W_l for its
weights (out x in). The Jacobian of P layers at one row is

    J = D_P W_P D_{P-1} W_{P-1} ... D_1 W_1.

A penalty is an object with four methods: whether it ``applies`` to such layers, what
its ``cost`` is, its ``value`` for each row, and ``add_gradient``. The gradient with
respect to weights is added to buffers. The gradient with respect to activation
derivatives is returned, and meets the second derivatives in the ordinary backward pass
of ``objective``.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import NamedTuple

import torch

from skcae._core.activations import times

# Elements of the (units, rows, width) arrays that one piece of work may hold.
_CHUNK_ELEMENTS = 2**19
# The noise of an estimate is worth a factor of two to be rid of.
_ESTIMATE_HANDICAP = 2


class Penalty(ABC):
    """One way to compute the squared norm of the Jacobian and its gradient.

    Attributes
    ----------
    is_exact : bool
        False for an unbiased estimate.
    """

    is_exact = True

    @abstractmethod
    def applies(self, activations):
        """Whether layers with these activations (a list of Activation) suit it."""

    @abstractmethod
    def cost(self, widths):
        """Multiplications a row that value and gradient take.

        Parameters
        ----------
        widths : sequence of int
            Of the layers, from the input on; one more than there are layers.

        Returns
        -------
        float
            What a batch shares is spread over 128 rows.
        """

    @abstractmethod
    def value(self, layers, noise):
        """Squared norm at each row, shape (n,).

        Parameters
        ----------
        layers : list of Layer
            Those that the Jacobian runs through.
        noise : Noise
            For the probes of an estimate.
        """

    @abstractmethod
    def add_gradient(self, layers, noise, weight_grads, coefficient):
        """Add the gradient of ``coefficient`` times the sum of the squared norms.

        Parameters
        ----------
        layers, noise
            As in :meth:`value`.
        weight_grads : list of Tensor
            Buffers shaped as the layers' weights, added to; the list may go on for
            layers that are not here.
        coefficient : float

        Returns
        -------
        total : Tensor of shape ()
            Sum of the squared norms.
        derivative_grads : list of (Tensor of shape (n, n_out) or None)
            Gradient with respect to each layer's activation derivatives.
        """


def choose(penalty_method, activations, widths):
    """Name of the cheapest penalty that the parameter ``penalty_method`` allows.

    Parameters
    ----------
    penalty_method : {"auto", "exact"} or a name in ``PENALTIES``
        "exact" allows every exact penalty, "auto" all.
    activations : list of Activation
        Of the layers that the Jacobian runs through.
    widths : sequence of int
        As in :meth:`Penalty.cost`.

    Returns
    -------
    str
    """
    costs = {
        name: penalty.cost(widths) * (1 if penalty.is_exact else _ESTIMATE_HANDICAP)
        for name, penalty in PENALTIES.items()
        if penalty.applies(activations)
        and (
            penalty_method in ("auto", name)
            or (penalty_method == "exact" and penalty.is_exact)
        )
    }
    return min(costs, key=costs.get)


def jacobian(layers):
    """Jacobian of the layers' outputs with respect to their inputs.

    Parameters
    ----------
    layers : list of Layer

    Returns
    -------
    Tensor of shape (n, n_out, n_in)
    """
    rows = _unit_axis(_derivative(layers[-1]), 2) * layers[-1].weight
    for layer in reversed(layers[:-1]):
        rows = times(rows, _unit_axis(layer.derivative)) @ layer.weight
    return rows


def squared_norms(layers):
    """Squared Frobenius norm of each row's Jacobian, exact; shape (n,)."""
    only_first_bends = len(layers) == 2 and layers[1].derivative is None
    method = "closed_form" if len(layers) == 1 or only_first_bends else "exact"
    # by rounding, terms that cancel may add up to less than zero
    return PENALTIES[method].value(layers, None).clamp_(min=0)


class ClosedForm(Penalty):
    """Without a matrix per row, where only the first of at most two layers bends.

    ``sum_i D_i^2 ||W_i||^2`` for one layer, and ``D_1' [(W_2' W_2) * (W_1 W_1')] D_1``
    for two of which the upper is linear.
    """

    def applies(self, activations):
        return len(activations) == 1 or (
            len(activations) == 2 and activations[1].linear
        )

    def cost(self, widths):
        width, products = widths[1], _products(widths)
        if len(products) == 1:
            return 2 * width + 2 * products[0] / 128
        return 2 * width**2 + 2 * width * sum(products) / 128

    def value(self, layers, noise):
        derivative = _derivative(layers[0])
        if len(layers) == 1:
            return derivative.square() @ layers[0].weight.square().sum(1)
        gram, upper_gram = self._grams(*layers)
        return (derivative * (derivative @ (gram * upper_gram))).sum(1)

    def add_gradient(self, layers, noise, weight_grads, coefficient):
        first, derivative = layers[0], _derivative(layers[0])
        if len(layers) == 1:
            squares = first.weight.square().sum(1)
            per_unit = derivative.square().sum(0)
            weight_grads[0].addcmul_(
                per_unit[:, None], first.weight, value=2 * coefficient
            )
            return per_unit @ squares, [derivative * (2 * coefficient * squares)]
        gram, upper_gram = self._grams(*layers)
        weighted = derivative @ (gram * upper_gram)
        total = (derivative * weighted).sum()
        shared = (2 * coefficient) * (derivative.T @ derivative)
        weight_grads[0].addmm_(shared * upper_gram, first.weight)
        weight_grads[1].addmm_(layers[1].weight, shared * gram)
        return total, [weighted.mul_(2 * coefficient), None]

    @staticmethod
    def _grams(first, upper):
        return first.weight @ first.weight.T, upper.weight.T @ upper.weight


class Exact(Penalty):
    """For any depth: the rows of J, one for each output unit.

    They are pulled down through the layers, and meet the Gram matrix of the lowest
    weights where that is cheaper. Nearly all of the time goes into matrix products.
    """

    def applies(self, activations):
        return len(activations) > 1

    def cost(self, widths):
        width = widths[1]
        bottom = min(3 * widths[0] * width, 2 * width**2)
        inner = sum(_products(widths)[1:-1])
        return widths[-1] * (3 * inner + bottom + 3 * width)

    def value(self, layers, noise):
        return torch.cat([_exact_norms(chunk) for chunk in self._chunks(layers)])

    def add_gradient(self, layers, noise, weight_grads, coefficient):
        totals, derivative_grads = zip(
            *(
                _add_exact_gradient(chunk, weight_grads, coefficient)
                for chunk in self._chunks(layers)
            ),
            strict=True,
        )
        joined = [
            None if parts[0] is None else torch.cat(parts)
            for parts in zip(*derivative_grads, strict=True)
        ]
        return torch.stack(totals).sum(), joined

    @staticmethod
    def _chunks(layers):
        widest = max(layer.inputs.shape[1] for layer in layers[1:])
        length = max(1, _CHUNK_ELEMENTS // (layers[-1].outputs.shape[1] * widest))
        for start in range(0, len(layers[0].inputs), length):
            yield [layer.rows(start, start + length) for layer in layers]


class Hutchinson(Penalty):
    """For any depth: ``E_v ||v' J||^2 = ||J||^2`` for random signs v.

    One probe v a row, of independent entries of -1 or 1 (Hutchinson 1989). The
    estimate is unbiased, for the price of one more backward pass.
    """

    is_exact = False

    def applies(self, activations):
        return True

    def cost(self, widths):
        return 3 * sum(_products(widths))

    def value(self, layers, noise):
        return _squares(_vjp(noise.signs_like(layers[-1].outputs), layers))

    def add_gradient(self, layers, noise, weight_grads, coefficient):
        tape = _vjp(noise.signs_like(layers[-1].outputs), layers)
        if tape.bottom is None:
            total = _squares(tape).sum()
        else:
            total = torch.linalg.vector_norm(tape.bottom).square_()
        derivative_grads, _ = _vjp_backward(tape, layers, weight_grads, 2 * coefficient)
        return total, derivative_grads


# The names are those of ``ContractiveAutoencoder.penalty_method_``.
PENALTIES = {
    "closed_form": ClosedForm(),
    "exact": Exact(),
    "hutchinson": Hutchinson(),
}


def _products(widths):
    """Multiplications of each layer's product with one row."""
    return [n_in * n_out for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)]


def _rows_of_jacobian(layers):
    """All rows of J for one chunk, without the uppermost derivatives.

    Returns
    -------
    tape : _Tape
    weighted : Tensor of shape (n, n_out)
        Squared norms of the rows, times the uppermost derivatives.
    below : list of Layer
        Layers that the rows passed one by one; none where two are taken as a pair.
    """
    top = layers[-1]
    as_pair = len(layers) == 2 and not _metric_pays(
        layers[0].weight, top.outputs.numel()
    )
    if as_pair:
        below, signal = [], _pair_jacobian(*layers)
    else:
        below = [
            replace(layer, derivative=_unit_axis(layer.derivative))
            for layer in layers[:-1]
        ]
        signal = top.weight.expand(len(top.outputs), -1, -1)
    tape = _vjp(signal, below)
    return tape, times(_squares(tape), top.derivative), below


def _exact_norms(layers):
    _, weighted, _ = _rows_of_jacobian(layers)
    return times(weighted, layers[-1].derivative).sum(1)


def _add_exact_gradient(layers, weight_grads, coefficient):
    top = layers[-1]
    tape, weighted, below = _rows_of_jacobian(layers)
    total = times(weighted, top.derivative).sum()
    factor = 2 * coefficient
    top_grad = weighted * factor
    if top.derivative is not None:
        factor = _unit_axis(top.derivative.square().mul_(factor), 2)
    derivative_grads, pushed = _vjp_backward(tape, below, weight_grads, factor)
    if not below:
        derivative_grads = [_pair_backward(pushed, *layers, weight_grads)]
    else:
        weight_grads[len(below)].add_(pushed.sum(0))
    return total, [*derivative_grads, top_grad]


def _pair_jacobian(first, top):
    """Jacobian of two layers without the upper derivatives, shape (n, n_out, n_in).

    It is linear in the derivatives between the layers, so one product makes the rows of
    all units.
    """
    rows = _derivative(first) @ _pair_weight(first, top).flatten(1)
    return rows.view(len(rows), len(top.weight), -1)


def _pair_backward(pushed, first, top, grads):
    """Reverse :func:`_pair_jacobian`: gradient of the derivatives between the two."""
    pushed, weight = pushed.flatten(1), _pair_weight(first, top)
    grad = (_derivative(first).T @ pushed).view(weight.shape)
    grads[0].add_((grad * top.weight.T[:, :, None]).sum(1))
    grads[1].add_((grad * first.weight[:, None, :]).sum(2).T)
    return pushed @ weight.flatten(1).T


def _pair_weight(first, top):
    return top.weight.T[:, :, None] * first.weight[:, None, :]


def _unit_axis(derivative, axis=1):
    return None if derivative is None else derivative.unsqueeze(axis)


def _derivative(layer):
    return (
        torch.ones_like(layer.outputs) if layer.derivative is None else layer.derivative
    )


def _metric_pays(weight, n_vectors):
    """Whether vectors meet ``W W'`` more cheaply than W, gradient included."""
    n_out, n_in = weight.shape
    return 2 * n_out * (n_in + n_vectors) < 3 * n_in * n_vectors


class _Tape(NamedTuple):
    """What :func:`_vjp_backward` needs of :func:`_vjp`.

    ``passed`` holds each layer's signal before and after its derivative, from the top;
    ``bottom`` the products with J, or ``metric`` what stands in for them.
    """

    passed: list
    bottom: torch.Tensor | None
    metric: torch.Tensor | None


def _vjp(signal, layers):
    """Vector-Jacobian products: row vectors times J, from the top to the bottom.

    ``signal`` has the shape (n, n_out) or, where the layers' derivatives have an axis
    for it, (n, n_vectors, n_out).
    """
    passed = []
    for layer in reversed(layers):
        scaled = times(signal, layer.derivative)
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


def _vjp_backward(tape, layers, grads, factor):
    """Reverse :func:`_vjp`, from the bottom to the top.

    ``factor`` is a number or one for every vector. Returns the gradients with
    respect to the derivatives of the layers and to the signal that entered at the top.
    """
    pushed = None if tape.bottom is None else tape.bottom.mul_(factor)
    derivative_grads = []
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
        derivative_grad = None
        if layer.second_derivative is not None:
            derivative_grad = pushed * signal
            if derivative_grad.ndim > 2:
                derivative_grad = derivative_grad.sum(1)
        derivative_grads.append(derivative_grad)
        pushed = times(pushed, layer.derivative)
    return derivative_grads, pushed


def _flat(vectors):
    return vectors if vectors.ndim == 2 else vectors.flatten(0, -2)
