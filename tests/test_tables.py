"""Kinds of tables: sparse rows, frames in float32, and tables not computed yet."""

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler
from test_contract import METHODS as OUTPUTS

from skcae import ContractiveAutoencoder, _table
from skcae.anomaly import NeighborDistance, explain, p_values
from skcae.inspection import jacobian_spectrum, lambda_path, sensitivity
from skcae.metrics import contraction_score, denoising_score, reconstruction_score

FORMATS = [
    f"{layout}_{kind}"
    for layout in ("csr", "csc", "coo")
    for kind in ("array", "matrix")
]


def quick(**parameters):
    defaults = {"max_iter": 5, "random_state": 0}
    return ContractiveAutoencoder(4, **defaults | parameters)


@pytest.fixture
def matrix(rng):
    """Sparse rows of three kinds, each with columns of its own."""
    kinds = rng.integers(3, size=200)
    means = np.kron(np.eye(3), np.ones(10))
    dense = rng.random((200, 30)) * (rng.random((200, 30)) < 0.05 + 0.4 * means[kinds])
    return sparse.csr_array(dense)


# sparse rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True, "noise_std": 0.1},
        {"trim_fraction": 0.1, "contamination": 0.1},
        {"loss": "log_loss", "output_activation": "sigmoid"},
    ],
    ids=["default", "early stopping", "trimmed", "log_loss"],
)
def test_sparse_rows_give_what_dense_rows_give_to_the_last_bit(
    parameters, dtype, matrix
):
    matrix = matrix.astype(dtype)
    dense = matrix.toarray()
    ours, theirs = quick(**parameters).fit(matrix), quick(**parameters).fit(dense)
    assert ours.offset_ == theirs.offset_
    assert ours.loss_curve_ == theirs.loss_curve_
    for part in (slice(None), slice(50)):
        for method in OUTPUTS:
            of_sparse = getattr(ours, method)(matrix[part])
            of_dense = getattr(theirs, method)(dense[part])
            np.testing.assert_array_equal(of_sparse, of_dense)
            assert of_sparse.dtype == of_dense.dtype
        ours.partial_fit(matrix[:60])
        theirs.partial_fit(dense[:60])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(name, matrix):
    other = getattr(sparse, name)(matrix)
    before = other.copy()
    model = quick().fit(other)
    expected = quick().fit(matrix)
    np.testing.assert_array_equal(model.transform(other), expected.transform(matrix))
    np.testing.assert_array_equal(model.fit_predict(other), expected.predict(matrix))
    assert (other != before).nnz == 0


def test_cells_that_stand_twice_are_added(matrix):
    coo = matrix.tocoo()
    halves = [np.concatenate([part, part]) for part in (coo.row, coo.col)]
    data = np.concatenate([coo.data, coo.data]) / 2
    order = np.argsort(halves[0], kind="stable")
    starts = np.searchsorted(halves[0][order], np.arange(matrix.shape[0] + 1))
    twice = sparse.csr_array((data[order], halves[1][order], starts), matrix.shape)
    assert not twice.has_canonical_format
    np.testing.assert_allclose(
        quick().fit(twice).transform(twice), quick().fit(matrix).transform(matrix)
    )


def test_a_second_network_measures_sparse_rows_too(matrix):
    # 200 rows: contamination="auto" trains one on two thirds of them
    ours, theirs = quick().fit(matrix), quick().fit(matrix.toarray())
    assert ours.offset_ == theirs.offset_


def test_missing_cells_of_sparse_rows(matrix):
    matrix.data[::7] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(matrix)
    dense = matrix.toarray()
    ours, theirs = (quick(allow_nan=True).fit(X) for X in (matrix, dense))
    np.testing.assert_array_equal(
        ours.score_samples(matrix), theirs.score_samples(dense)
    )
    with pytest.raises(ValueError, match="trim_fraction must be 0 for sparse"):
        ours.set_params(trim_fraction=0.1).fit(matrix)


