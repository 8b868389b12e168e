"""Types that the public signatures share."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

# What scikit-learn reads: a DataFrame of pandas or polars, a Table of pyarrow, an
# array, a sparse matrix, a list of rows. Checkers infer its own outputs as unions that
# no narrower type would accept.
Table: TypeAlias = Any
# ContractiveAutoencoder, AnomalyDetector, or a Pipeline or search around one.
Model: TypeAlias = BaseEstimator
Models: TypeAlias = BaseEstimator | list[Any] | tuple[Any, ...]
Seed: TypeAlias = int | np.random.RandomState | None
Activation: TypeAlias = Literal[
    "identity", "sigmoid", "tanh", "relu", "softplus", "silu"
]
# What a decorator takes and returns.
Method = TypeVar("Method", bound=Callable[..., Any])
