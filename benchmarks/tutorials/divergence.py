"""When does training with a contraction diverge, and what helps?

A tutorial warns that a contraction's gradient can overwhelm the reconstruction's, and
blames high learning rates and poor initial weights. It advises λ that rises, clipping
and weight decay. First comes its own network in a plain loop, on scikit-learn's digits;
then the same network in our estimator, with each of the three alone.

The plain loop, five seeds, errors as shares of the variance:

- At the tutorial's settings (Adam at 0.001, pixels in [0, 1], λ = 0.1) nothing
  diverges. It is slowed down: after 15 epochs the error is 0.949 ± 0.012, next to
  0.275 ± 0.016 without λ. Its code takes the mean of the penalty over the units of the
  code, too, which makes λ 32 times smaller; then it is 0.535 ± 0.025.
- It does diverge as described, where all comes together: with λ, SGD at a rate of 3 and
  initial encoder weights three times too large, 5 of 5 runs end in nan, and without λ
  none. There a warm-up helps, and so does tight clipping: both stay finite, though at
  the column means. Clipping each entry to 5, as in the tutorial, is too loose: nothing
  is nan, but the squared norm of the Jacobian is 4e11. A weight decay of 0.0001 changes
  nothing. (In the tutorial's code it could not: a custom training step has to add the
  regularisers' losses itself, and that one does not.)
- Pixels from 0 to 255 diverge as well, but without λ just the same. λ has units: next
  to errors that are 65025 times larger it is nothing.

Our estimator, lam = 6.4 = 0.1 d, 15 epochs, no run ends in nan. The objective in units
of the variance, by learning rate:

- 0.001: clipping matters. 0.804 ± 0.011 with it, 2.27 ± 0.04 with nothing, 1.76 ± 0.04
  with a warm-up. The likely reason is that Adam remembers squared gradients for about a
  thousand steps: large ones at the start make the steps after them small.
- 0.01: nothing is needed, 0.477 ± 0.017, and none of the three lowers that. The epochs
  of a warm-up are missing at the end: 0.584 ± 0.061.
- 0.1: the warm-up matters, 0.532 ± 0.019. With nothing, 2 of 5 runs collapse to the
  column means; with clipping alone, 5 of 5. These are runs in which all ReLU units of
  the decoder are off, for every row, and such units do not come back. With a warm-up
  the rate is found to be too high while λ is still small: one epoch is undone, and
  training goes on at 0.01.
- Weight decay of 0.01 makes no difference beyond the spread at any rate. All three
  together end within 1.3 times the best objective at every rate, and never collapse.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from _data import OUTPUT, folder_of_mnist, load
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skcae import ContractiveAutoencoder
from skcae.plotting import TrainingCurvesDisplay

FOLDER = folder_of_mnist(__doc__)
N_SEEDS = 5 if FOLDER is None else 2
X = load(FOLDER)[0]
D, K, EPOCHS, LAM = X.shape[1], 32, 15, 0.1
torch.set_num_threads(1)


# %% The tutorial's network and loop, in PyTorch: d-128 ReLU-32 linear, a sigmoid
# output, Glorot's weights, rows in the same order in every epoch, and the squared error
# averaged over columns next to a penalty that is summed.
def train_plainly(
    X,
    seed,
    *,
    lam=LAM,
    rate=1e-3,
    adam=True,
    scale=1,
    output=nn.Sigmoid,
    warmup=0,
    clip=None,
    weight_decay=0,
):
    """Both terms and the gradient's norm, mean over the steps of each epoch.

    The encoder's first weights are Glorot's times ``scale``; λ rises over ``warmup``
    epochs; each entry of the gradient is clipped to ``clip``.
    """
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(D, 128), nn.ReLU(), nn.Linear(128, K))
    decoder = nn.Sequential(nn.Linear(K, 128), nn.ReLU(), nn.Linear(128, D), output())
    for layer in (encoder[0], encoder[2], decoder[0], decoder[2]):
        nn.init.xavier_uniform_(layer.weight, gain=scale if layer in encoder else 1)
        nn.init.zeros_(layer.bias)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = (torch.optim.Adam if adam else torch.optim.SGD)(
        parameters, lr=rate, weight_decay=weight_decay
    )
    rows, history = torch.tensor(X, dtype=torch.float32), []
    for epoch in range(EPOCHS):
        steps = []
        for batch in rows.split(128):
            hidden = encoder[0](batch)
            slopes = (hidden > 0).float()
            # of two layers, the upper linear, with W, V: sᵀ (VᵀV * WWᵀ) s, s the slopes
            first, second = encoder[0].weight, encoder[2].weight
            products = (second.T @ second) * (first @ first.T)
            penalty = (slopes @ products * slopes).sum(dim=1).mean()
            error = (decoder(encoder(batch)) - batch).square().mean()
            ramp = min(1, epoch / warmup) if warmup else 1
            optimizer.zero_grad()
            (error + lam * ramp * penalty).backward()
            norm = torch.sqrt(sum(p.grad.square().sum() for p in parameters))
            if clip is not None:
                nn.utils.clip_grad_value_(parameters, clip)
            optimizer.step()
            steps.append([error.item(), penalty.item(), norm.item()])
        history.append(np.mean(steps, axis=0))
        if not np.isfinite(history[-1]).all():
            break
    return np.array(history)


# %% First what the tutorial runs; then what it warns of, one thing at a time. Its code
# takes the mean of the penalty over the 32 units of the code as well, so that its
# λ = 0.1 is 0.1 / 32 of the summed norm; its text means the sum.
BAD = {"adam": False, "rate": 3, "scale": 3}
RUNS = {
    "as in the tutorial, without λ": {"lam": 0},
    "as in the tutorial, as its code computes it": {"lam": LAM / K},
    "as in the tutorial, as it is written": {},
    "Adam, rate 0.1, without λ": {"lam": 0, "rate": 0.1},
    "Adam, rate 0.1": {"rate": 0.1},
    "SGD, rate 3, without λ": {"lam": 0, "adam": False, "rate": 3},
    "SGD, rate 3": {"adam": False, "rate": 3},
    "SGD, rate 3, weights x 3, without λ": {"lam": 0} | BAD,
    "SGD, rate 3, weights x 3": BAD,
    "... with a warm-up of 5 epochs": BAD | {"warmup": 5},
    "... with gradients clipped to 5": BAD | {"clip": 5},
    "... with gradients clipped to 0.05": BAD | {"clip": 0.05},
    "... with a weight decay of 0.0001": BAD | {"weight_decay": 1e-4},
    "pixels 0 to 255, SGD 0.01, without λ": {"lam": 0, "adam": False, "rate": 0.01},
    "pixels 0 to 255, SGD 0.01": {"adam": False, "rate": 0.01},
}


def cell(values):
    values = np.asarray(values)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return "nan"
    spread = f" ± {finite.std(ddof=1):.2g}" if len(finite) > 1 else ""
    return f"{finite.mean():.3g}{spread}"


print(f"A plain loop, λ = {LAM}, {EPOCHS} epochs, {N_SEEDS} seeds; the error of the")
print("last epoch as a share of the variance: 1 is the column means\n")
print("| run | error | squared norm of J | largest gradient norm | runs to nan |")
print("|---|---|---|---|---|")
for name, settings in RUNS.items():
    rows, settings = X, dict(settings)
    if name.startswith("pixels"):
        rows, settings["output"] = 255 * X, nn.Identity
    runs = [train_plainly(rows, seed, **settings) for seed in range(N_SEEDS)]
    failed = [not np.isfinite(run).all() for run in runs]
    error = cell([run[-1, 0] / rows.var(axis=0).mean() for run in runs])
    norm, gradient = cell([r[-1, 1] for r in runs]), cell([r[:, 2].max() for r in runs])
    print(f"| {name} | {error} | {norm} | {gradient} | {sum(failed)} |")

# %% The same network in our estimator, λ as it is written, with nothing that
# stabilises, with one thing at a time, and with all. What is always on is that an
# exploded epoch is undone and tried again with a tenth of the learning rate, and
# that one which ends worse than the column means halves it.
OFF = {"lam_warmup": 0, "max_grad_norm": None, "weight_decay": 0}
GUARDS = {
    "nothing": OFF,
    "warm-up": OFF | {"lam_warmup": 5},
    "clipping": OFF | {"max_grad_norm": 1.0},
    "weight decay": OFF | {"weight_decay": 0.01},
    "all three": {"lam_warmup": 5, "max_grad_norm": 1.0, "weight_decay": 0.01},
}


def units_off(model):
    """Share of the decoder's ReLU units that are 0 at every training row."""
    hidden = model.transform(X) @ model.coefs_[2] + model.intercepts_[2]
    return np.mean(hidden.max(axis=0) <= 0)


