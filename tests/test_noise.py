import math

import pytest
import torch

from skcae._core.noise import Corruption, Noise

CPU = torch.device("cpu")


def test_signs_are_independent_and_fair():
    noise = Noise(0, CPU)
    # 500,015 signs in draws of growing size
    signs = torch.cat([noise.signs_like(torch.empty(59, 5)) for _ in range(1695)])
    assert signs.dtype == torch.float32
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    bound = 5 / math.sqrt(len(signs))
    assert (signs.T @ signs / len(signs) - torch.eye(5)).abs().max() < bound
    assert signs.mean(0).abs().max() < bound
    assert (signs[1:] * signs[:-1]).mean(0).abs().max() < bound
    assert (signs[59:] * signs[:-59]).mean(0).abs().max() < bound


def test_signs_take_the_shape_and_type_and_follow_the_seed():
    like = torch.empty(7, 3, dtype=torch.float64)
    first, second = Noise(3, CPU), Noise(3, CPU)
    for _ in range(4):
        signs = first.signs_like(like)
        assert signs.shape == like.shape
        assert signs.dtype == like.dtype
        assert torch.equal(signs, second.signs_like(like))
    assert not torch.equal(signs, Noise(4, CPU).signs_like(like))


def test_noise_has_its_standard_deviation_and_leaves_the_rows():
    rows = torch.full((100_000, 2), 3.0)
    noisy = Noise(0, CPU).added_to(rows, 0.5)
    assert (rows == 3).all()
    assert abs(noisy.mean() - 3) < 0.01
    assert abs(noisy.std() - 0.5) < 0.01


def test_masked_cells_are_0_in_their_share_and_independent():
    rows = torch.full((20_000, 5), 3.0)
    masked = Noise(0, CPU).masked(rows, 0.3)
    assert (rows == 3).all()
    assert set(masked.unique().tolist()) == {0.0, 3.0}
    hidden = (masked == 0).double()
    deviation = math.sqrt(0.3 * 0.7)
    bound = 5 / math.sqrt(len(rows))
    assert (hidden.mean(0) - 0.3).abs().max() < bound * deviation
    correlations = torch.corrcoef(hidden.T) - torch.eye(5)
    assert correlations.abs().max() < bound


@pytest.mark.parametrize("fraction", [0.15, 1])
def test_swapped_cells_come_from_their_column_in_other_rows(fraction):
    n = 20_000
    # which row and column a cell comes from can be read off
    rows = torch.arange(n, dtype=torch.float64)[:, None] + torch.tensor([0.0, 0.25])
    swapped = Noise(0, CPU).swapped(rows, fraction)
    changed = swapped != rows
    # all that are chosen, since none is its own partner
    share = changed.double().mean(0)
    assert (share - fraction).abs().max() <= 5 * math.sqrt(
        fraction * (1 - fraction) / n
    )
    assert torch.equal(swapped % 1, rows % 1)
    both = changed.all(1)
    assert abs(both.double().mean() - fraction**2) < 0.01
    # the two cells of a row come from two other rows
    assert (swapped[both].floor().diff(dim=1) != 0).all()


def test_every_other_row_is_as_likely_a_partner():
    noise, rows = Noise(0, CPU), torch.arange(5.0)[:, None]
    counts = torch.zeros(5, 5)
    for _ in range(4000):
        counts[torch.arange(5), noise.swapped(rows, 1)[:, 0].long()] += 1
    assert (counts.diagonal() == 0).all()
    others = counts[~torch.eye(5, dtype=torch.bool)] / 4000
    assert (others - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 4000)


def test_swaps_keep_the_distribution_of_a_column_and_break_its_ties():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(20_000, 1, generator=generator).exp().expand(-1, 2)
    swapped = Noise(0, CPU).swapped(rows, 1)
    # all are swapped: every value is there as often as before
    assert torch.equal(swapped.sort(0).values, rows.sort(0).values)
    assert abs(torch.corrcoef(swapped.T)[0, 1]) < 0.05
    swapped = Noise(0, CPU).swapped(rows, 0.3)
    shares = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    quantiles = [of.quantile(shares, 0) for of in (rows, swapped)]
    torch.testing.assert_close(*quantiles, rtol=0.03, atol=0)


def test_a_single_row_has_none_to_swap_with():
    row = torch.rand(1, 4)
    assert torch.equal(Noise(0, CPU).swapped(row, 1), row)


def test_missing_cells_are_read_as_means_whatever_is_swapped_and_masked():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1000, 3, generator=generator)
    missing = torch.rand(1000, 3, generator=generator) < 0.3
    rows[missing] = torch.nan
    means = torch.tensor([5.0, 6.0, 7.0])
    read = Corruption(swap_fraction=1).of(rows, Noise(0, CPU), means)
    assert torch.equal(read == means, missing)
    assert not read.isnan().any()
    read = Corruption(masking_fraction=0.5, swap_fraction=0.5).of(
        rows, Noise(0, CPU), means
    )
    assert torch.equal(read == means, missing)
    assert abs((read[~missing] == 0).float().mean() - 0.5) < 0.05


def test_each_kind_of_corruption_is_alone_where_the_others_are_0():
    rows = torch.rand(50, 4)
    for corruption, draws in (
        (Corruption(), lambda noise: rows),
        (Corruption(noise_std=0.5), lambda noise: noise.added_to(rows, 0.5)),
        (Corruption(masking_fraction=0.5), lambda noise: noise.masked(rows, 0.5)),
        (Corruption(swap_fraction=0.5), lambda noise: noise.swapped(rows, 0.5)),
    ):
        ours, theirs = Noise(0, CPU), Noise(0, CPU)
        assert torch.equal(corruption.of(rows, ours), draws(theirs))
        # nothing else was drawn, so that what follows is the same as well
        assert torch.equal(ours.added_to(rows, 1), theirs.added_to(rows, 1))
