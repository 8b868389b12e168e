import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import OneClassSVM

from skcae import ContractiveAutoencoder, anomaly
from skcae.anomaly import (
    NeighborDistance,
    explain,
    mean_score,
    p_values,
    threshold,
)

LOADINGS = np.random.default_rng(7).standard_normal((3, 12))


def draw(rng, n):
    """Rows on a curved surface in twelve columns, with noise."""
    rows = np.tanh(rng.standard_normal((n, 3)) @ LOADINGS)
    return rows + 0.1 * rng.standard_normal(rows.shape)


def scaled_autoencoder(**parameters):
    model = ContractiveAutoencoder(**{"max_iter": 30, "random_state": 0} | parameters)
    return make_pipeline(StandardScaler(), model)


@pytest.fixture(scope="module")
def model():
    return scaled_autoencoder().fit(draw(np.random.default_rng(1), 1000))


@pytest.fixture(scope="module")
def staff():
    """A table of mixed types: pay goes with the job, years with the age."""
    rng = np.random.default_rng(0)
    n = 600
    job = rng.choice(["clerk", "driver", "nurse"], n)
    pay = pd.Series(job).map({"nurse": 30.0, "clerk": 40.0, "driver": 50.0})
    age = rng.integers(20, 65, n)
    return pd.DataFrame(
        {
            "job": job,
            "pay": pay.to_numpy() + rng.normal(0, 1, n),
            "note": "unread",
            "age": age,
            "grade": rng.choice(["a", "b", "c"], n),
            "years": age - 18 + rng.normal(0, 1, n),
            "full time": rng.random(n) < 0.7,
        },
        index=[f"person {i}" for i in range(n)],
    )


@pytest.fixture(scope="module")
def mixed(staff):
    encoder = OneHotEncoder(sparse_output=False, drop="if_binary")
    grades = make_pipeline(OrdinalEncoder(), StandardScaler())
    front = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["years", "age", "pay"]),
            ("categories", encoder, ["full time", "job"]),
            ("grade", grades, ["grade"]),
        ]
    )
    model = ContractiveAutoencoder(random_state=0)
    return make_pipeline(front, model).fit(staff[:400])


def planted(rows, rng, n=300):
    """Rows with a fault of 4 to 8 standard deviations in one column each."""
    broken = rows[rng.integers(0, len(rows), n)]
    column = rng.integers(0, rows.shape[1], n)
    sign = rng.choice([-1, 1], n)
    fault = sign * rng.uniform(4, 8, n) * rows.std(axis=0)[column]
    broken[np.arange(n), column] += fault
    return broken, column, sign


@pytest.mark.parametrize("parameters", [{}, {"lam": 0}], ids=str)
@pytest.mark.parametrize("table", ["surface", "cancer"])
def test_the_broken_column_ranks_first(table, parameters, rng):
    if table == "surface":
        X = draw(rng, 2000)
    else:
        X, y = load_breast_cancer(return_X_y=True)
        X = X[y == 1]
    train, unseen = train_test_split(X, random_state=0)
    model = scaled_autoencoder(max_iter=100, **parameters).fit(train)
    rows, column, sign = planted(unseen, rng)
    contributions = explain(model, rows, unseen)["contribution"].to_numpy()
    errors = model[-1].feature_errors(model[0].transform(rows))
    found = np.abs(contributions).argmax(axis=1) == column
    assert found.mean() >= 0.95
    assert found.mean() > np.mean(errors.argmax(axis=1) == column)
    signs = np.sign(contributions[np.arange(len(rows)), column])
    assert np.mean(signs[found] == sign[found]) >= 0.99


def test_contribution_is_what_the_score_gains(model, rng, monkeypatch):
    rows, normal = draw(rng, 30), draw(rng, 200)
    rows[0, 4] += 3
    columns = [f"c{i}" for i in range(12)]
    explanation = explain(model, rows, normal, n_values=5)
    explanation.columns = explanation.columns.set_levels(columns, level=1)
    unit = np.median(-model.score_samples(normal))
    shares = [0.1, 0.3, 0.5, 0.7, 0.9]
    values = np.quantile(normal[:, 4], shares, method="nearest")
    scores = []
    for value in values:
        changed = rows.copy()
        changed[:, 4] = value
        scores.append(model.score_samples(changed))
    gain = np.max(scores, axis=0) - model.score_samples(rows)
    name = explanation["contribution"].columns[4]
    contribution = explanation["contribution"][name]
    np.testing.assert_allclose(contribution.abs(), np.maximum(gain, 0) / unit)
    better = gain > 0
    best = values[np.argmax(scores, axis=0)]
    np.testing.assert_array_equal(
        explanation["expected"][name], np.where(better, best, rows[:, 4])
    )
    too_large = rows[:, 4] > explanation["expected"][name]
    np.testing.assert_array_equal(contribution > 0, too_large & better)
    # the same in blocks
    monkeypatch.setattr(anomaly, "_BLOCK_CELLS", 12 * 5 * 7)
    blocks = explain(model, rows, normal, n_values=5)
    np.testing.assert_allclose(blocks, explanation, rtol=1e-9)


