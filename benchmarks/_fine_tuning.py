"""A classifier in plain PyTorch whose first layers may come from encoders."""

import torch
from torch import nn

BATCH = 100
_ROWS_AT_ONCE = 5000


def network(encoders, n_classes):
    """Encoders one upon the other, and a softmax above that knows nothing yet.

    Parameters
    ----------
    encoders : list of (coef, intercept) or of (n_in, n_out)
        Trained weights as in ``coefs_`` and ``intercepts_``, or the sizes of a layer
        that starts at random.

    Returns
    -------
    nn.Sequential
        Sigmoid layers; its outputs are logits.
    """
    layers = []
    for first, second in encoders:
        trained = not isinstance(first, int)
        n_in, n_out = first.shape if trained else (first, second)
        linear = nn.Linear(n_in, n_out)
        with torch.no_grad():
            if trained:
                linear.weight.copy_(torch.from_numpy(first.T))
                linear.bias.copy_(torch.from_numpy(second))
            else:  # Glorot & Bengio (2010), for sigmoids
                nn.init.xavier_uniform_(linear.weight, gain=4)
                nn.init.zeros_(linear.bias)
        layers += [linear, nn.Sigmoid()]
    top = nn.Linear(n_out, n_classes)
    nn.init.zeros_(top.weight)
    nn.init.zeros_(top.bias)
    return nn.Sequential(*layers, top)


def fine_tune(
    encoders,
    X,
    y,
    *,
    rate,
    epochs,
    noise_std=0.0,
    tangents=None,
    tangent_weight=0.0,
    seed=0,
    device="cpu",
):
    """Train all layers by Adam, its rate falling to 0 along a cosine.

    Parameters
    ----------
    encoders : list
        See network.
    X : ndarray of shape (n, d), float32
    y : ndarray of shape (n,), int
    rate : float
        Adam's learning rate at the start.
    noise_std : float
        Standard deviation of Gaussian noise on the rows.
    tangents : ndarray of shape (n, m, d), float32, optional
        Directions along which a row keeps its class.
    tangent_weight : float
        Weight of the summed squares of the logits' derivatives along the tangents
        (tangent propagation, Simard et al. 1992), estimated with one random
        combination of a row's tangents a step.

    Returns
    -------
    nn.Sequential
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(encoders, int(y.max()) + 1).to(device)
    generator = torch.Generator().manual_seed(seed)
    X, y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    if tangents is not None:
        tangents = torch.from_numpy(tangents).to(device)
    # fused: the step would else take as long as the gradient
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    n_steps = epochs * -(-len(X) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(epochs):
        order = torch.randperm(len(X), generator=generator).to(device)
        for rows in order.split(BATCH):
            batch = X[rows]
            if noise_std:
                noise = torch.randn(batch.shape, generator=generator).to(device)
                batch = batch + noise_std * noise
            if tangents is None:
                logits, penalty = net(batch), 0.0
            else:
                mixing = torch.randn(len(rows), tangents.shape[1], generator=generator)
                along = torch.einsum("nm,nmd->nd", mixing.to(device), tangents[rows])
                logits, slopes = torch.func.jvp(net, (batch,), (along,))
                penalty = tangent_weight * slopes.square().sum(1).mean()
            optimizer.zero_grad()
            (nn.functional.cross_entropy(logits, y[rows]) + penalty).backward()
            optimizer.step()
            schedule.step()
    return net


@torch.inference_mode()
def predict(net, X):
    """Classes of rows, as an array."""
    device = next(net.parameters()).device
    blocks = torch.from_numpy(X).split(_ROWS_AT_ONCE)
    return torch.cat([net(rows.to(device)).argmax(1).cpu() for rows in blocks]).numpy()
