"""Choose λ without labels, by how well held-out rows are restored from noise.

Reconstruction error cannot choose λ, because it prefers none. The denoising score
can; the rule of one standard error then takes the most contractive candidate that
is about as good as the best. Five splits of the digits show how much it varies.
"""

# %%
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.metrics import (
    contraction_score,
    denoising_score,
    largest_lam_within_one_standard_error,
    reconstruction_score,
)

X, _ = load_digits(return_X_y=True)
LAM = "contractiveautoencoder__lam"

# %% One search for each split; the noise of the score is half a standard deviation.
rows, curves = [], []
for seed in range(5):
    train, held_out = train_test_split(X, random_state=seed)
    model = make_pipeline(
        StandardScaler(),
        ContractiveAutoencoder(
            64, hidden_layer_sizes=(), max_iter=100, tol=1e-4, random_state=seed
        ),
    )
    search = GridSearchCV(
        model,
        {LAM: [0, 0.03, 0.1, 0.3, 1, 3]},
        cv=3,
        scoring={
            "denoising": denoising_score,
            "reconstruction": reconstruction_score,
            "contraction": contraction_score,
        },
        refit=partial(largest_lam_within_one_standard_error, metric="denoising"),
        n_jobs=2,
    )
    search.fit(train)
    plain = clone(model).set_params(**{LAM: 0}).fit(train)
    rows.append(
        {
            "chosen lam": search.best_params_[LAM],
            "error from noise, chosen": -denoising_score(
                search.best_estimator_, held_out
            ),
            "error from noise, lam = 0": -denoising_score(plain, held_out),
        }
    )
    table = pd.DataFrame(search.cv_results_).set_index(f"param_{LAM}")
    curves.append(-table.filter(regex="^mean_test_"))

# %% What the scores say by λ, averaged over the splits.
curves = pd.concat(curves).groupby(level=0).mean()
curves.index = pd.Index(curves.index.astype(float), name="lam")
curves.columns = curves.columns.str.removeprefix("mean_test_")
print("Cross-validated means (errors, and the squared norm of the Jacobian)")
print(curves.round(3).to_string())

# %% And the chosen models, on rows that no search has seen.
results = pd.DataFrame(rows).rename_axis("seed")
print("\nHeld-out rows")
print(results.round(3).to_string())
ratio = results["error from noise, chosen"] / results["error from noise, lam = 0"]
print(f"\nError from noise, chosen over lam = 0: {ratio.mean():.2f} ", end="")
print(f"(standard deviation {np.std(ratio, ddof=1):.2f} over five seeds)")
