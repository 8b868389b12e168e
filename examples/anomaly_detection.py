"""Score a table for anomalies, and say why.

Trains on healthy rows of the breast cancer table that scikit-learn ships, scores
rows it has not seen, healthy and malignant, and shows the worst of them with the
columns that give them away, and with what would be normal there.
"""

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import NeighborDistance, explain, mean_score
from skcae.plotting import AnomalyScoresDisplay

OUTPUT = Path(__file__).parent / "output"

# %% Train on three quarters of the benign rows; score the rest and the malignant.
table = load_breast_cancer(as_frame=True)
benign = table.data[table.target == 1]
malignant = table.data[table.target == 0]
train, unseen = train_test_split(benign, test_size=0.25, random_state=0)
test = pd.concat([unseen, malignant])
is_anomaly = np.r_[np.zeros(len(unseen)), np.ones(len(malignant))]

# %% Fit, score, and compare.
model = make_pipeline(StandardScaler(), ContractiveAutoencoder(random_state=0))
model.fit(train)
scores = model.score_samples(test)

forest = IsolationForest(random_state=0).fit(train)
scaler = StandardScaler().fit(train)
pca = PCA(n_components=0.9).fit(scaler.transform(train))
scaled = scaler.transform(test)
restored = pca.inverse_transform(pca.transform(scaled))
pca_scores = -np.mean((scaled - restored) ** 2, axis=1)

second = make_pipeline(
    StandardScaler(), ContractiveAutoencoder(contamination=0.1, random_state=10)
)
recipe = [model, second.fit(train), NeighborDistance(model).fit(train)]

print("AUROC, anomalies against unseen benign rows")
for name, its_scores in {
    "ContractiveAutoencoder": scores,
    "the README's recipe": mean_score(recipe, test),
    "IsolationForest": forest.score_samples(test),
    "PCA, 90 % of variance": pca_scores,
}.items():
    print(f"  {name:24} {roc_auc_score(is_anomaly, -its_scores):.3f}")

# %% The threshold comes with the model.
flagged = model.predict(test) == -1
print(f"\nFlagged: {flagged[is_anomaly == 1].mean():.0%} of the malignant rows,")
print(f"         {flagged[is_anomaly == 0].mean():.0%} of the unseen benign ones")

# %% Why: what each column adds to a row's error, in units of a normal row's.
explanation = explain(model, test, unseen)
print("\nThe five most anomalous rows, each with its three worst columns")
worst = test.index[np.argsort(scores)[:5]]
for row in worst:
    reasons = explanation.loc[row].unstack(0)
    reasons = reasons.sort_values("contribution", key=np.abs, ascending=False)
    print(f"\nrow {row}")
    print(reasons.head(3).round(3).to_string())

# %% One picture: the scores with the threshold, and the worst row's columns.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
AnomalyScoresDisplay.from_estimator(
    model, test, np.where(is_anomaly == 1, -1, 1), ax=left
)
contributions = explanation["contribution"].loc[worst[0]]
top = contributions[contributions.abs().nlargest(8).index][::-1]
right.barh(top.index, top, color="#D55E00")
right.set(
    xlabel="contribution, in errors of a median normal row",
    title=f"Row {worst[0]}, the most anomalous",
)
OUTPUT.mkdir(exist_ok=True)
figure.savefig(OUTPUT / "anomaly_detection.png", dpi=150)
print(f"\nSaved {OUTPUT / 'anomaly_detection.png'}")
