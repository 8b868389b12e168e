import warnings
from copy import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PowerTransformer,
    StandardScaler,
)

from skcae import ContractiveAutoencoder
from skcae.inspection import (
    contraction_curve,
    jacobian_spectrum,
    lambda_path,
    saturation,
    score_field,
    sensitivity,
    tangent_vectors,
)
from skcae.inspection._lambda_path import _path
from skcae.inspection._tangent_vectors import _leading
from skcae.metrics import (
    contraction_score,
    denoising_score,
    reconstruction_score,
)

OF_FITTED = [
    contraction_curve,
    jacobian_spectrum,
    saturation,
    score_field,
    sensitivity,
    tangent_vectors,
]


def autoencoder(n_components=5, **parameters):
    one_layer = {"hidden_layer_sizes": (), "activation": "tanh", "tol": 1e-4}
    one_layer["noise_std"] = 0  # which narrow tables have by default
    parameters = one_layer | {"max_iter": 20, "random_state": 0} | parameters
    return ContractiveAutoencoder(n_components, **parameters)


@pytest.fixture(scope="module")
def wine():
    """A frame with columns of different scales, and an index of its own."""
    X = load_wine(as_frame=True).data
    return X.set_index(pd.Index([f"bottle {i}" for i in range(len(X))], name="bottle"))


@pytest.fixture(scope="module")
def pipeline(wine):
    return make_pipeline(StandardScaler(), autoencoder()).fit(wine)


@pytest.fixture(scope="module")
def behind(pipeline, wine):
    """The autoencoder itself and the rows that it sees."""
    return pipeline[-1], pipeline[0].transform(wine)


@pytest.fixture(scope="module")
def linear(behind):
    """A linear network and the matrix that it applies to columns."""
    _, Z = behind
    model = autoencoder(3, activation="identity").fit(Z)
    return model, Z, model.coefs_[0].T


def brute_force_jacobians(model, Z, step=1e-5):
    moves = step * np.eye(Z.shape[1])
    changes = [model.transform(Z + e) - model.transform(Z - e) for e in moves]
    return np.stack(changes, axis=2) / (2 * step)


def spread(rows):
    return np.sqrt(rows.var(axis=0).sum())


# Tables: names, units, what is accepted


