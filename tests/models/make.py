"""Save a small model in the present format: ``python tests/models/make.py``.

Run it once when ``skcae._core.checkpoint.FORMAT`` is raised, and keep the older files.
"""

from pathlib import Path

import numpy as np
import skops.io

from skcae import ContractiveAutoencoder
from skcae._core.checkpoint import FORMAT


def main():
    """Fit it and write both files."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 5)) + 10
    model = ContractiveAutoencoder(
        3, hidden_layer_sizes=(6,), max_iter=20, random_state=0
    )
    model.fit(X)
    path = Path(__file__).parent / f"format_{FORMAT}"
    skops.io.dump(model, path.with_suffix(".skops"))
    np.savez(
        path.with_suffix(".npz"),
        X=X,
        scores=model.score_samples(X),
        codes=model.transform(X),
        labels=model.predict(X),
        n_iter=model.n_iter_,
    )


if __name__ == "__main__":
    main()
