import warnings

import numpy as np
import pytest
import torch
from oracle import jacobians
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skcae import ContractiveAutoencoder
from skcae._trim import untrimmed


def sensitivity(model, X, rng):
    """Mean of ||f(x + e) - f(x)|| / ||e||, and the same over the code's spread."""
    codes = model.transform(X)
    noise = 0.1 * rng.normal(size=X.shape)
    moved = np.linalg.norm(model.transform(X + noise) - codes, axis=1)
    mean = np.mean(moved / np.linalg.norm(noise, axis=1))
    return mean, mean / np.sqrt(codes.var(axis=0).sum())


# Training moved something


@pytest.mark.parametrize("hidden_layer_sizes", [(), (48,)])
@pytest.mark.parametrize("tied_weights", [True, False])
def test_fitted_model_beats_its_initial_weights(
    digits, hidden_layer_sizes, tied_weights
):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(
        16,
        hidden_layer_sizes=hidden_layer_sizes,
        tied_weights=tied_weights,
        max_iter=20,
        random_state=0,
    )
    untrained = clone(model).set_params(max_iter=1, learning_rate_init=1e-12).fit(X)
    model.fit(X)
    assert model.score(held_out) > 0.7 * untrained.score(held_out)
    moved = np.abs(model.coefs_[0] - untrained.coefs_[0])
    assert np.mean(moved > 1e-3) > 0.9


def test_linear_network_without_penalty_reaches_pca(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(
        10,
        activation="identity",
        lam=0,
        learning_rate_init=3e-3,
        max_iter=150,
        tol=1e-3,
        random_state=0,
    ).fit(X)
    pca = PCA(10).fit(X)
    best = np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)
    assert best * 0.9999 <= -model.score(X) <= 1.02 * best


# What λ does, on held-out digits, in one layer


@pytest.fixture(scope="module")
def by_lam(digits):
    X, *_ = digits
    return {
        lam: ContractiveAutoencoder(
            64, hidden_layer_sizes=(), lam=lam, tol=1e-4, random_state=0
        ).fit(X)
        for lam in (0, 0.01, 0.1, 1)
    }


def test_raising_lam_contracts_also_relative_to_the_spread(by_lam, digits):
    _, held_out, *_ = digits
    rows = []
    for model in by_lam.values():
        rng = np.random.default_rng(0)
        rows.append(
            [model.contraction(held_out).mean(), *sensitivity(model, held_out, rng)]
        )
    assert (np.diff(rows, axis=0) < 0).all()


def test_the_penalty_is_paid_in_reconstruction(by_lam, digits):
    _, held_out, *_ = digits
    assert -by_lam[1].score(held_out) > 2 * -by_lam[0].score(held_out)


def test_a_classifier_keeps_its_accuracy(by_lam, digits):
    X, held_out, y, y_held_out = digits

    def accuracy(lam):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        model.fit(by_lam[lam].transform(X), y)
        return model.score(by_lam[lam].transform(held_out), y_held_out)

    plain = accuracy(0)
    assert plain > 0.95
    assert accuracy(0.01) >= plain - 0.01
    assert accuracy(0.1) >= plain - 0.01


# The encoder's derivative


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hidden_layer_sizes": (9,), "tied_weights": False},
        {"hidden_layer_sizes": (9,), "penalty_method": "hutchinson"},
        {"hidden_layer_sizes": (9, 12), "code_activation": "identity"},
    ],
)
def test_jacobian_and_contraction_are_exact(digits, parameters):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(7, max_iter=3, random_state=0, **parameters).fit(X)
    network = model._checkpoint.network_on_rows(torch.device("cpu"))
    rows = torch.from_numpy(held_out[:20])
    brute = jacobians(network, network.weights, network.biases, rows, network.depth)
    jacobian = model.jacobian(held_out[:20])
    np.testing.assert_allclose(jacobian, brute, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        model.contraction(held_out[:20]), np.sum(jacobian**2, axis=(1, 2)), rtol=1e-10
    )
    step = 1e-6
    for column in (3, 20):
        moved = held_out[:20].copy()
        moved[:, column] += step
        difference = (model.transform(moved) - model.transform(held_out[:20])) / step
        np.testing.assert_allclose(difference, jacobian[:, :, column], atol=1e-5)


