"""
Train on a Parquet file a batch at a time
=========================================

A file larger than memory is read batch by batch. ``partial_fit`` goes on from where the
last batch ended, and the threshold for alarms runs along: it follows the scores of the
last 2000 rows. Only one batch is in memory at any time.
"""

# %%
# A file of many row groups
# -------------------------
# It stands for a year of readings. Ten sensors follow three causes that cannot be seen.
# In the last weeks one of the sensors sticks now and then, and repeats its mean.
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

rng = np.random.default_rng(0)
loadings = rng.normal(size=(3, 10))
path = Path(tempfile.mkdtemp(), "readings.parquet")
names = [f"sensor {i}" for i in range(10)]
schema = pa.schema([*((name, pa.float32()) for name in names), ("sticks", pa.bool_())])
with pq.ParquetWriter(path, schema) as writer:
    for week in range(52):
        rows = rng.normal(size=(2000, 3)) @ loadings
        rows += 0.1 * rng.normal(size=rows.shape)
        sticks = (rng.random(2000) < 0.005) & (week >= 46)
        rows[sticks, 4] = 0
        columns = [*rows.astype(np.float32).T, sticks]
        writer.write_table(pa.table(columns, schema=schema))
print(f"{pq.read_metadata(path).num_row_groups} row groups")

# %%
# One pass
# --------
# Each batch is scored first, by what was learnt up to then, and then learnt. The scaler
# learns batch by batch, too. Alarms are learnt as all rows are: without them the
# threshold, which is to be crossed by one normal row in a hundred, would creep upwards.
scaler = StandardScaler()
model = ContractiveAutoencoder(
    8, hidden_layer_sizes=(64,), learning_rate_init=0.003, random_state=0
)
file = pq.ParquetFile(path)
n_found = n_sticks = 0
for week, batch in enumerate(file.iter_batches(batch_size=2000)):
    table = batch.to_pandas()
    rows = scaler.partial_fit(table[names]).transform(table[names])
    if week > 0:
        alarms = model.predict(rows) == -1
        n_found += np.sum(alarms & table["sticks"])
        n_sticks += np.sum(table["sticks"])
    model.partial_fit(rows)
    if week % 6 == 3:
        print(
            f"week {week:2}: {alarms.mean():5.1%} alarms, "
            f"threshold now {model.offset_:.4f}"
        )
print(f"Found {n_found} of {n_sticks} readings where a sensor stuck")
