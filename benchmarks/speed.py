"""What fits, steps, scores and searches cost, as ratios of interleaved pairs.

Every row runs the two rivals in turn, several times, in one process, and reports the
median of the ratios; below 1 is faster than the rival. Where a rival is so slow that
it runs fewer steps, both count by the step. Every row has a bar: a median above it is
missed, and the command ends with exit status 1 if one is. Ratios scatter on a machine
that does other work: where the bar lies within a row's range, measure it again alone,
with more pairs.

    python -m benchmarks.speed                 the whole table, about 15 minutes
    python -m benchmarks.speed --quick         fewer pairs and epochs, three minutes
    python -m benchmarks.speed --only memory   rows whose name has the word
    python -m benchmarks.speed --out F         the raw times as JSON, too
    python -m benchmarks.speed --device cuda   only the tutorials' loop, on a GPU

PyOD and autoencoders are measured where they are installed.
"""

import pickle
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from benchmarks._detectors import PackagedCae
from benchmarks._memory import of_a_fit
from benchmarks._report import conclude, interleaved, parser, ratios, setting, table
from benchmarks._rivals import (
    AutogradExact,
    TutorialLoop,
    contractive,
    mlp_regressor,
    pyod_autoencoder,
)
from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, explain

SMALL, MEDIUM = (30, 64, 8), (100, 128, 16)
ONE_LAYER, DEEP = (30, 64), (784, 256, 128, 64)


@dataclass
class Contest:
    """One row: two calls, and how many steps (of any unit) each of them runs."""

    name: str
    bar: float
    ours: Callable
    rival: Callable
    ours_steps: int = 1
    rival_steps: int = 1
    most_pairs: int = 99

    def run(self, n_pairs):
        """Seconds a step, of us and of the rival."""
        pairs = interleaved(self.ours, self.rival, min(n_pairs, self.most_pairs))
        return [(a / self.ours_steps, b / self.rival_steps) for a, b in pairs]


def name_of(sizes):
    """Widths of an encoder, as they are written."""
    return "-".join(map(str, sizes))


def against_mlp(n, sizes, epochs, bar, **parameters):
    """Fit with the penalty against a plain autoencoder without one."""
    X = table(n, sizes[0])
    ours = contractive(sizes[1:], epochs, **parameters)
    rival = mlp_regressor(sizes[1:], epochs)
    what = parameters.get("activation", "silu")
    name = f"fit, {name_of(sizes)}, {what} / MLPRegressor"
    return Contest(name, bar, partial(ours.fit, X), partial(rival.fit, X, X))