def test_values_are_checked(matrix):
    matrix.data[0] = 2
    with pytest.raises(ValueError, match="runs from 0 to 2, but loss='log_loss'"):
        quick(loss="log_loss", output_activation="sigmoid").fit(matrix)
    matrix.data[0] = 1e20
    with pytest.raises(ValueError, match="scale the columns first"):
        quick().fit(matrix)
    matrix.data[0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        quick().fit(matrix)


@pytest.mark.parametrize("kind", ["array", "sparse", "with holes"])
def test_statistics_of_columns(kind, rng, monkeypatch):
    monkeypatch.setattr("skcae._core.batches._BLOCK_ELEMENTS", 50)
    dense = rng.normal(size=(97, 7)) * (rng.random((97, 7)) < 0.5) + 0.0
    if kind == "with holes":
        dense[rng.random(dense.shape) < 0.3] = np.nan
    table = sparse.csr_array(dense) if kind == "sparse" else dense
    means, share = _table.observed_means(table)
    assert share == np.mean(~np.isnan(dense))
    if kind == "sparse":
        np.testing.assert_array_equal(means, dense.mean(axis=0))
    np.testing.assert_allclose(means, np.nanmean(dense, axis=0))
    lowest, highest = _table.column_ranges(table)
    np.testing.assert_array_equal(lowest, np.nanmin(dense, axis=0))
    np.testing.assert_array_equal(highest, np.nanmax(dense, axis=0))
    deviations = _table.column_deviations(table)
    np.testing.assert_allclose(deviations, np.nanstd(dense, axis=0))


# what goes before an autoencoder and after it


TEXTS = [
    f"{subject} {verb} the {thing}"
    for subject in ("anna", "bert", "cleo", "dora", "emil")
    for verb in ("sees", "takes", "sells", "buys")
    for thing in ("house", "boat", "horse")
]


def test_text():
    model = make_pipeline(TfidfVectorizer(), quick(max_iter=30, contamination=0.1))
    model.fit(TEXTS)
    dense = model[-1].score_samples(model[:-1].transform(TEXTS).toarray())
    np.testing.assert_array_equal(model.score_samples(TEXTS), dense)
    assert model.transform(TEXTS).shape == (60, 4)
    assert set(model.predict(TEXTS)) == {-1, 1}
    assert p_values(model, TEXTS[:3], TEXTS).between(1 / 61, 1).all()
    assert np.isfinite(denoising_score(model, TEXTS))


@pytest.fixture
def jobs(rng):
    job = rng.choice(["smith", "baker", "clerk"], size=120)
    pay = pd.Series(job).map({"smith": 3.0, "baker": 4.0, "clerk": 5.0})
    return pd.DataFrame({"job": job, "pay": pay + 0.1 * rng.normal(size=120)})


def test_one_hot_encoder_as_it_comes(jobs):
    def pipeline(**encoder):
        columns = make_column_transformer(
            (OneHotEncoder(**encoder), ["job"]),
            (StandardScaler(), ["pay"]),
            sparse_threshold=1.0,
        )
        return make_pipeline(columns, quick(max_iter=30)).fit(jobs)

    model, dense = pipeline(), pipeline(sparse_output=False)
    assert sparse.issparse(model[:-1].transform(jobs))
    reasons, expected = (explain(each, jobs.iloc[:5], jobs) for each in (model, dense))
    assert "reconstructed" in reasons
    pd.testing.assert_frame_equal(reasons, expected)


@pytest.mark.filterwarnings("ignore:The best λ")
def test_inspection_and_metrics_of_sparse_rows(matrix):
    model = make_pipeline(MaxAbsScaler(), quick()).fit(matrix)
    dense = matrix.toarray()
    for function in (
        denoising_score,
        reconstruction_score,
        contraction_score,
        lambda model, X: sensitivity(model, X).to_numpy(),
        lambda model, X: jacobian_spectrum(model, X).singular_values,
        lambda model, X: NeighborDistance(model).fit(X).score_samples(X),
        lambda model, X: lambda_path(quick(), X, [0.1, 1], cv=2).table.to_numpy(),
    ):
        of_sparse, of_dense = function(model, matrix), function(model, dense)
        np.testing.assert_allclose(of_sparse, of_dense, rtol=1e-6)


# memory

CODE = """
    import resource, warnings
    import numpy as np
    from scipy import sparse
    from skcae import ContractiveAutoencoder

    warnings.simplefilter("ignore")  # one epoch
    n_samples, n_features, n_filled = {n_samples}, 5000, 50
    rng = np.random.default_rng(0)
    n_cells = n_samples * n_filled
    X = sparse.csr_array(
        (
            rng.random(n_cells, dtype=np.float32),
            rng.integers(n_features, size=n_cells, dtype=np.int32),
            np.arange(0, n_cells + 1, n_filled, dtype=np.int32),
        ),
        shape=(n_samples, n_features),
    )
    model = ContractiveAutoencoder(
        8, hidden_layer_sizes=(), max_iter=1, contamination=0.1, random_state=0
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.fit(X).partial_fit(X).predict(X)
    model.transform(X)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024, after / 1024)
"""


def megabytes(n_samples):
    """How much the peak grew while a model was trained and used, and the peak."""
    code = textwrap.dedent(CODE).format(n_samples=n_samples)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return map(float, run.stdout.split())


def test_sparse_rows_are_never_dense_as_a_whole():
    growth, _ = megabytes(8_000)
    assert growth < 140  # all rows are 160 MB in float32, and 320 in float64


@pytest.mark.slow
def test_a_gigabyte_is_enough_for_200_000_rows_of_5000_columns():
    _, peak = megabytes(200_000)
    assert peak < 1000  # all rows are 4 GB in float32


# frames


FLOAT32 = {
    "polars": pl.from_pandas,
    "arrow": pa.Table.from_pandas,
    "batch": pa.RecordBatch.from_pandas,
    "pandas": lambda frame: frame,
    "nullable": lambda frame: frame.astype("Float32"),
    "pandas of arrow": lambda frame: frame.astype("float32[pyarrow]"),
}


@pytest.mark.parametrize("kind", FLOAT32)
def test_float32_frames_stay_float32(kind, rng):
    X = rng.normal(size=(60, 5)).astype(np.float32)
    table = FLOAT32[kind](pd.DataFrame(X, columns=list("abcde")))
    model = quick().fit(table)
    codes = model.transform(table)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, quick().fit(X).transform(X))
    codes = FLOAT32[kind](pd.DataFrame(codes, columns=list("abcd")))
    assert model.inverse_transform(codes).dtype == np.float32


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_frames_of_several_types_become_float64(kind, rng):
    X = pd.DataFrame(rng.normal(size=(60, 2)).astype(np.float32), columns=["a", "b"])
    table = FLOAT32[kind](X.assign(c=np.arange(60)))
    assert quick().fit(table).transform(table).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "Float32"])
