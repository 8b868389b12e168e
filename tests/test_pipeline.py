from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    f_classif,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skcae import ContractiveAutoencoder
from skcae._pipeline import (
    Inputs,
    NoWayBackError,
    _undo,
    flat_pipeline,
    inverse_to_columns,
    reach,
    reconstructed_columns,
    split_pipeline,
)
from skcae.anomaly import NeighborDistance, explain
from skcae.inspection import (
    contraction_curve,
    jacobian_spectrum,
    lambda_path,
    saturation,
    score_field,
    sensitivity,
    tangent_vectors,
)
from skcae.metrics import contraction_score, denoising_score, reconstruction_score


def autoencoder(n_components=3, **parameters):
    one_layer = {"hidden_layer_sizes": (), "activation": "tanh", "max_iter": 5}
    parameters = one_layer | {"random_state": 0} | parameters
    return ContractiveAutoencoder(n_components, **parameters)


def table(n=60):
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(2, n))
    return pd.DataFrame({"a": a, "b": 2 * a + 0.1 * rng.normal(size=n), "c": 3 + c})


class Subclass(ContractiveAutoencoder):
    pass


# To the autoencoder


def nested(fitted):
    return make_pipeline("passthrough", make_pipeline(fitted[0], None, fitted[1]))


def search(fitted, kind=GridSearchCV, **parameters):
    model = kind(fitted, {}, refit=True, **parameters)
    model.best_estimator_ = fitted  # as fit would, without its time
    return model


WRAPPED = {
    "nested": nested,
    "nested twice": lambda fitted: make_pipeline(nested(fitted)),
    "two steps in two Pipelines": lambda fitted: make_pipeline(
        fitted[0], make_pipeline(fitted[1])
    ),
    "frozen": FrozenEstimator,
    "frozen nested": lambda fitted: FrozenEstimator(nested(fitted)),
    "the autoencoder frozen": lambda fitted: make_pipeline(
        fitted[0], FrozenEstimator(fitted[1])
    ),
    "the scaler frozen": lambda fitted: make_pipeline(
        FrozenEstimator(fitted[0]), fitted[1]
    ),
    "search": search,
    "halving": partial(search, kind=HalvingGridSearchCV),
    "frozen search": lambda fitted: FrozenEstimator(search(fitted)),
    "search at the end": lambda fitted: make_pipeline(fitted[0], search(fitted[1])),
    "search of a nested Pipeline": lambda fitted: search(nested(fitted)),
}

READERS = {
    "contraction_curve": lambda m, X: contraction_curve(m, X, radii=[0.1, 1]),
    "jacobian_spectrum": lambda m, X: jacobian_spectrum(m, X).singular_values,
    "saturation": saturation,
    "score_field": score_field,
    "sensitivity": sensitivity,
    "tangent_vectors": tangent_vectors,
    "contraction_score": contraction_score,
    "denoising_score": denoising_score,
    "reconstruction_score": reconstruction_score,
    "lambda_path": lambda m, X: lambda_path(m, X, [0.1], cv=2).table,
    "NeighborDistance": lambda m, X: NeighborDistance(m).fit(X).score_samples(X),
    "explain": lambda m, X: explain(m, X)["reconstructed"],
}


@pytest.fixture(scope="module")
def fitted():
    return make_pipeline(StandardScaler(), autoencoder()).fit(table())


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_what_wraps_an_autoencoder_is_unwrapped(wrapper, fitted):
    X = table()
    model = WRAPPED[wrapper](fitted)
    front, found = split_pipeline(model)
    assert found is fitted[1]
    assert type(front) is Pipeline and len(front) == 1
    np.testing.assert_array_equal(front.transform(X), fitted[0].transform(X))
    np.testing.assert_array_equal(sensitivity(model, X), sensitivity(fitted, X))


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_unwraps(reader, fitted):
    read, X = READERS[reader], table()
    wrapped = search(nested(make_pipeline(fitted[0], search(fitted[1]))))
    np.testing.assert_array_equal(read(wrapped, X), read(fitted, X))


