from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from numbers import Integral

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from surface import draw, scaled_autoencoder

from skcae import ContractiveAutoencoder
from skcae.anomaly import _explanation, explain

PARTS = ["contribution", "direction", "observed", "expected"]


class Constant:
    """Scores all rows alike."""

    def score_samples(self, X):
        return -np.ones(len(X))


class Distance:
    """Scores rows by their mean distance from 0; needs cells that are numbers."""

    def score_samples(self, X):
        if sparse.issparse(X):
            X = X.toarray()
        return -np.abs(np.array(X, dtype=float)).mean(axis=1)


def planted(rows, rng, sizes, n=300):
    """Rows with a fault in one column each, of such sizes in standard deviations."""
    broken = rows[rng.integers(0, len(rows), n)]
    column = rng.integers(0, rows.shape[1], n)
    sign = rng.choice([-1, 1], n)
    fault = sign * rng.uniform(*sizes, n) * rows.std(axis=0)[column]
    broken[np.arange(n), column] += fault
    return broken, column, sign


@pytest.mark.parametrize("parameters", [{}, {"lam": 0}], ids=str)
@pytest.mark.parametrize("table", ["surface", "cancer"])
def test_the_broken_column_ranks_first(table, parameters, rng):
    if table == "surface":
        X, sizes = draw(rng, 2000), (2, 4)
    else:
        X, y = load_breast_cancer(return_X_y=True)
        X, sizes = X[y == 1], (4, 8)
    train, unseen = train_test_split(X, random_state=0)
    model = scaled_autoencoder(max_iter=100, **parameters).fit(train)
    rows, column, sign = planted(unseen, rng, sizes)
    explanation = explain(model, rows, unseen)
    errors = model[-1].feature_errors(model[0].transform(rows))
    found = explanation["contribution"].to_numpy().argmax(axis=1) == column
    assert found.mean() >= 0.95
    assert found.mean() > np.mean(errors.argmax(axis=1) == column)
    directions = explanation["direction"].to_numpy()[np.arange(len(rows)), column]
    expected = np.where(sign > 0, "too high", "too low")
    assert np.mean(directions[found] == expected[found]) >= 0.99


def test_contribution_is_what_the_score_gains(model, rng, monkeypatch):
    rows, normal = draw(rng, 30), draw(rng, 200)
    rows[0, 4] += 3
    explanation = explain(model, rows, normal, n_values=5)
    unit = np.median(-model.score_samples(normal))
    shares = [0.1, 0.3, 0.5, 0.7, 0.9]
    values = np.quantile(normal[:, 4], shares, method="nearest")
    scores = []
    for value in values:
        changed = rows.copy()
        changed[:, 4] = value
        scores.append(model.score_samples(changed))
    gain = np.max(scores, axis=0) - model.score_samples(rows)
    contribution = explanation["contribution"]["x4"]
    np.testing.assert_allclose(contribution, np.maximum(gain, 0) / unit)
    best = values[np.argmax(scores, axis=0)]
    expected = np.where(gain > 0, best, rows[:, 4])
    np.testing.assert_array_equal(explanation["expected"]["x4"], expected)
    ways = np.select([gain <= 0, rows[:, 4] > expected], ["", "too high"], "too low")
    assert list(explanation["direction"]["x4"]) == list(ways)
    assert {"", "too high", "too low"} == set(ways)
    # the same in blocks
    monkeypatch.setattr(_explanation, "_BLOCK_CELLS", 12 * 7)
    blocks = explain(model, rows, normal, n_values=5)
    pd.testing.assert_frame_equal(blocks, explanation, rtol=1e-9)


def test_what_the_model_never_reads_contributes_nothing(rng):
    X = np.c_[draw(rng, 300), rng.standard_normal(300)]
    front = ColumnTransformer([("read", StandardScaler(), slice(0, 12))])
    model = make_pipeline(front, ContractiveAutoencoder(max_iter=20, random_state=0))
    explanation = explain(model.fit(X), X)
    assert (explanation["contribution"]["x12"] == 0).all()
    assert (explanation["direction"]["x12"] == "").all()
    np.testing.assert_array_equal(explanation["expected"]["x12"], X[:, 12])


def test_a_gain_below_the_rounding_of_a_normal_error_is_none():
    class Squares:
        def score_samples(self, X):
            return -(X[:, 0] ** 2)

    normal = np.r_[np.zeros(9), np.ones(11)][:, None]
    rows = np.array([[1e-5], [1e-3]])  # errors of 1e-10 and 1e-6, in units of 1
    explanation = explain(Squares(), rows, normal)
    np.testing.assert_allclose(explanation["contribution"]["x0"], [0, 1e-6])
    assert list(explanation["direction"]["x0"]) == ["", "too high"]


