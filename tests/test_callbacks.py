"""Scikit-learn's callbacks: what they are told, when, and what they may decide."""

import io
import pickle
import threading

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder, _fit
from skcae._core.training import Trainer
from skcae.anomaly import AnomalyDetector
from skcae.inspection import lambda_path
from skcae.metrics import reconstruction_score

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None

needs_callbacks = pytest.mark.skipif(
    ProgressBar is None, reason="scikit-learn has callbacks since 1.9"
)


def small(**parameters):
    """Of a small table, so that there is a second network."""
    defaults = {"max_iter": 5, "hidden_layer_sizes": (8,), "random_state": 0}
    return ContractiveAutoencoder(4, **defaults | parameters)


@pytest.fixture
def X(rng):
    return rng.normal(size=(60, 3)) @ rng.normal(size=(3, 7))


@pytest.fixture
def monitor():
    return ScoringMonitor(scoring={"score": reconstruction_score})


class Silent:
    """A callback that does nothing."""

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


class Recorder(Silent):
    """Keep all that one is told."""

    def __init__(self):
        self.calls, self.data, self.before, self.after = [], [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator):
        self.calls.append(f"begin {context.task_name} {context.task_id}")
        if context.task_name == "epoch":
            self.before.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        self.data.append((X, y))
        self.after.append(fitted_estimator)

    def teardown(self, estimator, context):
        self.calls.append("teardown")


class StopAfter(Silent):
    """Stop after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id == self.n_epochs - 1


class StopWhenGood(Silent):
    """Stop at a score on rows of one's own."""

    def __init__(self, X, goal):
        self.X, self.goal = X, goal

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        return fitted_estimator.score(self.X) > self.goal


@pytest.mark.skipif(ProgressBar is not None, reason="for scikit-learn before 1.9")
def test_without_scikit_learns_callbacks_there_is_no_method():
    for estimator in (small(), AnomalyDetector()):
        with pytest.raises(AttributeError, match="no attribute 'set_callbacks'"):
            estimator.set_callbacks()


def test_warnings_point_at_the_call_of_fit(X):
    model = small(activation="identity", lam=1e4, learning_rate_init=0.01, max_iter=50)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X)
    assert [warning.filename for warning in caught] == [__file__]


# What they are told


@needs_callbacks
def test_each_epoch_of_the_first_network_is_a_task(X, monkeypatch):
    rows, run = [], Trainer.run

    def counted(trainer, *args):
        rows.append(len(args[0]))
        return run(trainer, *args)

    monkeypatch.setattr(Trainer, "run", counted)
    recorder = Recorder()
    small(max_iter=2).set_callbacks(recorder).fit(X)
    assert recorder.calls == [
        "setup",
        "begin fit 0",
        *("begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1"),
        "end fit 0",
        "teardown",
    ]
    assert rows == [60, 40]
    for given, target in recorder.data:
        np.testing.assert_array_equal(given, X)
        assert target is given


@needs_callbacks
@pytest.mark.parametrize("contamination", ["auto", 0.2])
def test_the_model_of_an_epoch_is_that_of_a_fit_of_so_many(X, rng, contamination):
    X = np.r_[X, rng.normal(size=(1000, 7))]  # too many for a second network
    parameters = {"lam_warmup": 0, "contamination": contamination}
    recorder = Recorder()
    model = small(max_iter=3, **parameters).set_callbacks(recorder).fit(X)
    *epochs, last = recorder.after
    for n_epochs, seen in enumerate(epochs, 1):
        expected = small(max_iter=n_epochs, **parameters).fit(X)
        np.testing.assert_equal(seen.history_, expected.history_)
        assert (seen.n_iter_, seen.offset_) == (n_epochs, expected.offset_)
        np.testing.assert_array_equal(seen.score_samples(X), expected.score_samples(X))
        # it can go on from there
        np.testing.assert_array_equal(
            seen.partial_fit(X).transform(X), expected.partial_fit(X).transform(X)
        )
    for before, after in zip(recorder.before[1:], epochs[:-1], strict=True):
        assert before.n_iter_ == after.n_iter_ - 1
    assert recorder.before[0].n_iter_ == 0
    np.testing.assert_array_equal(last.transform(X), model.transform(X))


