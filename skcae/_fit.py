"""From a table and parameters to a checkpoint: a whole fit, or one pass more."""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_random_state

from skcae._checks import resolve_device
from skcae._core import penalties, threads
from skcae._core.batches import Rows, split, sum_blocks
from skcae._core.checkpoint import Checkpoint
from skcae._core.losses import LOSSES
from skcae._core.network import Network
from skcae._core.noise import Corruption
from skcae._core.objective import Objective
from skcae._core.ranks import ALONE
from skcae._core.training import Trainer, TrainingDivergedError
from skcae._resume import Saver
from skcae._table import means_of_totals, observed_means, observed_totals, readable

_CPU = torch.device("cpu")
# Rows that the initial biases are computed from.
_SAMPLE_ROWS = 1024
# Rows of a table that is worth a second network for its threshold. Fewer leave nothing
# to set aside; more cannot be learnt by heart, and take longer.
_SMALL_TABLE = range(30, 1000)
# Columns of a table that an autoencoder copies unless its code and noise prevent it.
_NARROW = 6
# Share of the columns' deviation.
_NARROW_NOISE = 0.5


def inference_device(device):
    """The torch.device to use a model on that was trained on ``device``.

    It is the CPU where the device does not exist, and where it has no float64.
    """
    device = resolve_device(device, or_cpu=True)
    return _CPU if device.type == "mps" else device


class Fitted(NamedTuple):
    """What a fit leaves.

    Attributes
    ----------
    checkpoint : Checkpoint
    history : dict of list of float
        One entry for each epoch of this fit.
    penalty_method : str
        Name of the penalty that was used.
    converged : bool
        Whether training ended because nothing improved any more.
    varies : bool
        Whether the columns vary, by more than rounding.
    """

    checkpoint: Checkpoint
    history: dict
    penalty_method: str
    converged: bool
    varies: bool


@threads.one()
def fit(X, parameters, warm=None, watchers=(), *, seed=None, ranks=ALONE):
    """Train for up to ``max_iter`` epochs, with a new optimiser.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        nan for missing cells, of which no column consists.
    parameters : ContractiveAutoencoder
        Only its parameters are read. They have been checked.
    warm : Checkpoint, optional
        Whose weights to start from, instead of new ones.
    watchers : sequence of Watcher
        Their snapshots are :class:`Fitted`.
    seed : int, optional
        In place of ``random_state``. Nothing is then saved on the way.
    ranks : Alone
        The processes that train together, each with rows of its own. All are left the
        same.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError
        If ``warm`` is of another network than the parameters describe, the device
        does not exist, or a saved state cannot be gone on from.
    TrainingDivergedError
    """
    saves = seed is None and parameters.checkpoint_folder is not None
    if seed is None:
        seed = _draw_seed(parameters.random_state, ranks)
    generator = torch.Generator("cpu").manual_seed(seed)
    means, observed_share = _column_means(X, ranks)
    X = readable(X)
    baseline_loss, varies = _baseline_loss(X, means, parameters, ranks)
    if warm is None:
        shift = _shift(means, X.dtype, parameters)
        network = _new_network(X, means, shift, parameters, generator, ranks)
    else:
        shift = warm.shift
        network = _same_network(warm, parameters, X.shape[1])
    corruption = _corruption(parameters, X.shape[1], baseline_loss if varies else 0.0)
    session = _Session(parameters, network, shift, means, observed_share, corruption)
    training, validation = _split(X, session, generator)
    epochs = warm.epochs if warm else 0
    trainer = session.trainer(
        training, baseline_loss, generator, epochs=epochs, ranks=ranks
    )

    def fitted(converged=False):
        return session.fitted(trainer, generator, converged, varies)

    state, watchers = None, list(watchers)
    if saves:
        n_samples = ranks.totals(len(X))
        beginning = [np.array([seed, *n_samples, baseline_loss]), means]
        if warm is not None:
            beginning.append(warm.weights)
        saver = Saver(parameters, beginning, trainer, ranks)
        state = saver.latest()
        watchers.append(saver)
    for watcher in watchers:
        watcher.start(fitted)
    reason = trainer.run(training, validation, watchers, state)
    for watcher in watchers:
        watcher.finish(reason)
    _share(generator, ranks)
    return fitted(reason == "converged")