def test_names_index_and_reconstruction_of_a_frame(rng):
    X = pd.DataFrame(draw(rng, 300), columns=list("abcdefghijkl")).add_prefix("col ")
    X.index = X.index + 1000
    model = scaled_autoencoder().fit(X)
    explanation = explain(model, X)
    kinds = ["contribution", "observed", "expected", "reconstructed"]
    assert list(explanation.columns.levels[0]) == kinds
    for kind in kinds:
        assert explanation[kind].columns.equals(X.columns)
    assert explanation.index.equals(X.index)
    pd.testing.assert_frame_equal(explanation["observed"], X)
    restored = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(explanation["reconstructed"], restored, atol=1e-6)
    assert explanation.loc[1007].unstack(0).shape == (12, 4)
    bare = explain(scaled_autoencoder().fit(X.to_numpy()), X.to_numpy())
    np.testing.assert_allclose(bare, explanation, rtol=1e-6, atol=1e-9)
    assert list(bare["observed"].columns) == [f"x{i}" for i in range(12)]


def test_categories_count_as_the_column_they_come_from(mixed, staff):
    rows = staff[400:].copy()
    nurse = rows.index[rows["job"] == "nurse"][:20]
    rows.loc[nurse, "pay"] = 50.0
    old = rows.index[rows["age"] > 50].difference(nurse)[:20]
    rows.loc[old, "age"] = 25
    explanation = explain(mixed, rows, staff[400:])
    assert list(explanation["contribution"].columns) == list(staff.columns)
    worst = explanation["contribution"].abs().idxmax(axis=1)
    # either may be the wrong one of a pair
    assert worst[nurse].isin(["job", "pay"]).mean() >= 0.95
    assert worst[old].isin(["age", "years"]).mean() >= 0.95
    assert (explanation["expected"]["job"][nurse] == "driver").mean() >= 0.8
    assert (explanation["contribution"]["note"] == 0).all()
    assert explanation["expected"].dtypes.equals(staff.dtypes)


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


def test_a_step_without_an_inverse_costs_the_reconstruction_only(rng):
    X = draw(rng, 100)
    model = make_pipeline(SimpleImputer(), scaled_autoencoder()[-1]).fit(X)
    explanation = explain(model, X)
    assert explanation.shape == (100, 36)
    assert "reconstructed" not in explanation


def test_explain_refuses_what_shows_nothing(model, rng):
    rows = draw(rng, 30)
    with pytest.raises(ValueError, match="X, in place of X_normal, has 3 rows"):
        explain(model, rows[:3])
    with pytest.raises(ValueError, match="X_normal has 4 rows"):
        explain(model, rows, rows[:4])
    with pytest.raises(ValueError, match="X_normal must have the columns of X"):
        explain(model, rows, rows[:, :5])
    with pytest.raises(ValueError, match="n_values must be an int >= 1"):
        explain(model, rows, n_values=0)
    with pytest.raises(ValueError, match="2D table"):
        explain(model, rows[0])
    mostly_still = np.zeros((100, 12))
    mostly_still[:10] = draw(rng, 10)
    with pytest.raises(ValueError, match="Half of the rows of X_normal"):
        # a line through the rows that do not differ
        still = ContractiveAutoencoder(12, activation="identity", lam=0)
        explain(still.fit(np.zeros((100, 12))), mostly_still)


def test_p_values_are_valid_on_clean_rows(model, rng):
    n = 150
    shares = [
        np.mean(p_values(model, draw(rng, 200), draw(rng, n)) <= 0.05)
        for _ in range(200)
    ]
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - np.floor(0.05 * (n + 1)) / (n + 1)) < 3 * error


def test_false_discoveries_are_controlled(model, rng):
    proportions, found = [], []
    is_anomaly = np.arange(200) < 20
    for _ in range(200):
        rows = draw(rng, 200)
        rows[is_anomaly] += rng.normal(0, 1.5, (20, 12))
        p = p_values(model, rows, draw(rng, 500))
        alarms = false_discovery_control(p) <= 0.2
        proportions.append(np.sum(alarms & ~is_anomaly) / max(1, alarms.sum()))
        found.append(np.mean(alarms[is_anomaly]))
    error = np.std(proportions, ddof=1) / np.sqrt(len(proportions))
    assert np.mean(proportions) <= 0.2 + 2 * error
    assert np.mean(found) > 0.8