def test_search_is_unwrapped_where_it_was_fitted_for_good(fitted):
    X = table()
    grid = {"contractiveautoencoder__lam": [0.1, 1]}
    for kind in (GridSearchCV, HalvingGridSearchCV):
        model = kind(clone(fitted), grid, cv=2, error_score="raise")
        with pytest.raises(TypeError, match=f"ends in one; got {kind.__name__}"):
            split_pipeline(model)
        front, last = split_pipeline(model.fit(X))
        assert last is model.best_estimator_[-1]
        assert front[0] is model.best_estimator_[0]
        without = kind(clone(fitted), grid, cv=2, refit=False).fit(X)
        with pytest.raises(TypeError, match=f"ends in one; got {kind.__name__}"):
            split_pipeline(without)


@pytest.mark.parametrize(
    "wrong",
    [
        PCA(),
        make_pipeline(StandardScaler(), PCA()),
        make_pipeline(autoencoder(), PCA()),
        make_pipeline(StandardScaler(), make_pipeline(PCA())),
        FrozenEstimator(PCA()),
        make_pipeline("passthrough"),
        Pipeline([]),
        ContractiveAutoencoder,
        [autoencoder()],
        None,
    ],
    ids=repr,
)
def test_what_ends_in_no_autoencoder_is_refused_by_one_sentence(wrong):
    sentence = (
        "estimator must be a ContractiveAutoencoder or a Pipeline, FrozenEstimator or "
        r"fitted search that ends in one; got \w+\.$"
    )
    with pytest.raises(TypeError, match=sentence):
        split_pipeline(wrong)
    assert reconstructed_columns(wrong, table()) is None


def test_autoencoder_alone_has_nothing_before_it():
    model = autoencoder()
    for estimator in (model, make_pipeline(model), make_pipeline(None, model)):
        assert split_pipeline(estimator) == (None, model)
    special = Subclass()
    assert split_pipeline(make_pipeline("passthrough", special)) == (None, special)


def test_steps_before_are_one_flat_pipeline_with_names_of_its_own():
    first, second, third, last = (
        StandardScaler(),
        MinMaxScaler(),
        StandardScaler(),
        autoencoder(),
    )
    inner = Pipeline([("scale", second), ("scale more", third), ("cae", last)])
    model = Pipeline([("scale", first), ("rest", inner)], memory="folder", verbose=True)
    flat = flat_pipeline(model)
    assert type(flat) is Pipeline
    assert [step for _, step in flat.steps] == [first, second, third, last]
    assert [name for name, _ in flat.steps] == ["scale", "scale'", "scale more", "cae"]
    assert (flat.memory, flat.verbose) == ("folder", True)
    front, found = split_pipeline(model)
    assert found is last and len(front) == 3
    clone(flat)  # the names are names that scikit-learn accepts
    flat.set_params(memory=None, cae__max_iter=1).fit(table())


def test_steps_of_a_frozen_pipeline_stay_as_they_were_fitted(fitted):
    X = table()
    front, _ = split_pipeline(FrozenEstimator(fitted))
    again = clone(front).fit(100 * X)
    np.testing.assert_array_equal(again.transform(X), fitted[0].transform(X))
    of_all = lambda_path(FrozenEstimator(fitted), X, [0.1], cv=2).table
    of_folds = lambda_path(fitted, X, [0.1], cv=2).table
    assert not of_all.equals(of_folds)


def test_rows_reach_the_autoencoder_as_the_last_step_writes_them(fitted):
    X = table()
    model, rows = reach(nested(fitted), X)
    assert model is fitted[1]
    np.testing.assert_array_equal(rows, fitted[0].transform(X))
    pandas = clone(fitted).set_output(transform="pandas").fit(X)
    _, rows = reach(make_pipeline(pandas), X)
    assert list(rows.columns) == list(X.columns)


# Dropped columns

SELECTORS = {
    "VarianceThreshold": VarianceThreshold(),
    "SelectKBest": SelectKBest(f_classif, k=3),
    "SelectPercentile": SelectPercentile(f_classif, percentile=80),
    "RFE": RFE(Ridge(), n_features_to_select=3),
    "SelectFromModel": SelectFromModel(Ridge(), threshold=1e-9),
}
BEFORE = {
    "alone": [],
    "scaler": [StandardScaler()],
    "function": [FunctionTransformer(np.arcsinh, np.sinh)],
    "frozen": [FrozenEstimator(FunctionTransformer(np.arcsinh, np.sinh))],
}
ignore_constants = pytest.mark.filterwarnings(
    "ignore:Features .* are constant", "ignore:invalid value encountered"
)


def columns_of(name):
    return ColumnTransformer([("some", name, ["a", "b", "c", "pressure"])])


