"""Seconds of an epoch on one of several ranks, for benchmarks.growth."""

import os
import sys
import time

import torch
import torch.distributed as dist

from benchmarks._report import table
from benchmarks._rivals import contractive

_EPOCHS = 3


def main():
    """Fit the rows of this rank, and print what an epoch takes."""
    n_rows, n_columns, batch_size = map(int, sys.argv[1:])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    size = dist.get_world_size()
    X = table(n_rows // size, n_columns)

    def seconds(epochs):
        model = contractive(
            (64, 8), epochs, batch_size=batch_size // size, distributed=True
        )
        start = time.perf_counter()
        model.fit(X)
        return time.perf_counter() - start

    seconds(1)
    one = min(seconds(1) for _ in "123")
    more = min(seconds(1 + _EPOCHS) for _ in "123")
    if os.environ["RANK"] == "0":
        print((more - one) / _EPOCHS)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
