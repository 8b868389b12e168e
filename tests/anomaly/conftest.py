import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from surface import draw, scaled_autoencoder

from skcae import ContractiveAutoencoder


@pytest.fixture(scope="session")
def model():
    return scaled_autoencoder().fit(draw(np.random.default_rng(1), 1000))


@pytest.fixture(scope="session")
def staff():
    """A table of mixed types: pay goes with the job, years with the age."""
    rng = np.random.default_rng(0)
    n = 600
    job = rng.choice(["clerk", "driver", "nurse"], n)
    pay = pd.Series(job).map({"nurse": 30.0, "clerk": 40.0, "driver": 50.0})
    age = rng.integers(20, 65, n)
    return pd.DataFrame(
        {
            "job": job,
            "pay": pay.to_numpy() + rng.normal(0, 1, n),
            "note": "unread",
            "age": age,
            "grade": rng.choice(["a", "b", "c"], n),
            "years": age - 18 + rng.normal(0, 1, n),
            "full time": rng.random(n) < 0.7,
        },
        index=[f"person {i}" for i in range(n)],
    )


@pytest.fixture(scope="session")
def mixed(staff):
    encoder = OneHotEncoder(sparse_output=False, drop="if_binary")
    grades = make_pipeline(OrdinalEncoder(), StandardScaler())
    front = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["years", "age", "pay"]),
            ("categories", encoder, ["full time", "job"]),
            ("grade", grades, ["grade"]),
        ]
    )
    model = ContractiveAutoencoder(random_state=0)
    return make_pipeline(front, model).fit(staff[:400])