@pytest.mark.parametrize("function", OF_FITTED)
def test_pipeline_is_measured_behind_its_scaler(function, pipeline, behind, wine):
    of_pipeline, of_model = function(pipeline, wine), function(*behind)
    if function in (score_field, tangent_vectors):
        # columns are the caller's, and so are the units
        of_pipeline = of_pipeline / pipeline[0].scale_
        of_model = np.asarray(of_model)
        if function is tangent_vectors:
            sign = np.sign(np.sum(of_pipeline * of_model, axis=1)).to_numpy()
            of_model = of_model * sign[:, None]
    if function is jacobian_spectrum:
        of_pipeline, of_model = of_pipeline["mean"], of_model["mean"]
    np.testing.assert_allclose(of_pipeline, of_model, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("function", OF_FITTED)
@pytest.mark.parametrize("convert", [np.float32, "list", "set_output"])
def test_arrays_lists_and_frames_all_the_way_give_the_same(
    function, convert, pipeline, wine
):
    of_frame = function(pipeline, wine)
    X, model = wine, make_pipeline(StandardScaler(), autoencoder())
    if convert == "set_output":
        model.set_output(transform="pandas").fit(wine)
    else:
        X = wine.to_numpy()
        model.fit(X)
        X = X.tolist() if convert == "list" else X.astype(np.float32)
    value = function(model, X)
    if function is jacobian_spectrum:
        assert value.singular_values.dtype == np.float64
        of_frame, value = of_frame["mean"], value["mean"]
    np.testing.assert_allclose(value, of_frame, rtol=1e-3, atol=1e-3)


def test_tables_carry_the_callers_labels(pipeline, wine):
    assert sensitivity(pipeline, wine).index.equals(wine.index)
    field = score_field(pipeline, wine)
    assert field.index.equals(wine.index)
    assert field.columns.equals(wine.columns)
    vectors = tangent_vectors(pipeline, wine, 2)
    assert vectors.columns.equals(wine.columns)
    assert vectors.index.names == ["bottle", "rank"]
    assert list(vectors.index[:3]) == [
        ("bottle 0", 0),
        ("bottle 0", 1),
        ("bottle 1", 0),
    ]


def test_arrays_get_ranges_and_scikit_learns_names(behind):
    model, Z = behind
    assert sensitivity(model, Z).index.equals(pd.RangeIndex(len(Z)))
    vectors = tangent_vectors(model, Z)
    assert list(vectors.columns[:2]) == ["x0", "x1"]
    assert list(vectors.index[:4]) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert type(score_field(model, Z)) is np.ndarray


# Distances


def test_sensitivity_of_a_linear_network_is_that_of_its_matrix(linear):
    model, Z, matrix = linear
    # E ||W e|| / ||e|| by a large sample of directions
    noise = np.random.default_rng(1).standard_normal((200_000, Z.shape[1]))
    expected = np.mean(
        np.linalg.norm(noise @ matrix.T, axis=1) / np.linalg.norm(noise, axis=1)
    )
    table = sensitivity(model, Z, noise_std=3, n_repeats=50)
    assert table["sensitivity"].mean() == pytest.approx(expected, rel=0.01)
    ratio = spread(Z @ matrix.T) / spread(Z)
    np.testing.assert_allclose(table["relative"], table["sensitivity"] / ratio)


def test_small_noise_meets_the_jacobian(behind):
    model, Z = behind
    noise = np.random.RandomState(7).standard_normal(Z.shape)
    moved = np.einsum("nkd,nd->nk", brute_force_jacobians(model, Z), noise)
    expected = np.linalg.norm(moved, axis=1) / np.linalg.norm(noise, axis=1)
    table = sensitivity(model, Z, noise_std=1e-5, n_repeats=1, random_state=7)
    np.testing.assert_allclose(table["sensitivity"], expected, rtol=1e-3)
    # and large noise is as large as it says
    far = np.linalg.norm(model.transform(Z + 3 * noise) - model.transform(Z), axis=1)
    table = sensitivity(model, Z, noise_std=3, n_repeats=1, random_state=7)
    expected = far / np.linalg.norm(3 * noise, axis=1)
    np.testing.assert_allclose(table["sensitivity"], expected)


def test_shrinking_the_code_does_not_look_robust(behind, monkeypatch):
    model, Z = behind
    before = sensitivity(model, Z), contraction_curve(model, Z)
    transform = ContractiveAutoencoder.transform
    monkeypatch.setattr(
        ContractiveAutoencoder, "transform", lambda self, X: transform(self, X) / 8
    )
    after = sensitivity(model, Z), contraction_curve(model, Z)
    for name, (old, new) in zip(
        ("sensitivity", "ratio"), zip(before, after, strict=True), strict=True
    ):
        np.testing.assert_allclose(new[name], old[name] / 8)
        np.testing.assert_allclose(new["relative"], old["relative"])
    # and a map that only scales has a relative sensitivity of 1
    monkeypatch.setattr(
        ContractiveAutoencoder, "transform", lambda self, X: np.asarray(X) / 8
    )
    np.testing.assert_allclose(sensitivity(model, Z)["relative"], 1)
    np.testing.assert_allclose(contraction_curve(model, Z)["relative"], 1)


def test_rows_that_do_not_differ_have_no_relative_sensitivity(behind):
    model, Z = behind
    table = sensitivity(model, Z[:1])
    assert np.isfinite(table["sensitivity"]).all()
    assert table["relative"].isna().all()
    with pytest.raises(ValueError, match="radii must be given"):
        contraction_curve(model, Z[:1])
    curve = contraction_curve(model, Z[:1], radii=[1])
    assert curve["relative"].isna().all()


def test_noise_is_the_same_every_time_unless_told(behind):
    for function in (sensitivity, contraction_curve):
        first, again = function(*behind), function(*behind)
        pd.testing.assert_frame_equal(first, again)
        other = function(*behind, random_state=1)
        assert not first.equals(other)
        np.testing.assert_allclose(first.mean(), other.mean(), rtol=0.1)


def test_curve_of_a_linear_network_is_flat(linear):
    model, Z, matrix = linear
    curve = contraction_curve(model, Z, radii=[10, 0.1, 1])
    assert list(curve.index) == [0.1, 1, 10]
    assert curve.index.name == "radius"
    np.testing.assert_allclose(curve, curve.iloc[[0, 0, 0]], rtol=1e-9)
    directions = np.random.RandomState(0).standard_normal((5, *Z.shape))
    ratios = np.linalg.norm(directions @ matrix.T, axis=2) / np.linalg.norm(
        directions, axis=2
    )
    assert curve["ratio"].iloc[0] == pytest.approx(ratios.mean())
    assert curve["std"].iloc[0] == pytest.approx(ratios.mean(axis=0).std())


def test_curve_of_a_bounded_code_falls_as_it_saturates(behind):
    model, Z = behind
    curve = contraction_curve(model, Z)
    assert len(curve) == 9
    np.testing.assert_allclose(curve.index[1:] / curve.index[:-1], 300 ** (1 / 8))
    np.testing.assert_allclose(curve.index[[0, -1]], spread(Z) * np.r_[0.01, 3])
    far = contraction_curve(model, Z, radii=[1e6])["ratio"].iloc[0]
    # tanh moves by at most 2 a unit
    assert 0 < far <= 2 * np.sqrt(5) / 1e6
    assert far < curve["ratio"].min()


# The Jacobian


@pytest.mark.parametrize("block", [1, 2**22])
@pytest.mark.parametrize(
    "parameters", [{}, {"n_components": 20, "hidden_layer_sizes": (8,)}]
)
def test_spectrum_is_that_of_a_brute_force_jacobian(
    behind, parameters, block, monkeypatch
):
    monkeypatch.setattr("skcae._pipeline._BLOCK_ELEMENTS", block)
    _, Z = behind
    model = autoencoder(**parameters).fit(Z)
    spectrum = jacobian_spectrum(model, Z, threshold=0.3)
    expected = np.linalg.svd(brute_force_jacobians(model, Z), compute_uv=False)
    np.testing.assert_allclose(spectrum.singular_values, expected, atol=1e-7)
    np.testing.assert_allclose(
        (spectrum.singular_values**2).sum(axis=1), model.contraction(Z)
    )
    np.testing.assert_allclose(spectrum.mean, expected.mean(axis=0), atol=1e-7)
    above = (expected > 0.3 * expected[:, :1]).sum(axis=1)
    np.testing.assert_array_equal(spectrum.local_dimension, above)


@pytest.mark.parametrize(
    ("values", "rank", "dimension"),
    [([2, 2, 2], 3, 3), ([1, 0, 0], 1, 1), ([0, 0, 0], 0, 0), ([4, 1, 0.1], 1.799, 2)],
)
def test_rank_and_dimension_of_known_spectra(
    behind, values, rank, dimension, monkeypatch
):
    model, Z = behind
    jacobian = np.zeros((3, Z.shape[1]))
    np.fill_diagonal(jacobian, values)
    monkeypatch.setattr(
        ContractiveAutoencoder, "jacobian", lambda self, X: np.stack([jacobian] * 2)
    )
    spectrum = jacobian_spectrum(model, Z[:2])
    np.testing.assert_allclose(spectrum.effective_rank, rank, rtol=2e-3)
    assert spectrum.local_dimension.tolist() == [dimension] * 2


def test_tangents_are_the_directions_kept_and_contracted(behind):
    model, Z = behind
    kept = tangent_vectors(model, Z, 5).to_numpy().reshape(len(Z), 5, 13)
    gone = tangent_vectors(model, Z, 13, which="contracted")
    gone = gone.to_numpy().reshape(len(Z), 13, 13)
    jacobians = brute_force_jacobians(model, Z)
    values = np.linalg.svd(jacobians, compute_uv=False)
    for vectors, expected in ((kept, values), (gone[:, 8:], values[:, ::-1])):
        stretched = np.linalg.norm(np.einsum("nkd,nvd->nvk", jacobians, vectors), 2, -1)
        np.testing.assert_allclose(stretched, expected, atol=1e-6)
    # 13 columns, 5 units: the code does not see the first eight
    null = np.einsum("nkd,nvd->nvk", jacobians, gone[:, :8])
    np.testing.assert_allclose(null, 0, atol=1e-6)
    for vectors in (kept, gone):
        gram = vectors @ vectors.transpose(0, 2, 1)
        identity = np.broadcast_to(np.eye(len(gram[0])), gram.shape)
        np.testing.assert_allclose(gram, identity, atol=1e-13)
        largest = np.abs(vectors).argmax(axis=2)[:, :, None]
        assert (np.take_along_axis(vectors, largest, 2) > 0).all()


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(), PCA(6)],
        [PowerTransformer(), "passthrough"],
    ],
    ids=lambda steps: type(steps[0]).__name__,
)
def test_tangents_through_a_scaler_lead_where_the_code_does(steps, wine):
    model = make_pipeline(*steps, autoencoder()).fit(wine)
    rows = wine.iloc[20:30]
    vectors = tangent_vectors(model, rows, 1)
    assert vectors.columns.equals(wine.columns)
    # a step in the caller's units is a step of length 1 behind the scaler
    step = 1e-3
    front = model[:-1]
    arrived = front.transform(rows + step * vectors.to_numpy()) - front.transform(rows)
    direction = arrived / step
    expected = tangent_vectors(model[-1], front.transform(rows), 1).to_numpy()
    cosines = np.sum(direction * expected, axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=0.02)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1, rtol=0.02)


