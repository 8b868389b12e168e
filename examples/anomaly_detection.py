"""
Score a table for anomalies
===========================

An autoencoder that was trained on normal rows restores other rows badly, and other rows
lie far from normal ones. ``AnomalyDetector`` measures both. This example trains it on
benign rows of the breast cancer table that scikit-learn ships. It then scores new rows,
benign and malignant, and says which columns give the worst of them away.
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

from skcae.anomaly import AnomalyDetector, explain, p_values
from skcae.plotting import AnomalyScoresDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
benign, malignant = X[y == 1], X[y == 0]
train, unseen = train_test_split(benign, test_size=0.25, random_state=0)
test = pd.concat([unseen, malignant])
truth = np.repeat([1, -1], [len(unseen), len(malignant)])  # -1 for an anomaly

model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0))
model.fit(train)

# %%
# Score new rows
# --------------
# Higher scores are more normal. An isolation forest, trained on the same rows, shows
# what to expect of this table. A p-value is the chance of a normal row to score as low:
# the detector has kept some training rows from its network to know that.
scores = model.score_samples(test)
forest = IsolationForest(random_state=0).fit(train)
print(f"AUROC: {roc_auc_score(truth, scores):.3f}, ", end="")
print(f"of IsolationForest {roc_auc_score(truth, forest.score_samples(test)):.3f}")

flagged = p_values(model, test) <= 0.05
print(f"Flagged: {flagged[truth == -1].mean():.0%} of the malignant rows, ", end="")
print(f"{flagged[truth == 1].mean():.0%} of the benign rows")

# %%
# Explain the worst rows
# ----------------------
# The contribution of a column is how much the error of the row falls when this column
# takes its expected value, in units of the error of a median normal row. The direction
# says whether the observed value is too low or too high.
worst = test.iloc[np.argsort(scores)[:5]]
explanation = explain(model, worst, unseen)
for row in worst.index:
    reasons = explanation.loc[row].unstack(0)
    reasons = reasons.sort_values("contribution", ascending=False)
    print(f"\nRow {row}\n{reasons.head(3).to_string()}")

# %%
# Draw the scores and one explanation
# -----------------------------------
# The left panel shows the scores of all rows, the right panel the most anomalous row.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
AnomalyScoresDisplay.from_estimator(model, test, truth, ax=left)
row = worst.index[0]
reasons = explanation.loc[row].unstack(0).sort_values("contribution").tail(8)
is_low = reasons["direction"] == "too low"
bars = right.barh(
    reasons.index, reasons["contribution"], color=np.where(is_low, "#0072B2", "#D55E00")
)
right.bar_label(bars, labels=reasons["direction"], padding=3)
right.margins(x=0.2)
right.set(title=f"row {row}, the most anomalous", xlabel="contribution")
figure.savefig("anomaly_detection.png", dpi=150)
print("\nSaved anomaly_detection.png in this folder")