@threads.one()
def update(X, parameters, checkpoint=None, *, ranks=ALONE):
    """Train for one pass over the rows, from where the checkpoint was taken.

    Parameters
    ----------
    X, parameters, ranks
        As in :func:`fit`.
    checkpoint : Checkpoint, optional
        None for a new network.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError, TrainingDivergedError
        As in :func:`fit`.
    """
    generator = torch.Generator("cpu")
    means, observed_share = _column_means(X, ranks)
    X = readable(X)
    baseline_loss, varies = _baseline_loss(X, means, parameters, ranks)
    if checkpoint is None:
        generator.manual_seed(_draw_seed(parameters.random_state, ranks))
        shift = _shift(means, X.dtype, parameters)
        network = _new_network(X, means, shift, parameters, generator, ranks)
        progress = {}
    else:
        generator.set_state(torch.from_numpy(checkpoint.generator.copy()))
        shift, baseline_loss = checkpoint.shift, checkpoint.baseline_loss
        means = checkpoint.means
        network = _same_network(checkpoint, parameters, X.shape[1])
        progress = {
            "epochs": checkpoint.epochs,
            "optimizer": checkpoint.optimizer,
            "rate_factor": checkpoint.rate_factor,
        }
    corruption = _corruption(parameters, X.shape[1], baseline_loss if varies else 0.0)
    session = _Session(parameters, network, shift, means, observed_share, corruption)
    rows = Rows(X, shift, session.device)
    trainer = session.trainer(rows, baseline_loss, generator, **progress, ranks=ranks)
    trainer.run_once(rows)
    _share(generator, ranks)
    return session.fitted(trainer, generator, False, varies)