def test_tangents_through_a_curved_inverse_are_its_derivative(wine):
    log = FunctionTransformer(np.log1p, np.expm1)
    model = make_pipeline(log, autoencoder()).fit(wine)
    logs = np.log1p(wine)
    of_logs = tangent_vectors(model[-1], logs).to_numpy()
    expected = np.repeat(np.exp(logs.to_numpy()), 3, axis=0) * of_logs
    vectors = tangent_vectors(model, wine).to_numpy()
    np.testing.assert_allclose(np.abs(vectors), np.abs(expected), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("n_units", "n_columns"), [(6, 40), (40, 6), (8, 8), (1, 30), (30, 1)]
)
def test_leading_vectors_are_those_of_a_decomposition(n_units, n_columns, rng):
    r = min(n_units, n_columns)
    left = np.linalg.qr(rng.normal(size=(50, n_units, r)))[0]
    right = np.linalg.qr(rng.normal(size=(50, n_columns, r)))[0]
    values = np.sort(rng.uniform(0.2, 1, (50, r)) + np.arange(r), axis=1)[:, ::-1]
    # hard ones: directions that nearly vanish, or do, values that agree, and nothing
    values[-10:-6, r // 2 :] *= 1e-7
    values[-4:-2, r // 2 :] = 0
    values[-6:-4] = values[-6:-4, :1]
    values[-2] *= 1e-150
    values[-1] = 0
    jacobians = (left * values[:, None]) @ right.swapaxes(1, 2)
    for n_vectors in {1, min(3, r), r}:
        vectors = _leading(jacobians, n_vectors)
        assert vectors.shape == (50, n_vectors, n_columns)
        gram = vectors @ vectors.swapaxes(1, 2)
        np.testing.assert_allclose(
            gram, np.tile(np.eye(n_vectors), (50, 1, 1)), atol=1e-13
        )
        stretched = np.linalg.norm(vectors @ jacobians.swapaxes(1, 2), axis=2)
        np.testing.assert_allclose(
            stretched, values[:, :n_vectors], rtol=1e-6, atol=2e-14
        )
        exact = np.linalg.svd(jacobians[:-10])[2][:, :n_vectors]
        signs = np.sign(np.sum(exact * vectors[:-10], axis=2, keepdims=True))
        np.testing.assert_allclose(signs * vectors[:-10], exact, atol=1e-11)


def test_contraction_of_the_most_kept_direction_is_known_in_a_linear_network(linear):
    model, Z, matrix = linear
    vectors = tangent_vectors(model, Z[:3], 1).to_numpy()
    right = np.linalg.svd(matrix)[2][0]
    np.testing.assert_allclose(np.abs(vectors @ right), 1)


# Saturation and the score

SLOPES = {
    "identity": lambda z: np.ones_like(z),
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "softplus": lambda z: 1 / (1 + np.exp(-z)),
    "silu": lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2,
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("threshold", [0.05, 0.19, 0.8])
def test_saturation_counts_flat_units(behind, name, threshold):
    _, Z = behind
    # columns far from zero, which float32 would round
    X = 1e4 + 3 * Z
    model = autoencoder(30, activation="identity", code_activation=name, max_iter=10)
    model.fit(X)
    z = (X @ model.coefs_[0]) + model.intercepts_[0]
    largest = SLOPES[name](np.linspace(-40, 40, 800_001)).max()
    expected = (np.abs(SLOPES[name](z)) < threshold * largest).mean(axis=1)
    np.testing.assert_array_equal(saturation(model, X, threshold=threshold), expected)
    assert expected.any() == (name != "identity")


def test_saturation_of_a_deep_sigmoid_code_is_the_criterion_of_rifai(behind):
    _, Z = behind
    model = autoencoder(40, hidden_layer_sizes=(20,), code_activation="sigmoid", lam=0)
    codes = model.fit(Z).transform(Z)
    expected = ((codes < 0.05) | (codes > 0.95)).mean(axis=1)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(saturation(model, Z), expected)


def test_score_field_is_the_way_to_the_reconstruction(pipeline, wine):
    restored = pipeline.inverse_transform(pipeline.transform(wine))
    np.testing.assert_allclose(score_field(pipeline, wine), restored - wine)


def test_score_field_estimates_the_score_of_a_gaussian(rng):
    # with noise of variance s²: -s² x / (v + s²), in the limit -s² x / v
    X = rng.standard_normal((2000, 3)) * [2, 1, 0.5]
    X -= X.mean(axis=0)
    model = autoencoder(3, activation="identity", lam=0.5, penalty="reconstruction")
    model.set_params(max_iter=60, batch_size=32).fit(X)
    expected = -0.5 * X @ np.linalg.inv(np.cov(X.T) + 0.5 * np.eye(3))
    assert spread(score_field(model, X) - expected) < 0.05 * spread(expected)


# The path over λ


@pytest.fixture(scope="module")
def path(wine):
    model = make_pipeline(StandardScaler(), autoencoder())
    with pytest.warns(UserWarning, match="100, is the largest of lams"):
        return lambda_path(model, wine, [1, 0, 0.1, 100], cv=3)


def test_path_measures_what_its_names_say(path):
    table = path.table
    assert list(table.index) == [0, 0.1, 1, 100]
    assert table.index.name == "lam"
    assert table["reconstruction_error"].is_monotonic_increasing
    assert table["contraction"].is_monotonic_decreasing
    assert table["sensitivity"].is_monotonic_decreasing
    within = (
        table["denoising_score"]
        >= (table["denoising_score"] - table["denoising_score_se"]).loc[
            table["denoising_score"].idxmax()
        ]
    )
    assert path.best_lam == table.index[within].max()
    assert "score" not in table


def moved(estimator, X, y=None, column="sensitivity"):
    return sensitivity(estimator, X, noise_std=0.2)[column].mean()


def test_one_lam_is_the_search_that_it_replaces(wine):
    model = make_pipeline(StandardScaler(), autoencoder())
    signs_and_scorers = {
        "reconstruction_error": (-1, reconstruction_score),
        "contraction": (-1, contraction_score),
        "sensitivity": (1, moved),
        "relative_sensitivity": (1, partial(moved, column="relative")),
        "denoising_score": (1, partial(denoising_score, noise_std=0.2)),
        "score": (1, reconstruction_score),
    }
    search = GridSearchCV(
        model,
        {"contractiveautoencoder__lam": [0.3]},
        scoring={name: scorer for name, (_, scorer) in signs_and_scorers.items()},
        refit=False,
        cv=KFold(4, shuffle=True, random_state=0),
    ).fit(wine)
    path = lambda_path(
        model, wine, [0.3], cv=search.cv, scoring=reconstruction_score, noise_std=0.2
    )
    assert path.best_lam == 0.3
    assert list(path.table.columns[::2]) == list(signs_and_scorers)
    for name, (sign, _) in signs_and_scorers.items():
        mean, error = path.table[[name, f"{name}_se"]].iloc[0]
        results = search.cv_results_
        assert mean == pytest.approx(sign * results[f"mean_test_{name}"][0])
        # of four folds, of which scikit-learn gives the deviation without n - 1
        assert error == pytest.approx(results[f"std_test_{name}"][0] / np.sqrt(3))
    # what was given is as it was
    assert not hasattr(model[0], "mean_")
    assert not hasattr(model[-1], "offset_")


def test_path_reaches_what_fits_from_scratch_reach(behind):
    _, Z = behind
    lams = [0.03, 0.1, 0.3, 1, 3]
    model = autoencoder(max_iter=150, batch_size=32)
    for lam, warm in _path(model, Z, None, lams):
        cold = autoencoder(max_iter=150, batch_size=32, lam=lam).fit(Z)
        objectives = [
            -fitted.score(Z) + lam * fitted.contraction(Z).mean() / 13
            for fitted in (warm, cold)
        ]
        assert objectives[0] <= 1.05 * objectives[1]
    # one fit of 150 epochs and four of 50
    assert 150 < warm.n_iter_ <= 350


def test_path_leaves_a_collapsed_network_behind(behind):
    _, Z = behind
    (_, strong), (_, after) = (
        (lam, copy(model)) for lam, model in _path(autoencoder(), Z, None, [0.01, 30])
    )
    assert strong.score(Z) < -0.5
    anew = autoencoder(lam=0.01).fit(Z)
    np.testing.assert_array_equal(after.transform(Z), anew.transform(Z))


def test_scoring_decides_where_given(wine):
    model = make_pipeline(StandardScaler(), autoencoder())
    seen = []

    def prefer_small(estimator, X):
        seen.append((type(estimator), list(X.columns) == list(wine.columns)))
        return -estimator[-1].lam

    path = lambda_path(model, wine, [0, 1], cv=2, scoring=prefer_small)
    assert path.best_lam == 0
    assert path.table["score"].tolist() == [0, -1]
    assert set(seen) == {(type(model), True)}
    assert len(seen) == 4


def test_noise_of_the_path_is_seeded(wine):
    model = make_pipeline(StandardScaler(), autoencoder())
    first, again, other = (
        lambda_path(model, wine, [1], cv=2, random_state=seed).table
        for seed in (0, 0, 1)
    )
    assert first.equals(again)
    differs = (first != other).iloc[0]
    noisy = ["sensitivity", "relative_sensitivity", "denoising_score"]
    assert list(differs.index[differs]) == [n + e for n in noisy for e in ("", "_se")]
    by_default = lambda_path(model, wine, [1], cv=2).table
    assert by_default.equals(first)


class LabelledScaler(StandardScaler):
    """A scaler that needs labels, and sees which rows they came with."""

    seen = []

    def fit(self, X, y):
        self.seen.append((X["alcohol"].tolist(), list(y)))
        return super().fit(X)

    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X) if y is not None else self.fit(X)


@pytest.mark.parametrize("kind", [np.asarray, pd.Series, list])
def test_path_gives_labels_to_steps_folds_and_scoring(kind, wine):
    y = kind(np.arange(len(wine)) % 3 == 0)
    model = make_pipeline(LabelledScaler(), autoencoder())
    LabelledScaler.seen.clear()
    scored = []

    def score(estimator, X, y):
        scored.append((X["alcohol"].tolist(), list(y)))
        return 0.0

    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    lambda_path(model, wine, [0.1], y, cv=folds, scoring=score)
    alcohol, labels = wine["alcohol"].to_numpy(), np.asarray(y)
    expected = list(folds.split(wine, labels))
    assert LabelledScaler.seen == [
        (alcohol[train].tolist(), labels[train].tolist()) for train, _ in expected
    ]
    assert scored == [
        (alcohol[test].tolist(), labels[test].tolist()) for _, test in expected
    ]


def test_path_says_where_a_step_lacks_labels(wine):
    y = np.arange(len(wine)) % 3
    model = make_pipeline(SelectKBest(k=5), StandardScaler(), autoencoder())
    with pytest.raises(ValueError, match="give them to lambda_path as y"):
        lambda_path(model, wine, [0.1], cv=2)
    path = lambda_path(model, wine, [0.1], y=y, cv=2)
    assert np.isfinite(path.table).all(axis=None)
    # what fails with labels fails for its own reason
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        lambda_path(model, wine, [0.1], y[1:], cv=2)
    with pytest.raises(ValueError, match=r"Input X contains NaN(?!.*lambda_path)"):
        lambda_path(model, wine.replace(14.23, np.nan), [0.1], y, cv=2)


@pytest.mark.parametrize(
    ("lams", "favourite", "edge"),
    [
        ([0.1, 1, 10], 0.1, "0.1, is the smallest of lams: a better one may lie below"),
        ([0.1, 1, 10], 10, "10, is the largest of lams: a better one may lie above"),
        ([0.1, 1, 10], 1, None),
        ([0, 1, 10], 0, None),
        ([1], 1, None),
    ],
)
def test_path_says_when_the_best_lam_is_the_edge(lams, favourite, edge, wine):
    def prefer(estimator, X):
        return -abs(estimator.lam - favourite)

    Z = StandardScaler().fit_transform(wine)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = lambda_path(autoencoder(max_iter=2), Z, lams, cv=2, scoring=prefer)
    assert path.best_lam == favourite
    assert path.at_edge == (edge is not None)
    assert [edge in str(warning.message) for warning in caught] == [True] * path.at_edge
    assert all(warning.filename == __file__ for warning in caught)


# Errors


@pytest.mark.parametrize("function", OF_FITTED)
def test_what_is_no_fitted_autoencoder_is_refused(function, behind):
    _, Z = behind
    with pytest.raises(TypeError, match="ends in one; got PCA"):
        function(PCA(2).fit(Z), Z)
    with pytest.raises(NotFittedError):
        function(autoencoder(), Z)
    with pytest.raises(NotFittedError):
        function(make_pipeline(StandardScaler(), autoencoder()), Z)


@pytest.mark.parametrize("function", OF_FITTED)
def test_rows_that_do_not_fit_are_refused(function, behind):
    model, Z = behind
    with pytest.raises(ValueError, match="X has 12 features"):
        function(model, Z[:, 1:])
    with pytest.raises(ValueError, match="X contains NaN"):
        function(model, np.where(Z > 1, np.nan, Z))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (sensitivity, {"noise_std": 0}, "noise_std must be a finite number > 0"),
        (sensitivity, {"noise_std": "0.1"}, "noise_std must be"),
        (sensitivity, {"n_repeats": 0}, "n_repeats must be an int >= 1; got 0"),
        (contraction_curve, {"n_repeats": 2.0}, "n_repeats must be an int"),
        (contraction_curve, {"radii": [1, 0]}, "radii must be .* > 0"),
        (contraction_curve, {"radii": []}, "radii must be a list"),
        (contraction_curve, {"radii": ["a"]}, "radii must be a list"),
        (contraction_curve, {"radii": "0.1"}, "radii must be a list"),
        (contraction_curve, {"radii": ["0.1", "1"]}, "radii must be a list"),
        (contraction_curve, {"radii": 1.0}, "radii must be a list"),
        (contraction_curve, {"radii": [[0.1], [1]]}, "radii must be a list"),
        (contraction_curve, {"radii": [[0.1], [1, 2]]}, "radii must be a list"),
        (sensitivity, {"noise_std": True}, "noise_std must be"),
        (sensitivity, {"noise_std": np.nan}, "noise_std must be"),
        (sensitivity, {"n_repeats": True}, "n_repeats must be an int"),
        (jacobian_spectrum, {"threshold": 1.5}, r"number in \(0, 1\]; got 1.5"),
        (saturation, {"threshold": 0}, r"threshold must be a number in \(0, 1\]"),
        (tangent_vectors, {"n_vectors": 6}, "an int from 1 to 5; got 6"),
        (
            tangent_vectors,
            {"n_vectors": 14, "which": "contracted"},
            "an int from 1 to 13; got 14",
        ),
        (tangent_vectors, {"which": "lost"}, "which must be 'kept' or 'contracted'"),
        (lambda_path, {"lams": [-1, 1]}, "lams must be .* >= 0"),
        (lambda_path, {"lams": [0, np.nan]}, "lams must be"),
        (lambda_path, {"lams": [1], "noise_std": -1}, "noise_std must be"),
        (lambda_path, {"lams": None}, "lams must be"),
        (lambda_path, {"lams": [1], "scoring": "r2"}, "scoring must be a callable"),
        (lambda_path, {"lams": [1], "cv": [([0, 1], [2])]}, "at least two folds"),
    ],
)
def test_bad_arguments_are_named(behind, function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*behind, **arguments)


