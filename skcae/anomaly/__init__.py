"""What a score means: its reasons, its p-value, a threshold for an error rate.

All of it asks for scores alone, of rows as the caller has them, and so holds behind
any preprocessing and for several models at once.
"""

from skcae.anomaly._calibration import p_values, threshold
from skcae.anomaly._detector import AnomalyDetector
from skcae.anomaly._explanation import explain
from skcae.anomaly._neighbors import NeighborDistance
from skcae.anomaly._scores import mean_score

__all__ = [
    "AnomalyDetector",
    "NeighborDistance",
    "threshold",
    "explain",
    "mean_score",
    "p_values",
]
