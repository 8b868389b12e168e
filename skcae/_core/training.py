"""Training that does not diverge.

One epoch is the unit of safety: it ends finite and not exploded, or it is
undone and tried again with a smaller learning rate. Nothing inside an epoch
waits for the device.
"""

import itertools
import math

import numpy as np
import torch

from skcae._core.noise import Noise
from skcae._core.optimizer import Adam
from skcae._core.ranks import ALONE
from skcae._core.threads import StepThreads

# A term explodes when it exceeds its factor times where it started and times the loss
# of the column means. The factor of the reconstruction is tight because the network
# starts no worse than these means; that of the penalty is wide because the Jacobian may
# rightly grow.
_EXPLOSION = {"reconstruction": 1.5, "penalty": 10.0}
_RETRIES = 8
_RETRY_FACTOR = 0.1
# Rows that both terms are measured on before training and after every epoch.
_SAMPLE_ROWS = 256

HISTORY = (
    "loss",
    "reconstruction",
    "penalty",
    "validation_loss",
    "grad_norm",
    "weight_norm",
    "lam",
    "learning_rate",
    "n_iter_no_change",
)


class TrainingDivergedError(Exception):
    """No learning rate that was tried led to a healthy epoch.

    Attributes
    ----------
    term : {"reconstruction", "penalty"}
        Which term of the objective exploded.
    epoch : int
    """

    def __init__(self, term, epoch):
        super().__init__(term, epoch)
        self.term, self.epoch = term, epoch


class Watcher:
    """What looks on while a network trains. These methods do nothing: override some."""

    def start(self, snapshot):
        """Training is about to begin.

        Parameters
        ----------
        snapshot : callable
            Returns what would be left if training ended at the time of the call.
        """

    def begin_epoch(self):
        """An epoch is about to begin."""

    def end_epoch(self, history):
        """An epoch has ended.

        Parameters
        ----------
        history : dict of lists
            Of all epochs so far.

        Returns
        -------
        stop : bool
            Whether training shall end here.
        """
        return False

    def finish(self, reason):
        """Training has ended, for a reason that :meth:`Trainer.run` returns."""