def test_a_series_is_no_table(dtype):
    with pytest.raises(ValueError, match="2D|2-dimensional"):
        quick().fit(pd.Series([1.0, 2.0], dtype=dtype))


def test_missing_cells_of_float32_frames(rng):
    frame = pl.DataFrame({"a": [1.0, None, 3, 4], "b": [2.0, 1, 2, None]})
    frame = frame.cast(pl.Float32)
    for table in (frame, frame.to_arrow()):
        model = quick(allow_nan=True).fit(table)
        assert model.transform(table).dtype == np.float32
        np.testing.assert_allclose(model.mean_, [8 / 3, 5 / 3], rtol=1e-6)


# tables that are not computed yet


class Plan(np.ndarray):
    """A collection of dask, or what has its protocol and no graph."""

    graph = None

    def __dask_graph__(self):
        return self.graph


METHODS = ["fit", "partial_fit", "score", *OUTPUTS]


@pytest.mark.parametrize("method", [*METHODS, "inverse_transform"])
def test_a_plan_gets_a_sentence(method, rng):
    X = rng.normal(size=(40, 4))
    model = quick().fit(X)
    with pytest.raises(TypeError, match=r"LazyFrame, .* give X\.collect\(\)"):
        getattr(model, method)(pl.DataFrame(X).lazy())
    plan = X.view(Plan)
    getattr(model, method)(plan)
    plan.graph = {"x": 1}
    with pytest.raises(TypeError, match=r"of dask.* X\.compute\(\)"):
        getattr(model, method)(plan)
