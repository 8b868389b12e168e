"""How far codes move when rows move: what two questions have in common."""

import numpy as np

from skcae._pipeline import spread

# How displays name the ratio.
RATIO = "‖Δcode‖ / ‖Δrow‖"


def stretch(inputs, codes, moves):
    """Return how far codes move, divided by how far their rows do.

    Parameters
    ----------
    inputs : skcae._pipeline.Inputs
        The rows.
    codes : ndarray of shape (n_samples, n_components_)
        Their codes.
    moves : ndarray of shape (n_samples, n_features_in_)
        What is added to the rows.

    Returns
    -------
    ratios : ndarray of shape (n_samples,)
        Euclidean distances of codes over those of rows.
    """
    moved = np.linalg.norm(inputs.encode(inputs.rows + moves) - codes, axis=1)
    return moved / np.linalg.norm(moves, axis=1)


def scale(inputs, codes):
    """Return the spread of the codes over that of the rows; nan where one is 0."""
    spreads = spread(codes), spread(inputs.rows)
    return spreads[0] / spreads[1] if min(spreads) > 0 else np.nan
