"""
Give features to a classifier
=============================

The code of a contractive autoencoder feeds a logistic regression on the digits that
scikit-learn ships. A grid search chooses λ, the weight of the contraction, by the
accuracy of the classifier.
"""

# %%
# Build a Pipeline
# ----------------
# A code for features has 64 units or more. One layer suffices here, and trains fast.
# The pixels have one unit; other columns need a scaler before the autoencoder.
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, random_state=0, stratify=y
)
pipeline = make_pipeline(
    ContractiveAutoencoder(
        64, hidden_layer_sizes=(), tol=1e-4, max_iter=100, random_state=0
    ),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)

# %%
# Search over λ
# -------------
# λ is a parameter like any other; 0 is an autoencoder without contraction.
LAM = "contractiveautoencoder__lam"
search = GridSearchCV(pipeline, {LAM: [0, 0.01, 0.1, 1]}, cv=3, n_jobs=2).fit(
    X_train, y_train
)
results = pd.DataFrame(search.cv_results_).set_index(f"param_{LAM}").rename_axis("λ")
print("Accuracy over three folds")
print(results[["mean_test_score", "std_test_score"]].round(3).to_string())

# %%
# Compare on held-out images
# --------------------------
# The rivals are the same Pipeline with λ = 0, and the classifier on the pixels alone.
# The contraction helps most where the rows to classify are noisier than the rows to
# learn from: a code that changes little when the row changes little hides the noise.
plain = pipeline.set_params(**{LAM: 0}).fit(X_train, y_train)
pixels = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
pixels.fit(X_train, y_train)
noise = np.random.default_rng(0).normal(scale=0.3, size=X_test.shape)
print("\nAccuracy on held-out images, and on the same images with noise")
for name, model in {
    f"contractive, λ = {search.best_params_[LAM]}": search,
    "autoencoder, λ = 0": plain,
    "pixels": pixels,
}.items():
    clean, noisy = (model.score(rows, y_test) for rows in (X_test, X_test + noise))
    print(f"  {name:22}{clean:.3f} {noisy:.3f}")
