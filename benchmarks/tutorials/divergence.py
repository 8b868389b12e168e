"""
When training diverges
======================

When training with a contraction diverges, and what helps.

A tutorial warns that a contraction's gradient can overwhelm the reconstruction's, and
blames high learning rates and poor initial weights. It advises λ that rises, clipping
and weight decay. First comes its own network in a plain loop, then the same network in
the estimator, with each of the three alone.

It takes two minutes::

    python -m benchmarks.tutorials.divergence

Errors and objectives are shares of the variance: 1 is the column means. The tutorial's
code takes the mean of the penalty over the units of the code as well, so that its
λ = 0.1 is 0.1 / 32 of the summed norm; its text means the sum. In the estimator an
epoch that explodes is always undone and tried again with a tenth of the learning rate,
and an epoch that ends worse than the column means halves it.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks._data import digits
from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import collapses, options, save
from skcae import ContractiveAutoencoder
from skcae.plotting import TrainingCurvesDisplay

K, EPOCHS, LAM = 32, 15, 0.1
BAD = {"adam": False, "rate": 3, "scale": 3}
PLAIN = {
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
OFF = {"lam_warmup": 0, "max_grad_norm": None, "weight_decay": 0}
GUARDS = {
    "nothing": OFF,
    "warm-up": OFF | {"lam_warmup": 5},
    "clipping": OFF | {"max_grad_norm": 1.0},
    "weight decay": OFF | {"weight_decay": 0.01},
    "all three": {"lam_warmup": 5, "max_grad_norm": 1.0, "weight_decay": 0.01},
}
RATES = (1e-3, 1e-2, 1e-1)


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

    The tutorial's network and loop: d-128 ReLU-32 linear, a sigmoid output, Glorot's
    weights, rows in the same order in every epoch, and the squared error averaged over
    columns beside a penalty that is summed. The encoder's first weights are Glorot's
    times ``scale``; λ rises over ``warmup`` epochs; each entry of the gradient is
    clipped to ``clip``.
    """
    torch.manual_seed(seed)
    d = X.shape[1]
    encoder = nn.Sequential(nn.Linear(d, 128), nn.ReLU(), nn.Linear(128, K))
    decoder = nn.Sequential(nn.Linear(K, 128), nn.ReLU(), nn.Linear(128, d), output())
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


def plainly(X, name, seed):
    """One record of the plain loop; figures that are not finite are missing."""
    settings = dict(PLAIN[name])
    if name.startswith("pixels"):
        X, settings["output"] = 255 * X, nn.Identity
    history = train_plainly(X, seed, **settings)
    failed = not np.isfinite(history).all()
    figures = {
        "error": history[-1, 0] / X.var(axis=0).mean(),
        "squared norm of J": history[-1, 1],
        "largest gradient norm": history[:, 2].max(),
    }
    figures = {
        key: value if np.isfinite(value) else np.nan for key, value in figures.items()
    }
    return {"run": name} | figures | {"ends in nan": float(failed)}


def ours(X, rate, guard, seed):
    """The same network in the estimator, and whether it collapsed."""
    model = ContractiveAutoencoder(
        K,
        hidden_layer_sizes=(128,),
        activation="relu",
        code_activation="identity",
        output_activation="sigmoid",
        tied_weights=False,
        lam=LAM * X.shape[1],
        learning_rate_init=rate,
        batch_size=128,
        random_state=seed,
        **fixed(EPOCHS),
        **GUARDS[guard],
    )
    return model, collapses(model, X)


def reductions(model):
    """How often an epoch was undone, and how often the rate was halved."""
    steps = np.array([model.learning_rate_init, *model.history_["learning_rate"]])
    ratios = steps[1:] / steps[:-1]
    undone = np.floor(-np.log10(ratios) + 1e-6)
    return undone.sum(), np.log2(10**-undone / ratios).round().sum()


def measure(model, X):
    """Of the last epoch; gradients before clipping."""
    history, unit = pd.DataFrame(model.history_), X.var(axis=0).mean()
    last, (undone, halved) = history.iloc[-1], reductions(model)
    hidden = model.transform(X) @ model.coefs_[2] + model.intercepts_[2]
    return {
        "objective": last["loss"] / unit,
        "error": last["reconstruction"] / unit,
        "λ x squared norm of J": last["lam"] * last["penalty"] / unit,
        "largest gradient norm": history["grad_norm"].max(),
        "weight norm": last["weight_norm"],
        "epochs undone": undone,
        "rate halved": halved,
        # ReLU units of the decoder that are 0 at every row
        "units off": np.mean(hidden.max(axis=0) <= 0),
    }


def draw(models, X):
    """Both terms by epoch, at the lowest and at the highest rate."""
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 5.5), layout="constrained", sharex=True
    )
    colors = ["black", "#0072B2", "#D55E00", "#CC79A7", "#009E73"]
    for column, rate in zip(axes.T, (RATES[0], RATES[-1]), strict=True):
        for guard, color in zip(GUARDS, colors, strict=True):
            dashes = "--" if guard == "weight decay" else "-"  # it hides "nothing"
            history = models[rate, guard].history_
            style = {"color": color, "label": guard, "marker": ".", "linestyle": dashes}
            error = np.divide(history["reconstruction"], X.var(axis=0).mean())
            column[0].plot(range(1, EPOCHS + 1), error, **style)
            norm = np.multiply(history["penalty"], X.shape[1])
            column[1].plot(range(1, EPOCHS + 1), norm, **style)
        column[0].set(title=f"learning rate {rate:g}", ylim=(0, 1.5))
        column[1].set(yscale="log", xlabel="epoch")
    axes[0, 0].set_ylabel("error, share of variance")
    axes[1, 0].set_ylabel("squared norm of the Jacobian")
    axes[0, 1].legend(fontsize="small", ncols=2)
    return figure


def main():
    """Train in the plain loop, then in the estimator; print and write."""
    chosen = options(__doc__, n_seeds=5)
    X, *_ = digits(chosen.data)
    torch.set_num_threads(1)
    conditions = setting(data=chosen.data, seeds=chosen.seeds)
    seeds = range(chosen.seeds)
    plain = [plainly(X, name, seed) for name, seed in product(PLAIN, seeds)]
    print(f"A plain loop, λ = {LAM}, the last of {EPOCHS} epochs")
    print(spreads(pd.DataFrame(plain).groupby("run", sort=False), ".3g").to_string())
    models, records = {}, []
    for rate, guard, seed in product(RATES, GUARDS, seeds):
        model, collapsed = ours(X, rate, guard, seed)
        models[rate, guard] = model
        record = {"rate": rate, "guard": guard} | measure(model, X)
        records.append(record | {"collapsed": float(collapsed)})
    write(chosen.out, conditions, plain + records)
    groups = pd.DataFrame(records).groupby(["rate", "guard"], sort=False)
    print(f"\nThe estimator, lam = {LAM} d = {LAM * X.shape[1]:g}")
    print(spreads(groups, ".3g").T.to_string())
    if chosen.pictures:
        save(draw(models, X), chosen.pictures, "divergence")
        curves = TrainingCurvesDisplay.from_estimator(models[RATES[-1], "all three"])
        save(curves.figure_, chosen.pictures, "training_curves")


if __name__ == "__main__":
    main()
