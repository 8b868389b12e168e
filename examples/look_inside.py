"""
See what the contraction does
=============================

Three autoencoders learn the digits that scikit-learn ships: without a regulariser, with
a contraction, and from noisy images. This example compares how much their codes change
when an image changes a little, and shows which changes the codes follow.
"""

# %%
# Train three models
# ------------------
# Pixels have one unit, so they need no scaler. All models have one layer and train for
# the same number of epochs.
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcae import ContractiveAutoencoder
from skcae.inspection import jacobian_spectrum, sensitivity
from skcae.plotting import (
    JacobianSpectrumDisplay,
    SensitivityDisplay,
    TangentVectorsDisplay,
)

X, y = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X / 16, random_state=0, stratify=y)
models = {
    name: ContractiveAutoencoder(
        64,
        hidden_layer_sizes=(),
        learning_rate_init=2e-3,
        max_iter=100,
        tol=0,
        n_iter_no_change=100,
        random_state=0,
        **parameters,
    ).fit(X_train)
    for name, parameters in {
        "standard": {"lam": 0},
        "contractive": {"lam": 0.1},
        "denoising": {"lam": 0, "noise_std": 0.3},
    }.items()
}

# %%
# How much does the code change?
# ------------------------------
# Sensitivity is the change of the code over the change of the image. It also falls
# where the code merely shrinks, so the relative sensitivity divides by the spread of
# the code.
table = {name: sensitivity(model, X_test).mean() for name, model in models.items()}
print(pd.DataFrame(table).T.round(3).to_string())

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
SensitivityDisplay.from_estimators(models, X_test, ax=left)
SensitivityDisplay.from_estimators(models, X_test, relative=True, kind="box", ax=right)
figure.savefig("look_inside_sensitivity.png", dpi=150)

# %%
# How many directions does the code follow?
# -----------------------------------------
# The singular values of the encoder's Jacobian say how much the code moves along each
# direction. The contraction keeps few of them.
for name, model in models.items():
    rank = jacobian_spectrum(model, X_test).effective_rank.mean()
    print(f"Effective rank, {name}: {rank:.0f} of 64")

figure, axes = plt.subplots(figsize=(5, 3.8), layout="constrained")
JacobianSpectrumDisplay.from_estimators(models, X_test, ax=axes)
figure.savefig("look_inside_spectrum.png", dpi=150)

# %%
# Which directions?
# -----------------
# The contractive code keeps changes that move a stroke or make it thicker. It contracts
# pixels at the edge, where hardly any image has ink.
images = X_test[:4]
for name, which in (
    ("standard", "kept"),
    ("contractive", "kept"),
    ("contractive", "contracted"),
):
    display = TangentVectorsDisplay.from_estimator(
        models[name], images, 3, which, image_shape=(8, 8)
    )
    display.figure_.suptitle(name)
    display.figure_.savefig(f"look_inside_{name}_{which}.png", dpi=150)
print("\nSaved look_inside_*.png in this folder")
