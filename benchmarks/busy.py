"""What fits and scores cost where other processes use the machine, too.

With several threads, torch waits for the one that is not scheduled. Every row compares
the number of threads that the estimator chooses with one thread, and with
``MLPRegressor`` of the same size, while so many other processes multiply matrices.

    python -m benchmarks.busy           about five minutes
    python -m benchmarks.busy --quick   fewer pairs, two minutes
"""

import multiprocessing
import statistics
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import conclude, interleaved, parser, ratios, setting, table
from benchmarks._rivals import contractive, mlp_regressor

# Most times as slow as with one thread: on an idle machine, and on a busy one.
IDLE_BAR, BUSY_BAR = 1.15, 1.5


def _work():
    torch.set_num_threads(1)
    matrix = np.ones((300, 300))
    while True:
        matrix @ matrix


@contextmanager
def others(n_processes):
    """Keep so many processes busy meanwhile."""
    processes = [multiprocessing.Process(target=_work) for _ in range(n_processes)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def on_one_thread(function):
    """Call it while torch has one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        function()
    finally:
        torch.set_num_threads(before)


def calls():
    """Name, our call, and that of the rival."""
    for sizes, n, epochs in (((30, 256, 32), 10_000, 3), ((784, 1000), 3000, 1)):
        X = table(n, sizes[0])
        ours, rival = contractive(sizes[1:], epochs), mlp_regressor(sizes[1:], epochs)
        name = "-".join(map(str, sizes))
        yield f"fit, {name}", partial(ours.fit, X), partial(rival.fit, X, X)
        ours, rival = ours.fit(X[:500]), rival.fit(X[:500], X[:500])
        score, predict = partial(ours.score_samples, X), partial(rival.predict, X)
        yield f"score, {name}", score, predict


def main():
    """Print the table, and fail if a bar is missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true", help="two minutes")
    options = arguments.parse_args()
    n_pairs = 3 if options.quick else 9
    warnings.simplefilter("ignore", ConvergenceWarning)
    conditions = setting(threads=torch.get_num_threads(), pairs=n_pairs)
    print(f"{'':24}{'others':>7}{'/ one thread':>14}{'bar':>6}{'/ MLPRegressor':>16}")
    rows = []
    for n_others in (0, 1, 2):
        bar = BUSY_BAR if n_others else IDLE_BAR
        with others(n_others):
            for name, ours, rival in calls():
                pairs = interleaved(ours, partial(on_one_thread, ours), n_pairs)
                beside = interleaved(ours, rival, n_pairs)
                value, beside_rival = ratios(pairs)[0], ratios(beside)[0]
                rows.append({"row": name, "others": n_others, "value": value})
                rows[-1] |= {"bar": bar, "met": value <= bar}
                rows[-1] |= {"rival": beside_rival, "seconds": pairs}
                typical = statistics.median(mine for mine, _ in pairs)
                print(
                    f"{name:24}{n_others:7}{value:14.2f}{bar:6.2f}{beside_rival:16.2f}"
                    f"   {typical:.3f} s",
                    flush=True,
                )
    conclude(options.out, conditions, rows)


if __name__ == "__main__":
    main()
