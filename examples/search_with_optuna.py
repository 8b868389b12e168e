"""
Search with Optuna, and stop poor trials early
==============================================

Each call of ``partial_fit`` is one pass over the rows. So Optuna can look at a model
after every few passes, and stop what is behind the trials before it. Needs
``pip install optuna``.
"""

# %%
# Say what a trial is
# -------------------
# A trial reports how well its model restores held-out rows from noise, which needs no
# labels. The pruner stops a trial whose score is below the median of the earlier ones
# after as many passes.
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.metrics import denoising_score

X = StandardScaler().fit_transform(load_digits().data)
X_train, X_rest = train_test_split(X, test_size=0.4, random_state=0)
X_validation, X_test = train_test_split(X_rest, test_size=0.5, random_state=0)


def objective(trial):
    model = ContractiveAutoencoder(
        trial.suggest_categorical("n_components", [16, 32, 64]),
        lam=trial.suggest_float("lam", 1e-3, 10, log=True),
        learning_rate_init=trial.suggest_float(
            "learning_rate_init", 1e-4, 1e-2, log=True
        ),
        random_state=0,
    )
    for n_passes in range(1, 21):
        model.partial_fit(X_train)
        if n_passes % 5 == 0:
            score = denoising_score(model, X_validation)
            trial.report(score, n_passes)
            if trial.should_prune():
                raise optuna.TrialPruned
    return score


# %%
# Search
# ------
# ``study.optimize(..., n_jobs=2)`` would run two trials at once, in threads: fits in
# threads neither disturb each other nor change what other threads see. The order of
# trials, and so the search, would then change from run to run.
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
)
study.optimize(objective, n_trials=20)
states = [trial.state.name for trial in study.trials]
print(f"{states.count('PRUNED')} of {len(states)} trials were stopped early")
print("Best:", {name: round(value, 4) for name, value in study.best_params.items()})

# %%
# Fit the best, and compare
# -------------------------
# ``fit`` takes the parameters that the search has found.
print("\nError on rows that no model has seen, from noise")
for name, parameters in {"default": {}, "found": study.best_params}.items():
    model = ContractiveAutoencoder(random_state=0, **parameters).fit(X_train)
    print(f"  {name:8} {-denoising_score(model, X_test):.3f}")
