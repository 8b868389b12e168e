"""Requests to a real web server: forked workers of two threads, on the loopback."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector

pytest.importorskip("benchmarks")
pytest.importorskip("gunicorn", reason="gunicorn, of the extra serve, needs a fork")

from benchmarks._report import table
from benchmarks.serving import latencies


@pytest.mark.parametrize(
    "n_requests", [150, pytest.param(10_000, marks=pytest.mark.slow)]
)
def test_four_clients_get_the_models_own_scores(n_requests):
    X = table(300, 20, np.float64)
    network = ContractiveAutoencoder(max_iter=3, contamination=0.1, random_state=0)
    models = {
        name: make_pipeline(StandardScaler(), model).fit(X)
        for name, model in (
            ("network", network),
            ("detector", AnomalyDetector(network)),
        )
    }
    seconds = latencies(models, n_requests)  # raises at an error or at another score
    assert {len(each) for each in seconds.values()} == {n_requests}