def test_coefs_and_intercepts_are_the_network(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(
        7, activation="tanh", hidden_layer_sizes=(9,), max_iter=3, random_state=0
    ).fit(X + 5)
    signal = X + 5
    for index, (coef, intercept) in enumerate(
        zip(model.coefs_, model.intercepts_, strict=True)
    ):
        signal = signal @ coef + intercept
        if index < 3:
            signal = np.tanh(signal)
        if index == 1:
            np.testing.assert_allclose(signal, model.transform(X + 5), atol=1e-10)
    errors = model.feature_errors(X + 5)
    np.testing.assert_allclose((X + 5 - signal) ** 2, errors, atol=1e-10)
    np.testing.assert_allclose(errors.mean(axis=1), -model.score_samples(X + 5))


# Units: offsets and scales


def test_offsets_of_columns_do_not_matter(digits):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=5, random_state=0)
    expected = clone(model).fit(X).score_samples(held_out)
    far = np.linspace(-1e6, 1e6, 64)
    shifted = clone(model).fit(X + far).score_samples(held_out + far)
    np.testing.assert_allclose(shifted, expected, rtol=1e-3)


def test_overcomplete_code(digits):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(100, max_iter=5, random_state=0).fit(X)
    assert model.transform(held_out).shape == (len(held_out), 100)
    assert model.get_feature_names_out().shape == (100,)


# Going on: warm start, partial_fit, early stopping


