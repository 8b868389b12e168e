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
# bought in one country only. Past rows are for training, and rows that are held out
# show later what errors normal rows have.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from scipy.stats import false_discovery_control
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import explain, p_values

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
past, held_out, new = (expenses(n, rng) for n in (4000, 2000, 500))
new.loc[:9, "price"] *= 100  # claimed in cents
new.loc[10:19, "tax"] += 0.1
new.loc[20:29, ["kind", "country", "price", "tax"]] = "fuel", "US", 65, 0

# %%
# Fit and find
# ------------
# Prices differ by factors, so the scaler gets their logarithms. A p-value is the share
# of held-out rows that score as low. The rule of Benjamini and Hochberg turns p-values
# into alarms of which one in ten is false in the mean.
logarithm = FunctionTransformer(np.log, np.exp, feature_names_out="one-to-one")
model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind", "country", "weekend"]),
        (make_pipeline(logarithm, StandardScaler()), ["price"]),
        (StandardScaler(), ["tax"]),
    ),
    ContractiveAutoencoder(random_state=0),
).fit(past)
alarms = new[false_discovery_control(p_values(model, new, held_out)) <= 0.1]
n_found = np.sum(alarms.index < 30)
print(f"{len(alarms)} alarms, {n_found} of the 30 errors among them")

# %%
# Explain
# -------
# A category counts as one column. Its contribution is never negative. A number that is
# too low has a negative contribution.
explanation = explain(model, alarms, held_out)
for row in alarms.index[[0, 10, 20]]:
    print(f"\nExpense {row}\n{explanation.loc[row].unstack(0).to_string()}")

cells = explanation["contribution"]
figure, axes = plt.subplots(figsize=(6, 7), layout="constrained")
limit = cells.abs().to_numpy().max()
scale = SymLogNorm(linthresh=1, vmin=-limit, vmax=limit)
image = axes.imshow(cells, cmap="RdBu_r", norm=scale, aspect="auto")
axes.set_xticks(range(cells.shape[1]), cells.columns)
axes.set_yticks(range(len(cells)), cells.index)
axes.set(ylabel="expense", title="0 to 9: price, 10 to 19: tax, 20 to 29: fuel abroad")
figure.colorbar(image, label="contribution (blue: too low, red: too high or wrong)")
figure.savefig("mixed_types.png", dpi=150)
print("\nSaved mixed_types.png in this folder")