def test_names_index_and_reconstruction_of_a_frame(rng):
    X = pd.DataFrame(draw(rng, 300), columns=list("abcdefghijkl")).add_prefix("col ")
    X.index = X.index + 1000
    model = scaled_autoencoder().fit(X)
    explanation = explain(model, X)
    parts = [*PARTS, "reconstructed"]
    assert list(explanation.columns.levels[0]) == parts
    for part in parts:
        assert explanation[part].columns.equals(X.columns)
    assert explanation.index.equals(X.index)
    pd.testing.assert_frame_equal(explanation["observed"], X)
    restored = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(explanation["reconstructed"], restored, atol=1e-6)
    row = explanation.loc[1007].unstack(0)
    assert row.shape == (12, 5)
    most = row.sort_values("contribution", ascending=False).index[0]
    assert most == explanation["contribution"].loc[1007].idxmax()
    bare = explain(scaled_autoencoder().fit(X.to_numpy()), X.to_numpy())
    for part in parts:
        assert list(bare[part].columns) == [f"x{i}" for i in range(12)]
        if part != "direction":
            np.testing.assert_allclose(
                bare[part], explanation[part], rtol=1e-6, atol=1e-9
            )


def test_two_columns_of_one_name_have_a_contribution_each(model, rng):
    class ByPosition:
        """A model that newer versions of scikit-learn would refuse to be."""

        def score_samples(self, X):
            return model.score_samples(X.to_numpy())

    X = pd.DataFrame(draw(rng, 100), columns=[*"abcdefghija", "b"])
    explanation = explain(ByPosition(), X)
    bare = explain(model, X.to_numpy())
    for part in PARTS:
        assert list(explanation[part].columns) == list(X.columns)
    np.testing.assert_allclose(explanation["contribution"], bare["contribution"])


@pytest.mark.parametrize("names", [[3, 1, 2], [("a", 1), ("a", 2), ("b", 1)]], ids=str)
def test_names_may_be_of_any_type(names, rng):
    X = pd.DataFrame(rng.standard_normal((30, 3)))
    X.columns = pd.Index(names)
    explanation = explain(Distance(), X)
    for part in PARTS:
        assert list(explanation[part].columns) == names


def test_categories_count_as_the_column_they_come_from(mixed, staff):
    rows = staff[400:].copy()
    nurse = rows.index[rows["job"] == "nurse"][:20]
    rows.loc[nurse, "pay"] = 50.0
    old = rows.index[rows["age"] > 50].difference(nurse)[:20]
    rows.loc[old, "age"] = 25
    explanation = explain(mixed, rows, staff[400:])
    assert list(explanation["contribution"].columns) == list(staff.columns)
    worst = explanation["contribution"].idxmax(axis=1)
    # either may be the wrong one of a pair
    assert worst[nurse].isin(["job", "pay"]).mean() >= 0.95
    assert worst[old].isin(["age", "years"]).mean() >= 0.95
    assert (explanation["expected"]["job"][nurse] == "driver").mean() >= 0.8
    assert (explanation["contribution"]["note"] == 0).all()
    assert explanation["expected"].dtypes.equals(staff.dtypes)
    assert set(explanation["direction"]["job"]) == {"", "unusual"}
    assert set(explanation["direction"]["full time"]) <= {"", "unusual"}


def test_reconstruction_returns_through_encoders(mixed, staff):
    restored = explain(mixed, staff[400:])["reconstructed"]
    for column in ("job", "full time", "grade"):
        assert (restored[column] == staff[400:][column]).mean() > 0.95
    for column in ("pay", "age", "years"):
        error = restored[column].astype(float) - staff[400:][column]
        assert error.std() < 0.3 * staff[column].std()
    assert restored["note"].isna().all()


