"""From a table of mixed types to ranked rows with reasons, at a wanted error rate.

Generates the expenses of a company, numbers and categories that depend on each other,
and plants four kinds of fraud and error among new ones. Finds them at a false discovery
rate of 10 %, says which column gives each away and what would have been normal there,
and draws the worst.
"""

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from scipy.stats import false_discovery_control
from sklearn.compose import make_column_transformer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import explain, p_values, threshold

OUTPUT = Path(__file__).parent / "output"
RATE = 0.1
KINDS = {
    # what is paid for: mean of the logarithm of the price, spread, countries, weekends
    "hotel": (4.9, 0.25, ["DE", "FR", "US"], 0.3),
    "flight": (6.0, 0.4, ["DE", "FR", "US"], 0.2),
    "meal": (3.3, 0.4, ["DE", "FR", "US"], 0.2),
    "software": (5.5, 0.3, ["US"], 0.02),
    "fuel": (4.2, 0.2, ["DE"], 0.1),
}
VAT = {"DE": 0.19, "FR": 0.20, "US": 0.0}


# %% Expenses as they should be: tax follows the country, the price its kind, and kinds
# have their departments.
def expenses(rng, n):
    department = rng.choice(["sales", "research", "office"], n, p=[0.5, 0.3, 0.2])
    shares = {
        "sales": [0.3, 0.2, 0.3, 0.02, 0.18],
        "research": [0.15, 0.15, 0.2, 0.5, 0.0],
        "office": [0.05, 0.05, 0.4, 0.4, 0.1],
    }
    kind = np.array([rng.choice(list(KINDS), p=shares[name]) for name in department])
    settings = pd.DataFrame(KINDS).T.loc[kind]
    country = np.array([rng.choice(names) for names in settings[2]])
    units = rng.poisson(1.5, n) + 1
    net = units * np.exp(
        rng.normal(settings[0].astype(float), settings[1].astype(float))
    )
    tax = np.array([VAT[name] for name in country])
    return pd.DataFrame(
        {
            "department": department,
            "kind": kind,
            "country": country,
            "units": units,
            "net": net.round(2),
            "tax": (net * tax).round(2),
            "weekend": rng.random(n) < settings[3].to_numpy(float),
            "days to claim": rng.gamma(3, 4, n).round(),
        },
        index=pd.RangeIndex(n, name="expense"),
    )


rng = np.random.default_rng(0)
past, calibration, new = (expenses(rng, n) for n in (6000, 2000, 1000))

# %% What goes wrong in one column each.
broken = pd.Series("", index=new.index, name="broken")
fuel = new.index[new["kind"] == "fuel"][:10]
others = rng.permutation(new.index[new["kind"] != "fuel"])[:30]
cents, tax, late = np.split(others, 3)
broken[fuel], broken[cents] = "country", "net"
broken[tax], broken[late] = "tax", "days to claim"
new.loc[fuel, "country"] = "FR"  # where nobody buys fuel
new.loc[cents, "net"] *= 100  # claimed in cents
new.loc[cents, "tax"] *= 100
new.loc[tax, "tax"] = 0.5 * new.loc[tax, "net"]
new.loc[late, "days to claim"] += 80
is_broken = broken != ""


# %% Amounts are multiplied, not added: their logarithms are what a scaler is for. The
# scaler stands in the table's columns, categories become 0 and 1.
def with_logarithms(table):
    return table.assign(
        net=np.log(table["net"]),
        tax=table["tax"] / table["net"],
        units=np.log(table["units"]),
    )


past, calibration, new = map(with_logarithms, (past, calibration, new))
numbers = ["units", "net", "tax", "days to claim"]
model = make_pipeline(
    make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(sparse_output=False), ["department", "kind", "country"]),
        (OneHotEncoder(sparse_output=False, drop="if_binary"), ["weekend"]),
    ),
    ContractiveAutoencoder(random_state=0),
).fit(past)
scores = pd.Series(model.score_samples(new), index=new.index)
print(f"AUROC of the errors planted: {roc_auc_score(is_broken, -scores):.3f}")

# %% Who to call: p-values from rows that training has not seen, and the rule of
# Benjamini and Hochberg.
p = p_values(model, new, calibration)
alarms = pd.Series(false_discovery_control(p) <= RATE, index=new.index)
print(f"Alarms: {alarms.sum()}, of which {np.mean(~is_broken[alarms]):.0%} are false;")
print(f"        {np.mean(alarms[is_broken]):.0%} of the errors are found")
model[-1].offset_ = threshold(model, calibration, 0.01)
flagged = pd.Series(model.predict(new) == -1, index=new.index)
print(
    f"With offset_ for a rate of 1 %: {np.mean(flagged[~is_broken]):.1%} of the sound"
)

# %% Why: the column whose value, put right, would make the row normal.
explanation = explain(model, new, calibration)
contributions = explanation["contribution"].abs()
first = contributions.idxmax(axis=1)
found = is_broken & alarms
print("\nBroken columns that rank first, among the errors found")
print((first == broken)[found].groupby(broken[found]).agg(["mean", "size"]).to_string())
worst = scores[alarms].nsmallest(5).index
for row in worst:
    reasons = explanation.loc[row].unstack(0)
    reasons = reasons.sort_values("contribution", key=np.abs, ascending=False)
    print(f"\nexpense {row}, p = {p[row]:.4f}, broken: {broken[row] or 'nothing'}")
    print(reasons.head(3).to_string(float_format="{:.2f}".format))

# %% One picture: the worst alarms and, cell by cell, their reasons.
shown = scores[alarms].nsmallest(25).index
cells = explanation["contribution"].loc[shown]
limit = np.abs(cells).to_numpy().max()
figure, axes = plt.subplots(figsize=(8, 7), layout="constrained")
scale = SymLogNorm(linthresh=1, vmin=-limit, vmax=limit)
image = axes.imshow(cells, cmap="RdBu_r", norm=scale, aspect="auto")
columns = {name: position for position, name in enumerate(cells.columns)}
for position, row in enumerate(shown):
    if broken[row]:
        axes.plot(columns[broken[row]], position, "k.", markersize=9)
axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
axes.set_yticks(range(len(shown)), shown)
axes.set(ylabel="expense, the worst at the top", title="Why; dots mark what was broken")
label = "contribution, in errors of a median normal row; < 0: value too small"
figure.colorbar(image, label=label)
OUTPUT.mkdir(exist_ok=True)
figure.savefig(OUTPUT / "mixed_types.png", dpi=150)
print(f"\nSaved {OUTPUT / 'mixed_types.png'}")
