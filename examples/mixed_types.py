"""
Find errors in a table of mixed types
=====================================

Numbers, categories and booleans go through a ``ColumnTransformer``. This example
generates expenses, breaks some of the new ones, finds these at a wanted rate of false
discoveries, and says which cells are wrong.
"""

# %%
# Expenses, and errors among them
# -------------------------------
# The price depends on the kind of expense, the tax rate on the country, and fuel is
# bought in one country only. Past rows are for training. Other normal rows are to show
# which values are usual.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from scipy.stats import false_discovery_control
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skcae.anomaly import AnomalyDetector, explain, p_values

PRICES = {"hotel": 130, "flight": 400, "meal": 27, "fuel": 65}
TAXES = {"DE": 0.19, "FR": 0.20, "US": 0.0}


def expenses(n, rng):
    table = pd.DataFrame({"kind": rng.choice(list(PRICES), n)})
    table["country"] = rng.choice(list(TAXES), n)
    table.loc[table["kind"] == "fuel", "country"] = "DE"
    table["weekend"] = rng.random(n) < 0.2
    table["price"] = table["kind"].map(PRICES) * rng.lognormal(0, 0.3, n)
    table["tax"] = table["country"].map(TAXES) + rng.normal(0, 0.002, n)
    return table


rng = np.random.default_rng(0)
past, normal, new = (expenses(n, rng) for n in (5000, 1000, 500))
new.loc[:9, "price"] *= 100  # claimed in cents
new.loc[10:19, "tax"] += 0.1
new.loc[20:29, ["kind", "country", "price", "tax"]] = "fuel", "US", 65, 0

# %%
# Fit and find
# ------------
# Prices differ by factors, so the scaler gets their logarithms. A p-value is the chance
# of a normal row to score as low. The rule of Benjamini and Hochberg turns p-values
# into alarms of which one in ten is false in the mean.
logarithm = FunctionTransformer(np.log, np.exp, feature_names_out="one-to-one")
model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind", "country", "weekend"]),
        (make_pipeline(logarithm, StandardScaler()), ["price"]),
        (StandardScaler(), ["tax"]),
    ),
    AnomalyDetector(random_state=0),
).fit(past)
alarms = new[false_discovery_control(p_values(model, new)) <= 0.1]
n_found = np.sum(alarms.index < 30)
print(f"{len(alarms)} alarms, {n_found} of the 30 errors among them")

# %%
# Explain
# -------
# A category counts as one column. The direction of a number is "too low" or "too high",
# that of a category "unusual".
explanation = explain(model, alarms, normal)
for row in alarms.index[[0, 10, 20]]:
    print(f"\nExpense {row}\n{explanation.loc[row].unstack(0).to_string()}")

cells = explanation["contribution"]
figure, axes = plt.subplots(figsize=(6, 7), layout="constrained")
scale = SymLogNorm(linthresh=1, vmin=0, vmax=cells.to_numpy().max())
image = axes.imshow(cells, cmap="Oranges", norm=scale, aspect="auto")
marks = {"too low": "▼", "too high": "▲", "unusual": "●", "": ""}
for (i, j), direction in np.ndenumerate(explanation["direction"].to_numpy()):
    axes.text(j, i, marks[direction], ha="center", va="center", fontsize="small")
axes.set_xticks(range(cells.shape[1]), cells.columns)
axes.set_yticks(range(len(cells)), cells.index)
axes.set(ylabel="expense", title="0 to 9: price, 10 to 19: tax, 20 to 29: fuel abroad")
figure.colorbar(image, label="contribution (▼ too low, ▲ too high, ● unusual)")
figure.savefig("mixed_types.png", dpi=150)
print("\nSaved mixed_types.png in this folder")
