"""What scikit-learn asks of a transformer that is also an outlier detector."""

import io
import os
import pickle
import random
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from skcae import ContractiveAutoencoder

QUICK = {"n_components": 4, "max_iter": 5}
METHODS = [
    "transform",
    "score_samples",
    "decision_function",
    "predict",
    "feature_errors",
    "jacobian",
    "contraction",
]


def quick(**parameters):
    return ContractiveAutoencoder(**QUICK | {"random_state": 0} | parameters)


@pytest.fixture
def X(rng):
    return rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 1


@pytest.fixture
def frame(X):
    return pd.DataFrame(X, columns=list("abcde"), index=range(100, 160))


# 1 and 2: the common checks


VARIANTS = [
    ContractiveAutoencoder(max_iter=5),
    ContractiveAutoencoder(
        8,
        hidden_layer_sizes=(16,),
        activation="tanh",
        tied_weights=False,
        penalty="reconstruction",
        early_stopping=True,
        noise_std=0.1,
        allow_nan=True,
        contamination=0.1,
        max_iter=5,
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", VARIANTS, ids=["default", "deep"])
def test_check_estimator_fails_and_skips_nothing(estimator):
    results = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    not_passed = [
        (result["check_name"], result["status"], result["exception"])
        for result in results
        if result["status"] != "passed"
    ]
    assert len(results) >= 50
    assert not_passed == []


# the checks themselves fit a DataFrame and transform an array, and the reverse
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(
    "name",
    [
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_get_feature_names_out_error",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
    ],
)
def test_checks_that_check_estimator_leaves_out(name):
    getattr(estimator_checks, name)("ContractiveAutoencoder", quick())


# 3: set_output


def test_set_output_wraps_transform(frame):
    out = quick().set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == [f"contractiveautoencoder{i}" for i in range(4)]
    assert list(out.index) == list(frame.index)
    assert list(quick().fit(frame).get_feature_names_out()) == list(out.columns)


# 4 and 5: parameters


def test_init_and_fit_leave_parameters_as_they_are(X):
    defaults = ContractiveAutoencoder().get_params().values()
    assert {type(value) for value in defaults} <= {
        int,
        float,
        str,
        bool,
        tuple,
        type(None),
    }
    sizes = [6]
    model = quick(hidden_layer_sizes=sizes)
    before = model.get_params()
    model.fit(X).partial_fit(X)
    assert model.get_params() == before
    assert model.hidden_layer_sizes is sizes


# 6 and 20: fitted attributes


FITTED = [
    "n_features_in_",
    "n_components_",
    "n_iter_",
    "offset_",
    "loss_curve_",
    "history_",
    "penalty_method_",
    "coefs_",
    "intercepts_",
]


def test_fitted_attributes_exist_after_fit_only(X):
    model = quick()
    assert not [name for name in FITTED if hasattr(model, name)]
    for method in METHODS:
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.to_module()
    model.fit(X)
    assert all(hasattr(model, name) for name in FITTED)
    assert 1 <= model.n_iter_ == len(model.loss_curve_)
    public = {name for name in vars(model) if not name.startswith("_")}
    assert {name for name in public if not name.endswith("_")} == set(
        model.get_params()
    )


def test_html_representation_fitted_and_unfitted(X):
    unfitted, fitted = quick()._repr_html_(), quick().fit(X)._repr_html_()
    for html in (unfitted, fitted):
        assert "ContractiveAutoencoder" in html
    assert "<span>Not fitted</span>" in unfitted
    assert "<span>Fitted</span>" not in unfitted
    assert "<span>Fitted</span>" in fitted
    assert "<span>Not fitted</span>" not in fitted


# 7 and 8: types, and independence of batches


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_type_is_kept(X, dtype):
    model = quick().fit(X.astype(dtype))
    codes = model.transform(X.astype(dtype))
    assert codes.dtype == dtype
    assert model.inverse_transform(codes).dtype == dtype
    assert model.score_samples(X.astype(dtype)).dtype == np.float64
    assert model.__sklearn_tags__().transformer_tags.preserves_dtype == [
        "float64",
        "float32",
    ]


@pytest.mark.parametrize("hidden_layer_sizes", [(), (256, 128)])
def test_scores_do_not_depend_on_batches(X, hidden_layer_sizes):
    model = quick(hidden_layer_sizes=hidden_layer_sizes, n_components=64).fit(X)
    for method in METHODS:
        whole = getattr(model, method)(X)
        rows = np.concatenate([getattr(model, method)(X[[i]]) for i in range(len(X))])
        np.testing.assert_allclose(rows, whole, rtol=1e-9, atol=1e-10)


# 9, 10 and 11: scores


def test_decision_is_score_less_offset_and_zero_is_an_inlier(X):
    model = quick().fit(X)
    scores = model.score_samples(X)
    np.testing.assert_array_equal(model.decision_function(X), scores - model.offset_)
    model.offset_ = scores[3]
    labels = model.predict(X)
    assert labels[3] == 1
    assert np.issubdtype(labels.dtype, np.integer)
    assert set(labels) == {-1, 1}


def test_contamination_is_a_share_of_the_training_rows(rng):
    X = rng.normal(size=(300, 4))
    model = quick(contamination=0.1).fit(X)
    assert np.sum(model.predict(X) == -1) == 30
    scores = np.sort(model.score_samples(X))
    assert scores[29] < model.offset_ < scores[30]
    one_by_one = np.concatenate([model.predict(row[None]) for row in X])
    np.testing.assert_array_equal(one_by_one, model.predict(X))


@pytest.mark.parametrize("seed", range(5))
def test_auto_flags_one_row_at_least_and_not_a_tenth_of_clean_rows(seed):
    X = np.random.default_rng(seed).normal(size=(300, 4))
    flagged = np.mean(quick(random_state=seed).fit_predict(X) == -1)
    assert 1 / 300 <= flagged < 0.03


def test_score_is_a_float_and_ignores_y(X):
    model = quick().fit(X, y=["a", "b"])
    score = model.score(X, y=object())
    assert type(score) is float
    assert score == pytest.approx(model.score_samples(X).mean())
    with pytest.raises(ValueError, match="features"):
        model.score(X[:, :3])


# 12: randomness


def global_state():
    return (
        random.getstate(),
        tuple(map(str, np.random.get_state())),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        dict(os.environ),
    )


@pytest.mark.parametrize("seed", [0, None])
def test_global_state_is_neither_read_nor_changed(X, seed):
    before = global_state()
    model = clone(quick(noise_std=0.1, random_state=seed, penalty_method="hutchinson"))
    model.set_params(lam=0.5).fit(X).partial_fit(X).score_samples(X)
    assert global_state() == before


def test_random_state_alone_decides(X):
    def fit(random_state, global_seed=0):
        np.random.seed(global_seed)
        torch.manual_seed(global_seed)
        random.seed(global_seed)
        model = quick(random_state=random_state, noise_std=0.1)
        return model.fit(X).score_samples(X)

    np.testing.assert_array_equal(fit(3, 0), fit(3, 1))
    np.testing.assert_array_equal(
        fit(np.random.RandomState(3)), fit(np.random.RandomState(3))
    )
    assert not np.array_equal(fit(3), fit(4))
    assert not np.array_equal(fit(None, 0), fit(None, 0))
    model = quick().fit(X)
    changed = model.set_params(random_state=4).fit(X).score_samples(X)
    assert not np.array_equal(changed, quick().fit(X).score_samples(X))


# 13, 14 and 15: what rows may be


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("n", [2, 3, 17])
def test_few_rows(X, n, early_stopping):
    model = quick(early_stopping=early_stopping, batch_size=100).fit(X[:n])
    assert np.isfinite(model.score_samples(X)).all()


def test_one_row_is_refused_by_fit_and_taken_by_partial_fit(X):
    with pytest.raises(ValueError, match="1 sample"):
        quick().fit(X[:1])
    model = quick().partial_fit(X[:1]).partial_fit(X).partial_fit(X[:1])
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1j])
def test_bad_values_are_refused_everywhere(X, bad):
    model = quick().fit(X)
    wrong = X.astype(complex if bad == 1j else float)
    wrong[3, 2] = bad
    for method in [*METHODS, "fit", "partial_fit", "score"]:
        with pytest.raises(ValueError, match=r"NaN|infinity|omplex"):
            getattr(model, method)(wrong)
    with pytest.raises(ValueError, match=r"NaN|infinity|omplex"):
        model.inverse_transform(wrong[:, :4])


