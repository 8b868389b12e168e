import numpy as np
import pytest
import torch

from skcae._core import batches as _batches
from skcae._core.batches import Rows, blocks, map_blocks, split, sum_blocks

CPU = torch.device("cpu")


@pytest.fixture
def table(rng):
    return rng.normal(size=(103, 4)) + 1e6


def test_every_row_comes_once_shifted_before_rounding(table, monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_ELEMENTS", 100)
    rows = Rows(table, table.mean(0), CPU)
    batches = list(rows.shuffled(10, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [10] * 10 + [3]
    gathered = torch.cat(batches).numpy()
    assert gathered.dtype == np.float32
    expected = table - table.mean(0)
    assert not np.allclose(gathered[:5], expected[:5])
    np.testing.assert_allclose(
        np.sort(gathered, axis=0), np.sort(expected, axis=0), rtol=1e-6
    )


def test_order_and_indices(table):
    rows = Rows(table, np.zeros(4), CPU, starts=np.array([7, 3, 50]))
    assert len(rows) == 3
    (batch,) = rows.in_order(10)
    np.testing.assert_array_equal(batch, table[[7, 3, 50]].astype(np.float32))


def test_rows_kept_on_the_device_give_the_same_batches(table):
    indices = np.arange(3, 90, 2)
    gathered = Rows(table, table.mean(0), CPU, indices)
    resident = Rows(table, table.mean(0), CPU, indices)
    # as an accelerator's, whose memory no CPU can stand in for
    resident._on_device = gathered.take(torch.arange(len(gathered)))
    for seed in (0, 1):
        for ours, theirs in zip(
            resident.shuffled(10, torch.Generator().manual_seed(seed)),
            gathered.shuffled(10, torch.Generator().manual_seed(seed)),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.fixture
def in_runs(monkeypatch):
    """Let the table be a large one: runs of 3 rows, shuffled in groups of 8 runs."""
    monkeypatch.setattr(_batches, "_GROUP_ELEMENTS", 8 * 12)
    monkeypatch.setattr(_batches, "_RUNS", 8)


def test_large_tables_are_shuffled_in_groups_of_runs(in_runs):
    table = np.arange(1001.0)[:, None] * np.ones(4)
    rows = Rows(table, np.zeros(4), CPU)
    batches = list(rows.shuffled(10, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [10] * 100 + [1]
    order = torch.cat(batches)[:, 0].numpy()
    np.testing.assert_array_equal(np.sort(order), np.arange(1001))
    # a run comes within one group, whose rows are mixed and come from everywhere
    places = np.argsort(order)[:999].reshape(-1, 3)
    assert np.ptp(places, axis=1).max() < 24
    assert np.median(np.ptp(places, axis=1)) > 6
    groups = order[: 41 * 24].reshape(-1, 24)
    assert np.median(np.ptp(groups, axis=1)) > 500
    again = torch.cat(list(rows.shuffled(10, torch.Generator().manual_seed(0))))
    np.testing.assert_array_equal(again[:, 0], order)


@pytest.mark.parametrize("n_rows", [300, 301])
def test_large_tables_are_split_by_runs(in_runs, n_rows):
    table = np.arange(n_rows, dtype=float)[:, None] * np.ones(4)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        starts = split(table, 0.1, generator)
        drawn, others = (Rows(table, np.zeros(4), CPU, each) for each in starts)
        assert len(drawn) in (28, 30) and len(drawn) + len(others) == n_rows
        drawn, others = (
            torch.cat(list(rows.in_order(7)))[:, 0].numpy() for rows in (drawn, others)
        )
        np.testing.assert_array_equal(np.union1d(drawn, others), np.arange(n_rows))
        np.testing.assert_array_equal(np.sort(drawn), drawn)


def test_a_sample_of_very_many_rows_holds_no_order(table, monkeypatch):
    rows, generator = Rows(table, np.zeros(4), CPU), torch.Generator().manual_seed(0)
    assert len(np.unique(rows.sample(50, generator), axis=0)) == 50
    assert len(rows.sample(1000, generator)) == 103
    monkeypatch.setattr(_batches, "_GROUP_ROWS", 100)
    some = rows.sample(50, generator).numpy()
    assert some.shape == (50, 4)
    assert np.isin(some[:, 0], table[:, 0].astype(np.float32)).all()


def test_table_is_neither_changed_nor_needs_to_be_writable(table):
    before = table.copy()
    table.flags.writeable = False
    for view in (table, table[::-1], np.asfortranarray(table)):
        list(Rows(view, table.mean(0), CPU).in_order(20))
        list(blocks(view, 4, CPU))
    np.testing.assert_array_equal(table, before)


def test_memmap(table, tmp_path):
    np.save(tmp_path / "table.npy", table)
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    rows = Rows(mapped, np.zeros(4), CPU).take(torch.tensor([2, 1]))
    np.testing.assert_array_equal(rows, table[[2, 1]].astype(np.float32))


def test_blocks_cover_the_table_in_order(table, monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_ELEMENTS", 100)
    parts, pieces = zip(*blocks(table, 4, CPU), strict=True)
    assert [len(piece) for piece in pieces] == [25] * 4 + [3]
    np.testing.assert_array_equal(torch.cat(pieces), table)
    for part, piece in zip(parts, pieces, strict=True):
        np.testing.assert_array_equal(piece, table[part])


def test_results_of_blocks_are_joined_in_order(table, monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_ELEMENTS", 100)
    outer = map_blocks(lambda rows: rows[:, :, None] * rows[:, None], table, 4, CPU)
    np.testing.assert_allclose(outer, table[:, :, None] * table[:, None], rtol=1e-15)
    np.testing.assert_array_equal(
        map_blocks(lambda rows: rows.sum(1), table[:1], 4, CPU), table[:1].sum(1)
    )


def test_sums_of_blocks_are_added_in_order(table, monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_ELEMENTS", 100)
    sums = sum_blocks(lambda rows: rows.sum(0), table, 4, CPU)
    np.testing.assert_allclose(sums, table.sum(axis=0), rtol=1e-15)
    monkeypatch.setattr(_batches.threads, "available", lambda: 3)
    for _ in range(5):
        threaded = sum_blocks(lambda rows: rows.sum(0), table, 4, CPU)
        np.testing.assert_array_equal(threaded, sums)
