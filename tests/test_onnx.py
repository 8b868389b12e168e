"""Graphs that to_onnx makes, run by onnxruntime, against the models."""

import hashlib
import shutil
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

from skcae import ContractiveAutoencoder
from skcae._core.activations import ACTIVATIONS
from skcae._core.losses import LOSSES
from skcae.anomaly import AnomalyDetector, NeighborDistance
from skcae.anomaly._calibration import p_values_of_scores
from skcae.export import _network, to_onnx

METHODS = {
    "code": lambda model, X: model.transform(X),
    "reconstruction": lambda model, X: model[-1].inverse_transform(model.transform(X)),
    "score": lambda model, X: model.score_samples(X),
    "label": lambda model, X: model.predict(X),
    "feature_errors": lambda model, X: model[-1].feature_errors(
        model[:-1].transform(X)
    ),
}


def run(graph, X):
    """Outputs by name, for an array or for a DataFrame of numbers and strings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    inputs = {"X": X}
    if isinstance(X, pd.DataFrame):
        inputs = {
            one.name: X[[one.name]].to_numpy(
                object if "string" in one.type else np.float32
            )
            for one in session.get_inputs()
        }
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def assert_close(result, expected, tolerance=1e-6):
    assert result.shape == expected.shape
    np.testing.assert_allclose(
        result, expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )


def assert_agree(model, X, results):
    """All outputs of an autoencoder behind other steps, on rows in float32."""
    rows = X if isinstance(X, pd.DataFrame) else X.astype(np.float64)
    assert set(results) == set(METHODS)
    for name, method in METHODS.items():
        if name == "label":
            np.testing.assert_array_equal(results[name], method(model, rows))
        else:
            assert_close(results[name], method(model, rows))


def autoencoder(**parameters):
    return ContractiveAutoencoder(
        **{
            "hidden_layer_sizes": (24,),
            "max_iter": 3,
            "contamination": 0.1,
            "random_state": 0,
        }
        | parameters
    )


TABLES = ["breast_cancer", "diabetes", "digits", "iris", "wine"]


@pytest.fixture(params=TABLES)
def real(request):
    """Training rows and others of a table, in float32."""
    X = getattr(datasets, f"load_{request.param}")().data.astype(np.float32)
    return X[::2], X[1::2]


@pytest.mark.parametrize("loss", LOSSES)
def test_missing_cells_are_what_they_are_to_the_model(loss, real, rng):
    X, others = (table.copy() for table in real)
    X[rng.random(X.shape) < 0.2] = np.nan
    others[rng.random(others.shape) < 0.2] = np.nan
    others[0] = np.nan
    output = "sigmoid" if loss == "log_loss" else "identity"
    model = make_pipeline(
        MinMaxScaler(clip=True),
        autoencoder(loss=loss, output_activation=output, allow_nan=True),
    ).fit(X)
    results, rows = run(to_onnx(model, X), others), others.astype(np.float64)
    for name, method in METHODS.items():
        expected = method(model, rows)
        np.testing.assert_allclose(
            results[name], expected, rtol=0, atol=1e-6 * np.nanmax(np.abs(expected))
        )


def test_all_outputs_agree_on_real_tables(real):
    X, others = real
    model = make_pipeline(StandardScaler(), autoencoder(max_iter=20)).fit(X)
    graph = to_onnx(model, X)
    onnx.checker.check_model(graph, full_check=True)
    assert_agree(model, others, run(graph, others))
    assert {output.type.tensor_type.elem_type for output in graph.graph.output} == {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }


def has_tied_neighbours(detector, rows):
    """Whether the last neighbour that counts is as far away as the next one."""
    reference = detector._reference
    rows = (rows - detector._center).astype(np.float32)
    pairs = [
        (rows, reference.rows, "euclidean"),
        (np.arcsinh(rows), reference.compressed, "cityblock"),
    ]
    is_tied = np.zeros(len(rows), dtype=bool)
    for points, table, metric in pairs:
        distances = np.sort(pairwise_distances(points, table, metric), axis=1)
        # one more where the row itself is among them
        gaps = np.diff(distances)[:, reference.n_neighbors - 1 :][:, :2]
        is_tied |= (gaps < 1e-5).any(axis=1)
    return is_tied


def detector():
    return AnomalyDetector(autoencoder(noise_std=0.5), random_state=0)


def test_detectors_agree_on_real_tables_but_for_ties(real):
    X, others = real
    model = make_pipeline(StandardScaler(), detector()).fit(X)
    rows = np.concatenate([X[:100], others])
    results = run(to_onnx(model, others), rows)
    assert set(results) == {"score", "label", "p_value"}
    rows = rows.astype(np.float64)
    is_clear = ~has_tied_neighbours(model[-1], model[:-1].transform(rows))
    assert is_clear.mean() > 0.9
    assert_close(results["score"][is_clear], model.score_samples(rows)[is_clear])
    np.testing.assert_array_equal(results["label"], model.predict(rows))
    one_rank = 1.01 / (1 + len(model[-1].calibration_scores_))
    p = model[-1].p_values(model[:-1].transform(rows))
    assert np.abs(results["p_value"] - p)[is_clear].max() < one_rank


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_a_graph(activation, tied, rng):
    X = rng.normal(size=(40, 5)).astype(np.float32)
    model = make_pipeline(
        StandardScaler(),
        autoencoder(
            n_components=3,
            hidden_layer_sizes=(7, 6),
            activation=activation,
            code_activation=activation,
            tied_weights=tied,
        ),
    ).fit(X)
    assert_agree(model, 30 * X, run(to_onnx(model, X), 30 * X))


def test_every_loss_has_a_graph():
    assert list(_network.LOSSES) == list(LOSSES)
    assert list(_network.ACTIVATIONS) == list(ACTIVATIONS)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_log_loss_agrees_also_where_cells_are_0_or_1(tied):
    X = datasets.load_digits().data.astype(np.float32)[:300]
    model = make_pipeline(
        MinMaxScaler(clip=True),
        autoencoder(loss="log_loss", output_activation="sigmoid", tied_weights=tied),
    ).fit(X)
    assert_agree(model, 2 * X, run(to_onnx(model, X), 2 * X))


# Tables of mixed types


@pytest.fixture
def mixed(rng):
    """A table with holes in numbers and strings, integers and booleans."""
    n = 200
    X = pd.DataFrame(
        {
            "price in €": 1000 + rng.normal(size=n),
            "weight": rng.normal(size=n),
            "rooms": rng.integers(1, 5, n),
            "sold": rng.random(n) < 0.4,
            "country": rng.choice(["DE", "FR", "US"], n),
            "kind": rng.choice(["a", "b c"], n),
            "dropped": rng.choice(["x", "y"], n),
        }
    )
    X.loc[::7, "weight"] = np.nan
    X["kind"] = X["kind"].astype(object)
    X.loc[::9, "kind"] = np.nan
    return X


def mixed_pipeline(last, **parameters):
    numbers = make_pipeline(SimpleImputer(**parameters), StandardScaler())
    strings = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
    )
    front = make_column_transformer(
        (numbers, ["weight", "price in €"]),
        (strings, ["kind"]),
        (OneHotEncoder(sparse_output=False), ["country", "rooms", "sold"]),
        sparse_threshold=0,
    )
    return make_pipeline(front, last)


def rounded(X):
    """What float32 leaves of the table."""
    floats = X.select_dtypes("float").columns
    return X.astype(dict.fromkeys(floats, np.float32)).astype(
        dict.fromkeys(floats, np.float64)
    )


@pytest.mark.parametrize("add_indicator", [False, True])
def test_columns_of_all_types_each_an_input(add_indicator, mixed):
    model = mixed_pipeline(autoencoder(), add_indicator=add_indicator).fit(mixed)
    graph = to_onnx(model, mixed)
    assert [one.name for one in graph.graph.input] == list(mixed)
    rows = mixed.iloc[::-1].copy()
    rows.loc[3, "kind"] = "never seen"
    results = run(graph, rows.fillna({"kind": ""}))
    assert_agree(model, rounded(rows), results)


def test_detectors_of_categories_agree_but_for_ties(mixed):
    model = mixed_pipeline(detector()).fit(mixed)
    results = run(to_onnx(model, mixed), mixed.fillna({"kind": ""}))
    expected = model.score_samples(rounded(mixed))
    is_close = np.isclose(results["score"], expected, rtol=1e-6)
    assert is_close.mean() > 0.9
    np.testing.assert_allclose(results["score"], expected, rtol=0.2)


def test_p_values_of_few_scores_survive_rounding(rng):
    X = rng.integers(0, 2, size=(300, 3)).astype(np.float32)
    model = detector().fit(X)
    results = run(to_onnx(model, X), X)
    expected = p_values_of_scores(
        model.score_samples(X).round(9), model.calibration_scores_.round(9)
    )
    np.testing.assert_allclose(results["p_value"], expected, rtol=1e-6)


def test_numbers_of_a_frame_each_an_input(cancer):
    model = make_pipeline(StandardScaler(), autoencoder()).fit(cancer)
    graph = to_onnx(model, cancer)
    assert [one.name for one in graph.graph.input] == list(cancer)
    assert_agree(model, rounded(cancer), run(graph, cancer))
    # an array of the same columns is one input
    array = cancer.to_numpy(np.float32)
    np.testing.assert_array_equal(
        run(to_onnx(model, array), array)["score"], run(graph, cancer)["score"]
    )


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_frames(kind, cancer):
    columns = cancer.iloc[:50, :4]
    model = make_pipeline(StandardScaler(), autoencoder()).fit(columns)
    if kind == "polars":
        table = pytest.importorskip("polars").from_pandas(columns)
    else:
        table = pytest.importorskip("pyarrow").Table.from_pandas(columns)
    assert to_onnx(model, table) == to_onnx(model, columns)


@pytest.mark.parametrize("missing_values", [np.nan, -1])
@pytest.mark.parametrize("keep_empty_features", [False, True])
def test_imputers_keep_doubles_and_lose_empty_columns(
    missing_values, keep_empty_features, rng
):
    X = 1e4 + rng.normal(size=(60, 4)).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = missing_values
    X[:, 1] = missing_values
    imputer = SimpleImputer(
        missing_values=missing_values,
        add_indicator=True,
        keep_empty_features=keep_empty_features,
    )
    model = make_pipeline(imputer, StandardScaler(), autoencoder())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping features", UserWarning)
        model.fit(X.astype(np.float64))
        assert_agree(model, X, run(to_onnx(model, X), X))


# In and around Pipelines


def test_in_the_middle_only_the_code_comes_out(rng):
    X, y = datasets.load_iris(return_X_y=True)
    X = X.astype(np.float32)
    for classifier in (LogisticRegression(), RandomForestClassifier(5, random_state=0)):
        model = make_pipeline(StandardScaler(), autoencoder(), classifier).fit(X, y)
        graph = to_onnx(model, X)
        results = run(graph, X)
        assert set(results) == {"label", "probabilities"}
        np.testing.assert_array_equal(results["label"], model.predict(X))
        assert_close(results["probabilities"], model.predict_proba(X), 1e-5)
        # nothing decodes
        assert sum(node.op_type == "Gemm" for node in graph.graph.node) == 2


def test_wrappers_are_taken_off(rng):
    X = rng.normal(size=(60, 4)).astype(np.float32)
    inner = make_pipeline("passthrough", autoencoder(n_components=2))
    search = GridSearchCV(
        make_pipeline(FrozenEstimator(StandardScaler().fit(X)), inner),
        {"pipeline__contractiveautoencoder__lam": [0.1]},
        cv=2,
        scoring=lambda model, X, y=None: 0,
    ).fit(X)
    for model in (search, FrozenEstimator(search)):
        results = run(to_onnx(model, X), X)
        assert_close(results["score"], model.score_samples(X.astype(np.float64)))


def test_subclasses_are_converted(rng):
    class Own(ContractiveAutoencoder):
        pass

    X = rng.normal(size=(30, 3)).astype(np.float32)
    model = Own(2, max_iter=2, random_state=0, contamination=0.1).fit(X)
    assert_close(run(to_onnx(model, X), X)["code"], model.transform(X))


def test_the_registry_of_skl2onnx_stays_as_it_is():
    from skl2onnx import supported_converters
    from skl2onnx._parse import sklearn_parsers_map

    X = datasets.load_iris().data
    before = supported_converters(), dict(sklearn_parsers_map)
    to_onnx(autoencoder().fit(X), X)
    assert (supported_converters(), dict(sklearn_parsers_map)) == before


# Rows


@pytest.fixture
def fitted(rng):
    X = rng.normal(size=(50, 4)).astype(np.float32)
    return autoencoder(n_components=2).fit(X), X


@pytest.mark.parametrize(
    ("kind", "n"),
    [("autoencoder", 0), ("autoencoder", 1), ("detector", 1), ("detector", 7)],
)
def test_any_number_of_rows(kind, n, fitted):
    model, X = fitted
    if kind == "detector":
        model = detector().fit(X)
    graph = to_onnx(model, X)
    few, all_rows = run(graph, X[:n]), run(graph, X)
    for name, result in few.items():
        np.testing.assert_allclose(result, all_rows[name][:n], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("kind", ["squared_error", "log_loss", "detector"])
def test_what_scikit_learn_refuses_is_an_outlier(kind, bad, rng):
    X = rng.random((50, 4)).astype(np.float32)
    model = detector()
    if kind != "detector":
        model = autoencoder(loss=kind, output_activation="sigmoid")
    graph = to_onnx(model.fit(X), X)
    rows = X[:3].copy()
    rows[1, 2] = bad
    results = run(graph, rows)
    assert results["score"][1] == -np.inf
    assert results["label"][1] == -1
    if kind == "log_loss":
        rows[1, 2] = 1.001
        assert run(graph, rows)["score"][1] == -np.inf
    others = run(graph, X[:3])
    for name in ("score", "label"):
        np.testing.assert_array_equal(results[name][[0, 2]], others[name][[0, 2]])


def test_labels_follow_an_assigned_threshold(fitted):
    model, X = fitted
    model.offset_ = np.median(model.score_samples(X))
    labels = run(to_onnx(model, X), X)["label"]
    assert np.sum(labels == -1) == 25


def test_columns_far_from_0_take_doubles(rng):
    X = rng.normal(size=(80, 3))
    X[:, 1] += 1e7
    model = make_pipeline(StandardScaler(), autoencoder(n_components=2)).fit(X)
    with pytest.raises(ValueError, match="Column 1 of input 'X' lies so far from 0"):
        to_onnx(model, X)
    graph = to_onnx(model, X, dtype="float64")
    results = run(graph, X)
    assert results["score"].dtype == np.float64
    np.testing.assert_allclose(results["score"], model.score_samples(X), rtol=1e-9)


# Files


def test_every_flipped_bit_is_caught(fitted, tmp_path, rng):
    model, X = fitted
    path = tmp_path / "model.onnx"
    graph = to_onnx(model, X, path)
    content = path.read_bytes()
    assert onnx.load_from_string(content) == graph
    digest, name = (tmp_path / "model.onnx.sha256").read_text().split()
    assert name == "model.onnx"
    assert hashlib.sha256(content).hexdigest() == digest
    for _ in range(300):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
        assert hashlib.sha256(flipped).hexdigest() != digest
    if shutil.which("sha256sum"):
        check = ["sha256sum", "--check", "model.onnx.sha256"]
        assert subprocess.run(check, cwd=tmp_path).returncode == 0
        path.write_bytes(flipped)
        assert subprocess.run(check, cwd=tmp_path).returncode != 0


def test_the_same_model_gives_the_same_bytes(fitted, tmp_path):
    for name in ("a", "b"):
        to_onnx(*fitted, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Errors


@pytest.mark.parametrize("library", ["skl2onnx", "onnx", "onnxruntime"])
def test_says_what_is_missing(library, fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf'to_onnx needs {library}: pip install "skcae\[onnx\]"'
    with pytest.raises(ImportError, match=message):
        to_onnx(*fitted)


def test_a_step_that_means_something_else_in_onnx_is_caught(fitted, monkeypatch):
    relu = _network.ACTIVATIONS["relu"]
    monkeypatch.setitem(_network.ACTIVATIONS, "silu", relu)
    with pytest.raises(ValueError, match="graph's 'code' of X is not what transform"):
        to_onnx(*fitted)
    model = make_pipeline(autoencoder(code_activation="silu"), LogisticRegression())
    model.fit(fitted[1], np.arange(50) % 2)
    with pytest.raises(ValueError, match="'probabilities' of X is not what predict_p"):
        to_onnx(model, fitted[1])


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(FunctionTransformer(np.arctan), autoencoder()),
        NeighborDistance(autoencoder()),
    ],
    ids=["FunctionTransformer", "NeighborDistance"],
)
def test_steps_without_a_form_are_named(model, rng, request):
    X = rng.normal(size=(60, 3))
    name = request.node.callspec.id
    with pytest.raises(ValueError, match=f"no ONNX form: .*{name}"):
        to_onnx(model.fit(X), X)


def test_graphs_that_are_none_are_caught(fitted, monkeypatch):
    def single(graph, z):
        return graph.Add(z, np.float32(1))

    monkeypatch.setitem(_network.ACTIVATIONS, "silu", single)
    with pytest.raises(ValueError, match="no ONNX form: .*inconsistent type"):
        to_onnx(*fitted)


def test_a_category_for_missing_strings_has_no_form(mixed):
    front = make_column_transformer((OneHotEncoder(sparse_output=False), ["kind"]))
    model = make_pipeline(front, autoencoder()).fit(mixed)
    with pytest.raises(ValueError, match="put a SimpleImputer before it"):
        to_onnx(model, mixed)


def test_flags_of_missing_strings_have_no_form(mixed):
    strings = make_pipeline(
        SimpleImputer(strategy="most_frequent", add_indicator=True),
        OneHotEncoder(sparse_output=False),
    )
    front = make_column_transformer((strings, ["kind"]))
    model = make_pipeline(front, autoencoder()).fit(mixed)
    with pytest.raises(ValueError, match="add_indicator=True.*for strings"):
        to_onnx(model, mixed)


def test_other_cells_are_named(mixed):
    model = mixed_pipeline(autoencoder()).fit(mixed)
    dates = mixed.assign(dropped=pd.Timestamp("2024-01-01"))
    with pytest.raises(ValueError, match="Input 'dropped' has cells of kind 'datetime"):
        to_onnx(model, dates)
    with pytest.raises(ValueError, match="table of both is to be a DataFrame"):
        to_onnx(model, mixed.to_numpy())


def test_columns_named_as_an_output_are_refused(cancer):
    X = cancer.iloc[:50, :3].set_axis(["a", "b", "score"], axis=1)
    with pytest.raises(ValueError, match="column 'score', which is an output's name"):
        to_onnx(autoencoder().fit(X), X)


def test_sparse_rows_are_refused(fitted):
    model, X = fitted
    with pytest.raises(ValueError, match="X must be dense"):
        to_onnx(model, sparse.csr_array(X))


def test_unknown_types_and_unfitted_models_are_refused(fitted):
    model, X = fitted
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        to_onnx(model, X, dtype="float16")
    with pytest.raises(NotFittedError):
        to_onnx(autoencoder(), X)
