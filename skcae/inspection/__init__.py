"""What a fitted autoencoder has learned, as numbers: tables and arrays.

Every function takes a fitted :class:`~skcae.ContractiveAutoencoder`, or a fitted
Pipeline, FrozenEstimator or search that ends in one, and rows as that estimator takes
them. Distances are measured where the autoencoder works, behind the scaler. Vectors of
columns come back in the units of the caller's columns. Only :func:`lambda_path` fits
models itself. A parameter that is not as described raises a ValueError that names it.

:mod:`skcae.plotting` has the displays that draw these numbers.
"""

# Each file holds one question: the function that answers it, and the display.
from skcae.inspection._contraction_curve import contraction_curve
from skcae.inspection._jacobian_spectrum import jacobian_spectrum
from skcae.inspection._lambda_path import lambda_path
from skcae.inspection._saturation import saturation
from skcae.inspection._score_field import score_field
from skcae.inspection._sensitivity import sensitivity
from skcae.inspection._tangent_vectors import tangent_vectors

__all__ = [
    "contraction_curve",
    "jacobian_spectrum",
    "lambda_path",
    "saturation",
    "score_field",
    "sensitivity",
    "tangent_vectors",
]
