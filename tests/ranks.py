"""What each rank does in test_distributed.py, started by torchrun with a job's name."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from skcae import ContractiveAutoencoder
from skcae._core.batches import Rows
from skcae._core.training import Trainer

SMOOTH = {
    "n_components": 4,
    "hidden_layer_sizes": (16,),
    "activation": "tanh",
    "penalty_method": "exact",
    "max_iter": 10,
    "random_state": 0,
}


def table(n_samples=400):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, 8))
    return X + 0.1 * rng.normal(size=X.shape)


def batches_of_both(rows, batch_size, generator):
    """The batches of two ranks with half of the rows each, joined."""
    half = len(rows) // 2
    order = torch.randperm(half, generator=generator)
    for positions in order.split(batch_size // 2):
        yield rows.take(torch.cat([positions, positions + half]))


def numbers(model):
    """All that ranks have to agree on."""
    state = model._checkpoint.to_state()
    return np.concatenate(
        [
            np.ravel(each).astype(float)
            for each in (
                state["weights"],
                state["shift"],
                state["means"],
                state["generator"],
                *state["optimizer"].values(),
                *model.history_.values(),
                model.offset_,
                model.n_iter_,
                model._recent_scores,
            )
        ]
    )


def healthy(rank, folder):
    """Fits that end. What each rank found is kept under its name."""
    X, found = table(), {}
    halves = X[:200], X[200:]

    def fitted(name, rows, **parameters):
        model = ContractiveAutoencoder(**SMOOTH | parameters, distributed=True)
        found[name] = numbers(model.fit(rows))
        return model

    even = {"batch_size": 20, "contamination": 0.1}
    for name, more in {
        "even": {},
        "stopped early": {"early_stopping": True, "max_iter": 20},
        "noisy": {"noise_std": 0.1, "penalty_method": "hutchinson"},
        "exploding": {"learning_rate_init": 30.0, "weight_decay": 0.001},
        "small": {"contamination": "auto"},
        "automatic batches": {"batch_size": "auto"},
    }.items():
        fitted(name, halves[rank], **even | more)
    for name, n_rows in {"fewer": 30, "no": 0}.items():
        fitted(f"{name} rows on rank 1", X[200 : 200 + n_rows] if rank else halves[0])
        fitted(f"{name} rows on rank 0", halves[1] if rank else X[:n_rows])
    model = ContractiveAutoencoder(**SMOOTH | {"random_state": None}, distributed=True)
    for start in range(0, 200, 50):
        model.partial_fit(halves[rank][start : start + 50])
    found["partial"] = numbers(model)
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    fitted("missing", holes[200 * rank : 200 * (rank + 1)], **even, allow_nan=True)

    # what one refuses, the others learn of
    bad = np.where(np.arange(8) == 3, np.nan, halves[0]) if rank else halves[0]
    try:
        fitted("refused", bad)
    except (ValueError, RuntimeError) as error:
        found["refusal"] = np.array(f"{type(error).__name__}: {error}")
    try:
        fitted("refused", halves[rank][:, : 8 - rank])
    except (ValueError, RuntimeError) as error:
        found["other width"] = np.array(f"{type(error).__name__}: {error}")

    if rank == 0:
        Rows.shuffled = batches_of_both
        for name, more in {
            "even": {},
            "missing": {"allow_nan": True},
            "small": {"contamination": "auto"},
        }.items():
            one = ContractiveAutoencoder(**SMOOTH | even | {"batch_size": 40} | more)
            rows = holes if name == "missing" else X
            found[f"one, {name}"] = numbers(one.fit(rows))
    np.savez(folder / f"{rank}.npz", **found)


def count_epochs():
    """A list that grows by one with every epoch that begins."""
    epoch, begun = Trainer._epoch, []

    def counted(*args):
        begun.append(True)
        return epoch(*args)

    Trainer._epoch = counted
    return begun


def hit_rank_1(rank, how, in_epoch):
    """Let a signal come at the beginning of an epoch."""
    begun, epoch = count_epochs(), Trainer._epoch

    def hit(*args):
        if len(begun) == in_epoch - 1 and rank == 1:
            os.kill(os.getpid(), how)
        return epoch(*args)

    Trainer._epoch = hit


def failing(rank, folder, how):
    """Rank 1 is hit by a signal in its third epoch."""
    hit_rank_1(rank, how, in_epoch=3)
    model = ContractiveAutoencoder(**SMOOTH, batch_size=20, distributed=True)
    try:
        model.fit(table()[rank::2])
    except RuntimeError as error:
        fitted = hasattr(model, "n_iter_")
        (folder / f"{rank}.txt").write_text(f"{fitted} {error}")
        os._exit(0)  # destroying the group would wait for rank 1


def restarted(rank, folder):
    """Rank 1 dies in its eighth epoch, the first time; what is kept goes on."""
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        hit_rank_1(rank, signal.SIGKILL, in_epoch=8)
    begun = count_epochs()
    parameters = SMOOTH | {"noise_std": 0.1, "penalty_method": "hutchinson"}
    parameters["contamination"] = 0.1  # "auto" would train a second network
    rows = table()[rank::2]
    model = ContractiveAutoencoder(
        **parameters, distributed=True, checkpoint_folder=folder, checkpoint_every=3
    ).fit(rows)
    n_trained = len(begun)
    whole = ContractiveAutoencoder(**parameters, distributed=True).fit(rows)
    np.savez(
        folder / f"{rank}.npz",
        restarts=int(os.environ["TORCHELASTIC_RESTART_COUNT"]),
        n_trained=n_trained,
        resumed=numbers(model),
        whole=numbers(whole),
    )


def main():
    """Join the group and do the job."""
    job, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    # long enough for ranks to meet on a busy machine; a hung one is waited for as long
    timeout = timedelta(seconds=20 if job == "SIGSTOP" else 120)
    dist.init_process_group("gloo", timeout=timeout)
    rank = dist.get_rank()
    if job == "healthy":
        healthy(rank, folder)
    elif job == "restarted":
        restarted(rank, folder)
    else:
        failing(rank, folder, signal.Signals[job])
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
