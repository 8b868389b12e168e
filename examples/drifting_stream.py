"""
Follow a stream that drifts
===========================

A threshold promises a rate of false alarms among rows such as it was set on. When their
law drifts, the promise is void. In this example ``drift`` says when that has happened,
``partial_fit`` follows, and ``threshold`` promises the rate anew. Beside it runs the
same model without updates.
"""

# %%
# A stream
# --------
# Twelve sensors follow four causes. From batch 6 on, what a cause does to them changes
# slowly, and so do their means. To see whether faults are found, each batch comes with
# two hundred of its rows again, in which one sensor reads what it read for another row.
import copy
from collections import deque

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector, drift, threshold
from skcae.plotting import DriftDisplay

rng = np.random.default_rng(1)
before, after = rng.normal(size=(2, 4, 12))
direction = 0.2 * rng.normal(size=12)


def draw(n_rows, t=0.0):
    """Normal rows at a time from 0, before the drift, to 1."""
    loadings = before + 0.2 * t * (after - before)
    noise = 0.3 * rng.normal(size=(n_rows, 12))
    return rng.normal(size=(n_rows, 4)) @ loadings + noise + t * direction


def with_faults(X):
    faulty = X[:200].copy()
    rows = np.arange(200)
    sensors = rng.integers(12, size=200)
    faulty[rows, sensors] = X[rows + 200, sensors]
    return faulty


# %%
# Before the drift
# ----------------
# The autoencoder is to raise false alarms on one row in a hundred. It has not seen the
# rows that its threshold is taken from. An ``AnomalyDetector`` remembers what is
# normal, and only says whether that has changed.
RATE = 0.01
scaler = StandardScaler()
train = scaler.fit_transform(draw(3000))
kept = deque([scaler.transform(draw(2000))], maxlen=4)
model = ContractiveAutoencoder(
    8, hidden_layer_sizes=(64,), contamination=RATE, max_iter=30, random_state=0
)
model.fit(train)
model.offset_ = threshold(model, kept[0], RATE)
frozen = copy.deepcopy(model)
memory = AnomalyDetector(frozen, random_state=0).fit(train)

# %%
# The stream
# ----------
# Each batch is scored as it comes, by both models. Of one that has drifted, half of the
# rows are learnt. The other half is kept, with those of the last three batches, for the
# threshold. Thirty batches are tested for drift, so a p-value has to be below 0.001.
false_alarms = {"never updated": [], "updated": []}
found = {"never updated": [], "updated": []}
first = None
for number in range(30):
    X = scaler.transform(draw(1000, max(0, number - 5) / 24))
    faults = with_faults(X)
    for name, each in (("never updated", frozen), ("updated", model)):
        false_alarms[name].append(np.mean(each.predict(X) == -1))
        found[name].append(np.mean(each.predict(faults) == -1))
    smallest = drift(memory, X)["p_value"].min()
    if smallest < 0.001:
        first = number if first is None else first
        model.partial_fit(X[::2])
        kept.append(X[1::2])
        model.offset_ = threshold(model, np.concatenate(kept), RATE)

print(f"Drift is seen from batch {first} on")
for name in false_alarms:
    print(
        f"{name:13}: false alarms {np.mean(false_alarms[name][:6]):.1%} before, "
        f"{np.mean(false_alarms[name][-6:]):.1%} in the last six batches; "
        f"faults found {np.mean(found[name][:6]):.0%}, {np.mean(found[name][-6:]):.0%}"
    )

# %%
# Draw
# ----
# The left panel shows the false alarms, the right one which sensors have moved by the
# last batch.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, rates), colour in zip(
    false_alarms.items(), ("#D55E00", "#0072B2"), strict=True
):
    left.plot(np.multiply(rates, 100), "o-", ms=3, color=colour, label=name)
left.axhline(100 * RATE, ls=":", color="grey", label="wanted")
left.axvline(first, color="grey", lw=0.8)
left.annotate(" drift is seen", (first, 0.95 * left.get_ylim()[1]), va="top")
left.set(xlabel="batch", ylabel="false alarms, % of the rows", ylim=0)
left.legend(loc="center left", frameon=False)
DriftDisplay.from_estimator(memory, X, ax=right)
figure.savefig("drifting_stream.png", dpi=150)
print("Saved drifting_stream.png in this folder")
