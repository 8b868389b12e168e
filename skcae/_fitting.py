"""One call of ``fit`` or ``partial_fit``: from an array to a trained network.

What is worth keeping of a network is a dict of numpy arrays and plain Python,
its *state*: it pickles anywhere and remembers no device.
"""

import math
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from skcae import _jacobian
from skcae._batches import Rows, map_blocks
from skcae._checks import resolve_device
from skcae._network import Network
from skcae._objective import Objective, constant_losses, mean_of_least
from skcae._training import Settings, Trainer

_CPU = torch.device("cpu")
# Rows that the initial biases are computed from.
_SAMPLE_ROWS = 1024
# In one matrix product. Threads that share fewer lose more by meeting than they gain.
_MULTIPLICATIONS_PER_THREAD = 2**20


class Fitted(NamedTuple):
    """What training leaves.

    ``means_loss`` is the loss per cell of the column means on the rows, without those
    that are trimmed.
    """

    state: dict
    history: dict
    penalty_method: str
    means_loss: float


def train(X, parameters, state=None, once=False, on_epoch=None):
    """Train a new network, or go on with an old one.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    parameters : types.SimpleNamespace
        The estimator's parameters, checked.
    state : dict, optional
        Of the network to go on with.
    once : bool
        Train for one epoch, with the optimiser and the random state that the
        state remembers, instead of a whole run.
    on_epoch : callable, optional
        Called with the history after every epoch of a run.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError
        If the state is of another network than the parameters describe, or the
        device does not exist.
    TrainingDivergedError
    """
    device = resolve_device(parameters.device)
    architecture = _architecture(parameters, X.shape[1])
    centre = _centre(X, parameters)
    means_loss = _constant_loss(X, centre, parameters)
    generator = torch.Generator()
    if state and once:
        generator.set_state(torch.from_numpy(state["generator"].copy()))
    else:
        generator.manual_seed(_seed(parameters.random_state))

    if state:
        shift = state["shift"]
        network = _resumed_network(state, architecture)
    else:
        shift = _shift(centre, X.dtype, parameters)
        network = _new_network(X, centre, shift, architecture, generator)
    network = network.to(device, torch.float32)
    unit = (
        state["unit"] if state and once else _unit(centre, means_loss, parameters.loss)
    )
    training, validation = _split(X, shift, device, parameters, generator, once)
    objective = _objective(network, parameters)
    trainer = Trainer(
        objective,
        _settings(parameters, len(training), unit, once),
        generator,
        epochs=state["epochs"] if state else 0,
        optimizer_state=state["optimizer"] if state and once else None,
    )
    with _enough_threads(network, trainer.settings.batch_size):
        if once:
            trainer.run_once(training)
        else:
            trainer.run(training, validation, parameters.max_iter, on_epoch)

    state = {
        "architecture": architecture,
        "parameters": network.parameters.cpu().numpy(),
        "shift": shift,
        "unit": unit,
        "epochs": trainer.epochs,
        "optimizer": trainer.optimizer_state,
        "generator": generator.get_state().numpy(),
    }
    return Fitted(state, trainer.history, objective.method, means_loss)


def network_on_rows(state, device):
    """The trained network in float64, for rows as they are, not shifted."""
    network = _trained_network(state).to(device, torch.float64)
    shift = torch.from_numpy(state["shift"].copy()).to(device)
    network.biases[0].sub_(network.weights[0] @ shift)
    network.biases[-1].add_(shift)
    return network