def assert_pressure_is_dropped(model, X):
    """Columns but "pressure" are as those of a model that never saw it."""
    restored = reconstructed_columns(model, X)
    assert restored["pressure"].isna().all()
    field, vectors = score_field(model, X), tangent_vectors(model, X, 2)
    assert (field["pressure"] == 0).all() and (vectors["pressure"] == 0).all()
    rest = ["a", "b", "c"]
    assert np.isfinite(restored[rest].to_numpy(dtype=float)).all()
    np.testing.assert_allclose(field[rest], (restored - X)[rest], atol=1e-9)
    # a step in the caller's columns is one of length 1 where the autoencoder reads it
    front, _ = split_pipeline(model)
    step = 1e-5 * vectors.xs(0, level="rank")
    moved = (front.transform(X + step) - front.transform(X)) / 1e-5
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, rtol=1e-3)


@ignore_constants
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("selector", SELECTORS)
def test_column_that_a_selector_drops_is_nan_and_does_not_move(selector, before):
    X = table().assign(pressure=1013.0)
    steps = [*BEFORE[before], SELECTORS[selector], StandardScaler(), autoencoder()]
    assert_pressure_is_dropped(make_pipeline(*steps).fit(X, X["a"] > 0), X)


@pytest.mark.parametrize(
    "front",
    [
        ColumnTransformer([("some", StandardScaler(), ["b", "a", "c"])]),
        ColumnTransformer([("some", StandardScaler(), slice("a", "c"))]),
        ColumnTransformer([("some", StandardScaler(), [0, 2, 1])]),
        ColumnTransformer([("some", StandardScaler(), [True, True, True, False])]),
        ColumnTransformer([("out", "drop", ["pressure"])], remainder=StandardScaler()),
        ColumnTransformer(
            [("b", "passthrough", "b"), ("some", StandardScaler(), ["a", "c"])][1:]
            + [("b", MinMaxScaler(), ["b"])]
        ),
        columns_of(make_pipeline(VarianceThreshold(), StandardScaler())),
        columns_of(make_pipeline(StandardScaler(), VarianceThreshold())),
        columns_of(
            FrozenEstimator(VarianceThreshold().fit(table().assign(pressure=1013.0)))
        ),
        make_pipeline(
            MinMaxScaler().set_output(transform="pandas"),
            ColumnTransformer([("some", StandardScaler(), ["b", "a", "c"])]),
        ),
    ],
    ids=range(10),
)
def test_column_that_a_column_transformer_drops_is_nan_and_does_not_move(front):
    X = table().assign(pressure=1013.0)
    model = make_pipeline(front, make_pipeline(StandardScaler(), autoencoder()))
    model.fit(X)
    assert_pressure_is_dropped(model, X)
    turned = X[X.columns[::-1]]
    if isinstance(front, ColumnTransformer) and front.n_features_in_ == 4:
        expected = reconstructed_columns(model, X)
        pd.testing.assert_frame_equal(
            reconstructed_columns(model, turned)[X.columns], expected
        )


def test_columns_that_one_selector_after_another_drops_are_nan():
    X = table().assign(pressure=1013.0, noise=np.arange(60) % 2)
    X.index = [f"row {i}" for i in range(60)]
    keep = SelectKBest(lambda X, y: np.array([1, 1, 1, 0.0]), k=3)
    steps = [VarianceThreshold(), MinMaxScaler(), keep, StandardScaler()]
    model = make_pipeline(*steps, autoencoder()).fit(X, X["a"])
    assert_pressure_is_dropped(model, X)
    restored = reconstructed_columns(model, X)
    assert restored.index.equals(X.index) and restored.columns.equals(X.columns)
    assert restored.isna().all().tolist() == [False, False, False, True, True]
    assert (score_field(model, X)["noise"] == 0).all()


def test_step_that_was_searched_for_is_undone():
    X = table().assign(pressure=1013.0)
    searched = search(columns_of(VarianceThreshold()))
    searched.best_estimator_.fit(X)
    model = make_pipeline(FrozenEstimator(searched), StandardScaler(), autoencoder())
    assert_pressure_is_dropped(model.fit(X), X)


