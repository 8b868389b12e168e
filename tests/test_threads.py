import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skcae import ContractiveAutoencoder
from skcae._core import threads
from skcae._core.threads import StepThreads
from skcae.anomaly import AnomalyDetector, NeighborDistance


@pytest.fixture(autouse=True)
def two_threads(one_thread):
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def X(rng):
    return rng.normal(size=(700, 4)) @ rng.normal(size=(4, 12))


def in_a_new_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def quick(**parameters):
    return ContractiveAutoencoder(8, max_iter=3, random_state=0, **parameters)


def test_overlapping_fits_leave_the_threads_of_others_alone(X):
    fits = [
        threading.Thread(target=lambda: quick(n_iter_no_change=100).fit(X))
        for _ in range(3)
    ]
    for fit in fits:
        fit.start()
    seen = {in_a_new_thread(torch.get_num_threads) for _ in range(20)}
    for fit in fits:
        fit.join()
    assert seen == {2}
    assert in_a_new_thread(torch.get_num_threads) == torch.get_num_threads() == 2


def test_number_is_put_back_where_training_fails(X):
    model = quick(learning_rate_init=1e30, max_grad_norm=None)
    with pytest.raises(ValueError, match="diverged"):
        model.fit(1e10 * X)
    assert torch.get_num_threads() == 2
    with threads.one():
        assert torch.get_num_threads() == 1
        assert threads.available() == 2
    assert torch.get_num_threads() == threads.available() == 2


@pytest.mark.parametrize("n_threads", [1, 2])
def test_models_and_scores_do_not_depend_on_the_number(X, n_threads, monkeypatch):
    # blocks small enough that both threads get some
    monkeypatch.setattr("skcae._core.batches._BLOCK_ELEMENTS", 2**10)
    expected = in_a_new_thread(lambda: scores(X, 2))
    np.testing.assert_array_equal(scores(X, n_threads), expected)


def scores(X, n_threads):
    torch.set_num_threads(n_threads)
    model = quick().fit(X)
    return np.c_[model.score_samples(X), model.transform(X)]


def test_eight_threads_score_one_model_as_one_does(X, monkeypatch):
    monkeypatch.setattr("skcae._core.batches._BLOCK_ELEMENTS", 2**14)
    autoencoder = quick().fit(X)
    detector = AnomalyDetector(quick(), random_state=0).fit(X)
    near = NeighborDistance(autoencoder).fit(X)
    uses = [
        autoencoder.score_samples,
        autoencoder.transform,
        autoencoder.contraction,
        detector.score_samples,
        detector.p_values,
        near.score_samples,
    ]
    tables = [X[start:] for start in range(8)]
    work = [(use, table) for table in tables for use in uses]
    expected = [use(table) for use, table in work]
    with ThreadPoolExecutor(8) as pool:
        results = [*pool.map(lambda pair: pair[0](pair[1]), work)]
    for result, one in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, one)
    assert in_a_new_thread(torch.get_num_threads) == torch.get_num_threads() == 2


def test_fits_in_threads_are_those_of_their_seeds(X):
    def fitted(seed):
        model = quick(noise_std=0.1).set_params(random_state=seed)
        scores = model.fit(X).partial_fit(X[:100]).score_samples(X)
        return scores, torch.get_num_threads()

    seeds = [0, 1, 2, 3, 0, 1, 2, 3]
    expected = {seed: fitted(seed)[0] for seed in set(seeds)}
    assert not np.array_equal(expected[0], expected[1])
    with ThreadPoolExecutor(8) as pool:
        results = [*pool.map(fitted, seeds)]
    for seed, (scores, n_threads) in zip(seeds, results, strict=True):
        np.testing.assert_array_equal(scores, expected[seed])
        assert n_threads == 2
    assert in_a_new_thread(torch.get_num_threads) == torch.get_num_threads() == 2


def fit_and_score(models, X):
    scores = [model.score_samples(X) for model in models]
    again = AnomalyDetector(quick(), trim_fraction=0.1, random_state=0).fit(X)
    return np.concatenate([*scores, again.score_samples(X)])


# newer Pythons warn of every fork beside a thread
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_neither_hang_nor_differ(method, rng, monkeypatch):
    # many columns, which scikit-learn's neighbours search with OpenMP
    X = rng.normal(size=(1000, 4)) @ rng.normal(size=(4, 20))
    network = quick().fit(X)
    detector = AnomalyDetector(quick(), random_state=0).fit(X)
    models = [network, detector, NeighborDistance(network).fit(X)]
    monkeypatch.setattr("skcae._core.batches._BLOCK_ELEMENTS", 2**14)
    # the parent has used its teams of threads
    expected = fit_and_score(models, X)
    torch.randn(1000, 1000) @ torch.randn(1000, 1000)
    with multiprocessing.get_context(method).Pool(1) as pool:
        result = pool.apply_async(fit_and_score, (models, X)).get(60)
    np.testing.assert_array_equal(result, expected)


# The choice, on a clock of its own


def run(chooser, seconds_of, n_steps, monkeypatch):
    """Threads that each step used, where a step takes ``seconds_of(threads, i)``."""
    now, used = [0.0], []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    with chooser.restored():
        for i in range(n_steps):
            chooser.step()
            used.append(torch.get_num_threads())
            now[0] += seconds_of(used[-1], i)
    return np.array(used), now[0]


LARGE = 2**30


def test_small_products_use_one_thread(monkeypatch):
    used, _ = run(StepThreads(2**20), lambda n, i: 1.0, 50, monkeypatch)
    assert set(used) == {1}


def test_idle_machine_uses_all(monkeypatch):
    used, seconds = run(StepThreads(LARGE), lambda n, i: 2.0 / n, 400, monkeypatch)
    assert np.mean(used == 2) > 0.9
    assert seconds < 1.1 * 400


def test_busy_machine_uses_one(monkeypatch):
    used, seconds = run(
        StepThreads(LARGE), lambda n, i: 50.0 if n == 2 else 1.0, 400, monkeypatch
    )
    assert np.mean(used == 1) > 0.95
    assert seconds < 1.5 * 400


def test_choice_follows_a_machine_that_gets_busy_and_idle_again(monkeypatch):
    def seconds_of(n, i):
        busy = 300 <= i < 600
        return (50.0 if busy else 0.5) if n == 2 else 1.0

    used, _ = run(StepThreads(LARGE), seconds_of, 2000, monkeypatch)
    assert np.mean(used[350:600] == 1) > 0.9
    assert np.mean(used[-500:] == 2) > 0.9
