"""Training that does not diverge.

One epoch is the unit of safety: it ends finite and not exploded, or it is
undone and tried again with a smaller learning rate. Nothing inside an epoch
waits for the device.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from skcae._adam import Adam
from skcae._noise import Noise

# A term explodes when it exceeds its factor times where it started and times
# the loss of the column means. The first is tight because the network starts no
# worse than these; the second is wide because the Jacobian may rightly grow.
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


@dataclass(frozen=True)
class Settings:
    """What the estimator's parameters of the same names say.

    ``unit`` is the loss per cell of the best constant output. The objective is
    optimised in this unit, so that neither clipping nor ``tol`` depends on the
    scale of the table.
    """

    lam: float
    learning_rate_init: float
    batch_size: int
    tol: float
    n_iter_no_change: int
    weight_decay: float
    max_grad_norm: float | None
    lam_warmup: int
    unit: float


class Trainer:
    """Epochs of Adam, with λ's warm-up, clipping and recovery.

    Parameters
    ----------
    objective : Objective
    settings : Settings
    generator : torch.Generator
        On the CPU. It shuffles, and seeds the noise and the probes.
    epochs : int
        Epochs that the network has seen before, for λ's warm-up.
    optimizer_state : dict of ndarray, optional
        What :attr:`optimizer_state` was after these.

    Attributes
    ----------
    history : dict of lists
        One entry an epoch, see ``ContractiveAutoencoder.history_``.
    epochs : int
        Epochs that the network has seen.
    """

    def __init__(
        self, objective, settings, generator, *, epochs=0, optimizer_state=None
    ):
        self.objective = objective
        self.settings = settings
        self.history = {name: [] for name in HISTORY}
        self.epochs = epochs
        self._generator = generator
        self._parameters = objective.network.parameters
        self._gradient = torch.zeros_like(self._parameters)
        self._grads = objective.network.views(self._gradient)
        device = self._parameters.device
        self._noise_seed = int(torch.randint(2**62, (), generator=generator))
        self._noise = Noise(self._noise_seed, device)
        # recovery divides the learning rate by this; later calls keep it
        self._slowdown = 1.0
        if optimizer_state is not None:
            optimizer_state = optimizer_state.copy()
            self._slowdown = float(optimizer_state.pop("slowdown"))
        self._adam = Adam(self._parameters, self._gradient, optimizer_state)

    @property
    def optimizer_state(self):
        """Adam's state and the learning rate's reduction, as arrays."""
        return self._adam.state | {"slowdown": np.array(self._slowdown)}

    # without autograd's bookkeeping, small operations are a tenth faster
    @torch.inference_mode()
    def run(self, rows, validation, max_iter, on_epoch=None):
        """Train for at most ``max_iter`` epochs.

        Parameters
        ----------
        rows : Rows
        validation : Rows or None
            Where given, its loss decides when to stop, and the weights that
            were best on it come back.
        max_iter : int
        on_epoch : callable, optional
            Called with the history after every epoch.
        """
        self._measure_start(rows)
        ceiling = max(self.settings.unit, self._start["reconstruction"])
        best, best_parameters, waited, previous = math.inf, None, 0, 0.0
        watched = self.history["loss" if validation is None else "validation_loss"]
        for _ in range(max_iter):
            self._safe_epoch(rows, validation)
            error = self.history["reconstruction"][-1]
            if error > max(ceiling, previous):
                # worse than a constant, and not on its way back: it has begun to bounce
                self._slowdown *= 0.5
            previous = error
            if on_epoch is not None:
                on_epoch(self.history)
            if self.history["lam"][-1] < self.settings.lam:
                continue
            loss = watched[-1]
            improved = loss < best - self.settings.tol * self.settings.unit
            waited = 0 if improved else waited + 1
            if loss < best:
                best = loss
                if validation is not None:
                    best_parameters = self._parameters.clone()
            if waited >= self.settings.n_iter_no_change:
                break
        if best_parameters is not None:
            self._parameters.copy_(best_parameters)

    @torch.inference_mode()
    def run_once(self, rows):
        """Train for one epoch, on rows that may come from anywhere."""
        self._measure_start(rows)
        self._safe_epoch(rows, None)

    def _measure_start(self, rows):
        order = torch.randperm(len(rows), generator=self._generator)
        self._sample = rows.take(order[:_SAMPLE_ROWS])
        self._start = self._measure()

    def _measure(self):
        """Both terms of the present network on the sample."""
        # a stream of its own: what is only looked at must not change training
        noise = Noise(self._noise_seed, self._sample.device)
        rows = self.objective.trimmed(self._sample)
        error, penalty = self.objective.terms(rows, noise)
        return {
            "reconstruction": float(error) / rows.numel(),
            "penalty": float(penalty) / rows.numel(),
        }

    def _safe_epoch(self, rows, validation):
        warmup = self.settings.lam_warmup
        ramp = min(1.0, self.epochs / warmup) if warmup else 1.0
        lam = self.settings.lam * ramp
        parameters, adam = self._parameters.clone(), self._adam.snapshot()
        for _ in range(_RETRIES + 1):
            record = self._epoch(rows, lam)
            # the losses of an epoch are those before its steps: the last step's
            # harm shows on the sample only
            after = self._measure()
            exploded = self._exploded(record, lam) or self._exploded(after, lam)
            if exploded is None and math.isfinite(record["weight_norm"]):
                break
            self._parameters.copy_(parameters)
            self._adam.restore(adam)
            self._slowdown *= _RETRY_FACTOR
        else:
            raise TrainingDivergedError(exploded or "reconstruction", self.epochs + 1)
        self.epochs += 1
        if lam == 0:  # the penalty was no part of the steps
            record["penalty"] = after["penalty"]
        record["validation_loss"] = math.nan
        if validation is not None:
            record["validation_loss"] = self._loss(validation)
        for name, values in self.history.items():
            values.append(record[name])

    def _epoch(self, rows, lam):
        settings, gradient = self.settings, self._gradient
        rate = settings.learning_rate_init * self._slowdown
        limit = gradient.new_tensor(settings.max_grad_norm or 0.0)
        errors, penalties, norms, n_cells = [], [], [], 0
        for batch in rows.shuffled(settings.batch_size, self._generator):
            batch = self.objective.trimmed(batch)
            n_cells += batch.numel()
            gradient.zero_()
            error, penalty = self.objective.gradient(
                batch, lam, self._noise, *self._grads, 1 / settings.unit
            )
            norm = torch.linalg.vector_norm(gradient)
            if settings.max_grad_norm is not None:
                gradient.mul_(torch.div(limit, norm).clamp_(max=1))
            self._adam.step(rate)
            if settings.weight_decay:
                self.objective.network.flat_weights().mul_(
                    1 - rate * settings.weight_decay
                )
            errors.append(error)
            penalties.append(penalty)
            norms.append(norm)

        def mean_over_cells(terms):
            total = torch.stack(terms).sum(dtype=torch.float64)
            return float(total) / n_cells

        reconstruction = mean_over_cells(errors)
        penalty = mean_over_cells(penalties) if lam > 0 else 0.0
        return {
            "loss": reconstruction + lam * penalty,
            "reconstruction": reconstruction,
            "penalty": penalty,
            "grad_norm": float(torch.stack(norms).mean()),
            "weight_norm": float(
                torch.linalg.vector_norm(self.objective.network.flat_weights())
            ),
            "lam": lam,
            "learning_rate": rate,
        }

    def _loss(self, rows):
        """The objective at full λ, with the same probes and noise every time."""
        noise = Noise(self._noise_seed, self._parameters.device)
        total, n_cells = 0.0, 0
        for batch in rows.in_order(self.settings.batch_size):
            batch = self.objective.trimmed(batch)
            error, penalty = self.objective.terms(batch, noise)
            total += float(error) + self.settings.lam * float(penalty)
            n_cells += batch.numel()
        return total / n_cells

    def _exploded(self, terms, lam):
        """Which of the two terms exploded, if any."""
        # while λ warms up, the Jacobian may rightly grow from epoch to epoch
        penalty = max([self._start["penalty"], *self.history["penalty"][-1:]])
        for name, weight, reference in (
            ("reconstruction", 1.0, self._start["reconstruction"]),
            ("penalty", lam, penalty),
        ):
            bound = _EXPLOSION[name] * max(self.settings.unit, weight * reference)
            if not weight * terms[name] <= bound:
                return name
        return None
