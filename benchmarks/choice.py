"""What λ is chosen without labels, and what that is worth on held-out rows.

One layer of 64 units on the digits behind a scaler: six λ, three folds, the denoising
score and the rule of one standard error. The chosen model and one with λ = 0 then
restore rows that no search has seen.

    python -m benchmarks.choice            five splits, about two minutes
    python -m benchmarks.choice --quick    one split
    python -m benchmarks.choice --out F    as JSON, too
"""

import numpy as np
from scipy.stats import sem
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import each_seed
from skcae import ContractiveAutoencoder
from skcae.metrics import denoising_score, largest_lam_within_one_standard_error

LAM = "contractiveautoencoder__lam"
LAMS = [0, 0.03, 0.1, 0.3, 1, 3]


def choose(seed):
    """The choice on one split, and the error from noise of both models."""
    X, _ = load_digits(return_X_y=True)
    train, held_out = train_test_split(X, random_state=seed)
    model = make_pipeline(
        StandardScaler(),
        ContractiveAutoencoder(
            64, hidden_layer_sizes=(), max_iter=100, tol=1e-4, random_state=seed
        ),
    )
    search = GridSearchCV(
        model,
        {LAM: LAMS},
        cv=3,
        scoring=denoising_score,
        refit=largest_lam_within_one_standard_error,
        n_jobs=2,
    ).fit(train)
    plain = clone(model).set_params(**{LAM: 0}).fit(train)
    errors = [-denoising_score(m, held_out) for m in (search.best_estimator_, plain)]
    return {
        "chosen lam": search.best_params_[LAM],
        "its error from noise": errors[0],
        "that of lam = 0": errors[1],
        "ratio": errors[0] / errors[1],
    }


def main():
    """Print one line a split, and the mean ratio of errors."""
    ratios = [row["ratio"] for row in each_seed(__doc__, choose, n_seeds=5)]
    if len(ratios) > 1:
        print(f"mean ratio {np.mean(ratios):.2f}, standard error {sem(ratios):.2f}")


if __name__ == "__main__":
    main()