def reductions(history, rate):
    """How often an epoch was undone, and how often the rate was halved."""
    steps = np.array([rate, *history["learning_rate"]])
    ratios = steps[1:] / steps[:-1]
    undone = np.floor(-np.log10(ratios) + 1e-6)
    return undone.sum(), np.log2(10**-undone / ratios).round().sum()


unit, records, curves = X.var(axis=0).mean(), [], {}
for rate in (1e-3, 1e-2, 1e-1):
    for guard, settings in GUARDS.items():
        for seed in range(N_SEEDS):
            model = ContractiveAutoencoder(
                K,
                hidden_layer_sizes=(128,),
                activation="relu",
                code_activation="identity",
                output_activation="sigmoid",
                tied_weights=False,
                lam=LAM * D,
                learning_rate_init=rate,
                batch_size=128,
                max_iter=EPOCHS,
                tol=0,
                n_iter_no_change=EPOCHS,
                random_state=seed,
                **settings,
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                model.fit(X)
            history = pd.DataFrame(model.history_)
            curves[rate, guard] = history
            last = history.iloc[-1]
            undone, halved = reductions(model.history_, rate)
            records.append(
                {
                    "rate": rate,
                    "guard": guard,
                    "objective": last["loss"] / unit,
                    "error": last["reconstruction"] / unit,
                    "lam x squared norm of J": last["lam"] * last["penalty"] / unit,
                    "largest gradient norm": history["grad_norm"].max(),
                    "weight norm": last["weight_norm"],
                    "epochs undone": undone,
                    "rate halved": halved,
                    "units off": units_off(model),
                    "collapsed": len(caught),
                }
            )
print(f"\nOur estimator, lam = {LAM} d = {LAM * D:g}; the terms of the last epoch in")
print("units of the variance, the gradient's norm before clipping\n")
table = pd.DataFrame(records).groupby(["rate", "guard"], sort=False)
columns = list(table.mean().columns)
print(f"| rate | guard | {' | '.join(columns)} |")
print("|---" * (2 + len(columns)) + "|")
for (rate, guard), group in table:
    cells = [cell(group[column]) for column in columns[:-1]]
    cells.append(f"{group['collapsed'].sum()} of {N_SEEDS}")
    print(f"| {rate} | {guard} | {' | '.join(cells)} |")

# %% Both terms by epoch, of the last seed.
colors = ["black", "#0072B2", "#D55E00", "#CC79A7", "#009E73"]
figure, axes = plt.subplots(2, 2, figsize=(9, 5.5), layout="constrained", sharex=True)
for column, rate in zip(axes.T, (1e-3, 1e-1), strict=True):
    for guard, color in zip(GUARDS, colors, strict=True):
        dashes = "--" if guard == "weight decay" else "-"  # it hides "nothing"
        history = curves[rate, guard]
        style = {"color": color, "label": guard, "marker": ".", "linestyle": dashes}
        epochs = range(1, EPOCHS + 1)
        column[0].plot(epochs, history["reconstruction"] / unit, **style)
        column[1].plot(epochs, history["penalty"] * D, **style)
    column[0].set(title=f"learning rate {rate:g}", ylim=(0, 1.5))
    column[1].set(yscale="log", xlabel="epoch")
axes[0, 0].set_ylabel("error, share of variance")
axes[1, 0].set_ylabel("squared norm of the Jacobian")
axes[0, 1].legend(fontsize="small", ncols=2)
OUTPUT.mkdir(exist_ok=True)
figure.savefig(OUTPUT / "divergence.png", dpi=150)

# %% What one looks at in training: all three, at the highest rate, in the last run.
TrainingCurvesDisplay.from_estimator(model).figure_.savefig(
    OUTPUT / "training_curves.png", dpi=150
)
print(f"\nSaved two pictures in {OUTPUT}")
