"""
Score a file into a file
========================

A million rows are read, scored and written fifty thousand at a time, so that memory
does not grow with the file.
"""

# %%
# A model and a file
# ------------------
# The model is small: one layer of eight units. The file has a million rows of twenty
# columns, in float32.
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

rng = np.random.default_rng(0)
loadings = rng.normal(size=(5, 20))
names = [f"x{i}" for i in range(20)]


def table(n_rows):
    rows = rng.normal(size=(n_rows, 5)) @ loadings + 0.1 * rng.normal(size=(n_rows, 20))
    return pa.table([*rows.astype(np.float32).T], names)


folder = Path(tempfile.mkdtemp())
pq.write_table(table(100_000), folder / "few.parquet")
with pq.ParquetWriter(folder / "many.parquet", table(0).schema) as writer:
    for _ in range(10):
        writer.write_table(table(100_000))

model = make_pipeline(
    StandardScaler(),
    ContractiveAutoencoder(8, hidden_layer_sizes=(), max_iter=20, random_state=0),
)
model.fit(table(5000).to_pandas())

# %%
# Score it
# --------
# Besides the score, the label is written: whether the score lies below the threshold.
# The peak of memory is that of the whole process, with its libraries. It hardly grows
# from the small file to the one of ten times as many rows.


def score_file(model, source, target, rows_at_once=50_000):
    schema = pa.schema({"score": pa.float64(), "is_outlier": pa.bool_()})
    with (
        pq.ParquetFile(source, pre_buffer=False) as file,  # or the whole file is read
        pq.ParquetWriter(target, schema) as writer,
    ):
        for batch in file.iter_batches(rows_at_once):
            scores = model.score_samples(batch.to_pandas())
            is_outlier = scores < model[-1].offset_
            writer.write_table(pa.table([scores, is_outlier], schema=schema))


def peak_megabytes():  # of this process so far; Linux counts in kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def report(name):
    start = time.perf_counter()
    score_file(model, folder / name, folder / "scores.parquet")
    n_rows = pq.read_metadata(folder / name).num_rows
    speed = n_rows / (time.perf_counter() - start)
    print(f"{n_rows:9,} rows: {speed:,.0f} a second, peak {peak_megabytes():.0f} MB")


report("few.parquet")
report("many.parquet")
scores = pq.read_table(folder / "scores.parquet").to_pandas()
print(f"{len(scores):,} scores, {scores['is_outlier'].mean():.2%} of them outliers")