def against_pyod(n, sizes, epochs, bar, batch_size, lam):
    """Fit against PyOD's autoencoder, which has no penalty, and fewer epochs of it."""
    X = table(n, sizes[0])
    rival_epochs = max(1, epochs // 10)
    rival = pyod_autoencoder(
        hidden_neuron_list=list(sizes[1:]),
        epoch_num=rival_epochs,
        batch_size=batch_size,
    )
    if rival is None:
        return None
    ours = contractive(sizes[1:], epochs, lam=lam)
    name = f"epoch, {name_of(sizes)}, lam = {lam} / PyOD, batches of {batch_size}"
    fit, rival_fit = partial(ours.fit, X), partial(rival.fit, X)
    return Contest(name, bar, fit, rival_fit, epochs, rival_epochs, most_pairs=3)


def against_packaged_cae(n, sizes, epochs, rival_epochs, bar):
    """Fit against the CAE of the package autoencoders, which loops over code units."""
    try:
        rival = PackagedCae(0, sizes[1:], rival_epochs)
    except ImportError:
        return None
    X = table(n, sizes[0])
    ours = contractive(sizes[1:], epochs, activation="relu")
    name = f"epoch, {name_of(sizes)} / the CAE of autoencoders"
    fit, rival_fit = partial(ours.fit, X), partial(rival.fit, X)
    return Contest(name, bar, fit, rival_fit, epochs, rival_epochs, most_pairs=3)


def against_loop(sizes, epochs, loop_steps, bar, device):
    """A step against the tutorials' loop, which runs fewer."""
    batch_size, n_batches = (256, 50) if sizes == SMALL else (128, 10)
    X = np.clip(table(batch_size * n_batches, sizes[0]) / 8 + 0.5, 0, 1)
    ours = contractive(
        sizes[1:],
        epochs,
        lam=1e-3,  # any λ costs the same, and this one ends well on noise
        batch_size=batch_size,
        activation="sigmoid",
        decoder_activation="relu",
        output_activation="sigmoid",
        tied_weights=False,
        device=device,
    )
    loop = TutorialLoop(sizes, device)
    name = f"step, {name_of(sizes)} / one backward pass per output"
    rival = partial(loop.fit, X, batch_size, loop_steps)
    n_steps = epochs * n_batches
    return Contest(
        name, bar, partial(ours.fit, X), rival, n_steps, loop_steps, most_pairs=3
    )


def against_no_penalty(n, sizes, epochs, bar):
    """Fit with the penalty against the same fit at λ = 0."""
    X = table(n, sizes[0])
    ours = contractive(sizes[1:], epochs)
    rival = contractive(sizes[1:], epochs, lam=0)
    name = f"fit, {name_of(sizes)} / lam = 0"
    return Contest(name, bar, partial(ours.fit, X), partial(rival.fit, X))


def against_autograd(n, sizes, epochs, bar):
    """Fit with the exact penalty against the same penalty through autograd."""
    X = table(n, sizes[0])
    ours = contractive(sizes[1:], epochs, penalty_method="exact")
    n_steps = epochs * -(-n // 256)
    rival = AutogradExact(sizes)
    name = f"fit, {name_of(sizes)}, exact / by autograd"
    return Contest(name, bar, partial(ours.fit, X), partial(rival.fit, X, 256, n_steps))


def score_against_predict(n, dtype, bar, score_dtype="float64"):
    """Scores of many rows against the predictions for them, ReLU units both."""
    X = table(n, 30, dtype)
    ours = contractive(SMALL[1:], 1, activation="relu", score_dtype=score_dtype)
    ours.fit(X[:2000])
    rival = mlp_regressor(SMALL[1:], 1).fit(X[:2000], X[:2000])
    name = f"score_samples, {dtype.__name__} in {score_dtype} / MLPRegressor.predict"
    return Contest(name, bar, partial(ours.score_samples, X), partial(rival.predict, X))


def import_against_its_dependencies(bar):
    """Import of the package against that of what it stands on."""

    def importing(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    stands_on = "import torch, sklearn.base, sklearn.pipeline"
    return Contest(
        "import / torch and scikit-learn",
        bar,
        importing(f"{stands_on}; import skcae"),
        importing(stands_on),
    )


def two_jobs_against_one(n, bar):
    """A search over λ in two processes against one; one thread each."""
    X = table(n, 30)
    grid = {"lam": [0, 0.01, 0.03, 0.1, 0.3, 1]}
    scores = {}

    def search(n_jobs):
        with threadpool_limits(1):
            torch.set_num_threads(1)
            model = contractive(SMALL[1:], 20)
            found = GridSearchCV(model, grid, cv=5, n_jobs=n_jobs, refit=False).fit(X)
        scores[n_jobs] = found.cv_results_["mean_test_score"]
        if len(scores) == 2:
            np.testing.assert_allclose(scores[1], scores[2], rtol=1e-5)

    name = "GridSearchCV, 30 fits, n_jobs=2 / n_jobs=1"
    return Contest(name, bar, partial(search, 2), partial(search, 1), most_pairs=2)


def _spent(call):
    """Seconds of CPU."""
    start = time.process_time()
    call()
    return time.process_time() - start


def beyond_neighbours():
    """Seconds of CPU to score, above what searching for the neighbours takes."""
    rows = table(110_000, 30, np.float64)
    train, new = rows[:10_000], rows[10_000:]
    network = ContractiveAutoencoder(max_iter=1, noise_std=0.5, contamination=0.1)
    detector = AnomalyDetector(network, random_state=0).fit(train)
    searches = [
        partial(
            NearestNeighbors(n_neighbors=n).fit(change(train)).kneighbors, change(new)
        )
        for n, change in ((11, np.asarray), (41, np.arcsinh))
    ]
    calls = (partial(detector.score_samples, new), *searches)
    scoring, *searching = (min(_spent(call) for _ in range(3)) for call in calls)
    print(f"scores {scoring:.2f} s, searches {sum(searching):.2f} s, of the CPU")
    return scoring - sum(searching)


def pickle_size():
    """Of a detector with as many neighbours as it keeps, in millions of bytes."""
    network = ContractiveAutoencoder(max_iter=1, noise_std=0.5, contamination=0.1)
    detector = AnomalyDetector(network, random_state=0).fit(table(50_000, 40))
    return len(pickle.dumps(detector)) / 1e6


def explanation():
    """Seconds to explain 200 rows of 784 columns."""
    X = table(1200, 784)
    model = ContractiveAutoencoder(max_iter=1, random_state=0).fit(X[200:])
    start = time.perf_counter()
    explain(model, X[:200], X[200:])
    return time.perf_counter() - start


# Figures that no rival has: what measures them, and their bars.
ALONE = {
    "memory of fit, 1,000,000 x 50 float32, MiB": (
        partial(of_a_fit, 1_000_000, 50),
        57,
    ),
    "detector, 100,000 x 30 scored, without searches, CPU s": (beyond_neighbours, 2),
    "explain, 200 x 784, s": (explanation, 10),
    "detector, pickle after 50,000 x 40, MB": (pickle_size, 5),
}


def contests(quick, device):
    """Every row, built when it is reached; None where the rival is missing."""
    epochs = 5 if quick else 20
    if device == "cpu":
        for activation in ("silu", "relu", "tanh"):
            yield against_mlp(20_000, SMALL, epochs, 0.9, activation=activation)
        yield against_mlp(50_000, MEDIUM, max(3, epochs // 2), 0.95)
        yield against_mlp(20_000, ONE_LAYER, epochs, 0.7)
        # batches of its default and of ours; and without a penalty on either side
        for batch_size, lam in ((32, 0.1), (256, 0.1), (256, 0)):
            yield against_pyod(20_000, SMALL, 2 * epochs, 1 / 15, batch_size, lam)
        yield against_packaged_cae(20_000, SMALL, epochs, 2, 1 / 8)
        yield against_packaged_cae(2560, (784, 256, 64), epochs, 1, 1 / 20)
    yield against_loop(SMALL, 10, 50, 1 / 8, device)
    yield against_loop(DEEP, 10, 5, 1 / 18, device)
    yield against_loop((784, 1000), 3, 1, 1 / 300, device)
    if device != "cpu":
        yield against_loop((784, 512, 256, 64), 10, 5, 1 / 30, device)
        return
    yield against_no_penalty(20_000, ONE_LAYER, epochs, 1.3)
    yield against_no_penalty(20_000, SMALL, epochs, 1.6)
    yield against_no_penalty(50_000, MEDIUM, max(3, epochs // 2), 1.6)
    yield against_no_penalty(5000, DEEP, max(2, epochs // 5), 1.9)
    yield against_autograd(5000, SMALL, epochs, 0.6)
    yield against_autograd(1280, DEEP, max(2, epochs // 5), 0.7)
    n = 50_000 if quick else 200_000
    yield score_against_predict(n, np.float64, 1.2)
    yield score_against_predict(n, np.float32, 2)
    yield score_against_predict(n, np.float32, 1, score_dtype="float32")
    yield import_against_its_dependencies(1.05)
    yield two_jobs_against_one(1000 if quick else 60_000, 1 / 1.6)


def measure(contest, n_pairs, n_threads):
    """Run one row, and print it."""
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads)
        pairs = contest.run(n_pairs)
    median, low, high = ratios(pairs)
    typical = statistics.median(mine for mine, _ in pairs)
    scatter = f"{low:6.3f}..{high:5.3f} {typical:8.4f}"
    return judged(contest.name, median, contest.bar, scatter) | {"seconds": pairs}


def judged(name, value, bar, scatter=""):
    """Compare a figure with its bar, and print both."""
    met = value <= bar
    verdict = "met" if met else "missed"
    print(f"{name:56}{value:7.3f} {bar:7.3f} {verdict:7}{scatter}", flush=True)
    return {"row": name, "value": value, "bar": bar, "met": met}


def main():
    """Print the table, and fail if a bar is missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true", help="about three minutes")
    arguments.add_argument("--only", default="", help="a word of the rows to measure")
    arguments.add_argument("--pairs", type=int, help="interleaved pairs (2 or 9)")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    options = arguments.parse_args()
    n_pairs = options.pairs or (2 if options.quick else 9)

    warnings.simplefilter("ignore", ConvergenceWarning)
    conditions = setting(threads=options.threads, device=options.device, pairs=n_pairs)
    columns = f"{'median':>7} {'bar':>7} {'':7}{'range':>13} {'ours, s':>8}"
    print(f"{'ours / rival':56}{columns}")
    rows = [
        measure(contest, n_pairs, options.threads)
        for contest in contests(options.quick, options.device)
        if contest is not None and options.only in contest.name
    ]
    if options.device == "cpu":
        for name, (figure, bar) in ALONE.items():
            if options.only in name:
                rows.append(judged(name, figure(), bar))
    if not rows:
        arguments.error(f"no row has {options.only!r} in its name")
    conclude(options.out, conditions, rows)


if __name__ == "__main__":
    main()
