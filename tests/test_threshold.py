import numpy as np
import pytest

from skcae._threshold import auto_offset, quantile_offset, training_optimism


@pytest.mark.parametrize("n", [2, 3, 101, 300])
@pytest.mark.parametrize("contamination", [1e-6, 0.1, 0.5])
def test_quantile_flags_its_share_between_two_scores(n, contamination, rng):
    scores = -rng.chisquare(5, size=n)
    offset = quantile_offset(scores, contamination)
    expected = min(max(1, round(contamination * n)), n - 1)
    assert np.sum(scores < offset) == expected
    assert np.abs(scores - offset).min() > 0


def test_auto_flags_few_clean_rows_and_at_least_one(rng):
    shares = []
    for _ in range(50):
        scores = -rng.chisquare(10, size=1000)
        flagged = np.mean(scores < auto_offset(scores))
        assert flagged >= 1 / 1000
        shares.append(flagged)
    assert np.mean(shares) < 0.005


def test_auto_finds_gross_outliers(rng):
    scores = -rng.chisquare(10, size=1000)
    scores[:20] *= 50
    flagged = scores < auto_offset(scores)
    assert flagged[:20].all()
    assert flagged.sum() < 25


def test_log_normal_share_is_the_documented_one(rng):
    errors = np.exp(rng.normal(size=200_000))
    assert np.mean(-errors < auto_offset(-errors)) == pytest.approx(0.0035, rel=0.15)


@pytest.mark.parametrize("scores", [[-1.0], [-1.0, -1.0, -1.0], [0.0, 0.0, 0.0]])
def test_ties_flag_nothing_and_stay_finite(scores):
    scores = np.array(scores)
    for offset in (auto_offset(scores), quantile_offset(scores, 0.1)):
        assert np.isfinite(offset)
        assert not np.any(scores < offset)


def test_perfect_rows_do_not_break_the_logarithm():
    scores = np.array([0.0, 0.0, -1.0, -1.1, -0.9, -1.05, -30.0])
    assert np.isfinite(auto_offset(scores))


def test_optimism_is_that_of_a_linear_fit(rng):
    # PCA's error on other rows over that on its own: twenty directions and noise
    n, d, k = 100, 60, 20
    signal = 100 * rng.normal(size=(k, d))
    ratios = []
    for _ in range(30):
        X, other = rng.normal(size=(2, n, k)) @ signal + rng.normal(size=(2, n, d))
        directions = np.linalg.svd(X, full_matrices=False)[2][:k]
        ours, theirs = (
            np.mean((rows - rows @ directions.T @ directions) ** 2)
            for rows in (X, other)
        )
        ratios.append(theirs / ours)
    assert training_optimism(n, k) == pytest.approx(np.mean(ratios), rel=0.05)
    assert training_optimism(n, 0) == 1
    assert training_optimism(10, 10_000) == 4


def test_the_more_directions_a_code_keeps_the_fewer_rows_are_flagged(rng):
    scores = -np.exp(rng.standard_t(4, size=2000))
    flagged = [np.sum(scores < auto_offset(scores, k)) for k in (0, 200, 1000)]
    assert flagged == sorted(flagged, reverse=True)
    assert len(set(flagged)) == 3
    # the errors count as if they were larger by the optimism
    low, high = np.quantile(np.log(-scores), [0.25, 0.75])
    fence = np.exp(high + 1.5 * (high - low)) / (1 - 200 / 2000) ** 2
    assert flagged[1] == np.sum(-scores > fence)


def test_thresholds_lie_midway_between_two_scores():
    scores = -np.array([3.0, 1.0, 10.0, 2.0])
    assert quantile_offset(scores, 0.25) == -6.5
    assert quantile_offset(scores, 0.5) == -2.5
    scores = -np.array([*np.linspace(0.5, 1.5, 21), 30.0, 40.0])
    assert auto_offset(scores) == -(30 + 1.5) / 2


def test_thresholds_leave_the_scores_as_they_were(rng):
    scores, unseen = -rng.chisquare(5, size=(2, 100))
    before = scores.copy(), unseen.copy()
    auto_offset(scores)
    auto_offset(scores, 3, unseen)
    quantile_offset(scores, 0.1)
    np.testing.assert_array_equal((scores, unseen), before)


def test_unseen_rows_say_where_new_ones_will_lie(rng):
    shares = []
    for _ in range(200):
        # training has made the errors of its own rows four times smaller
        scores, unseen, new = -rng.chisquare(10, size=(3, 200))
        offset = auto_offset(scores / 4, unseen=unseen)
        assert not np.any(scores / 4 < offset)
        shares.append(np.mean(new < offset))
    assert 0.002 < np.mean(shares) < 0.03


def test_one_row_at_least_where_unseen_rows_do_not_suffer(rng):
    for _ in range(50):
        scores, unseen = -rng.chisquare(10, size=(2, 200))
        flagged = scores < auto_offset(scores, unseen=unseen)
        assert 1 <= flagged.sum() < 20


@pytest.mark.parametrize(("n_beyond", "n_flagged"), [(4, 1), (6, 0), (20, 0)])
def test_one_row_is_not_flagged_at_the_price_of_one_in_twenty(n_beyond, n_flagged):
    scores = -np.linspace(1, 2, 100)
    unseen = -np.r_[
        np.linspace(1, 1.9, 100 - n_beyond), np.linspace(2.1, 2.2, n_beyond)
    ]
    assert np.sum(scores < auto_offset(scores, unseen=unseen)) == n_flagged