def test_ties_only_raise_p_values(model, rng):
    row = draw(rng, 1)
    calibration = np.vstack([row, row, draw(rng, 20) * 10])
    p = p_values(model, row, calibration)
    # as low as itself, twice, and as the twenty that are worse
    assert p.tolist() == [1.0]
    worst = p_values(model, draw(rng, 1) * 100, calibration)
    assert worst.tolist() == [1 / 23]


def test_p_values_keep_the_index(mixed, staff):
    p = p_values(mixed, staff[500:], staff[400:500])
    assert p.index.equals(staff.index[500:])
    assert p.name == "p_value"


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5])
def test_threshold_flags_what_has_small_p_values(rng, rate):
    model = scaled_autoencoder().fit(draw(rng, 500))
    calibration, rows = draw(rng, 99), draw(rng, 5000)
    coefs = model[-1].coefs_[0].copy()
    model[-1].offset_ = threshold(model, calibration, rate)
    np.testing.assert_array_equal(
        model.predict(rows) == -1, p_values(model, rows, calibration) <= rate
    )
    np.testing.assert_array_equal(model[-1].coefs_[0], coefs)


def test_threshold_says_how_many_rows_a_rate_takes(model, rng):
    threshold(model, draw(rng, 99), 0.01)
    with pytest.raises(
        ValueError, match="has 98 rows: a rate of 0.01 takes at least 99"
    ):
        threshold(model, draw(rng, 98), 0.01)
    for rate in (0, 1.5, "auto"):
        with pytest.raises(ValueError, match="rate must be"):
            threshold(model, draw(rng, 98), rate)


def test_mean_score_is_the_geometric_mean_of_the_errors(model, rng):
    other = scaled_autoencoder(lam=1, random_state=1).fit(draw(rng, 300))
    rows = draw(rng, 50)
    errors = [-model.score_samples(rows), -other.score_samples(rows)]
    together = mean_score([model, other], rows)
    np.testing.assert_allclose(together, -np.sqrt(errors[0] * errors[1]))
    np.testing.assert_allclose(mean_score([model], rows), model.score_samples(rows))


def test_a_list_of_models_is_judged_by_its_mean(model, rng):
    train = draw(rng, 300)
    models = [model, NeighborDistance(model).fit(train)]
    rows, calibration = draw(rng, 40), draw(rng, 99)
    offset = threshold(models, calibration, 0.05)
    flagged = mean_score(models, rows) < offset
    np.testing.assert_array_equal(flagged, p_values(models, rows, calibration) <= 0.05)
    rows[0, 3] += 5
    explanation = explain(models, rows, calibration)
    assert explanation["contribution"].loc[0].abs().idxmax() == "x3"
    assert "reconstructed" not in explanation


def test_neighbor_distance_is_that_of_the_reconstructions(model, rng):
    train, rows = draw(rng, 300), draw(rng, 20)

    def restored(rows):
        scaled = model[0].transform(rows)
        return model[-1].inverse_transform(model[-1].transform(scaled))

    distances = np.linalg.norm(restored(rows)[:, None] - restored(train), axis=2)
    expected = np.sort(distances, axis=1)[:, :7].mean(axis=1) ** 2 / 12
    near = NeighborDistance(model, n_neighbors=7).fit(train)
    np.testing.assert_allclose(near.score_samples(rows), -expected)
    assert clone(near).n_neighbors == 7


def test_neighbor_distance_finds_what_lies_on_the_surface_but_far_out(rng):
    def line(positions):
        rows = np.outer(positions, np.arange(1, 6.0))
        return rows + 0.01 * rng.standard_normal(rows.shape)

    model = ContractiveAutoencoder(
        1, hidden_layer_sizes=(), activation="identity", lam=0, tol=0, random_state=0
    )
    train = line(rng.uniform(-1, 1, 500))
    near = NeighborDistance(model.fit(train)).fit(train)
    rows = line(np.r_[rng.uniform(-1, 1, 50), rng.uniform(2, 3, 50)])
    far_out = np.repeat([0, 1], 50)
    assert roc_auc_score(far_out, -near.score_samples(rows)) == 1
    assert roc_auc_score(far_out, -model.score_samples(rows)) < 1


def test_neighbor_distance_refuses_too_few_rows(model, rng):
    with pytest.raises(ValueError, match="n_neighbors must be an int from 1 to 4"):
        NeighborDistance(model).fit(draw(rng, 4))
    with pytest.raises(NotFittedError):
        NeighborDistance(model).score_samples(draw(rng, 4))


# Tables as they come