def test_dropped_text_is_nan_and_does_not_move():
    X = table().assign(note="unread")
    front = ColumnTransformer([("numbers", StandardScaler(), ["a", "b", "c"])])
    model = make_pipeline(front, autoencoder()).fit(X)
    assert reconstructed_columns(model, X)["note"].isna().all()
    field, vectors = score_field(model, X), tangent_vectors(model, X)
    assert field.columns.equals(X.columns)
    assert (field["note"] == 0).all() and (vectors["note"] == 0).all()
    alone = make_pipeline(StandardScaler(), autoencoder()).fit(X[["a", "b", "c"]])
    of_numbers = score_field(alone, X[["a", "b", "c"]])
    np.testing.assert_allclose(field[["a", "b", "c"]], of_numbers, atol=1e-12)


def test_dropped_component_keeps_its_share_of_the_columns():
    X = table()
    pca = PCA().fit(X)
    keep = SelectKBest(lambda X, y: np.array([3, 2, 1.0]), k=2)
    model = make_pipeline(pca, keep, autoencoder()).fit(X, X["a"] > 0)
    scores = pca.transform(X)
    scores[:, :2] = model[-1].inverse_transform(model[-1].transform(scores[:, :2]))
    expected = pca.inverse_transform(scores)
    np.testing.assert_allclose(reconstructed_columns(model, X), expected)
    np.testing.assert_allclose(score_field(model, X), expected - X, atol=1e-12)
    # no direction leads along the component that is not seen
    vectors = tangent_vectors(model, X, 2).to_numpy()
    np.testing.assert_allclose(vectors @ pca.components_[2], 0, atol=1e-9)


# Steps undone


@pytest.mark.parametrize("drop", ["first", "if_binary", None])
def test_reconstructed_category_is_the_most_likely(drop, rng):
    table = pd.DataFrame(
        {"c": rng.choice(list("abcd"), 200), "b": rng.random(200) < 0.5}
    )
    encoder = OneHotEncoder(sparse_output=False, drop=drop).fit(table)
    vague = encoder.transform(table) * 0.3
    kept = undone(encoder, vague + 0.02)
    if drop == "first":  # 0.3 is less than what is left for the first
        assert (kept[:, 0] == "a").all()
    else:
        np.testing.assert_array_equal(kept[:, 0], table["c"])
    sure = undone(encoder, encoder.transform(table) * 0.9 + 0.01)
    np.testing.assert_array_equal(sure, table.to_numpy())


def undone(step, rows):
    rows = np.asarray(rows, dtype=float)
    is_kept = np.ones(rows.shape[1], dtype=bool)
    return np.asarray(_undo(step, rows, is_kept, lambda: None)[0])


def test_dropped_category_gets_what_the_others_leave():
    encoder = OneHotEncoder(sparse_output=False, drop="first")
    encoder.fit([["a"], ["b"], ["c"]])
    rows = [[0.3, 0.4], [0.4, 0.3], [0.3, 0.3], [0.1, 0.4], [0, 0], [1, 1]]
    assert undone(encoder, rows)[:, 0].tolist() == ["c", "b", "a", "a", "a", "b"]


def test_rare_categories_share_a_column():
    table = [[c, d] for c, d in zip("aaaabbbbcd", "xyxyxyxyxy", strict=True)]
    encoder = OneHotEncoder(sparse_output=False, drop="first", min_frequency=3)
    encoder.fit(table)
    rows = [[0.9, 0.1, 0.2], [0.1, 0.8, 0.9], [0.2, 0.2, 0.6]]
    assert undone(encoder, rows).tolist() == [
        ["b", "x"],
        ["infrequent_sklearn", "y"],
        ["a", "y"],
    ]


def test_codes_beyond_the_last_are_the_last():
    encoder = OrdinalEncoder().fit([["a"], ["b"], ["c"]])
    codes = [[-3], [-0.6], [0.4], [0.6], [1.4], [2.6], [9]]
    assert undone(encoder, codes)[:, 0].tolist() == list("aaabbcc")
    rare = OrdinalEncoder(max_categories=2).fit([["a"]] * 3 + [["b"], ["c"]])
    expected = ["a"] * 3 + ["infrequent_sklearn"] * 4
    assert undone(rare, codes)[:, 0].tolist() == expected
    bins = KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    bins.fit([[0.0], [6.0]])
    assert undone(bins, codes)[:, 0].tolist() == [1, 1, 1, 3, 3, 5, 5]