def test_code_of_another_width_is_refused(X):
    with pytest.raises(ValueError, match="5 columns.*have 4"):
        quick().fit(X).inverse_transform(X)


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda X: np.ascontiguousarray(X[::-1])[::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    ],
    ids=["fortran", "negative", "big-endian", "list", "strided"],
)
def test_layout_of_memory_does_not_matter(X, change):
    expected = quick().fit(X)
    same = change(X)
    if isinstance(same, np.ndarray):
        same.flags.writeable = False
    model = quick().fit(same)
    for method in METHODS:
        np.testing.assert_allclose(
            getattr(model, method)(same), getattr(expected, method)(X), atol=1e-5
        )
    np.testing.assert_array_equal(np.asarray(same), X)


# 16 and 17: state


def test_using_a_model_does_not_change_it(frame):
    model = quick().fit(frame)
    before = pickle.dumps(vars(model))
    for method in [*METHODS, "score"]:
        getattr(model, method)(frame)
    model.inverse_transform(model.transform(frame))
    model.to_module()
    assert model.coefs_
    assert pickle.dumps(vars(model)) == before


def test_partial_fit_refuses_other_columns(X, frame):
    model = quick().partial_fit(X)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :3])
    named = quick().partial_fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        named.partial_fit(frame.rename(columns={"a": "z"}))


