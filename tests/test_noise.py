import math

import torch

from skcae._core.noise import Noise

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