class Trainer:
    """Epochs of Adam, with λ's warm-up, clipping and recovery.

    Parameters
    ----------
    objective : Objective
    parameters : object
        Its attributes ``lam``, ``learning_rate_init``, ``tol``, ``n_iter_no_change``,
        ``weight_decay``, ``max_grad_norm``, ``lam_warmup`` and ``max_iter`` are what
        the estimator documents.
    batch_size : int
    baseline_loss : float
        Loss per cell of the best constant output. The objective is optimised in this
        unit, so that neither clipping nor ``tol`` depends on the scale of the table.
    generator : torch.Generator
        On the CPU. It shuffles, and seeds the noise and the probes.
    epochs : int
        Epochs that the network has seen before, for λ's warm-up.
    optimizer : dict of ndarray, optional
        What :attr:`optimizer` was after these.
    rate_factor : float
        What :attr:`rate_factor` was after these.
    ranks : Alone
        The processes that train this network together.

    Attributes
    ----------
    history : dict of lists
        One entry an epoch, see ``ContractiveAutoencoder.history_``.
    epochs : int
        Epochs that the network has seen.
    rate_factor : float
        Recovery multiplies the learning rate by this; later calls keep it.
    """

    def __init__(
        self,
        objective,
        parameters,
        batch_size,
        baseline_loss,
        generator,
        *,
        epochs=0,
        optimizer=None,
        rate_factor=1.0,
        ranks=ALONE,
    ):
        self.objective = objective
        self.parameters = parameters
        self.batch_size = batch_size
        self.baseline_loss = baseline_loss
        self.history = {name: [] for name in HISTORY}
        self.epochs = epochs
        self.rate_factor = rate_factor
        self.ranks = ranks
        self._generator = generator
        self._weights = objective.network.parameters
        self._gradient = torch.zeros_like(self._weights)
        self._grads = objective.network.views(self._gradient)
        self._noise_seed = _draw_seed(generator) + ranks.rank
        self._noise = Noise(self._noise_seed, self._weights.device)
        self._adam = Adam(self._weights, self._gradient, optimizer)
        self._best, self._best_weights, self._waited = math.inf, None, 0
        widest = max(math.prod(shape) for shape in objective.network.shapes)
        self._threads = StepThreads(batch_size * widest)

    @property
    def optimizer(self):
        """Adam's state, as arrays."""
        return self._adam.state

    @property
    def state(self):
        """All that epochs change, as a dict of arrays: :meth:`run` goes on from it.

        Entries of the random streams have a row for each rank.
        """
        streams = {"generator": self._generator.get_state()} | self._noise.state
        best = self._weights[:0] if self._best_weights is None else self._best_weights
        return {
            **{f"history_{name}": np.array(self.history[name]) for name in HISTORY},
            **{f"adam_{name}": value for name, value in self.optimizer.items()},
            **{
                name: self.ranks.joined(stream.numpy()[None])
                for name, stream in streams.items()
            },
            "weights": self._weights.cpu().numpy().copy(),
            "best_weights": best.cpu().numpy().copy(),
            "best": np.array(self._best),
            "waited": np.array(self._waited),
            "epochs": np.array(self.epochs),
            "rate_factor": np.array(self.rate_factor),
        }

    def _restore(self, state):
        def tensor(name):
            return torch.from_numpy(state[name])

        self.history = {name: state[f"history_{name}"].tolist() for name in HISTORY}
        self._adam.restore({name: tensor(f"adam_{name}") for name in self.optimizer})

        def stream(name):
            # torch crashes on states that begin within another tensor
            return tensor(name)[self.ranks.rank].clone()

        self._noise.restore({name: stream(name) for name in self._noise.state})
        self._generator.set_state(stream("generator"))
        self._weights.copy_(tensor("weights"))
        if len(state["best_weights"]):
            self._best_weights = tensor("best_weights").to(self._weights)
        self._best, self._waited = float(state["best"]), int(state["waited"])
        self.epochs = int(state["epochs"])
        self.rate_factor = float(state["rate_factor"])

    # without autograd's bookkeeping, small operations are a tenth faster
    @torch.inference_mode()
    def run(self, rows, validation, watchers=(), state=None):
        """Train for at most ``max_iter`` epochs.

        Parameters
        ----------
        rows : Rows
        validation : Rows or None
            Where given, its loss decides when to stop, and the weights that
            were best on it come back.
        watchers : sequence of Watcher
            Told of every epoch; any of them may stop.
        state : dict of ndarray, optional
            What :attr:`state` was in a run that began like this one.

        Returns
        -------
        reason : {"converged", "callback", "max_iter"}
            Why training ended: nothing improved any more, a watcher stopped it, or
            neither.
        """
        with self._threads.restored():
            return self._run(rows, validation, watchers, state)

    def _run(self, rows, validation, watchers, state):
        parameters = self.parameters
        # a short fit must still see the λ that it was asked for
        warmup = min(parameters.lam_warmup, parameters.max_iter // 2)
        self._measure_start(rows)
        if state is not None:
            self._restore(state)
        ceiling = max(self.baseline_loss, self._start["reconstruction"])
        reason = self._reason_to_end()
        while reason is None:
            for watcher in watchers:
                watcher.begin_epoch()
            previous = self.history["reconstruction"][-1:] or [0.0]
            self._safe_epoch(rows, validation, warmup)
            error = self.history["reconstruction"][-1]
            if error > max(ceiling, *previous):
                # worse than a constant, and not on its way back: it has begun to bounce
                self.rate_factor *= 0.5
            self._compare(validation)
            # a list: all are told, even if the first stops
            stops = [watcher.end_epoch(self.history) for watcher in watchers]
            reason = self._reason_to_end()
            if reason != "converged" and any(stops):
                reason = "callback"
        if self._best_weights is not None:
            self._weights.copy_(self._best_weights)
        return reason

    def _compare(self, validation):
        """Compare the last epoch with the best one so far."""
        if self.history["lam"][-1] >= float(self.parameters.lam):
            watched = "loss" if validation is None else "validation_loss"
            loss = self.history[watched][-1]
            least = self.parameters.tol * self.baseline_loss
            self._waited = 0 if loss < self._best - least else self._waited + 1
            if loss < self._best:
                self._best = loss
                if validation is not None:
                    self._best_weights = self._weights.clone()
        self.history["n_iter_no_change"].append(self._waited)

    def _reason_to_end(self):
        if self._waited >= self.parameters.n_iter_no_change:
            return "converged"
        if len(self.history["loss"]) >= self.parameters.max_iter:
            return "max_iter"
        return None

    @torch.inference_mode()
    def run_once(self, rows):
        """Train for one epoch, on rows that may come from anywhere."""
        with self._threads.restored():
            self._measure_start(rows)
            self._safe_epoch(rows, None, self.parameters.lam_warmup)
        self.history["n_iter_no_change"].append(0)

    def _measure_start(self, rows):
        self._sample = rows.sample(_SAMPLE_ROWS, self._generator, self.ranks)
        self._start = self._measure()

    def _measure(self):
        """Both terms of the present network on the sample."""
        # a stream of its own: what is only looked at must not change training
        noise = Noise(self._noise_seed, self._sample.device)
        rows = self._sample
        terms = self.objective.terms(rows, noise) if len(rows) else (0, 0)
        error, penalty, n_cells = self.ranks.totals(*terms, rows.numel())
        return {"reconstruction": error / n_cells, "penalty": penalty / n_cells}

    def _safe_epoch(self, rows, validation, warmup):
        ramp = min(1.0, self.epochs / warmup) if warmup else 1.0
        lam = float(self.parameters.lam) * ramp
        weights, adam = self._weights.clone(), self._adam.snapshot()
        for _ in range(_RETRIES + 1):
            record = self._agreed(self._epoch(rows, lam))
            # the losses of an epoch are those before its steps: the last step's
            # harm shows on the sample only
            after = self._measure()
            exploded = self._exploded(record, lam) or self._exploded(after, lam)
            if exploded is None and math.isfinite(record["weight_norm"]):
                break
            self._weights.copy_(weights)
            self._adam.restore(adam)
            self.rate_factor *= _RETRY_FACTOR
        else:
            raise TrainingDivergedError(exploded or "reconstruction", self.epochs + 1)
        self.epochs += 1
        if lam == 0:  # the penalty was no part of the steps
            record["penalty"] = after["penalty"]
        record["validation_loss"] = math.nan
        if validation is not None:
            record["validation_loss"] = self._loss(validation)
        for name, value in record.items():
            self.history[name].append(value)

    def _epoch(self, rows, lam):
        parameters, gradient = self.parameters, self._gradient
        rate = float(parameters.learning_rate_init) * self.rate_factor
        limit = torch.tensor(
            parameters.max_grad_norm or 0.0,
            dtype=gradient.dtype,
            device=gradient.device,
        )
        errors, penalties, norms, n_cells = [], [], [], 0
        # a CPU's are plain numbers: small tensors, kept, would fragment its memory
        on_cpu = gradient.device.type == "cpu"
        kept = torch.Tensor.item if on_cpu else torch.Tensor.detach
        self._threads.pause()
        for batch in self._batches(rows):
            self._threads.step()
            gradient.zero_()
            if len(batch):
                error, penalty = self.objective.gradient(
                    batch, lam, self._noise, *self._grads, 1 / self.baseline_loss
                )
            else:
                error = gradient.new_zeros(())
                penalty = error if lam > 0 else None
            error, penalty, n_rows = self.ranks.mean_gradient(
                gradient, error, penalty, len(batch)
            )
            n_cells += n_rows * batch.shape[1]
            norm = torch.linalg.vector_norm(gradient)
            if parameters.max_grad_norm is not None:
                gradient.mul_(torch.div(limit, norm).clamp_(max=1))
            self._adam.step(rate)
            if parameters.weight_decay:
                self.objective.network.flat_weights().mul_(
                    1 - rate * parameters.weight_decay
                )
            errors.append(kept(error))
            if penalty is not None:
                penalties.append(kept(penalty))
            norms.append(kept(norm))

        def joined(terms):
            if on_cpu:
                return torch.tensor(terms, dtype=gradient.dtype, device="cpu")
            return torch.stack(terms)

        def mean_over_cells(terms):
            return float(joined(terms).sum(dtype=torch.float64)) / n_cells

        reconstruction = mean_over_cells(errors)
        penalty = mean_over_cells(penalties) if lam > 0 else 0.0
        return {
            "loss": reconstruction + lam * penalty,
            "reconstruction": reconstruction,
            "penalty": penalty,
            "grad_norm": float(joined(norms).mean()),
            "weight_norm": float(
                torch.linalg.vector_norm(self.objective.network.flat_weights())
            ),
            "lam": lam,
            "learning_rate": rate,
        }

    def _agreed(self, record):
        """Let all ranks go on from the first one's weights, and tell its record."""
        # norms may differ in the last bit where ranks have other processors
        if self.ranks.size > 1:
            adam = self._adam.snapshot()
            values = torch.tensor([*record.values()], dtype=torch.float64, device="cpu")
            self.ranks.copy_first(self._weights, *adam.values(), values)
            self._adam.restore(adam)
            record = dict(zip(record, values.tolist(), strict=True))
        return record

    def _batches(self, rows):
        """Shuffled batches, as many on each rank: the last may be empty."""
        n_batches = self.ranks.largest(-(-len(rows) // self.batch_size))
        batches = rows.shuffled(self.batch_size, self._generator)
        empty = itertools.repeat(self._sample[:0])
        return itertools.islice(itertools.chain(batches, empty), n_batches)

    def _loss(self, rows):
        """The objective at full λ, with the same probes and noise every time."""
        noise = Noise(self._noise_seed, self._weights.device)
        total, n_cells = 0.0, 0
        for batch in rows.in_order(self.batch_size):
            error, penalty = self.objective.terms(batch, noise)
            total += float(error) + self.parameters.lam * float(penalty)
            n_cells += batch.numel()
        total, n_cells = self.ranks.totals(total, n_cells)
        return total / n_cells

    def _exploded(self, terms, lam):
        """Which of the two terms exploded, if any."""
        # while λ warms up, the Jacobian may rightly grow from epoch to epoch
        penalty = max([self._start["penalty"], *self.history["penalty"][-1:]])
        for name, weight, reference in (
            ("reconstruction", 1.0, self._start["reconstruction"]),
            ("penalty", lam, penalty),
        ):
            bound = _EXPLOSION[name] * max(self.baseline_loss, weight * reference)
            if not weight * terms[name] <= bound:
                return name
        return None


def _draw_seed(generator):
    seed = torch.randint(
        2**62, (), generator=generator, dtype=torch.int64, device="cpu"
    )
    return int(seed)
