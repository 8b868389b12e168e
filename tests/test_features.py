"""What the page on features claims, on the digits, with half of the margins seen."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcae import ContractiveAutoencoder


@pytest.fixture
def few_digits(digits):
    X, X_test, y, y_test = digits
    return X[:500], X_test, y[:500], y_test


def classifier(X, y):
    return LogisticRegression(max_iter=1000).fit(X, y)


def test_contraction_keeps_accuracy_on_noisy_rows(few_digits):
    """On rows with noise of one standard deviation, against the code of λ = 0."""
    X, X_test, y, y_test = few_digits
    noisy = X_test + np.random.default_rng(0).standard_normal(X_test.shape)
    clean_accuracy, accuracy = {}, {"columns": classifier(X, y).score(noisy, y_test)}
    for lam in (0, 1):
        encoder = ContractiveAutoencoder(
            256, hidden_layer_sizes=(), lam=lam, contamination=0.1, random_state=0
        ).fit(X)
        model = classifier(encoder.transform(X), y)
        clean_accuracy[lam], accuracy[lam] = (
            model.score(encoder.transform(rows), y_test) for rows in (X_test, noisy)
        )
    assert clean_accuracy[1] > clean_accuracy[0] - 0.02
    assert accuracy[1] > accuracy[0] + 0.02
    assert accuracy[1] > accuracy["columns"] + 0.04


def test_masked_training_restores_cells_for_a_classifier(few_digits):
    """A third of what 40 % of holes cost with column means; a half is seen."""
    X, X_test, y, y_test = few_digits
    model = ContractiveAutoencoder(
        64,
        masking_fraction=0.4,
        allow_nan=True,
        max_iter=60,
        n_iter_no_change=60,
        contamination=0.1,
        random_state=0,
    ).fit(X)
    missing = np.random.default_rng(0).random(X_test.shape) < 0.4
    rows = np.where(missing, np.nan, X_test)
    restored = model.inverse_transform(model.transform(rows))
    complete, means, filled = (
        classifier(X, y).score(np.where(missing, cells, rows), y_test)
        for cells in (X_test, X.mean(axis=0), restored)
    )
    assert filled - means > (complete - means) / 3
