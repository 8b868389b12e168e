import os

# without it scikit-learn skips check_array_api_input in silence
os.environ["SCIPY_ARRAY_API"] = "1"

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

# The suite draws the same few cases each time; --hypothesis-profile=hostile draws
# thousands, new ones each time. Cases are small as they are drawn.
settings.register_profile(
    "ci",
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
)
settings.register_profile(
    "hostile",
    max_examples=5000,
    database=None,
    deadline=20_000,  # milliseconds for one case: longer is a hang
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As many tests as cores run at once already."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits():
    """Standardised digits: training rows, held-out rows, and their labels."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test), y_train, y_test


@pytest.fixture(scope="session")
def cancer():
    """The raw breast cancer table, as a DataFrame."""
    return load_breast_cancer(as_frame=True).data