# 18 and 19: storage


def test_pickle_joblib_and_clone(X, tmp_path):
    model = quick().fit(X)
    expected = model.score_samples(X)
    joblib.dump(model, tmp_path / "model.joblib")
    for loaded in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
    ):
        np.testing.assert_array_equal(loaded.score_samples(X), expected)
        # twice, and training goes on as it would have
        again = pickle.loads(pickle.dumps(loaded))
        np.testing.assert_array_equal(
            again.partial_fit(X).transform(X),
            pickle.loads(pickle.dumps(model)).partial_fit(X).transform(X),
        )
    assert not hasattr(clone(model), "offset_")
    np.testing.assert_array_equal(clone(model).fit(X).score_samples(X), expected)


def test_frozen(X):
    from sklearn.frozen import FrozenEstimator

    model = quick().fit(X)
    frozen = clone(FrozenEstimator(model)).fit(X[:3], None)
    np.testing.assert_array_equal(frozen.transform(X), model.transform(X))


def test_skops_needs_to_trust_one_name(X):
    model = quick(random_state=np.random.RandomState(0)).fit(X).partial_fit(X)
    model.set_params(random_state=0)
    dump = skops.io.dumps(model)
    name = "skcae._estimator.ContractiveAutoencoder"
    assert skops.io.get_untrusted_types(data=dump) == [name]
    loaded = skops.io.loads(dump, trusted=[name])
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))


def test_pickle_holds_numpy_and_plain_python_only(X):
    stream = io.BytesIO()
    pickle.dump(quick().fit(X), stream)
    assert b"torch" not in stream.getvalue()


def test_model_of_a_machine_with_a_gpu_works_without(X):
    model = quick().fit(X)
    expected = model.score_samples(X)
    model.device = "cuda:7"
    np.testing.assert_array_equal(model.score_samples(X), expected)


# importing


def test_import_is_light_and_changes_nothing():
    code = (
        "import os, random, sys, numpy, torch, sklearn.neighbors\n"
        # scikit-learn's callbacks import rich, from 1.9 on
        "modules = set(sys.modules)\n"
        "before = dict(os.environ), torch.get_num_threads()\n"
        "state = torch.get_rng_state().tolist()\n"
        "import skcae, skcae.export\n"
        "assert (dict(os.environ), torch.get_num_threads()) == before\n"
        "assert torch.get_rng_state().tolist() == state\n"
        "for name in ('matplotlib', 'onnx', 'skops', 'polars', 'pytest', 'rich'):\n"
        "    assert name not in set(sys.modules) - modules, name\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
