"""What codes are worth to a linear model on labelled tables."""

import tempfile

from joblib import Memory
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder

METHODS = ("raw", "PCA", "AE", "CAE")


def _search(method, seed, memory):
    """Steps between the scaler and the linear model, and what to search over."""
    encode, grid = "passthrough", {}
    if method == "PCA":
        encode, grid = PCA(), {"encode__n_components": [0.8, 0.9, 0.99]}
    elif method in ("AE", "CAE"):
        encode = ContractiveAutoencoder(64, lam=0, contamination=0.1, random_state=seed)
        if method == "CAE":
            grid = {"encode__lam": [0.01, 0.1, 1]}
    model = Pipeline(
        [
            ("scale", StandardScaler()),
            ("encode", encode),
            ("classify", LogisticRegression(max_iter=5000, class_weight="balanced")),
        ],
        memory=memory,
    )
    grid["classify__C"] = [0.01, 0.1, 1, 10]
    return GridSearchCV(
        model,
        grid,
        scoring="balanced_accuracy",
        cv=StratifiedKFold(3, shuffle=True, random_state=seed),
    )


def nested_scores(X, y, method, seed):
    """Balanced accuracy on five outer folds, parameters chosen within each.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    method : {"raw", "PCA", "AE", "CAE"}
    seed : int

    Returns
    -------
    dict
        "balanced accuracy", in percent, and "chosen", both a list with an entry a fold.
    """
    scores, choices = [], []
    with tempfile.TemporaryDirectory() as folder:
        search = _search(method, seed, Memory(folder, verbose=0))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        for train, test in folds.split(X, y):
            search.fit(X[train], y[train])
            found = search.predict(X[test])
            scores.append(100 * balanced_accuracy_score(y[test], found))
            choices.append(search.best_params_)
    return {"balanced accuracy": scores, "chosen": choices}
