"""What a warm-started path over λ costs next to a grid search, and what it chooses.

One layer of 64 units on the digits behind a scaler: ten λ, five folds, the same scorer
and the same rule.

    python -m benchmarks.path            three seeds, about three minutes
    python -m benchmarks.path --quick    one seed, one minute
    python -m benchmarks.path --out F    as JSON, too
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import each_seed, seconds
from skcae import ContractiveAutoencoder
from skcae.inspection import lambda_path
from skcae.metrics import denoising_score, largest_lam_within_one_standard_error

LAMS = np.geomspace(0.01, 3, 10)


def compare(seed):
    """Seconds and choice of both."""
    X, _ = load_digits(return_X_y=True)
    model = make_pipeline(
        StandardScaler(),
        ContractiveAutoencoder(64, hidden_layer_sizes=(), tol=1e-4, random_state=seed),
    )
    grid = {"contractiveautoencoder__lam": LAMS}
    search = GridSearchCV(model, grid, scoring=denoising_score, refit=False)
    chosen = {}

    def follow():
        chosen["path"] = lambda_path(model, X, LAMS).best_lam

    def find():
        results = search.fit(X).cv_results_
        best = largest_lam_within_one_standard_error(results)
        chosen["search"] = float(LAMS[best])

    ours, rival = seconds(follow), seconds(find)
    return {
        "path, s": ours,
        "search, s": rival,
        "ratio": ours / rival,
        "path's lam": chosen["path"],
        "search's lam": chosen["search"],
    }


if __name__ == "__main__":
    each_seed(__doc__, compare, n_seeds=3)
