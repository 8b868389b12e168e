"""Give features to a classifier, with λ searched behind a scaler.

The code of a contractive autoencoder feeds a logistic regression on the digits
that scikit-learn ships, and a grid search picks λ by the classifier's accuracy.
"""

# %%
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

# %% Scale, encode, scale the code, classify.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
pipeline = make_pipeline(
    StandardScaler(),
    ContractiveAutoencoder(
        n_components=128, hidden_layer_sizes=(), max_iter=100, tol=1e-4, random_state=0
    ),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)

# %% λ is a parameter like any other.
search = GridSearchCV(
    pipeline,
    {"contractiveautoencoder__lam": [0, 0.01, 0.1, 1]},
    cv=3,
    n_jobs=2,
)
search.fit(X_train, y_train)
results = zip(
    search.cv_results_["param_contractiveautoencoder__lam"],
    search.cv_results_["mean_test_score"],
    search.cv_results_["std_test_score"],
    strict=True,
)
print("Accuracy by λ, three folds")
for lam, mean, std in results:
    print(f"  lam = {lam:<5} {mean:.3f} +- {std:.3f}")

# %% The best pipeline on rows that no fold has seen, and the classifier alone.
raw = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
raw.fit(X_train, y_train)
best = search.best_params_["contractiveautoencoder__lam"]
print(f"\nHeld-out accuracy with the code (lam = {best}): ", end="")
print(f"{search.score(X_test, y_test):.3f}")
print(f"Held-out accuracy on the raw columns:        {raw.score(X_test, y_test):.3f}")
