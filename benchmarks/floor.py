"""How far a training step is from what the machine can do.

The floor of a step is its matrix products at the rate of one large product, plus its
bytes at the rate of a large copy, both measured in the same run. Counted are every
layer's outputs, slopes and backward signal, with the penalty its probe, scaled probe
and curvature too, each written and read once; and Adam's nine passes over parameters.

    python -m benchmarks.floor            the table, about a minute
    python -m benchmarks.floor --out F    as JSON, too
"""

import statistics
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import parser, seconds, setting, table, write
from benchmarks._rivals import contractive

# widths of the encoder, rows in a batch
NETWORKS = (
    ((30, 64), 256),
    ((30, 64, 8), 256),
    ((100, 128, 16), 256),
    ((784, 256, 128, 64), 128),
    ((784, 1000), 128),
    ((784, 512, 256, 64), 4096),
)


def machine():
    """Floating-point operations and copied bytes a second."""
    a, b = torch.randn(2, 2048, 2048)
    product = min(seconds(lambda: a @ b) for _ in range(5))
    big = torch.zeros(2**26)
    target = torch.empty_like(big)
    copy = min(seconds(lambda: target.copy_(big)) for _ in range(5))
    return 2 * 2048**3 / product, 2 * 4 * 2**26 / copy


def floor(sizes, batch, method, rates):
    """Seconds that products and memory of one step take at least."""
    weights = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    encoder, widths = sum(weights), sum(sizes[1:]) + sum(sizes[:-1])
    plain = 3 * 2 * encoder - weights[0]  # the first layer needs no input gradient
    penalty = {
        "hutchinson": 3 * encoder,  # one probe a row
        # of one layer: the norms of its units, once a batch
        "closed_form": 2 * sizes[1] + 2 * encoder / batch,
    }
    operations = 2 * batch * (plain + penalty[method])
    parameters = encoder + widths
    passes = 2 * 3 * batch * (widths + sum(sizes[1:])) + 9 * parameters
    return operations / rates[0], 4 * passes / rates[1]


def step(sizes, batch):
    """Seconds of a step: what more epochs of a fit cost, over their steps."""
    n_batches = max(2, 20_000 // batch)
    X = table(n_batches * batch, sizes[0])
    few, many = (contractive(sizes[1:], epochs, batch_size=batch) for epochs in (1, 4))
    few.fit(X)
    gain = [seconds(lambda: many.fit(X)) - seconds(lambda: few.fit(X)) for _ in "12345"]
    return statistics.median(gain) / 3 / n_batches, few.penalty_method_


def main():
    """Print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(options.threads)
    rates = machine()
    conditions = setting(
        threads=options.threads,
        gflops=round(rates[0] / 1e9),
        copied_gb_per_s=round(rates[1] / 1e9, 1),
    )
    columns = f"{'batch':>6}{'step, us':>10}{'products':>10}{'bytes':>8}{'times':>7}"
    print(f"{'network':20}{columns}")
    rows = []
    for sizes, batch in NETWORKS:
        measured, method = step(sizes, batch)
        products, memory = floor(sizes, batch, method, rates)
        times = measured / (products + memory)
        name = "-".join(map(str, sizes))
        print(
            f"{name:20}{batch:6}{measured * 1e6:10.0f}{products * 1e6:10.0f}"
            f"{memory * 1e6:8.0f}{times:7.1f}  {method}",
            flush=True,
        )
        rows.append({"network": name, "step": measured, "floor": [products, memory]})
    write(options.out, conditions, rows)


if __name__ == "__main__":
    main()
