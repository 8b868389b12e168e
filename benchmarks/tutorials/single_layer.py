"""
The closed form of one layer
============================

Whether the penalty of one sigmoid layer is right in closed form, and contracts.

For one layer of sigmoids the squared norm of the Jacobian at a row has a closed form,
``sum_j (h_j (1 - h_j))² |W_j|²``. A well-known tutorial derives it and trains 64 units
with λ = 1e-4. First the formula is compared with automatic differentiation. Then the
tutorial's loss, which puts the weights into the formula as a constant, those before
training, is compared with one that does what the formula says, and with the estimator.

It takes one minute::

    python -m benchmarks.tutorials.single_layer
"""

from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks._data import digits
from benchmarks._report import setting, spreads, write
from benchmarks._rivals import fixed
from benchmarks.tutorials._shared import options
from skcae import ContractiveAutoencoder

K = 64
LAMBDAS = (0, 1e-4, 1e-2)


def estimator(X, lam, epochs, seed):
    """The tutorial's network; its λ stands beside an error that is averaged over d."""
    return ContractiveAutoencoder(
        K,
        hidden_layer_sizes=(),
        activation="sigmoid",
        tied_weights=False,
        lam=lam * X.shape[1],
        batch_size=84,
        random_state=seed,
        **fixed(epochs),
    ).fit(X)


def closed_form(codes, weight):
    """Squared norm of the Jacobian, of sigmoids with weights of shape (d, k)."""
    return (codes * (1 - codes)) ** 2 @ (weight**2).sum(axis=0)


def check(model, X):
    """Largest relative differences from automatic differentiation, unit by unit."""
    W, b = model.coefs_[0], model.intercepts_[0]

    def encoder(row):
        return torch.sigmoid(row @ torch.from_numpy(W) + torch.from_numpy(b))

    jacobian = torch.autograd.functional.jacobian
    by_autograd = np.array(
        [jacobian(encoder, row).square().sum() for row in torch.from_numpy(X)]
    )
    for name, norms in {
        "the tutorial's formula": closed_form(model.transform(X), W),
        "contraction(X)": model.contraction(X),
        "jacobian(X), squared and summed": np.square(model.jacobian(X)).sum((1, 2)),
    }.items():
        yield name, np.abs(norms / by_autograd - 1).max()


def loop(X, X_test, lam, epochs, seed, frozen):
    """The tutorial's loop: squared norm of J, and error, of held-out rows."""
    torch.manual_seed(seed)
    d = X.shape[1]
    encoder, decoder = nn.Linear(d, K), nn.Linear(K, d)
    for layer in (encoder, decoder):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
    rows, held_out = (torch.tensor(part, dtype=torch.float32) for part in (X, X_test))
    constant = encoder.weight.detach().clone()
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows))].split(84):
            codes = torch.sigmoid(encoder(batch))
            weight = constant if frozen else encoder.weight
            penalty = closed_form(codes, weight.T).mean()
            loss = (decoder(codes) - batch).square().mean() + lam * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        codes = torch.sigmoid(encoder(held_out))
        norm = closed_form(codes, encoder.weight.T).mean()
        return float(norm), float((decoder(codes) - held_out).square().mean())


def main():
    """Compare formulas, then losses; print and write."""
    chosen = options(__doc__, n_seeds=3)
    X, X_test, *_ = digits(chosen.data, n_test=500)
    epochs = 60 if chosen.data is None else 10
    torch.set_num_threads(1)
    conditions = setting(data=chosen.data, seeds=chosen.seeds)
    print("Largest relative difference from automatic differentiation")
    for name, difference in check(estimator(X, 1e-4, epochs, 0), X_test):
        print(f"  {name:32} {difference:.1e}")

    def ours(lam, seed):
        model = estimator(X, lam, epochs, seed)
        return model.contraction(X_test).mean(), -model.score(X_test)

    ways = {
        "loop, weights as constants": lambda *run: loop(X, X_test, *run, True),
        "loop, weights as they are": lambda *run: loop(X, X_test, *run, False),
        "estimator": lambda lam, epochs, seed: ours(lam, seed),
    }
    records = []
    for lam, way, seed in product(LAMBDAS, ways, range(chosen.seeds)):
        norm, error = ways[way](lam, epochs, seed)
        record = {"λ": lam, "training": way, "squared norm of J": norm}
        records.append(record | {"error": error / X_test.var(axis=0).mean()})
    write(chosen.out, conditions, records)
    groups = pd.DataFrame(records).groupby(["λ", "training"], sort=False)
    print(f"\nHeld-out rows\n{spreads(groups, '.3f').to_string()}")


if __name__ == "__main__":
    main()
