import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from surface import draw

from skcae import ContractiveAutoencoder
from skcae.anomaly import NeighborDistance


def linear(**parameters):
    """A network that draws a straight line."""
    return ContractiveAutoencoder(
        1,
        hidden_layer_sizes=(),
        activation="identity",
        lam=0,
        noise_std=0,
        random_state=0,
        **parameters,
    )


def test_it_is_the_distance_of_the_reconstructions(model, rng):
    train, rows = draw(rng, 300), draw(rng, 20)

    def restored(rows):
        scaled = model[0].transform(rows)
        return model[-1].inverse_transform(model[-1].transform(scaled))

    distances = np.linalg.norm(restored(rows)[:, None] - restored(train), axis=2)
    expected = np.sort(distances, axis=1)[:, :7].mean(axis=1) ** 2 / 12
    near = NeighborDistance(model, n_neighbors=7).fit(train)
    np.testing.assert_allclose(near.score_samples(rows), -expected)


def test_it_finds_what_lies_on_the_surface_but_far_out(rng):
    def line(positions):
        rows = np.outer(positions, np.arange(1, 6.0))
        return rows + 0.01 * rng.standard_normal(rows.shape)

    train = line(rng.uniform(-1, 1, 500))
    model = linear(tol=0).fit(train)
    near = NeighborDistance(model).fit(train)
    rows = line(np.r_[rng.uniform(-1, 1, 50), rng.uniform(2, 3, 50)])
    far_out = np.repeat([0, 1], 50)
    assert roc_auc_score(far_out, -near.score_samples(rows)) == 1
    assert roc_auc_score(far_out, -model.score_samples(rows)) < 1


@pytest.mark.parametrize("size", [1, 1000])
def test_rows_that_repeat_are_no_nearer_than_a_share_of_the_spread(size, rng):
    X = size * np.repeat(draw(rng, 50), 6, axis=0)
    model = linear(max_iter=5).fit(X)
    near = NeighborDistance(model).fit(X)
    restored = model.inverse_transform(model.transform(X))
    spread = np.sqrt(np.sum(restored.var(axis=0)))
    assert near.resolution_ == pytest.approx(1e-3 * spread)
    np.testing.assert_allclose(near.score_samples(X), -(near.resolution_**2) / 12)


def test_it_refuses_too_few_rows(model, rng):
    with pytest.raises(ValueError, match="n_neighbors must be an int from 1 to 4"):
        NeighborDistance(model).fit(draw(rng, 4))
    with pytest.raises(NotFittedError):
        NeighborDistance(model).score_samples(draw(rng, 4))


def test_a_fitted_estimator_is_used_as_it_is_and_a_clone_of_it_is_fitted(model, rng):
    first, second = draw(rng, 300), draw(rng, 200)
    near = NeighborDistance(model, n_neighbors=3).fit(first)
    assert near.estimator_ is model
    assert len(near.fit(second).reconstructions_) == 200
    again = clone(near)
    assert again.n_neighbors == 3
    again.fit(first)
    with pytest.raises(NotFittedError):
        again.estimator.transform(first)
    expected = NeighborDistance(clone(model).fit(first), n_neighbors=3).fit(first)
    np.testing.assert_array_equal(
        again.score_samples(second), expected.score_samples(second)
    )
    kept = clone(NeighborDistance(FrozenEstimator(model))).fit(first)
    assert kept.estimator_.estimator is model


@pytest.mark.parametrize("n_copies", [1, 2], ids=["by a tree", "by brute force"])
def test_a_reconstruction_beyond_the_range_is_near_to_nothing(n_copies, rng):
    X = np.tile(draw(rng, 50), n_copies)
    model = linear(max_iter=20, learning_rate_init=0.01).fit(X)
    near = NeighborDistance(model).fit(X)
    rows = X[:4].copy()
    rows[:3] = [[np.finfo(float).max], [1e300], [-np.finfo(float).max]]
    scores = near.score_samples(rows)
    np.testing.assert_array_equal(scores[:3], -np.inf)
    np.testing.assert_allclose(scores[3], near.score_samples(X)[3], rtol=1e-6)
    np.testing.assert_array_equal(near.score_samples(rows[:1]), -np.inf)
    with pytest.raises(ValueError, match="beyond the range"):
        NeighborDistance(model).fit(np.vstack([X, rows]))
