"""
Search by halving over the epochs
=================================

``HalvingGridSearchCV`` gives every candidate a few epochs, keeps the better third, and
gives these three times as many, until one is left. With ``resource="max_iter"`` a large
grid costs about as much as two or three whole fits.
"""

# %%
# Search
# ------
# The score is how well held-out rows come back from noise, which needs no labels.
# Fits of few epochs have not converged, and say so; here that is meant.
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.metrics import denoising_score

warnings.simplefilter("ignore", ConvergenceWarning)
X, _ = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, random_state=0)
model = make_pipeline(StandardScaler(), ContractiveAutoencoder(random_state=0))
search = HalvingGridSearchCV(
    model,
    {
        "contractiveautoencoder__lam": [0.01, 0.1, 1],
        "contractiveautoencoder__n_components": [16, 32, 64],
    },
    resource="contractiveautoencoder__max_iter",
    min_resources=5,
    max_resources=45,
    scoring=denoising_score,
    cv=3,
).fit(X_train)

# %%
# See what it did
# ---------------
# Each round has a third of the candidates of the one before, and three times its
# epochs.
for epochs, candidates in zip(search.n_resources_, search.n_candidates_, strict=True):
    print(f"{candidates:2} candidates with {epochs} epochs each")
best = {name.split("__")[1]: value for name, value in search.best_params_.items()}
print("Best:", best)
print(f"Error on held-out images, from noise: {-search.score(X_test):.3f}")