class _Session:
    """A network on its device, while it is trained by parameters."""

    def __init__(self, parameters, network, shift, means, observed_share, corruption):
        self.parameters = parameters
        self.shift, self.means = shift, means
        self.device = resolve_device(parameters.device)
        self.network = network.to(self.device, torch.float32)
        depth = network.depth * (1 if parameters.penalty == "encoder" else 2)
        widths = [network.sizes[0], *(n_out for n_out, _ in network.shapes)]
        self.penalty_method = penalties.choose(
            parameters.penalty_method,
            network.activations[:depth],
            widths[: depth + 1],
        )
        filling = None
        if observed_share < 1:
            filling = _shifted(means, shift).to(self.device)
        self._objective = Objective(
            self.network,
            LOSSES[parameters.loss],
            penalties.PENALTIES[self.penalty_method],
            depth,
            corruption=corruption,
            means=filling,
            observed_share=observed_share,
        )

    def trainer(self, rows, baseline_loss, generator, *, ranks, **progress):
        batch_size = self.parameters.batch_size
        if batch_size == "auto":
            (n_samples,) = ranks.totals(len(rows))
            of_all = min(256, max(16, int(n_samples) // 16))
            batch_size = max(1, of_all // ranks.size)
        batch_size = min(int(batch_size), ranks.largest(len(rows)))
        return Trainer(
            self._objective,
            self.parameters,
            batch_size,
            baseline_loss,
            generator,
            ranks=ranks,
            **progress,
        )

    def fitted(self, trainer, generator, converged, varies):
        network = self.network
        checkpoint = Checkpoint(
            sizes=network.sizes,
            activations=network.activation_names,
            tied=network.tied,
            loss=self.parameters.loss,
            weights=network.parameters.cpu().numpy().copy(),  # training may go on
            shift=self.shift,
            means=self.means,
            baseline_loss=trainer.baseline_loss,
            epochs=trainer.epochs,
            rate_factor=trainer.rate_factor,
            optimizer=trainer.optimizer,
            generator=generator.get_state().numpy(),
        )
        history = {name: list(values) for name, values in trainer.history.items()}
        return Fitted(checkpoint, history, self.penalty_method, converged, varies)


def unseen_scores(X, parameters, ranks=ALONE):
    """Scores of a third of a small table, by a network trained on the others.

    Parameters
    ----------
    X, parameters, ranks
        As in :func:`fit`. Each rank trains on the rows of all.

    Returns
    -------
    ndarray of shape (n_samples // 3,) or None
        None if the table is not small, if this network's training diverges, or if a
        column has no value among the rows it would train on.
    """
    n_samples = int(*ranks.totals(X.shape[0]))
    if n_samples not in _SMALL_TABLE:
        return None
    if ranks.size > 1:
        X = ranks.joined(X.toarray() if sparse.issparse(X) else X)
        parameters = copy.copy(parameters)
        if parameters.batch_size != "auto":
            parameters.batch_size *= ranks.size
    order = np.random.RandomState(0).permutation(n_samples)
    unseen, trained = (X[part] for part in np.split(order, [n_samples // 3]))
    if np.isnan(observed_means(trained)[0]).any():
        return None
    try:
        checkpoint = fit(trained, parameters, seed=_draw_seed(0)).checkpoint
    except TrainingDivergedError:
        return None
    return checkpoint.scores(readable(unseen), inference_device(parameters.device))


def _draw_seed(random_state, ranks=ALONE):
    """Draw an int from what ``random_state`` stands for, on the first rank.

    None draws from the system, not from numpy's global state.
    """
    if random_state is None:
        random_state = np.random.RandomState()
    seed = torch.tensor(check_random_state(random_state).randint(2**31), device="cpu")
    ranks.copy_first(seed)
    return int(seed)


def _share(generator, ranks):
    """Let the generator go on as the first rank's does."""
    state = generator.get_state()
    ranks.copy_first(state)
    generator.set_state(state)


def _column_means(X, ranks):
    """Means over the observed cells of all ranks, and their share."""
    if ranks.size == 1:
        return observed_means(X)
    most, fewest = ranks.largest(X.shape[1]), -ranks.largest(-X.shape[1])
    if most != fewest:
        raise ValueError(
            f"X has {most} columns on some ranks and {fewest} on others of the process "
            "group: give all the same columns."
        )
    totals, counts = np.split(np.array(ranks.totals(*np.ravel(observed_totals(X)))), 2)
    (n_samples,) = ranks.totals(X.shape[0])
    return means_of_totals(totals, counts, n_samples)


def _architecture(parameters, n_features):
    """Sizes, activations and tying of the network that the parameters describe."""
    hidden = tuple(map(int, parameters.hidden_layer_sizes))
    decoder = parameters.decoder_activation or parameters.activation
    n_components, code = parameters.n_components, parameters.code_activation
    is_narrow = n_components == "auto" and n_features <= _NARROW
    if n_components == "auto":
        n_components = max(1, n_features - 1) if is_narrow else 32
    if code is None:
        # no unit of the code may die, and none of a few may be for one sign alone
        code = {"relu": "silu"}.get(parameters.activation, parameters.activation)
        code = "identity" if is_narrow and hidden else code
    sizes = (n_features, *hidden, int(n_components))
    activations = (
        *[parameters.activation] * len(hidden),
        code,
        *[decoder] * len(hidden),
        parameters.output_activation,
    )
    return sizes, activations, bool(parameters.tied_weights)


def _new_network(X, means, shift, parameters, generator, ranks):
    network = Network(*_architecture(parameters, X.shape[1]))
    rows = Rows(X, shift, _CPU).sample(_SAMPLE_ROWS, generator, ranks)
    rows, baseline = (
        torch.from_numpy(ranks.joined(rows.numpy())),
        _shifted(means, shift),
    )
    network.initialise(generator, torch.where(rows.isnan(), baseline, rows), baseline)
    ranks.copy_first(network.parameters)
    return network


def _shifted(means, shift):
    """The means of the columns, as the network reads them."""
    return torch.from_numpy(means - shift).to(torch.float32)


def _same_network(checkpoint, parameters, n_features):
    wanted = _architecture(parameters, n_features)
    found = checkpoint.sizes, checkpoint.activations, checkpoint.tied
    changes = [
        f"{name} {old} to {new}"
        for name, old, new in zip(
            ("sizes", "activations", "tied_weights"), found, wanted, strict=True
        )
        if old != new
    ]
    if changes:
        raise ValueError(
            f"Training cannot go on with another network ({', '.join(changes)}): "
            "set n_components, hidden_layer_sizes, the activations and tied_weights "
            "back, or fit anew with warm_start=False."
        )
    return checkpoint.network()


def _baseline_loss(X, means, parameters, ranks):
    """Loss per observed cell that training counts in, and whether the columns vary.

    It is the loss of the column means, or the mean square of a table that does not
    vary.
    """
    means = np.nan_to_num(means)  # of no observed cell
    constant, loss = torch.from_numpy(means), LOSSES[parameters.loss]

    def losses(rows):
        losses = loss.of_constant(rows, constant)
        of_rows = losses.mean(1)
        if of_rows.isnan().any():
            of_rows = losses.nanmean(1)
        # a row without any value has none here
        return torch.stack([of_rows.nansum(), of_rows.isnan().logical_not().sum()])

    total, n_rows = ranks.totals(*sum_blocks(losses, X, X.shape[1], _CPU))
    means_loss = float(total / n_rows)
    mean_square = float(np.mean(means**2))
    varies = means_loss > loss.negligible(mean_square)
    return means_loss if varies else mean_square or 1.0, varies


def _corruption(parameters, n_features, variance):
    """What training does to its inputs; the variance is that of the mean column."""
    noise_std = parameters.noise_std
    if noise_std == "auto":
        is_copied = n_features <= _NARROW and parameters.loss == "squared_error"
        noise_std = _NARROW_NOISE * math.sqrt(variance) if is_copied else 0.0
    return Corruption(
        float(noise_std),
        float(parameters.masking_fraction),
        float(parameters.swap_fraction),
    )


def _shift(means, dtype, parameters):
    """What the network subtracts from its inputs and adds to its outputs.

    Centred columns train better and lose nothing to float32, whatever their
    offsets. The outputs of a sigmoid cannot be shifted.
    """
    if parameters.output_activation == "sigmoid":
        return np.zeros_like(means)
    return means.astype(dtype).astype(np.float64)


def _split(X, session, generator):
    """Rows to train on and, for early stopping, rows to watch."""
    parameters, shift, device = session.parameters, session.shift, session.device
    if not parameters.early_stopping:
        return Rows(X, shift, device), None
    watched, trained = split(X, parameters.validation_fraction, generator)
    return Rows(X, shift, device, trained), Rows(X, shift, device, watched)