def test_numbers_of_a_selection_name_columns_too(rng):
    X = draw(rng, 200)
    front = ColumnTransformer(
        [("a", StandardScaler(), slice(2, 6)), ("b", StandardScaler(), [0, 1])],
        remainder="passthrough",
    )
    model = make_pipeline(front, ContractiveAutoencoder(max_iter=20, random_state=0))
    restored = explain(model.fit(X), X)["reconstructed"]
    there = front.fit(X).transform(X)
    expected = model[-1].inverse_transform(model[-1].transform(there))
    scaled = np.hstack([expected[:, 4:6], expected[:, :4]])
    scaled = scaled * X[:, :6].std(axis=0) + X[:, :6].mean(axis=0)
    np.testing.assert_allclose(restored.iloc[:, :6], scaled, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(restored.iloc[:, 6:], expected[:, 6:])


@pytest.mark.parametrize(
    "step", [SimpleImputer(), FunctionTransformer(np.exp)], ids=["none", "identity"]
)
def test_a_step_without_an_inverse_costs_the_reconstruction_only(step, rng):
    X = draw(rng, 100)
    explanation = explain(make_pipeline(step, scaled_autoencoder()[-1]).fit(X), X)
    assert list(explanation.columns.levels[0]) == PARTS
    assert explanation.shape == (100, 48)


def test_wrapped_estimators_are_explained_like_the_bare_one(rng):
    X = draw(rng, 100)
    model = scaled_autoencoder(max_iter=5).fit(X)
    search = GridSearchCV(
        scaled_autoencoder(max_iter=5), {"contractiveautoencoder__lam": [0.1]}, cv=2
    )
    wanted = explain(model, X)
    for wrapped in (
        FrozenEstimator(model),
        make_pipeline("passthrough", model),
        search.fit(X),
    ):
        pd.testing.assert_frame_equal(explain(wrapped, X), wanted)


def test_models_of_others_are_explained(rng):
    X = pd.DataFrame(draw(rng, 100), columns=list("abcdefghijkl"))
    X.iloc[0, 3] = 20
    explanation = explain(IsolationForest(random_state=0).fit(X), X)
    assert list(explanation.columns.levels[0]) == PARTS
    assert explanation["contribution"].iloc[0].idxmax() == "d"
    assert explanation["direction"]["d"].iloc[0] == "too high"


# What cannot be explained


def test_explain_refuses_what_shows_nothing(model, rng):
    rows = draw(rng, 30)
    assert explain(model, rows[:3], rows[:20]).shape == (3, 60)
    with pytest.raises(ValueError, match="X_normal has 19 rows"):
        explain(model, rows, rows[:19])
    with pytest.raises(ValueError, match="X, in place of X_normal, has 19 rows"):
        explain(model, rows[:19])
    with pytest.raises(ValueError, match="X_normal must have the columns of X"):
        explain(model, rows, rows[:, :5])
    with pytest.raises(ValueError, match="n_values must be an int >= 1"):
        explain(model, rows, n_values=0)
    mostly_still = np.zeros((100, 12))
    mostly_still[:10] = draw(rng, 10)
    with pytest.raises(ValueError, match="Half of the rows of X_normal are recon"):
        # a line through the rows that do not differ
        still = ContractiveAutoencoder(12, activation="identity", lam=0)
        explain(still.fit(np.zeros((100, 12))), mostly_still)


POLARS = "polars"
REFUSED = {
    "a Series": (lambda: pd.Series(range(9)), "got a Series of pandas"),
    "a polars Series": (
        lambda: pytest.importorskip(POLARS).Series(range(9)),
        "got a Series of polars",
    ),
    "a LazyFrame": (
        lambda: pytest.importorskip(POLARS).LazyFrame({"a": [1, 2]}),
        "got a LazyFrame of polars",
    ),
    "a column of Arrow": (
        lambda: pytest.importorskip("pyarrow").chunked_array([[1, 2]]),
        "got a ChunkedArray of pyarrow",
    ),
    "texts": (lambda: ["a text", "and another"], "got a list of str"),
    "numbers": (lambda: [1, 2.5], "got a list of float and int"),
    "dictionaries": (lambda: [{"a": 1}, {"a": 2}], "got a list of dict"),
    "a dictionary": (lambda: {"a": [1, 2]}, "got a dict of builtins"),
    "an iterator": (lambda: iter([[1, 2]]), "got a list_iterator of builtins"),
    "a matrix": (lambda: np.matrix([[1, 2]]), "got a matrix of numpy"),
    "a structured array": (
        lambda: np.array([(1, 2)], dtype=[("a", int), ("b", int)]),
        "got a structured array",
    ),
    "a string": (lambda: "a text", "got a str of builtins"),
    "nothing": (lambda: None, "got a NoneType of builtins"),
    "a 1D array": (lambda: np.arange(9), "got an array of 1D"),
    "a 3D array": (lambda: np.zeros((2, 2, 2)), "got an array of 3D"),
    "ragged rows": (lambda: [[1, 2], [3]], "rows of one length; got rows of 1 to 2"),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_cells_to_replace_is_refused_by_name(name):
    make, message = REFUSED[name]
    X = make()
    with pytest.raises((TypeError, ValueError), match=f"^X must .*{message}"):
        explain(Distance(), X)
    if X is not None:
        with pytest.raises(
            (TypeError, ValueError), match=f"^X_normal must .*{message}"
        ):
            explain(Distance(), np.zeros((3, 2)), X)


def test_normal_rows_of_another_kind_are_refused(rng):
    array = draw(rng, 30)
    frame = pd.DataFrame(array)
    for X, X_normal in (
        (array, frame),
        (frame, array),
        (array, sparse.csr_array(array)),
    ):
        with pytest.raises(TypeError, match="must be the kind of table that X is"):
            explain(Distance(), X, X_normal)
    with pytest.raises(ValueError, match="columns of X, in the same order"):
        explain(Distance(), frame, frame[frame.columns[::-1]])


def test_lists_and_arrays_go_together(rng):
    array = draw(rng, 30)
    wanted = explain(Distance(), array)
    rows = array.tolist()
    for X, X_normal in (
        (rows, array),
        (array, rows),
        (rows, rows),
        (tuple(rows), rows),
    ):
        pd.testing.assert_frame_equal(explain(Distance(), X, X_normal), wanted)
    normal = array.astype(object)
    pd.testing.assert_frame_equal(explain(Distance(), rows, normal), wanted)


def test_formats_of_sparse_matrices_go_together(rng):
    array = draw(rng, 30)

    class OfType(Distance):
        def __init__(self, X):
            self.kind = type(X)

        def score_samples(self, X):
            assert isinstance(X, self.kind) or X.shape[0] == 30
            return super().score_samples(X)

    new = sparse.csr_array, sparse.csc_matrix, sparse.coo_array, sparse.lil_matrix
    wanted = explain(Distance(), array[:3], array)
    for X in (one(array[:3]) for one in new):
        for X_normal in (one(array) for one in new):
            got = explain(OfType(X), X, X_normal)
            pd.testing.assert_frame_equal(got, wanted)


def test_numbers_beside_texts_in_a_list_stay_numbers_beside_an_array():
    class Squares:
        def score_samples(self, X):
            return -1.0 - np.array([row[0] for row in X], dtype=float) ** 2

    normal = [[0.5, "a"], [2, "b"]] * 10
    explanation = explain(Squares(), np.array([[3, "a"]], dtype=object), normal)
    assert explanation["expected"].to_numpy().tolist() == [[0.5, "a"]]
    assert list(explanation["direction"].loc[0]) == ["too high", ""]


# No rows


def test_no_rows_give_an_empty_table(model, rng):
    normal = draw(rng, 30)
    frame = pd.DataFrame(normal, columns=list("abcdefghijkl"))
    frame.index = [f"row {i}" for i in frame.index]
    named = scaled_autoencoder(max_iter=3).fit(frame)
    explanation = explain(named, frame[:0], frame)
    assert explanation.columns.equals(explain(named, frame).columns)
    assert explanation.shape == (0, 60)
    assert explanation.index.equals(frame.index[:0])
    assert {dtype.kind for dtype in explanation["contribution"].dtypes} == {"f"}
    assert explanation["observed"].dtypes.equals(frame.dtypes)
    assert list(explain(model, normal[:0]).columns.levels[0]) == PARTS
    for none in (normal[:0], []):
        empty = explain(model, none, normal)
        assert empty.shape == (0, 60)
        assert list(empty["expected"].columns) == [f"x{i}" for i in range(12)]
    assert explain(model, [], normal.tolist()).shape == (0, 60)
    matrix = sparse.csr_array(normal)
    assert explain(Distance(), matrix[:0], matrix).shape == (0, 48)


def test_no_rows_of_polars_and_arrow(rng):
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"a": list(rng.standard_normal(30)), "b": ["x", None] * 15}
    for table in (polars.DataFrame(columns), pyarrow.table(columns)):
        empty = explain(Distance(), table[:0], table)
        assert empty.shape == (0, 8)
        assert list(empty["observed"].columns) == ["a", "b"]


# Scores beyond the range


def test_a_cell_beyond_the_range_contributes_without_end(rng):
    X = draw(rng, 100)
    model = ContractiveAutoencoder(max_iter=10, random_state=0).fit(X)
    rows = X[:4].copy()
    rows[0, 3] = -np.finfo(float).max
    rows[1, 3] = 1e300
    rows[2, 2:4] = -np.finfo(float).max
    explanation = explain(model, rows, X)
    contributions = explanation["contribution"].to_numpy()
    assert not np.isnan(contributions).any()
    only_the_third = np.where(np.arange(12) == 3, np.inf, 0)
    np.testing.assert_array_equal(contributions[0], only_the_third)
    np.testing.assert_array_equal(contributions[1], only_the_third)
    assert list(explanation["direction"]["x3"][:2]) == ["too low", "too high"]
    # one column alone does not mend two
    np.testing.assert_array_equal(contributions[2], np.zeros(12))
    np.testing.assert_array_equal(explanation["expected"].loc[2], rows[2])
    whole = explain(model, X[3:4], X)["contribution"]
    np.testing.assert_allclose(contributions[3], whole.loc[0])


def test_normal_rows_beyond_the_range(rng):
    X = draw(rng, 40)
    X[:8] = -np.finfo(float).max
    model = ContractiveAutoencoder(max_iter=10, random_state=0).fit(X[8:])
    explanation = explain(model, X[8:12], X)
    assert np.isfinite(explanation["contribution"]).all(axis=None)
    assert (explanation["expected"] > -9).all(axis=None)
    X[:30] = -np.finfo(float).max
    with pytest.raises(ValueError, match="errors beyond the range of numbers"):
        explain(model, X[30:], X)


# Cells


def test_missing_is_tried_where_it_is_normal(rng):
    n = 400
    coupon = np.where(rng.random(n) < 0.1, "X", None).astype(object)
    table = pd.DataFrame({"a": rng.normal(size=n), "coupon": coupon})
    table["refund"] = np.where(rng.random(n) < 0.1, 5.0, np.nan)
    front = ColumnTransformer(
        [
            ("number", StandardScaler(), ["a"]),
            ("category", OneHotEncoder(sparse_output=False), ["coupon"]),
            ("gaps", SimpleImputer(strategy="constant", fill_value=0), ["refund"]),
        ]
    )
    model = make_pipeline(front, scaled_autoencoder()[-1]).fit(table)
    rows = table.iloc[:50].copy()
    rows.loc[0, ["coupon", "refund"]] = [None, 1000.0]
    first = explain(model, rows, table).iloc[0]
    assert first["contribution"].idxmax() == "refund"
    assert np.isnan(first["expected"]["refund"])
    assert first["direction"]["refund"] == "unusual"


@pytest.mark.parametrize(("n_missing", "is_tried"), [(9, False), (10, True)])
def test_missing_is_tried_if_as_frequent_as_a_quantile(n_missing, is_tried):
    class LikesMissing:
        def score_samples(self, X):
            return np.where(np.isnan(X[:, 0]), -1.0, -2.0)

    X = np.arange(100.0)[:, None]
    X[:n_missing] = np.nan
    explanation = explain(LikesMissing(), X, n_values=10)
    contributions = np.where(np.isnan(X[:, 0]) | (not is_tried), 0, 0.5)
    np.testing.assert_array_equal(explanation["contribution"]["x0"], contributions)
    ways = np.where(contributions > 0, "unusual", "")
    assert list(explanation["direction"]["x0"]) == list(ways)


class Likes:
    """Scores best the rows whose first cell is the very one that it was given."""

    def __init__(self, cell):
        self.cell = cell

    def score_samples(self, X):
        return np.where([cell is self.cell for cell in X[:, 0]], -1.0, -2.0)


def objects(*cells):
    column = np.empty((len(cells), 1), dtype=object)
    column[:, 0] = cells
    return column


NOON, HOUR = datetime(2020, 1, 1, 12), timedelta(hours=1)
AWARE = NOON.replace(tzinfo=UTC)
COMPARED = {
    "numbers": (0.5, 1, "too low"),
    "Decimal and float": (Decimal("1.5"), 0.5, "too high"),
    "Fractions": (Fraction(1, 2), Fraction(1, 3), "too high"),
    "Fraction and Decimal": (Fraction(1, 2), Decimal("0.3"), "unusual"),
    "times": (NOON, NOON + HOUR, "too low"),
    "times with a zone": (AWARE, AWARE - HOUR, "too high"),
    "times with and without a zone": (AWARE, NOON, "unusual"),
    "days": (NOON.date(), (NOON + 24 * HOUR).date(), "too low"),
    "a day and a time": (NOON.date(), NOON, "unusual"),
    "hours": (NOON.time(), (NOON - HOUR).time(), "too high"),
    "hours with and without a zone": (NOON.time(), AWARE.timetz(), "unusual"),
    "spans": (2 * HOUR, HOUR, "too high"),
    "a span and a number": (HOUR, 1, "unusual"),
    "months": (pd.Period("2020-01"), pd.Period("2020-02"), "too low"),
    "a month and a day": (pd.Period("2020-01"), pd.Period("2020-01-01"), "unusual"),
    "numpy's days": (
        np.datetime64("2020-01-02"),
        np.datetime64("2020-01-01"),
        "too high",
    ),
    "numpy's spans": (np.timedelta64(1, "h"), np.timedelta64(1, "D"), "too low"),
    "numpy's span and a number": (np.timedelta64(1, "h"), 5, "unusual"),
    "numpy's number and flag": (np.float32(1.5), np.bool_(True), "unusual"),
    "flags": (False, True, "unusual"),
    "a text and a number": ("1", 2, "unusual"),
    "None and nan": (None, np.nan, "unusual"),
    "a list and another": ([1, 2], [1, 3], "unusual"),
    "intervals": (pd.Interval(0, 1), pd.Interval(1, 2), "unusual"),
}


@pytest.mark.parametrize("name", COMPARED)
def test_direction_between_cells(name):
    observed, normal, wanted = COMPARED[name]
    X_normal = objects(*[normal] * 20)
    explanation = explain(Likes(normal), objects(observed, normal), X_normal)
    assert list(explanation["direction"]["x0"]) == [wanted, ""]
    assert list(explanation["contribution"]["x0"]) == [1, 0]
    # beside each other in the normal rows, too
    X_normal = objects(*[observed, normal] * 10)
    explanation = explain(Likes(normal), objects(observed), X_normal)
    assert list(explanation["direction"]["x0"]) == [wanted]


def test_nan_of_any_width_is_one_value():
    nan = np.float32("nan")
    cells = objects(*[nan, float("nan"), np.float64("nan"), 1.0] * 5)
    explanation = explain(Likes(nan), objects(float("nan"), 1.0), cells, n_values=2)
    assert list(explanation["contribution"]["x0"]) == [0, 0.5]


def test_cells_of_several_kinds_are_tried_by_frequency():
    days = [NOON.date() + i * timedelta(days=1) for i in range(12)]
    cells = objects(*range(12), *days, 7, 7, days[3], days[3])
    for cell, is_tried in ((7, True), (days[3], True), (6, False)):
        explanation = explain(Likes(cell), objects(99), cells, n_values=2)
        assert (explanation["contribution"]["x0"] > 0).all() == is_tried


@pytest.mark.parametrize("dtype", ["category", object])
def test_categories_of_rows_loaded_apart_may_differ(dtype, mixed, staff):
    rows = staff[400:].assign(job=staff["job"][400:].astype(dtype))
    rows = rows[rows["job"] != "clerk"].copy()
    if dtype == "category":
        rows["job"] = rows["job"].cat.remove_unused_categories()
    normal = staff[400:].assign(job=staff["job"][400:].astype("category"))
    rows.iloc[0, rows.columns.get_loc("pay")] = 40.0  # a clerk's
    explanation = explain(mixed, rows, normal)
    plain = explain(mixed, rows.astype({"job": object}), staff[400:])
    pd.testing.assert_frame_equal(
        explanation["contribution"], plain["contribution"], rtol=1e-9
    )
    assert explanation["expected"]["job"].iloc[0] == "clerk"
    assert explanation["direction"]["job"].iloc[0] == "unusual"


def test_numbers_stay_numbers_beside_categories_of_numbers():
    class Seen(Distance):
        def score_samples(self, X):
            assert all(dtype.kind in "if" or len(X) == 20 for dtype in X.dtypes)
            return super().score_samples(X)

    X = pd.DataFrame({"a": [3, 4], "b": [3.5, 4.5]})
    normal = pd.DataFrame({"a": [1, 2] * 10, "b": [1.5, 2.5] * 10})
    explanation = explain(Seen(), X, normal.astype("category"))
    pd.testing.assert_frame_equal(explanation, explain(Distance(), X, normal))


class LikesC:
    """Scores best what is "c" in the first column; notes the types that it saw."""

    def __init__(self, cells, type_of):
        self.cells, self.type_of, self.types = cells, type_of, []

    def score_samples(self, X):
        self.types.append(self.type_of(X))
        return np.where(np.array(self.cells(X)) == "c", -1.0, -2.0)


TEXTS, NORMAL_TEXTS = ["a", "b"], ["a", "b", "c", "b"] * 5


@pytest.mark.parametrize("mine", ["Enum", "Categorical", "String"])
@pytest.mark.parametrize("theirs", ["Enum", "Categorical", "String"])
def test_categories_of_polars_may_differ(mine, theirs):
    polars = pytest.importorskip("polars")

    def table(cells, dtype, categories):
        dtype = polars.Enum(categories) if dtype == "Enum" else getattr(polars, dtype)
        return polars.DataFrame({"a": polars.Series(cells, dtype=dtype)})

    model = LikesC(
        lambda X: X["a"].cast(polars.String).to_list(), lambda X: str(X["a"].dtype)[:4]
    )
    X = table(TEXTS, mine, TEXTS)
    explanation = explain(model, X, table(NORMAL_TEXTS, theirs, ["c", "b", "a"]))
    assert list(explanation["expected"]["a"]) == ["c", "c"]
    assert list(explanation["contribution"]["a"]) == [0.5, 0.5]
    assert model.types[0] == model.types[2]


@pytest.mark.parametrize("is_batch", [False, True])
def test_dictionaries_of_arrow_may_differ(is_batch):
    pyarrow = pytest.importorskip("pyarrow")

    def table(cells, dictionary):
        codes = [dictionary.index(cell) for cell in cells]
        cells = pyarrow.DictionaryArray.from_arrays(codes, dictionary)
        return (pyarrow.record_batch if is_batch else pyarrow.table)({"a": cells})

    def by_code(X):
        """Texts as a step would read them that knows the dictionary of X."""
        chunks = [X["a"]] if is_batch else X["a"].chunks
        return ["abc"[code] for chunk in chunks for code in chunk.indices.to_pylist()]

    model = LikesC(by_code, lambda X: X.schema.types)
    X, X_normal = table(TEXTS, TEXTS), table(NORMAL_TEXTS, ["c", "b", "a"])
    explanation = explain(model, X, X_normal)
    assert list(explanation["expected"]["a"]) == ["c", "c"]
    assert model.types[0] == model.types[2]


def tables_of(cells):
    """The kinds of tables that hold a column of such cells, made if possible."""
    yield np.array(cells)[:, None]
    yield [*np.array(cells)[:, None]]
    yield pd.DataFrame({"a": cells})
    yield pytest.importorskip("polars").DataFrame({"a": cells})
    yield pytest.importorskip("pyarrow").table({"a": cells})


def test_a_fraction_beside_whole_numbers_is_not_cut_off():
    for X, X_normal in zip(tables_of([3, 4]), tables_of([0.5, 5.0] * 10), strict=True):
        explanation = explain(Distance(), X, X_normal)
        assert explanation["expected"].to_numpy().tolist() == [[0.5], [0.5]]
        contributions = np.array([2.5, 3.5]) / 2.75
        np.testing.assert_allclose(
            explanation["contribution"].iloc[:, 0], contributions
        )


def test_texts_do_not_turn_the_numbers_beside_them_into_texts():
    numbers, texts = tables_of([3, 4] * 10), tables_of(["a", "b"] * 10)
    for X, X_normal in zip(numbers, texts, strict=True):
        if isinstance(X, pd.DataFrame | list):  # which hold both: see below
            continue
        for one, other in ((X, X_normal), (X_normal, X)):
            with pytest.raises(TypeError, match="types of X, in column '(a|x0)'"):
                explain(Constant(), one, other)


@pytest.mark.parametrize("kind", ["frame", "rows"])
def test_a_text_in_place_of_a_number_leaves_the_others_numbers(kind):
    class LikesTexts:
        def score_samples(self, X):
            rows = [*X.itertuples(index=False)] if kind == "frame" else X
            assert all(isinstance(row[1], Integral) for row in rows)
            return np.where([isinstance(row[0], str) for row in rows], -1.0, -2.0)

    X, X_normal = [np.array([3, 4])], [["a", 4]] * 20
    if kind == "frame":
        X, X_normal = pd.DataFrame(X), pd.DataFrame(X_normal)
    explanation = explain(LikesTexts(), X, X_normal)
    assert explanation["expected"].to_numpy().tolist() == [["a", 4]]
    assert explanation["direction"].to_numpy().tolist() == [["unusual", ""]]


def test_an_array_of_objects_stands_beside_one_of_numbers():
    cells = np.array([[0.5], [None], [5.0]] * 10, dtype=object)

    class NearZero:
        def score_samples(self, X):
            return np.array([-9.0 if c is None else -abs(c) for c in X[:, 0]])

    explanation = explain(NearZero(), np.array([[3], [4]]), cells)
    assert explanation["expected"]["x0"].tolist() == [0.5, 0.5]
    explanation = explain(NearZero(), cells[1:2], np.array([[3.0], [4.0]] * 10))
    assert explanation["expected"]["x0"].tolist() == [3.0]
    assert explanation["observed"]["x0"].tolist() == [None]


def test_dates_have_quantiles_and_directions(rng):
    days = pd.date_range("2020-01-01", periods=400, freq="D")
    table = pd.DataFrame({"day": days, "count": np.arange(400) + rng.normal(size=400)})

    def as_numbers(table):
        return np.c_[table["day"].astype("int64") / 1e17, table["count"]]

    model = make_pipeline(FunctionTransformer(as_numbers), StandardScaler())
    model = make_pipeline(*model, scaled_autoencoder(max_iter=100)[-1]).fit(table)
    rows = table.iloc[[300, 50]].copy()
    rows["day"] = days[[20, 350]]
    explanation = explain(model, rows, table, n_values=20)
    assert list(explanation["direction"]["day"]) == ["too low", "too high"]
    assert (explanation["contribution"]["day"] > 0).all()
    assert explanation["expected"]["day"].iloc[0] > days[200]


def test_numbers_beside_strings_in_an_array_stay_numbers(staff):
    front = ColumnTransformer(
        [
            ("numbers", StandardScaler(), [1, 3, 5]),
            ("job", OneHotEncoder(sparse_output=False), [0]),
        ]
    )
    model = ContractiveAutoencoder(max_iter=50, random_state=0)
    X = staff.to_numpy()
    explanation = explain(make_pipeline(front, model).fit(X), X)
    assert (explanation["direction"]["x1"] == "too low").any()
    assert explanation["observed"]["x1"].dtype == float
    assert (explanation["reconstructed"]["x0"] == X[:, 0]).mean() > 0.95


def test_columns_may_come_in_another_order(mixed, staff):
    rows = staff[400:]
    explanation = explain(mixed, rows)
    turned = explain(mixed, rows[rows.columns[::-1]])
    for part in ("contribution", "direction", "reconstructed"):
        pd.testing.assert_frame_equal(turned[part][rows.columns], explanation[part])


def test_polars_is_explained_like_pandas(rng):
    polars = pytest.importorskip("polars")
    X = pd.DataFrame(draw(rng, 100), columns=list("abcdefghijkl"))
    expected = explain(scaled_autoencoder().fit(X), X)
    table = polars.DataFrame(X.to_dict("list"))
    explanation = explain(scaled_autoencoder().fit(table), table)
    pd.testing.assert_frame_equal(explanation, expected)


def test_columns_without_a_value_do_not_contribute(rng):
    X = pd.DataFrame(draw(rng, 100))
    front = SimpleImputer(keep_empty_features=True)
    pipeline = make_pipeline(front, ContractiveAutoencoder(max_iter=5, random_state=0))
    normal = X.copy()
    normal[3] = np.nan
    explanation = explain(pipeline.fit(X.to_numpy()), X.to_numpy(), normal.to_numpy())
    assert np.isfinite(explanation["contribution"]).all(axis=None)


def test_rows_are_scored_under_their_own_labels(rng):
    """Steps may read the index, or join tables by it, also where labels repeat."""
    X = pd.DataFrame(draw(rng, 40), columns=list("abcdefghijkl"))
    X.index = pd.date_range("2020-01-01", periods=20).repeat(2)
    X.insert(0, "job", ["x", "y"] * 20)
    front = ColumnTransformer(
        [
            ("job", OneHotEncoder(sparse_output=False), ["job"]),
            ("numbers", StandardScaler(), [*"abcdefghijkl", "day"]),
        ]
    ).set_output(transform="pandas")

    def with_day(table):
        assert table.index.isin(X.index).all()
        return table.assign(day=table.index.day / 30)

    model = make_pipeline(
        FunctionTransformer(with_day), front, scaled_autoencoder(max_iter=5)[-1]
    )
    explanation = explain(model.fit(X), X[:4], X)
    assert explanation.index.equals(X.index[:4])
    assert (explanation["contribution"] > 0).any(axis=None)