@pytest.mark.parametrize("function", [tangent_vectors, score_field])
@pytest.mark.parametrize(
    "step",
    [
        ColumnTransformer([("some", SimpleImputer(), ["alcohol", "ash", "hue"])]),
        SimpleImputer(),
        FunctionTransformer(np.log1p),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_without_a_way_back_are_named_with_a_way_out(function, step, wine):
    model = make_pipeline(step, autoencoder(3)).fit(wine)
    name = type(step).__name__.lower()
    with pytest.raises(ValueError, match=rf"\({name}\) have no way back") as error:
        function(model, wine)
    assert "estimator[:-1].transform(X)" in str(error.value)
    assert np.isfinite(
        np.asarray(function(model[-1], model[:-1].transform(wine)))
    ).all()


def test_path_refuses_other_estimators(behind):
    with pytest.raises(TypeError, match="ends in one; got PCA"):
        lambda_path(make_pipeline(StandardScaler(), PCA(2)), behind[1], [1])


def test_rows_that_do_not_differ_have_no_spread(wine):
    model = autoencoder().fit(wine)
    same = np.full((7, wine.shape[1]), 0.1)
    same = pd.DataFrame(same, columns=wine.columns)
    assert sensitivity(model, same)["relative"].isna().all()
    with pytest.raises(ValueError, match="radii must be given"):
        contraction_curve(model, same)


def test_tangents_keep_every_level_of_the_index(wine):
    model = autoencoder().fit(wine)
    rows = wine.iloc[:4].set_axis(
        pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["g", "i"])
    )
    vectors = tangent_vectors(model, rows, 2)
    assert vectors.index.names == ["g", "i", "rank"]
    expected = tangent_vectors(model, wine.iloc[:4], 2)
    np.testing.assert_array_equal(vectors, expected)
    np.testing.assert_array_equal(
        vectors.xs("b", level="g").xs(1, level="rank"), expected.iloc[[5, 7]]
    )


def test_tangents_are_three_or_as_many_as_there_are(wine):
    model = autoencoder().fit(wine)
    assert len(tangent_vectors(model, wine.iloc[:2])) == 6
    narrow = ContractiveAutoencoder(2, max_iter=3, random_state=0).fit(wine)
    assert len(tangent_vectors(narrow, wine.iloc[:2])) == 4


def test_a_failing_fit_of_the_path_names_its_lam(wine, monkeypatch):
    def fail(self, X):
        raise ValueError("no")

    monkeypatch.setattr(ContractiveAutoencoder, "fit", fail)
    with pytest.raises(ValueError, match=r"lam=3 failed.*no"):
        lambda_path(autoencoder(), wine, [1, 3], cv=2)