@contextmanager
def _enough_threads(network, batch_size):
    """Use no more threads than the matrix products of one step keep busy.

    On two cores, 30-64-8 with batches of 256 takes a seventh less time on one.
    """
    before = torch.get_num_threads()
    widest = max(math.prod(shape) for shape in network.shapes)
    busy = batch_size * widest // _MULTIPLICATIONS_PER_THREAD
    torch.set_num_threads(min(before, max(1, busy)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _architecture(parameters, n_features):
    """What :class:`Network` is built from, in plain Python."""
    hidden = tuple(map(int, parameters.hidden_layer_sizes))
    code = parameters.code_activation or parameters.activation
    if parameters.code_activation is None and code == "relu":
        code = "silu"  # no unit of the code may die
    decoder = parameters.decoder_activation or parameters.activation
    return {
        "sizes": (n_features, *hidden, int(parameters.n_components)),
        "activations": (
            *[parameters.activation] * len(hidden),
            code,
            *[decoder] * len(hidden),
            parameters.output_activation,
        ),
        "tied": bool(parameters.tied_weights),
    }


def _seed(random_state):
    # None draws from the system, not from numpy's global state
    if random_state is None:
        random_state = np.random.RandomState()
    return check_random_state(random_state).randint(2**31)


def _centre(X, parameters):
    if parameters.trim_fraction and parameters.output_activation != "sigmoid":
        # rows that are left out may lie so far away that they decide the means
        return np.median(X, axis=0).astype(np.float64)
    return X.mean(axis=0, dtype=np.float64)


def _constant_loss(X, constant, parameters):
    """Loss per cell where every row is reconstructed as the same constant."""
    constant = torch.from_numpy(constant)

    def losses(rows):
        return constant_losses(parameters.loss, rows, constant).mean(1)

    by_row = map_blocks(losses, X, X.shape[1], _CPU)
    return mean_of_least(by_row, parameters.trim_fraction)


def _unit(means, means_loss, loss):
    """Loss per cell that training counts in: that of the column means."""
    mean_square = float(np.mean(means**2))
    # below this nothing varies: it is rounding, or the edge of the logarithm
    floor = 1e-24 * mean_square if loss == "squared_error" else 1e-5
    return means_loss if means_loss > floor else mean_square or 1.0


def _shift(means, dtype, parameters):
    """What the network subtracts from its inputs and adds to its outputs.

    Centred columns train better and lose nothing to float32, whatever their
    offsets. The outputs of a sigmoid cannot be shifted.
    """
    if parameters.output_activation == "sigmoid":
        return np.zeros_like(means)
    return means.astype(dtype).astype(np.float64)


def _new_network(X, means, shift, architecture, generator):
    network = Network(**architecture)
    sample = torch.randperm(len(X), generator=generator)[:_SAMPLE_ROWS]
    baseline = torch.from_numpy(means - shift).float()
    network.initialise(generator, Rows(X, shift, _CPU).take(sample), baseline)
    return network


def _trained_network(state):
    parameters = torch.from_numpy(state["parameters"].copy())
    return Network(**state["architecture"], parameters=parameters)


def _resumed_network(state, architecture):
    old, new = state["architecture"], architecture
    changes = [
        f"{name} {old[name]} to {new[name]}" for name in old if old[name] != new[name]
    ]
    if changes:
        raise ValueError(
            f"Training cannot go on with another network ({', '.join(changes)}): "
            "set n_components, hidden_layer_sizes, the activations and tied_weights "
            "back, or fit anew with warm_start=False."
        )
    return _trained_network(state)


def _split(X, shift, device, parameters, generator, once):
    """Rows to train on and, for early stopping, rows to watch."""
    if once or not parameters.early_stopping:
        return Rows(X, shift, device), None
    n_validation = max(1, round(parameters.validation_fraction * len(X)))
    n_validation = min(n_validation, len(X) - 1)
    order = torch.randperm(len(X), generator=generator).numpy()
    watched, trained = np.split(order, [n_validation])
    return Rows(X, shift, device, trained), Rows(X, shift, device, watched)


def _batch_size(batch_size, n_samples):
    if batch_size == "auto":
        batch_size = min(256, max(16, n_samples // 16))
    return min(batch_size, n_samples)


def _objective(network, parameters):
    depth = network.depth * (1 if parameters.penalty == "encoder" else 2)
    widths = [network.sizes[0], *(n_out for n_out, _ in network.shapes)]
    method = _jacobian.choose_method(
        parameters.penalty_method, network.activations[:depth], widths[: depth + 1]
    )
    return Objective(
        network,
        parameters.loss,
        depth,
        method,
        noise_std=parameters.noise_std,
        trim_fraction=parameters.trim_fraction,
    )


def _settings(parameters, n_samples, unit, once):
    warmup = parameters.lam_warmup
    if not once:
        # a short fit must still see the λ that it was asked for
        warmup = min(warmup, parameters.max_iter // 2)
    return Settings(
        lam=float(parameters.lam),
        learning_rate_init=float(parameters.learning_rate_init),
        batch_size=_batch_size(parameters.batch_size, n_samples),
        tol=float(parameters.tol),
        n_iter_no_change=parameters.n_iter_no_change,
        weight_decay=float(parameters.weight_decay),
        max_grad_norm=parameters.max_grad_norm,
        lam_warmup=warmup,
        unit=unit,
    )