def test_column_of_two_steps_is_kept_if_one_keeps_it():
    X = table().assign(pressure=1013.0)
    twice = [("kept", MinMaxScaler(), ["a", "b", "c"])]
    lower = SelectKBest(lambda X, y: np.array([1.0, 2.0]), k=1)
    for order in (1, -1):
        parts = [*twice, ("one", lower, ["a", "b"])][::order]
        model = make_pipeline(ColumnTransformer(parts), autoencoder())
        restored = reconstructed_columns(model.fit(X, X["a"]), X)
        # "a" is scaled in one and dropped by the other, "pressure" is in neither
        assert restored.isna().all().tolist() == [False, False, False, True]
        assert not np.allclose(restored["a"], X["a"], atol=1e-3)


def test_mixed_columns_come_back_in_their_places(rng):
    n = 200
    X = pd.DataFrame(
        {
            "job": rng.choice(list("xyz"), n),
            "size": rng.normal(size=n),
            "id": np.arange(n),
            "grade": rng.choice([1, 2], n),
        }
    )
    front = ColumnTransformer(
        [
            ("grade", make_pipeline(OrdinalEncoder(), StandardScaler()), ["grade"]),
            ("numbers", StandardScaler(), ["size"]),
            ("job", OneHotEncoder(sparse_output=False), ["job"]),
        ]
    )
    model = make_pipeline(front, autoencoder(8, max_iter=100, lam=0)).fit(X)
    restored = reconstructed_columns(model, X)
    assert list(restored.columns) == list(X.columns)
    assert (restored["job"] == X["job"]).mean() > 0.9
    assert (restored["grade"] == X["grade"]).mean() > 0.9
    assert np.corrcoef(restored["size"].astype(float), X["size"])[0, 1] > 0.9
    assert restored["id"].isna().all()
    with pytest.raises(NoWayBackError, match="column 'job' does not hold numbers"):
        score_field(model, X)
    with pytest.raises(NoWayBackError, match="categories of OrdinalEncoder have no"):
        tangent_vectors(model, X)


@pytest.mark.parametrize(
    "step",
    [
        OneHotEncoder(sparse_output=False),
        KBinsDiscretizer(2, encode="ordinal", strategy="uniform"),
        ColumnTransformer([("all", FrozenEstimator(OrdinalEncoder()), ["a", "b"])]),
    ],
    ids=lambda step: type(step).__name__,
)
def test_categories_have_no_directions(step, rng):
    X = pd.DataFrame(rng.integers(0, 3, (60, 2)), columns=["a", "b"])
    if isinstance(step, ColumnTransformer):
        step.transformers[0][1].estimator.fit(X)
    model = make_pipeline(step, autoencoder(2)).fit(X)
    with pytest.raises(ValueError, match="categories of .* have no directions"):
        tangent_vectors(model, X)


@pytest.mark.parametrize("kind", ["array", "list", "polars", "pyarrow", "float32"])
def test_way_back_leads_to_tables_of_every_kind(kind):
    frame = table().assign(pressure=1013.0)
    X = frame
    if kind in ("polars", "pyarrow"):
        library = pytest.importorskip(kind)
        make = library.DataFrame if kind == "polars" else library.table
        X = make(frame.to_dict("list"))
    elif kind != "frame":
        X = frame.to_numpy(np.float32 if kind == "float32" else None)
        X = X.tolist() if kind == "list" else X
    model = make_pipeline(VarianceThreshold(), StandardScaler(), autoencoder()).fit(X)
    restored = reconstructed_columns(model, X)
    named = kind in ("polars", "pyarrow")
    names = list(frame.columns) if named else ["x0", "x1", "x2", "x3"]
    assert list(restored.columns) == names
    expected = reconstructed_columns(clone(model).fit(frame), frame)
    np.testing.assert_allclose(restored, expected, rtol=1e-3, atol=1e-3)
    assert (np.asarray(score_field(model, X))[:, 3] == 0).all()
    assert list(tangent_vectors(model, X).columns) == names


def test_selector_behind_sparse_rows_has_a_way_back(rng):
    sparse = pytest.importorskip("scipy.sparse")
    dense = rng.random((50, 4)) * (rng.random((50, 4)) < 0.7)
    dense[:, 2] = 0
    to_dense = FunctionTransformer(lambda X: X.toarray(), accept_sparse=True)
    front = make_pipeline(VarianceThreshold(), to_dense)
    X = sparse.csr_array(dense)
    model = make_pipeline(front, StandardScaler(), autoencoder(2)).fit(X)
    inputs = Inputs(model, X)
    there, is_kept = _undo(
        inputs.front[0][0], dense[:, [0, 1, 3]], np.ones(3, dtype=bool), lambda: X
    )
    np.testing.assert_array_equal(there, dense)
    assert is_kept.tolist() == [True, True, False, True]