@needs_callbacks
def test_the_models_of_another_fit_go_on_from_the_first(X):
    recorder = Recorder()
    model = small(max_iter=2, warm_start=True).fit(X).set_callbacks(recorder).fit(X)
    assert [seen.n_iter_ for seen in recorder.after] == [3, 4, 4]
    assert [len(seen.loss_curve_) for seen in recorder.after] == [3, 4, 4]
    assert recorder.after[1].loss_curve_ == model.loss_curve_


@needs_callbacks
def test_trimmed_rows_are_not_among_the_training_rows(X):
    recorder = Recorder()
    model = small(trim_fraction=0.1, contamination=0.2).set_callbacks(recorder).fit(X)
    assert {len(given) for given, _ in recorder.data} == {54}
    assert recorder.after[-2].offset_ == model.offset_


@needs_callbacks
def test_looking_on_changes_nothing(X, monitor):
    plain, watched = small().fit(X), small().set_callbacks(monitor).fit(X)
    np.testing.assert_array_equal(watched.transform(X), plain.transform(X))
    assert watched.offset_ == plain.offset_
    *epochs, last = sorted(
        monitor.get_logs().data, key=lambda row: row["task_name"] == "fit"
    )
    assert [row["task_id"] for row in epochs] == list(range(5))
    assert epochs[-1]["score"] == last["score"] == plain.score(X)


@needs_callbacks
def test_nothing_is_copied_that_no_callback_asks_for(X, monkeypatch):
    fitted, calls = _fit._Session.fitted, []

    def counted(session, *args):
        calls.append(args)
        return fitted(session, *args)

    monkeypatch.setattr(_fit._Session, "fitted", counted)
    small().set_callbacks(Silent()).fit(X)
    assert len(calls) == 2  # at the ends of both networks


@needs_callbacks
def test_partial_fit_tells_nobody(X):
    recorder = Recorder()
    small().set_callbacks(recorder).partial_fit(X)
    assert recorder.calls == []


@needs_callbacks
def test_callbacks_may_use_autograd(X):
    class Differentiates(Silent):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            module = fitted_estimator.to_module()
            module(torch.ones(1, 7)).sum().backward()
            self.gradient = next(module.parameters()).grad

    callback = Differentiates()
    small(max_iter=1).set_callbacks(callback).fit(X)
    assert callback.gradient.abs().sum() > 0


# What they decide


@needs_callbacks
def test_a_callback_stops(X, capsys):
    model = small(verbose=2).set_callbacks(StopAfter(2), Silent()).fit(X)
    assert (model.n_iter_, model.converged_) == (2, False)
    assert capsys.readouterr().out.splitlines()[-1] == "stopped by a callback"
    goal = small().fit(X).history_["reconstruction"][2]
    model.set_callbacks(StopWhenGood(X, -goal)).set_params(verbose=0, max_iter=50)
    assert model.fit(X).n_iter_ < 10
    assert model.score(X) > -goal


@needs_callbacks
def test_convergence_in_the_same_epoch_is_convergence(X):
    model = small(tol=1e9, n_iter_no_change=1, lam_warmup=0)
    model.set_callbacks(StopAfter(2)).fit(X)
    assert (model.n_iter_, model.converged_) == (2, True)


@needs_callbacks
def test_stopped_before_the_end_early_stopping_gives_the_best_weights(X):
    recorder = Recorder()
    model = small(early_stopping=True, lam_warmup=0, learning_rate_init=0.2)
    model.set_params(max_iter=20).set_callbacks(recorder, StopAfter(9)).fit(X)
    best = recorder.after[int(np.argmin(model.history_["validation_loss"]))]
    np.testing.assert_array_equal(model.transform(X), best.transform(X))


