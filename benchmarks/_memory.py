"""What a fit needs beside its table, measured in a process of its own (on Linux)."""

import subprocess
import sys

_CODE = """
import numpy as np
from skcae import ContractiveAutoencoder
def peak():
    (line,) = [line for line in open("/proc/self/status") if "VmHWM" in line]
    return int(line.split()[1]) / 1024

X = np.empty(({n_rows}, {n_columns}), np.float32)
rng = np.random.default_rng(0)
for block in np.array_split(X, 100):
    rng.standard_normal(out=block, dtype=np.float32)
model = ContractiveAutoencoder(
    8, hidden_layer_sizes=(64,), activation="silu", max_iter=1, batch_size=256
)
model.fit(X[:10_000])
before = peak()
model.fit(X)
print(peak() - before)
"""


def of_a_fit(n_rows, n_columns):
    """MiB above the table, which is in memory, and above what an earlier fit left."""
    run = [sys.executable, "-c", _CODE.format(n_rows=n_rows, n_columns=n_columns)]
    return float(subprocess.run(run, check=True, capture_output=True).stdout)