def test_samplers_of_imbalanced_learn_are_passed_through():
    pipeline = pytest.importorskip("imblearn.pipeline")
    sampling = pytest.importorskip("imblearn.under_sampling")
    X = table()
    y = X["a"] > 0.5
    sampler = sampling.RandomUnderSampler(random_state=0)
    for steps in ([sampler, StandardScaler()], [StandardScaler(), sampler]):
        inner = pipeline.make_pipeline(*steps, autoencoder())
        model = make_pipeline(MinMaxScaler(), inner).fit(X, y)
        assert np.isfinite(sensitivity(model, X)["sensitivity"]).all()
        restored = reconstructed_columns(model, X)
        np.testing.assert_allclose(restored - X, score_field(model, X), atol=1e-12)
        path = lambda_path(model, X, [0.1], y, cv=2)
        assert np.isfinite(path.table).all(axis=None)


# What is swallowed, and what is not


class Step(TransformerMixin, BaseEstimator):
    """Doubles; its inverse raises what it is given."""

    def __init__(self, error=None, at_home=False):
        self.error = error
        self.at_home = at_home

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 2 * np.asarray(X)

    def inverse_transform(self, X):
        if self.error is not None:
            raise self.error
        return np.asarray(X) / 2


@pytest.mark.parametrize(
    "error",
    [AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError],
)
def test_step_that_cannot_undo_costs_the_reconstruction_only(error):
    X = table()
    model = make_pipeline(Step(error("no such thing")), autoencoder()).fit(X)
    assert reconstructed_columns(model, X) is None
    assert "reconstructed" not in explain(model, X)
    with pytest.raises(ValueError, match=r"\(step\) have no way back.*no such thing"):
        score_field(model, X)


@pytest.mark.parametrize("error", [ZeroDivisionError, RuntimeError, MemoryError])
def test_other_errors_of_a_step_are_not_swallowed(error):
    X = table()
    model = make_pipeline(Step(error("a bug")), autoencoder()).fit(X)
    for read in (reconstructed_columns, score_field, tangent_vectors, explain):
        with pytest.raises(error, match="a bug"):
            read(model, X)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, TypeError, AttributeError, ValueError, KeyError]
)
@pytest.mark.parametrize(
    "where",
    [
        "_undo_selection",
        "_undo_columns",
        "_table",
        "_check_undone",
        "Inputs.reconstruct",
    ],
)
def test_bug_of_our_own_is_not_swallowed(where, error, monkeypatch):
    X = table()
    front = ColumnTransformer(
        [("some", make_pipeline(VarianceThreshold(), StandardScaler()), ["a", "b"])]
    )
    model = make_pipeline(front, autoencoder(2)).fit(X)

    def fail(*args):
        raise error("a bug")

    monkeypatch.setattr(f"skcae._pipeline.{where}", fail)
    for read in (reconstructed_columns, explain, score_field):
        with pytest.raises(error, match="a bug"):
            read(model, X)


def test_steps_that_do_not_undo_are_told_from_those_that_do():
    X = table().abs()
    for step, undoes in [
        (FunctionTransformer(np.exp), False),
        (FunctionTransformer(np.exp, np.log), True),
        (FunctionTransformer(np.log1p), False),
        (Step(), True),
        (VarianceThreshold(), True),
        (FunctionTransformer(lambda X: X[["a", "c"]]), False),
        (FunctionTransformer(lambda X: 1e6 * X), False),
    ]:
        model = make_pipeline(step, StandardScaler(), autoencoder()).fit(X)
        assert (reconstructed_columns(model, X) is not None) == undoes, step
        assert ("reconstructed" in explain(model, X)) == undoes


def test_many_variants_of_a_row_take_its_dropped_values():
    X = table().assign(pressure=1013.0 + np.arange(60))
    front = ColumnTransformer([("some", StandardScaler(), ["c", "a", "b"])])
    model = make_pipeline(front, autoencoder()).fit(X)
    inputs = Inputs(model, X.iloc[:4])
    rows = np.repeat(inputs.rows, 3, axis=0)
    there, is_kept = inverse_to_columns(inputs, rows)
    np.testing.assert_allclose(there, X.iloc[:4].to_numpy().repeat(3, axis=0))
    assert is_kept.tolist() == [True, True, True, False]
