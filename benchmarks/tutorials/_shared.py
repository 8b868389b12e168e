"""What the experiments share: their options, one fit, and their pictures."""

import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import parser


def options(doc, n_seeds, images=True):
    """Options of the command line, whose help is the docstring."""
    arguments = parser(doc)
    if images:
        arguments.add_argument(
            "--data", help="folder with MNIST, instead of scikit-learn's digits"
        )
    arguments.add_argument("--seeds", type=int, default=n_seeds)
    arguments.add_argument("--pictures", help="folder for pictures")
    return arguments.parse_args()


def three_layers(large):
    """Sigmoid layers with a decoder of its own, half as wide for small images."""
    return {
        "n_components": 64 if large else 32,
        "hidden_layer_sizes": (256, 128) if large else (128, 64),
        "activation": "sigmoid",
        "output_activation": "sigmoid",
        "tied_weights": False,
    }


def collapses(model, X):
    """Fit the model, and say whether it ended at the column means."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X)
    return any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def save(figure, folder, name):
    """Write a picture; it stays open for the gallery."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder, f"{name}.png"), dpi=150)
