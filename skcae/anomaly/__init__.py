"""A detector of anomalies, and what a score means: reasons, p-value, threshold, drift.

The functions ask for scores alone, of rows as the caller has them, and so hold behind
any preprocessing and for several models at once.
"""

from skcae.anomaly._calibration import p_values, threshold
from skcae.anomaly._detector import AnomalyDetector
from skcae.anomaly._drift import drift
from skcae.anomaly._explanation import explain
from skcae.anomaly._neighbors import NeighborDistance
from skcae.anomaly._scores import mean_score

__all__ = [
    "AnomalyDetector",
    "NeighborDistance",
    "drift",
    "explain",
    "mean_score",
    "p_values",
    "threshold",
]
