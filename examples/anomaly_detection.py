"""
Score a table for anomalies
===========================

An autoencoder that was trained on normal rows restores other rows badly, so its error
tells anomalies apart. This example trains on benign rows of the breast cancer table
that scikit-learn ships. It then scores new rows, benign and malignant, and says which
columns give the worst of them away.
"""

# %%
# Train on normal rows
# --------------------
# Three quarters of the benign rows are for training. The other benign rows and all
# malignant rows are to be scored. The columns need a common scale, hence the scaler.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import explain
from skcae.plotting import AnomalyScoresDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
benign, malignant = X[y == 1], X[y == 0]
train, unseen = train_test_split(benign, test_size=0.25, random_state=0)
test = pd.concat([unseen, malignant])
truth = np.repeat([1, -1], [len(unseen), len(malignant)])  # -1 for an anomaly

model = make_pipeline(StandardScaler(), ContractiveAutoencoder(random_state=0))
model.fit(train)

# %%
# Score new rows
# --------------
# Higher scores are more normal. An isolation forest, trained on the same rows, shows
# what to expect of this table. ``predict`` compares the score with a threshold that
# few normal rows fall below.
scores = model.score_samples(test)
forest = IsolationForest(random_state=0).fit(train)
print(f"AUROC: {roc_auc_score(truth, scores):.3f}, ", end="")
print(f"of IsolationForest {roc_auc_score(truth, forest.score_samples(test)):.3f}")

flagged = model.predict(test) == -1
print(f"Flagged: {flagged[truth == -1].mean():.0%} of the malignant rows, ", end="")
print(f"{flagged[truth == 1].mean():.0%} of the benign rows")

# %%
# Explain the worst rows
# ----------------------
# The contribution of a column is how much the error of the row falls when this column
# takes its expected value. The unit is the error of a median normal row. The sign says
# whether the observed value is too high (positive) or too low (negative).
worst = test.iloc[np.argsort(scores)[:5]]
explanation = explain(model, worst, unseen)
for row in worst.index:
    reasons = explanation.loc[row].unstack(0)
    reasons["value is"] = np.where(reasons["contribution"] > 0, "too high", "too low")
    reasons = reasons.sort_values("contribution", key=np.abs, ascending=False)
    print(f"\nRow {row}\n{reasons.head(3).round(3).to_string()}")

# %%
# Draw the scores and one explanation
# -----------------------------------
# The left panel shows the scores of all rows, the right panel the most anomalous row.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
AnomalyScoresDisplay.from_estimator(model, test, truth, ax=left)
row = worst.index[0]
top = explanation["contribution"].loc[row].sort_values(key=np.abs).tail(8)
right.barh(top.index, top, color=np.where(top > 0, "#D55E00", "#0072B2"))
right.axvline(0, color="black", linewidth=0.5)
right.set(
    title=f"row {row}, the most anomalous",
    xlabel="contribution (blue: too low, orange: too high)",
)
figure.savefig("anomaly_detection.png", dpi=150)
print("\nSaved anomaly_detection.png in this folder")
