"""Tables on disk: what is held beside them, and what is made of a part of the rows."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from skcae import ContractiveAutoencoder, _estimator
from skcae._core import batches
from skcae._table import SomeRows, readable

QUICK = {
    "n_components": 3,
    "hidden_layer_sizes": (),
    "max_iter": 20,
    "random_state": 0,
}


def factors(rng, n_samples, n_features=8, dtype=np.float32):
    X = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, n_features))
    return (X + 0.1 * rng.normal(size=X.shape)).astype(dtype)


@pytest.fixture
def mapped(rng, tmp_path):
    X = factors(rng, 3000)
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def test_a_memory_map_is_as_good_as_an_array(mapped, monkeypatch):
    monkeypatch.setattr(batches, "_GROUP_ELEMENTS", 2**12)
    monkeypatch.setattr(batches, "_RUNS", 64)
    array = np.array(mapped)
    for more in ({}, {"early_stopping": True}):
        ours, theirs = (
            ContractiveAutoencoder(**QUICK, **more).fit(X) for X in (mapped, array)
        )
        for method in ("score_samples", "transform", "predict"):
            np.testing.assert_array_equal(
                getattr(ours, method)(mapped), getattr(theirs, method)(array)
            )
        assert ours.offset_ == theirs.offset_


def test_sorted_tables_are_learnt_in_runs_as_well_as_row_by_row(rng, monkeypatch):
    # what runs could spoil: neighbours in the table are neighbours in space
    X = factors(rng, 4096)
    X = X[np.argsort(X[:, 0])]
    losses = []
    for elements in (2**24, 2**12):
        monkeypatch.setattr(batches, "_GROUP_ELEMENTS", elements)
        monkeypatch.setattr(batches, "_RUNS", 64)
        losses.append(
            [
                -ContractiveAutoencoder(**QUICK | {"random_state": seed})
                .fit(X)
                .score(X)
                for seed in range(5)
            ]
        )
    spread = np.std(losses[0])
    assert (
        abs(np.mean(losses[1]) - np.mean(losses[0])) < 3 * spread + 0.02 * losses[0][0]
    )


@pytest.mark.parametrize("contamination", ["auto", 0.05])
def test_threshold_of_very_many_rows(rng, contamination, monkeypatch):
    X = factors(rng, 20_000)
    model = ContractiveAutoencoder(**QUICK, contamination=contamination)
    share_of_all = np.mean(model.fit_predict(X) == -1)
    monkeypatch.setattr(_estimator, "_MOST_SCORES", 5000)
    share = np.mean(model.fit_predict(X) == -1)
    # three standard errors of a share of 5000 rows
    assert abs(share - share_of_all) < 3 * np.sqrt(max(share_of_all, 0.001) / 5000)
    assert len(model.partial_fit(X)._recent_scores) == 5000


def test_no_rows_may_be_some():
    assert SomeRows(np.empty((0, 3)), 0)[:].shape == (0, 3)


@pytest.mark.parametrize("n_rows", [1, 9, 10])
def test_some_rows_are_one_of_each_stretch(n_rows):
    table = np.arange(10.0)[:, None] * np.ones(2)
    some = SomeRows(readable(table), n_rows)
    assert some.shape == (n_rows, 2) and some.dtype == table.dtype
    drawn = some[:][:, 0]
    stretch = np.floor(drawn * n_rows / 10)
    assert len(np.unique(drawn)) == len(some) == n_rows
    assert np.abs(stretch - np.arange(n_rows)).max() <= 1
    np.testing.assert_array_equal(some[1:3][:, 0], drawn[1:3])
    np.testing.assert_array_equal(some.take([0])[:, 0], drawn[:1])


CODE = """
    import threading, time
    import numpy as np
    from skcae import ContractiveAutoencoder, _estimator
    from skcae._core import batches

    if {small}:  # so that a smaller table is a large one
        batches._GROUP_ROWS = _estimator._MOST_SCORES = 2**15

    def anonymous():  # pages that belong to no file
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if "RssAnon" in line)

    def watch():
        global peak
        while watching:
            peak = max(peak, anonymous())
            time.sleep(0.01)

    n_samples, n_features, batch_size = {n_samples}, {n_features}, {batch_size}
    shape = n_samples, n_features
    X = np.memmap({path!r}, np.float32, "w+", shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, n_samples, 100_000):
        rows = X[start : start + 100_000]
        rows[:] = rng.standard_normal(rows.shape, dtype=np.float32)
    X = np.memmap({path!r}, np.float32, "r", shape=shape)
    model = ContractiveAutoencoder(
        4, hidden_layer_sizes=(8,), batch_size=batch_size, max_iter=1, random_state=0
    )
    model.fit(X[:20_000]).predict(X[:20_000])
    peak, watching = 0, True
    before = anonymous()
    watcher = threading.Thread(target=watch)
    watcher.start()
    model.fit(X)
    fitted = peak
    peak = 0
    n_outliers = np.sum(model.score_samples(X) < model.offset_)
    watching = False
    watcher.join()
    print((fitted - before) / 1024, (peak - before) / 1024, n_outliers / n_samples)
"""


def megabytes(path, **parameters):
    """How much memory grew by a fit and by scores, and the share of outliers."""
    code = textwrap.dedent(CODE).format(path=str(path / "X"), **parameters)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return map(float, run.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_as_long_as_the_table_is_held(tmp_path):
    parameters = {"n_samples": 3_000_000, "n_features": 2, "batch_size": 4096}
    fitted, scored, share = megabytes(tmp_path, **parameters, small=True)
    # a permutation is 23 MiB, and so are scores; with both a fit took 66
    assert fitted < 30
    assert scored < 23 + 30
    assert 0 < share < 0.05


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("batch_size", ["'auto'", 4096])
def test_eight_gigabytes_take_less_than_400_mib(tmp_path, batch_size):
    parameters = {"n_samples": 40_000_000, "n_features": 50, "batch_size": batch_size}
    fitted, _, _ = megabytes(tmp_path, **parameters, small=False)
    assert fitted < 400