def contributions_of_first(model, rows, normal):
    explanation = explain(model, rows, normal)
    return explanation["contribution"].iloc[0].abs(), explanation["expected"].iloc[0]


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
    contributions, expected = contributions_of_first(model, rows, table)
    assert contributions.idxmax() == "refund"
    assert np.isnan(expected["refund"])


def test_categories_of_rows_loaded_apart_may_differ(mixed, staff):
    rows = staff[400:].assign(job=staff["job"][400:].astype("category"))
    rows = rows[rows["job"] != "clerk"].copy()
    rows["job"] = rows["job"].cat.remove_unused_categories()
    normal = staff[400:].assign(job=staff["job"][400:].astype("category"))
    rows.iloc[0, rows.columns.get_loc("pay")] = 90.0
    contributions, _ = contributions_of_first(mixed, rows, normal)
    assert contributions.idxmax() == "pay"


def test_dates_have_quantiles_and_signs(rng):
    days = pd.date_range("2020-01-01", periods=400, freq="D")
    table = pd.DataFrame({"day": days, "count": np.arange(400) + rng.normal(size=400)})

    def as_numbers(table):
        return np.c_[table["day"].astype("int64") / 1e17, table["count"]]

    model = make_pipeline(FunctionTransformer(as_numbers), StandardScaler())
    model = make_pipeline(*model, scaled_autoencoder(max_iter=100)[-1]).fit(table)
    rows = table.iloc[[300, 50]].copy()
    rows["day"] = days[[20, 350]]
    explanation = explain(model, rows, table, n_values=20)
    assert explanation["contribution"]["day"].iloc[0] < 0  # too early
    assert explanation["contribution"]["day"].iloc[1] > 0
    assert explanation["expected"]["day"].iloc[0] > days[200]


def test_numbers_beside_strings_in_an_array_stay_numbers(staff, mixed):
    front = ColumnTransformer(
        [
            ("numbers", StandardScaler(), [1, 3, 5]),
            ("job", OneHotEncoder(sparse_output=False), [0]),
        ]
    )
    model = ContractiveAutoencoder(max_iter=50, random_state=0)
    X = staff.to_numpy()
    explanation = explain(make_pipeline(front, model).fit(X), X)
    assert (explanation["contribution"]["x1"] < 0).any()
    assert (explanation["reconstructed"]["x0"] == X[:, 0]).mean() > 0.95


def test_columns_may_come_in_another_order(mixed, staff):
    rows = staff[400:]
    explanation = explain(mixed, rows)
    turned = explain(mixed, rows[rows.columns[::-1]])
    for kind in ("contribution", "reconstructed"):
        pd.testing.assert_frame_equal(turned[kind][rows.columns], explanation[kind])


def test_polars_and_models_of_others_are_explained(rng):
    polars = pytest.importorskip("polars")
    X = pd.DataFrame(draw(rng, 100), columns=list("abcdefghijkl"))
    expected = explain(scaled_autoencoder().fit(X), X)
    table = polars.DataFrame(X.to_dict("list"))
    np.testing.assert_allclose(
        explain(scaled_autoencoder().fit(table), table), expected
    )
    X.iloc[0, 3] = 20
    forest = IsolationForest(random_state=0).fit(X)
    explanation = explain(forest, X)
    assert "reconstructed" not in explanation
    assert explanation["contribution"].iloc[0].abs().idxmax() == "d"


def test_columns_without_a_value_do_not_contribute(model, rng):
    X = pd.DataFrame(draw(rng, 100))
    front = SimpleImputer(keep_empty_features=True)
    pipeline = make_pipeline(front, ContractiveAutoencoder(max_iter=5, random_state=0))
    normal = X.copy()
    normal[3] = np.nan
    explanation = explain(pipeline.fit(X.to_numpy()), X.to_numpy(), normal.to_numpy())
    assert np.isfinite(explanation["contribution"]).all(axis=None)


def test_repeated_rows_do_not_silence_the_other_models(rng):
    X = rng.integers(0, 3, size=(500, 4)).astype(float)
    model = scaled_autoencoder().fit(X)
    models = [model, NeighborDistance(model).fit(X)]
    scores = mean_score(models, X)
    assert scores.max() < -1e-12
    assert explain(models, X)["contribution"].abs().max(axis=None) < 1e6


def test_mean_score_refuses_what_has_no_geometric_mean(model, rng):
    X = draw(rng, 30)
    for wrong in (model, []):
        with pytest.raises(ValueError, match="estimators must be a list"):
            mean_score(wrong, X)
    with pytest.raises(ValueError, match="of at most 0"):
        mean_score([OneClassSVM().fit(X)], X)


def test_a_rate_of_one_flags_all(model, rng):
    assert threshold(model, draw(rng, 5), 1) == np.inf