def test_warm_start_goes_on_from_the_weights(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(
        8, max_iter=3, warm_start=True, random_state=0, lam_warmup=0
    )
    model.fit(X)
    first = model.score(X)
    model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert model.score(X) > first
    assert model.loss_curve_[3] < model.loss_curve_[0]
    cold = clone(model).set_params(warm_start=False).fit(X).fit(X)
    assert cold.n_iter_ == 3
    model.set_params(n_components=9)
    with pytest.raises(ValueError, match="sizes.*warm_start=False"):
        model.fit(X)
    assert model.n_iter_ == 6


def test_partial_fit_goes_on_and_counts_its_calls(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, lam=0.5, lam_warmup=4, random_state=0)
    scores = []
    for _ in range(6):
        model.partial_fit(X)
        scores.append(model.score(X))
    assert model.n_iter_ == 6
    assert model.history_["lam"] == [0, 0.125, 0.25, 0.375, 0.5, 0.5]
    assert scores[3] > scores[0]


def test_threshold_follows_the_last_rows_of_a_stream(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, contamination=0.25, random_state=0)
    # the rows of one large call, all of them
    rows = np.tile(X, (2, 1))
    model.partial_fit(rows)
    assert np.mean(model.predict(rows) == -1) == pytest.approx(0.25, abs=0.01)
    # the last 2000 scores, as they were when their rows came
    seen = []
    for chunk in np.array_split(X, 130)[:20]:
        model.partial_fit(chunk)
        seen.append(model.score_samples(chunk))

    assert len(model._recent_scores) == 2000
    assert np.mean(model._recent_scores < model.offset_) == pytest.approx(
        0.25, abs=1e-3
    )
    np.testing.assert_array_equal(model._recent_scores[-len(chunk) :], seen[-1])


@pytest.mark.parametrize("contamination", ["auto", 0.02, 0.1])
def test_small_calls_do_not_flag_a_third_of_a_stream(contamination, rng):
    mixing = rng.normal(size=(4, 10))
    rows = rng.normal(size=(2000, 4)) @ mixing + 0.3 * rng.normal(size=(2000, 10))
    new = rng.normal(size=(4000, 4)) @ mixing + 0.3 * rng.normal(size=(4000, 10))
    model = ContractiveAutoencoder(contamination=contamination, random_state=0)
    for chunk in np.array_split(rows, 200):
        model.partial_fit(chunk)
    wanted = 0.01 if contamination == "auto" else contamination
    assert np.mean(model.predict(new) == -1) < 1.5 * wanted + 0.005


def test_assigned_threshold_stays_until_fit(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(
        8, max_iter=2, contamination=0.1, random_state=0
    ).fit(X)
    computed = model.offset_
    model.offset_ = -123.0
    assert model.partial_fit(X[:50]).offset_ == -123.0
    assert model.partial_fit(X[:50]).offset_ == -123.0
    assert model.fit(X).offset_ == computed
    assert model.partial_fit(X[:50]).offset_ != computed


def test_partial_fit_goes_on_after_fit(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=20, random_state=0).fit(X)
    before = model.score(X)
    for _ in range(5):
        model.partial_fit(X)
    assert model.n_iter_ == 25
    assert model.score(X) > before


def test_partial_fit_learns_from_a_stream(digits):
    X, held_out, *_ = digits
    model = ContractiveAutoencoder(16, random_state=0)
    for _ in range(5):
        for chunk in np.array_split(X, 7):
            model.partial_fit(chunk)
    assert -model.score(held_out) < 0.7 * held_out.var(axis=0).mean()


def test_short_fit_still_reaches_its_lam(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=4, lam_warmup=50, random_state=0).fit(X)
    assert model.history_["lam"] == [0, 0.05, 0.1, 0.1]


# Failing safely


def test_failed_refit_leaves_the_earlier_fit(cancer):
    X = (cancer - cancer.mean()) / cancer.std()
    model = ContractiveAutoencoder(5, max_iter=5, random_state=0).fit(X)
    expected = model.score_samples(X)
    other = X.iloc[:, :4].rename(columns=str.upper)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(other.assign(x=np.nan))
    with pytest.raises(ValueError, match="MinMaxScaler"):
        model.set_params(output_activation="sigmoid").fit(cancer.iloc[:, :4])
    np.testing.assert_array_equal(model.score_samples(X), expected)
    assert list(model.feature_names_in_) == list(X.columns)
    assert model.n_features_in_ == 30


def test_interrupted_fit_leaves_the_earlier_fit(digits, monkeypatch):
    X, *_ = digits
    model = ContractiveAutoencoder(5, max_iter=5, random_state=0).fit(X)
    expected = model.score_samples(X)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("skcae._core.training.Trainer._epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :10])
    np.testing.assert_array_equal(model.score_samples(X), expected)


# In company


def test_grid_search_over_lam_in_a_pipeline(digits):
    X, _, y, _ = digits
    model = make_pipeline(
        StandardScaler(),
        ContractiveAutoencoder(16, max_iter=20, contamination=0.1, random_state=0),
        LogisticRegression(max_iter=500),
    )
    grid = {"contractiveautoencoder__lam": [0.01, 0.1, 100.0]}
    search = GridSearchCV(model, grid, cv=2).fit(X[:400], y[:400])
    assert search.best_params_["contractiveautoencoder__lam"] < 100
    assert search.best_score_ > 0.8
    alone = GridSearchCV(model[:-1], grid, cv=2).fit(X[:400])
    # without labels it is reconstruction that decides, which prefers a small λ
    assert alone.best_params_["contractiveautoencoder__lam"] < 100
    assert alone.best_estimator_.score_samples(X).shape == (len(X),)


def test_result_does_not_depend_on_the_number_of_jobs(digits):
    X, *_ = digits
    model = ContractiveAutoencoder(8, max_iter=5, random_state=0)
    scores = [
        GridSearchCV(model, {"lam": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
        .fit(X[:300])
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_anomalies_of_a_real_table_are_found():
    X, y = load_breast_cancer(return_X_y=True)
    benign, malignant = np.random.default_rng(0).permutation(X[y == 1]), X[y == 0]
    model = make_pipeline(StandardScaler(), ContractiveAutoencoder(random_state=0))
    model.fit(benign[:250])
    held_out = np.r_[benign[250:], malignant]
    truth = np.r_[np.zeros(len(benign) - 250), np.ones(len(malignant))]
    assert roc_auc_score(truth, -model.score_samples(held_out)) > 0.93
    assert np.mean(model.predict(benign[250:]) == -1) < 0.15


# The other objectives, and denoising


def test_whole_objective_trains(digits):
    X = MinMaxScaler(clip=True).fit_transform(digits[0])
    model = ContractiveAutoencoder(
        32,
        activation="sigmoid",
        output_activation="sigmoid",
        loss="log_loss",
        penalty="reconstruction",
        max_iter=30,
        lam=0.001,
        random_state=0,
    ).fit(X)
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]
    assert model.penalty_method_ == "hutchinson"
    assert (model.score_samples(X) < 0).all()


def test_denoising_autoencoder_denoises_better_than_a_plain_one(digits, rng):
    X, held_out, *_ = digits
    noisy = held_out + 0.8 * rng.normal(size=held_out.shape)

    def error(noise_std):
        model = ContractiveAutoencoder(
            lam=0, noise_std=noise_std, max_iter=40, random_state=0
        ).fit(X)
        restored = model.inverse_transform(model.transform(noisy))
        return np.mean((restored - held_out) ** 2)

    assert error(0.8) < 0.8 * error(0)


def test_corruption_follows_random_state_and_goes_on_from_pass_to_pass(digits):
    X = digits[0][:200]

    def streamed(seed):
        model = ContractiveAutoencoder(
            8,
            hidden_layer_sizes=(16,),
            masking_fraction=0.2,
            swap_fraction=0.2,
            noise_std=0.1,
            max_iter=2,
            random_state=seed,
        ).fit(X)
        return model.partial_fit(X).partial_fit(X).coefs_[0]

    np.testing.assert_array_equal(streamed(0), streamed(0))
    assert not np.array_equal(streamed(0), streamed(1))


# Anomalies among the training rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "parameters", [{}, {"trim_fraction": 0.4}, {"lam": 0.01, "trim_fraction": 0.1}]
)
def test_rows_around_one_point_are_a_table_like_any_other(parameters, seed):
    # PyOD's generate_data: scaling to unit variance makes the normal rows
    # almost one point, so that predicting the mean is nearly as good
    rng = np.random.default_rng(seed)
    X = np.r_[rng.normal(2, 0.1, (180, 2)), rng.uniform(-4, 4, (20, 2))]
    X = StandardScaler().fit_transform(X)
    model = ContractiveAutoencoder(contamination=0.1, random_state=0, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = model.fit(X).score_samples(X)
    assert roc_auc_score(np.repeat([1, 0], [180, 20]), scores) > 0.95


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_poor_fits_are_models_with_a_warning(digits, rng):
    X, *_ = digits
    model = ContractiveAutoencoder(lam=10, max_iter=1, random_state=0)
    assert np.isfinite(model.fit(StandardScaler().fit_transform(X)).score(X))
    model = ContractiveAutoencoder(
        loss="log_loss", output_activation="sigmoid", max_iter=3, random_state=0
    )
    for n_rows in (3, 5, 10):
        X = rng.uniform(size=(n_rows, 4))
        assert np.isfinite(model.fit(X).score(X))


@pytest.mark.parametrize("share_of_faults", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("share_of_group", [0.05, 0.1, 0.2])
def test_trimming_keeps_a_normal_minority(share_of_group, share_of_faults):
    X, kind = minority(share_of_group, share_of_faults)
    is_kept = np.isin(X[:, 0], untrimmed(X, share_of_faults)[:, 0])
    assert np.mean(is_kept[kind == "group"]) > 0.95
    assert np.mean(is_kept[kind == "majority"]) > 0.97
    assert np.mean(is_kept[kind == "fault"]) <= 0.2


def minority(share_of_group, share_of_faults, n=1000):
    """Rows of a majority, a compact normal group elsewhere, and scattered faults."""
    rng = np.random.default_rng(0)
    counts = [round(share * n) for share in (share_of_group, share_of_faults)]
    kind = np.repeat(["majority", "group", "fault"], [n - sum(counts), *counts])
    mixing = rng.normal(size=(3, 8))
    X = rng.normal(size=(n, 3)) @ mixing + 0.2 * rng.normal(size=(n, 8))
    X[kind == "group"] = 4 + 0.5 * X[kind == "group"]
    X[kind == "fault"] = 3 * rng.normal(size=(counts[1], 8))
    return StandardScaler().fit_transform(X), kind


def test_trimming_leaves_out_scattered_faults_and_nothing_else_changes(rng):
    X, kind = minority(0.1, 0.1)
    assert untrimmed(X, 0.0) is X
    kept = untrimmed(X, 0.1)
    assert len(kept) == 900
    order = [np.flatnonzero((X == row).all(axis=1))[0] for row in kept[:50]]
    assert order == sorted(order)
    # faults that training did not see are reconstructed worse
    parameters = {"n_components": 3, "max_iter": 30, "random_state": 0}
    ratios = []
    for trim_fraction in (0, 0.1):
        model = ContractiveAutoencoder(trim_fraction=trim_fraction, **parameters).fit(X)
        scores = model.score_samples(X)
        is_fault = kind == "fault"
        ratios.append(scores[is_fault].mean() / scores[~is_fault].mean())
    assert ratios[1] > 1.2 * ratios[0]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_far_outliers_neither_stop_nor_break_trimmed_training(digits, early_stopping):
    X, *_ = digits
    broken = X.copy()
    broken[::10] *= 1000
    model = ContractiveAutoencoder(
        8,
        trim_fraction=0.3,
        early_stopping=early_stopping,
        max_iter=30,
        random_state=0,
    ).fit(broken)
    sound = np.arange(len(X)) % 10 > 0
    unexplained = -model.score(X[sound]) / X[sound].var(axis=0).mean()
    assert unexplained < 0.7
    assert model.history_["reconstruction"][-1] < 1.5 * -model.score(X[sound])
    model.set_params(early_stopping=False).partial_fit(broken)


# What the defaults are made of


def test_code_of_relu_layers_is_silu_unless_told(digits):
    X, *_ = digits

    def layers(**parameters):
        model = ContractiveAutoencoder(4, max_iter=1, random_state=0, **parameters)
        encoder = model.fit(X[:100]).to_module().encoder
        return [type(layer).__name__ for layer in encoder[1::2]]

    assert layers() == ["ReLU", "SiLU"]
    assert layers(code_activation="relu") == ["ReLU", "ReLU"]
    assert layers(activation="tanh") == ["Tanh", "Tanh"]


@pytest.mark.parametrize("seed", range(2))
def test_small_tables_have_thresholds_for_new_rows(seed):
    X, y = load_breast_cancer(return_X_y=True)
    benign = np.random.default_rng(seed).permutation(X[y == 1])
    model = make_pipeline(StandardScaler(), ContractiveAutoencoder(random_state=0))
    model.fit(benign[:150])
    assert np.mean(model.predict(benign[150:]) == -1) < 0.1
    assert np.mean(model.predict(X[y == 0]) == -1) > 0.4
    again = model[-1].offset_
    assert model.fit(benign[:150])[-1].offset_ == again


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_scores_in_single_precision(rng, loss):
    X = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 10))
    X[::9, 3] = np.nan
    parameters = {"max_iter": 20, "allow_nan": True, "random_state": 0}
    if loss == "log_loss":
        X = 1 / (1 + np.exp(-X))
        parameters |= {"loss": loss, "output_activation": "sigmoid"}
    else:
        X += 1e5  # no more than seven digits are left of it in float32
    model = ContractiveAutoencoder(4, **parameters).fit(X)
    double = model.score_samples(X)
    single = model.set_params(score_dtype="float32").score_samples(X)
    assert single.dtype == np.float64
    assert not np.array_equal(single, double)
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)
    assert np.mean(model.predict(X) == np.sign(double - model.offset_)) > 0.99
    assert model.score_samples(1e30 * np.ones((1, 10)) if loss[0] == "s" else X)[0] < 0