@needs_callbacks
def test_in_a_pipeline(X, monitor, capsys):
    autoencoder = small().set_callbacks(monitor, StopAfter(2))
    model = make_pipeline(StandardScaler(), autoencoder).set_callbacks(ProgressBar())
    model.fit(X)
    assert model[-1].n_iter_ == 2
    assert len(monitor.get_logs().data) == 2 + 1
    assert "ContractiveAutoencoder - fit" in capsys.readouterr().out


@needs_callbacks
def test_in_a_search_with_two_workers(X, monitor, capsys):
    model = make_pipeline(
        StandardScaler(), small().set_callbacks(monitor, StopAfter(2))
    )
    grid = {"contractiveautoencoder__lam": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise")
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X)
    assert search.best_estimator_[-1].n_iter_ == 2
    # four fits in the workers and one here, of two epochs each
    assert len(monitor.get_logs().data) == 5 * (2 + 1)
    assert "ContractiveAutoencoder - fit" in capsys.readouterr().out
    assert search.best_estimator_[-1]._skl_callbacks == model[-1]._skl_callbacks


@needs_callbacks
def test_along_a_path_every_fit_is_told_of(X):
    recorder = Recorder()
    with pytest.warns(UserWarning, match="is the (largest|smallest) of lams"):
        lambda_path(small().set_callbacks(recorder), X, [0.1, 1.0], cv=2)
    assert recorder.calls.count("setup") == recorder.calls.count("teardown") == 4


@needs_callbacks
def test_a_detector_hands_them_on(X, monitor, capsys):
    network = small(contamination=0.1).set_callbacks(monitor, StopAfter(3))
    detector = AnomalyDetector(network, random_state=0).set_callbacks(ProgressBar())
    scores = detector.fit(X).score_samples(X)
    assert detector.estimator_.n_iter_ == 3
    assert "ContractiveAutoencoder - fit" in capsys.readouterr().out
    # the whole, the network as its part, and the epochs of that
    assert {row["task_id_path"][:2] for row in monitor.get_logs().data} == {(0, 0)}
    without = AnomalyDetector(
        clone(network).set_callbacks(StopAfter(3)), random_state=0
    )
    np.testing.assert_array_equal(without.fit(X).score_samples(X), scores)
    detector.estimator = small().set_callbacks(ProgressBar())
    with pytest.raises(TypeError, match="Register them directly on the meta-estimator"):
        detector.fit(X)


# When a fit fails


def displays():
    return [t for t in threading.enumerate() if "RichProgressMonitor" in str(type(t))]


@needs_callbacks
@pytest.mark.parametrize("estimator", [small(), AnomalyDetector(random_state=0)])
def test_after_a_failure_all_is_torn_down_and_as_before(X, monkeypatch, estimator):
    model = clone(estimator).fit(X)
    expected = model.score_samples(X)
    recorder = Recorder()
    model.set_callbacks(ProgressBar(), recorder)

    def fail(*args):
        assert len(displays()) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", fail)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    assert displays() == []
    assert recorder.calls[-1] == "teardown"
    np.testing.assert_array_equal(model.score_samples(X), expected)
    assert not [name for name in vars(model) if name.endswith("ctx")]
    model.fit(X)
    np.testing.assert_array_equal(model.score_samples(X), expected)


@needs_callbacks
def test_an_error_of_a_callback_leaves_the_earlier_fit(X):
    class Fails(Silent):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("of the callback")

    model = small().fit(X)
    before = model.score_samples(X)
    with pytest.raises(RuntimeError, match="of the callback"):
        model.set_callbacks(Fails()).fit(X + 1)
    np.testing.assert_array_equal(model.score_samples(X), before)


# Keeping a model that has some


@needs_callbacks
def test_clone_pickle_and_skops(X, monitor):
    model = small().set_callbacks(monitor, StopAfter(2)).fit(X)
    assert clone(model)._skl_callbacks == model._skl_callbacks
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert loaded.fit(X).n_iter_ == 2
    ours = ["skcae._estimator.ContractiveAutoencoder"]
    unknown = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    assert set(unknown) > set(ours)
    kept = skops.io.dumps(model.set_callbacks())
    assert skops.io.get_untrusted_types(data=kept) == ours
    loaded = skops.io.load(io.BytesIO(kept), trusted=ours)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
