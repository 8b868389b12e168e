"""Engines that users run already: dask searches and scores, Spark scores."""

import sys
from contextlib import ExitStack

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, NeighborDistance, drift, p_values
from skcae.metrics import denoising_score

SECONDS = 120  # more than any wait here takes, and less than for ever


@pytest.fixture
def X(rng):
    rows = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 5))
    return pd.DataFrame(rows, columns=list("abcde"))


def quick():
    return ContractiveAutoencoder(3, max_iter=3, contamination=0.1, random_state=0)


@pytest.fixture
def model(X):
    return make_pipeline(StandardScaler(), quick()).fit(X)


def test_a_search_on_two_dask_workers_finds_what_one_process_finds(X):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    model = make_pipeline(StandardScaler(), quick())
    grid = {"contractiveautoencoder__lam": [0.01, 0.1, 1]}
    one, two = (GridSearchCV(model, grid, cv=2, n_jobs=1) for _ in "12")
    one.fit(X)
    with ExitStack() as stack:
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
            )
        )
        client = stack.enter_context(distributed.Client(cluster, timeout=SECONDS))
        client.wait_for_workers(2, timeout=SECONDS)
        stack.enter_context(joblib.parallel_config(backend="dask"))
        two.set_params(n_jobs=None).fit(X)
        ran = client.run(lambda: "skcae" in sys.modules)
    assert [*ran.values()] == [True, True]
    for name in ("mean_test_score", "std_test_score", "params"):
        np.testing.assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    np.testing.assert_array_equal(two.score_samples(X), one.score_samples(X))


# Blocks of rows end elsewhere than in the whole table, and sums may round otherwise.
CLOSE = {"rtol": 1e-12, "atol": 0}


def test_a_dask_frame_is_scored_by_partition(X, model):
    frames = pytest.importorskip("dask.dataframe", reason="needs the extra dask")
    asked = []

    def score(part):
        asked.append(len(part))
        return pd.Series(model.score_samples(part), index=part.index, name="score")

    frame = frames.from_pandas(X, npartitions=4)
    scores = frame.map_partitions(score, meta=("score", float))
    assert asked == []
    result = scores.compute(scheduler="sync")
    assert asked == [50] * 4
    expected = pd.Series(model.score_samples(X), X.index, name="score")
    pd.testing.assert_series_equal(result, expected, **CLOSE)


def test_a_dask_array_is_scored_and_encoded_by_block(X):
    arrays = pytest.importorskip("dask.array", reason="needs the extra dask")
    X = X.to_numpy()
    model = make_pipeline(StandardScaler(), quick()).fit(X)
    array = arrays.from_array(X, chunks=(60, -1))
    scores = array.map_blocks(model.score_samples, drop_axis=1, dtype=float)
    codes = array.map_blocks(model.transform, chunks=(array.chunks[0], 3), dtype=float)
    assert scores.shape == (200,)
    assert codes.shape == (200, 3)
    for lazy, expected in (
        (scores, model.score_samples(X)),
        (codes, model.transform(X)),
    ):
        result = lazy.compute(scheduler="threads", num_workers=2)
        np.testing.assert_allclose(result, expected, **CLOSE)


def uses(model):
    """Ours that take a table, each of which would compute all of it in silence."""
    detector = AnomalyDetector(quick(), random_state=0)
    yield quick().fit
    yield quick().partial_fit
    yield detector.fit
    yield NeighborDistance(quick()).fit
    # the scaler of a Pipeline is scikit-learn's; these come before it
    yield lambda X: p_values(model, X, X)
    yield lambda X: denoising_score(model, X)
    yield NeighborDistance(model).fit


def uses_of_fitted(model, X):
    autoencoder, detector = quick().fit(X), AnomalyDetector(quick()).fit(X)
    yield autoencoder.score_samples
    yield autoencoder.transform
    yield detector.score_samples
    yield detector.predict
    yield detector.p_values
    yield detector.drift
    yield NeighborDistance(autoencoder).fit(X).score_samples
    scaled = make_pipeline(StandardScaler(), AnomalyDetector(quick())).fit(X)
    yield lambda X: drift(scaled, X)


@pytest.mark.parametrize("kind", ["frame", "array"])
def test_a_dask_collection_is_told_the_recipe(kind, X, model):
    if kind == "frame":
        frames = pytest.importorskip("dask.dataframe", reason="needs the extra dask")
        lazy, match = frames.from_pandas(X, npartitions=4), "let map_partitions give"
    else:
        arrays = pytest.importorskip("dask.array", reason="needs the extra dask")
        lazy, match = arrays.from_array(X.to_numpy(), chunks=(50, -1)), "map_blocks"
    for use in (*uses(model), *uses_of_fitted(model, X)):
        with pytest.raises(TypeError, match=f"of dask, .*{match}.*'On a cluster'"):
            use(lazy)


@pytest.mark.filterwarnings("ignore")  # theirs, of pandas and of worker processes
def test_spark_scores_by_partition(X, model, monkeypatch):
    pyspark = pytest.importorskip(
        "pyspark.sql", reason="pyspark is in no extra, and needs Java"
    )
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)

    def score(tables):
        for table in tables:
            scores = model.score_samples(table[[*"abcde"]])
            yield table[["row"]].assign(score=scores)

    builder = pyspark.SparkSession.builder.master("local[2]")
    for name in ("driver.bindAddress", "driver.host"):
        builder = builder.config(f"spark.{name}", "127.0.0.1")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame = spark.createDataFrame(X.assign(row=X.index)).repartition(4)
        scored = frame.mapInPandas(score, "row long, score double").toPandas()
        with pytest.raises(TypeError, match="of Spark, .* let mapInPandas give"):
            quick().fit(frame)
    finally:
        spark.stop()
    scores = scored.set_index("row")["score"].sort_index()
    np.testing.assert_allclose(scores, model.score_samples(X), **CLOSE)
