import inspect
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ContractiveAutoencoder, inspection, plotting
from skcae.plotting import (
    AnomalyScoresDisplay,
    ContractionCurveDisplay,
    JacobianSpectrumDisplay,
    LambdaPathDisplay,
    ScoreFieldDisplay,
    SensitivityDisplay,
    TangentVectorsDisplay,
    TrainingCurvesDisplay,
)

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

# eight epochs on two folds are enough to draw, but not to choose λ
pytestmark = pytest.mark.filterwarnings("ignore:The best λ:UserWarning")

LAMS = [0, 0.1, 1]
# each display from a model or from two, and rows
DRAW = {
    "AnomalyScores": lambda m, X, **k: AnomalyScoresDisplay.from_estimator(m, X, **k),
    "ContractionCurve": lambda m, X, **k: ContractionCurveDisplay.from_estimators(
        {"a": m, "b": m}, X, **k
    ),
    "JacobianSpectrum": lambda m, X, **k: JacobianSpectrumDisplay.from_estimators(
        {"a": m, "b": m}, X, **k
    ),
    "LambdaPath": lambda m, X, **k: LambdaPathDisplay.from_estimator(
        m, X, LAMS, cv=2, **k
    ),
    "ScoreField": lambda m, X, **k: ScoreFieldDisplay.from_estimator(m, X, **k),
    "Sensitivity": lambda m, X, **k: SensitivityDisplay.from_estimators(
        {"a": m, "b": m}, X, **k
    ),
    "TangentVectors": lambda m, X, **k: TangentVectorsDisplay.from_estimator(
        m, X[:2], 2, **k
    ),
    "TrainingCurves": lambda m, X, **k: TrainingCurvesDisplay.from_estimator(m, **k),
}
ONE_PANEL = sorted(set(DRAW) - {"LambdaPath", "TangentVectors", "TrainingCurves"})


def autoencoder(n_components=3, **parameters):
    one_layer = {"hidden_layer_sizes": (), "activation": "tanh", "tol": 1e-4}
    one_layer["noise_std"] = 0  # which narrow tables have by default
    parameters = one_layer | {"max_iter": 8, "random_state": 0} | parameters
    return ContractiveAutoencoder(n_components, **parameters)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def wine():
    """A frame with columns of different scales, and an index of its own."""
    X = load_wine(as_frame=True).data.iloc[:80, :4]
    return X.set_index(pd.Index([f"bottle {i}" for i in range(len(X))]))


@pytest.fixture(scope="module")
def fitted(wine):
    """A model alone with an array, and one behind a scaler with a frame."""
    frame = wine.iloc[:, :2]  # which all displays can draw, the field's too
    array = StandardScaler().fit_transform(frame)
    pipeline = make_pipeline(StandardScaler(), autoencoder())
    return {
        "array": (autoencoder().fit(array), array),
        "frame": (pipeline.fit(frame), frame),
    }


@pytest.fixture(scope="module")
def two(wine):
    """Models to compare, and the rows."""
    Z = StandardScaler().fit_transform(wine)
    return {"plain": autoencoder(lam=0).fit(Z), "λ = 1": autoencoder(lam=1).fit(Z)}, Z


@pytest.fixture(scope="module")
def path(wine):
    Z = StandardScaler().fit_transform(wine)
    return inspection.lambda_path(autoencoder(), Z, LAMS, cv=2)


def arrows(quiver):
    return np.column_stack([quiver.U, quiver.V])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# What all have in common


def test_every_display_is_tested():
    # that of drift, which asks for a detector, in anomaly/test_drift.py
    assert plotting.__all__ == [f"{name}Display" for name in sorted([*DRAW, "Drift"])]


def test_a_display_is_known_by_the_room_of_its_question():
    for name in plotting.__all__:
        room = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Display")).lower()
        assert getattr(plotting, name).__module__.endswith(f"._{room}")


@pytest.mark.parametrize("kind", ["array", "frame"])
@pytest.mark.parametrize("name", DRAW)
def test_draws_models_and_pipelines_arrays_and_frames(name, kind, fitted):
    display = DRAW[name](*fitted[kind])
    assert type(display) is getattr(plotting, f"{name}Display")
    axes = np.ravel(getattr(display, "ax_", None) or display.axes_)
    assert {ax.figure for ax in axes} == {display.figure_}
    assert all(ax.has_data() for ax in axes)
    display.figure_.canvas.draw()  # nothing in it warns or fails


@pytest.mark.parametrize("name", ONE_PANEL)
def test_draws_into_the_axes_given(name, fitted):
    figure, ax = plt.subplots()
    display = DRAW[name](*fitted["frame"], ax=ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert display.plot(ax) is display


@pytest.mark.parametrize("name", sorted(set(DRAW) - set(ONE_PANEL)))
def test_panels_stand_in_the_place_of_one_axes_or_in_a_list(name, fitted):
    figure, (ax, other) = plt.subplots(1, 2)
    place = ax.get_position()
    display = DRAW[name](*fitted["frame"], ax=ax)
    assert display.figure_ is figure and not ax.axison
    for panel in display.axes_.flat:
        box = panel.get_position()
        assert place.x0 - 1e-9 <= box.x0 and box.x1 <= place.x1 + 1e-9
        assert place.y0 - 1e-9 <= box.y0 and box.y1 <= place.y1 + 1e-9
    given = plt.figure().subplots(display.axes_.size)
    display = display.plot(list(given))
    assert list(display.axes_.flat) == list(given)
    with pytest.raises(ValueError, match=f"or {given.size} Axes.*; got 9"):
        display.plot(plt.figure().subplots(3, 3))
    with pytest.raises(ValueError, match="ax must be one Axes of a grid"):
        display.plot(figure.add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("name", sorted(set(DRAW) - {"LambdaPath"}))
def test_refuses_what_is_no_fitted_autoencoder(name, fitted):
    model, X = fitted["array"]
    with pytest.raises(NotFittedError):
        DRAW[name](autoencoder(), X)
    other = LogisticRegression().fit(X, np.arange(len(X)) % 2)
    wanted = "ContractiveAutoencoder or a Pipeline"
    if name == "AnomalyScores":
        wanted = "estimator must be an outlier detector"
    with pytest.raises(TypeError, match=wanted):
        DRAW[name](other, X)


@pytest.mark.parametrize("name", ["ContractionCurve", "JacobianSpectrum"])
@pytest.mark.parametrize("estimators", [{}, autoencoder(), [autoencoder()]])
def test_models_come_by_name(name, estimators, two):
    display = getattr(plotting, f"{name}Display")
    with pytest.raises(ValueError, match="estimators must be a dict"):
        display.from_estimators(estimators, two[1])


@pytest.mark.parametrize("name", DRAW)
def test_says_how_to_get_matplotlib(name, fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skcae\[plot\]"'):
        DRAW[name](*fitted["array"])


def test_is_imported_without_matplotlib():
    code = """
import sys
sys.modules["matplotlib"] = None
import skcae.plotting
display = skcae.plotting.AnomalyScoresDisplay([-1.0, -2.0], -1.5)
try:
    display.plot()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "skcae[plot]"' in done.stdout, done.stderr


def test_colours_and_line_styles_tell_many_models_apart(rng):
    spectra = {str(i): rng.uniform(1, 2, (5, 3)) for i in range(28)}
    lines = JacobianSpectrumDisplay(spectra).plot().lines_.values()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 28


def test_legend_is_above_the_data_and_no_wider_than_the_axes(rng):
    names = ["plain", "contractive, λ = 1", "denoising, σ = 0.3", "deep", "wide"]
    spectra = {name: rng.uniform(1, 2, (5, 3)) for name in names}
    figure, ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    JacobianSpectrumDisplay(spectra).plot(ax)
    figure.canvas.draw()
    legend, axes = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend.y0 >= axes.y1 and legend.width <= axes.width
    assert legend.y1 <= figure.bbox.y1


CURVE = pd.DataFrame({"ratio": [1.0], "std": [0.1]}, index=[0.5])
HISTORY = ContractiveAutoencoder(2, max_iter=2, random_state=0).fit(np.eye(4)).history_
ROWS, VECTORS = np.zeros((1, 4)), np.eye(4)[None, :2]
GOOD = {
    "AnomalyScores": ([-1.0, -2.0], -1.5),
    "ContractionCurve": ({"a": CURVE},),
    "JacobianSpectrum": ({"a": [[2.0, 1.0]]},),
    "ScoreField": ([[0.0, 0.0]], [[1.0, 1.0]]),
    "Sensitivity": ({"a": [1.0, 2.0]},),
    "TangentVectors": (ROWS, VECTORS),
    "TrainingCurves": (HISTORY,),
}


@pytest.mark.parametrize("ax", ["left", 3, ["left"], plt, [None, None, None]])
@pytest.mark.parametrize("name", DRAW)
def test_axes_are_axes(name, ax, path):
    given = GOOD.get(name, (path,))
    with pytest.raises(ValueError, match="ax must be (one|an) Axes"):
        getattr(plotting, f"{name}Display")(*given).plot(ax)


@pytest.mark.parametrize(
    ("name", "given", "drawn", "message"),
    [
        ("AnomalyScores", ("ab", -1.0), {}, "scores .* must be finite numbers"),
        ("AnomalyScores", ([], -1.0), {}, "scores .* must be finite numbers"),
        ("AnomalyScores", ([-1.0], np.nan), {}, "offset must be a number; got nan"),
        ("AnomalyScores", ([-1.0], "auto"), {}, "offset must be a number"),
        ("AnomalyScores", ([-1.0], None), {}, "offset must be a number"),
        ("AnomalyScores", None, {"bins": 0}, "bins must be an int >= 1; got 0"),
        ("AnomalyScores", None, {"bins": 2.5}, "bins must be an int >= 1"),
        ("ContractionCurve", ({},), {}, "curves must be a dict, not empty"),
        ("ContractionCurve", (CURVE,), {}, "curves must be a dict"),
        ("ContractionCurve", ({"a": 3},), {}, "curves of 'a' must be a DataFrame"),
        (
            "ContractionCurve",
            ({"a": CURVE[["ratio"]]},),
            {},
            "curves of 'a' must have the key 'std'",
        ),
        ("ContractionCurve", ({"a": CURVE * np.nan},), {}, "curves of 'a' must be fin"),
        (
            "ContractionCurve",
            ({"a": CURVE.set_axis(["x"])},),
            {},
            "index of curves of 'a' must be finite",
        ),
        ("JacobianSpectrum", ({},), {}, "singular_values must be a dict"),
        ("JacobianSpectrum", ({"a": [1.0]},), {}, "singular_values of 'a' must be"),
        ("JacobianSpectrum", ({"a": [[1.0], [1, 2]]},), {}, "singular_values of 'a'"),
        ("JacobianSpectrum", None, {"quantiles": (0.9, 0.1)}, "quantiles must be two"),
        ("JacobianSpectrum", None, {"quantiles": (0.1, 1.1)}, "quantiles must be two"),
        ("JacobianSpectrum", None, {"quantiles": (0.1,)}, "quantiles must be two"),
        ("JacobianSpectrum", None, {"quantiles": 0.1}, "quantiles must be two"),
        ("JacobianSpectrum", None, {"quantiles": ("a", "b")}, "quantiles must be two"),
        ("JacobianSpectrum", None, {"quantiles": (np.nan, 1)}, "quantiles must be two"),
        ("LambdaPath", ({},), {}, "path must have the key 'table', which is missing"),
        ("LambdaPath", ({"table": CURVE},), {}, "path must have the key 'best_lam'"),
        (
            "LambdaPath",
            (None,),
            {},
            "path must have the keys 'table', .*; got NoneType",
        ),
        (
            "LambdaPath",
            ({"table": CURVE, "best_lam": 1},),
            {},
            "table of path must have the key 'reconstruction_error'",
        ),
        (
            "LambdaPath",
            ({"table": CURVE, "best_lam": "1"},),
            {},
            "best_lam of path must",
        ),
        (
            "ScoreField",
            ([[0, 0]], "a"),
            {},
            "field must be numbers in 2 dim.*; got str",
        ),
        ("ScoreField", ([0, 0], [0, 0]), {}, r"X must be numbers .*; got shape \(2,\)"),
        ("ScoreField", None, {"stretch": 0}, "stretch must be a finite number > 0"),
        ("Sensitivity", ([1.0],), {}, "sensitivities must be a dict"),
        ("Sensitivity", ({"a": ["b"]},), {}, "sensitivities of 'a' must be finite"),
        ("Sensitivity", None, {"bins": "auto"}, "bins must be an int >= 1"),
        ("TangentVectors", (ROWS, "a"), {}, "vectors must be numbers; got str"),
        (
            "TangentVectors",
            ([["a"] * 4], VECTORS),
            {},
            "rows must be numbers; got list",
        ),
        ("TangentVectors", None, {"max_columns": 0}, "max_columns must be an int >= 1"),
        ("TrainingCurves", ({},), {}, "history must have the key 'reconstruction'"),
        ("TrainingCurves", ([1],), {}, "history must have the keys .*; got list"),
        (
            "TrainingCurves",
            (HISTORY | {"lam": [1.0]},),
            {},
            "history must .* one length",
        ),
        (
            "TrainingCurves",
            (HISTORY | {"lam": "ab"},),
            {},
            "lam of history must be num",
        ),
    ],
)
def test_what_cannot_be_drawn_is_named(name, given, drawn, message):
    with pytest.raises(ValueError, match=message):
        display = getattr(plotting, f"{name}Display")
        display(*(GOOD[name] if given is None else given)).plot(**drawn)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"which": "lost"}, "which must be 'kept' or 'contracted'; got 'lost'"),
        ({"row_names": ["a", "b"]}, "row_names must name each of 1 rows; got 2"),
        ({"image_shape": (2.0, 2.0)}, "image_shape must be a height and a width"),
        ({"image_shape": (-2, -2)}, "image_shape must be a height and a width"),
    ],
)
def test_what_tangents_are_drawn_with_is_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        TangentVectorsDisplay(ROWS, VECTORS, **keywords).plot()


def test_flags_are_true_or_false(two):
    with pytest.raises(ValueError, match="relative must be True or False; got 'no'"):
        SensitivityDisplay({"a": [1.0]}, relative="no").plot()
    with pytest.raises(ValueError, match="relative must be True or False; got 2"):
        SensitivityDisplay.from_estimators(*two, relative=2)
    with pytest.raises(ValueError, match="scaled must be True or False; got 'no'"):
        TangentVectorsDisplay.from_estimator(two[0]["plain"], two[1], scaled="no")
    with pytest.raises(ValueError, match="names must name each of 2 columns; got 3"):
        ScoreFieldDisplay([[0, 0]], [[1, 1]], names="abc").plot()


def test_nothing_is_raised_before_something_is_drawn():
    for name in plotting.__all__:
        display = getattr(plotting, name)
        parameters = inspect.signature(display).parameters.values()
        required = [p for p in parameters if p.default is p.empty]
        display(*[object()] * len(required))


# Training


@pytest.mark.parametrize("lam", [0, 0.3])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_curves_are_the_history(lam, early_stopping, two):
    model = autoencoder(lam=lam, early_stopping=early_stopping).fit(two[1])
    display = TrainingCurvesDisplay.from_estimator(model)
    history, lines = model.history_, display.lines_
    expected = {"reconstruction", "penalty", "grad_norm", "weight_norm", "lam"}
    if early_stopping:
        expected |= {"validation_loss"}
    assert set(lines) == expected
    for name in expected - {"penalty"}:
        np.testing.assert_array_equal(lines[name].get_ydata(), history[name])
    epochs = np.arange(1, model.n_iter_ + 1)
    np.testing.assert_array_equal(lines["lam"].get_xdata(), epochs)
    drawn = lines["penalty"].get_ydata()
    if lam:  # both terms add up to the objective
        total = drawn + lines["reconstruction"].get_ydata()
        np.testing.assert_allclose(total, history["loss"])
    else:
        np.testing.assert_array_equal(drawn, history["penalty"])
    label = "λ · penalty" if lam else "penalty, with λ = 0"
    validation = ["validation"] * early_stopping
    assert legend(display.axes_[0]) == ["reconstruction", label, *validation]


def test_learning_rate_is_drawn_where_it_changed(two):
    history = dict(two[0]["λ = 1"].history_)
    history["learning_rate"] = [1e-3] * 3 + [1e-4] * (len(history["lam"]) - 3)
    display = TrainingCurvesDisplay(history).plot()
    line = display.lines_["learning_rate"]
    np.testing.assert_array_equal(line.get_ydata(), history["learning_rate"])
    assert line.axes not in display.axes_
    assert line.axes.bbox.bounds == display.axes_[2].bbox.bounds


# λ


def test_path_draws_means_errors_and_choice(path):
    display = LambdaPathDisplay(path).plot()
    names = ["reconstruction_error", "relative_sensitivity", "denoising_score"]
    assert list(display.errorbars_) == names
    for name, bars in display.errorbars_.items():
        line, _, (errors,) = bars
        np.testing.assert_array_equal(line.get_xdata(), LAMS)
        np.testing.assert_array_equal(line.get_ydata(), path.table[name])
        ends = np.array(errors.get_segments())[:, :, 1]
        half = np.diff(ends)[:, 0] / 2
        np.testing.assert_allclose(half, path.table[f"{name}_se"], atol=1e-12)
    for line in display.chosen_:
        np.testing.assert_array_equal(line.get_xdata(), path.best_lam)
    # what the line says is what the rule chose
    limit = display.threshold_.get_ydata()[0]
    scores = path.table["denoising_score"]
    assert scores.index[scores >= limit].max() == path.best_lam


def test_path_draws_the_score_that_decided(path):
    table = path.table.assign(score=[1.0, 2.0, 1.5], score_se=[0.1, 0.3, 0.1])
    display = LambdaPathDisplay({"table": table, "best_lam": 0.1}).plot()
    np.testing.assert_array_equal(
        display.errorbars_["score"][0].get_ydata(), [1, 2, 1.5]
    )
    # of the best, not of all
    np.testing.assert_allclose(display.threshold_.get_ydata(), 1.7)
    assert display.axes_[2].get_ylabel() == "score"


@pytest.mark.parametrize(
    ("lams", "ticks"),
    [
        ([0, 0.1, 1], ["0", "0.1", "1"]),
        ([0.2, 0.5], ["0.2", "0.5"]),
        ([0, 2], ["0", "2"]),
        ([0], ["0"]),
        ([0, 0.01, 0.1, 0.101, 1, 10], ["0", "0.01", "0.1", "1", "10"]),
    ],
)
def test_every_lam_has_a_place_and_few_a_tick(lams, ticks, path):
    table = pd.concat([path.table.iloc[:1]] * len(lams)).set_axis(lams, axis=0)
    display = LambdaPathDisplay({"table": table, "best_lam": lams[-1]}).plot()
    display.figure_.canvas.draw()
    for ax in display.axes_:
        places = ax.transData.transform(np.column_stack([lams, np.ones(len(lams))]))
        assert np.all(np.diff(places[:, 0]) > 0) and np.isfinite(places).all()
        np.testing.assert_array_equal(ax.get_xticks(), [float(tick) for tick in ticks])
        assert len(ax.get_xticks(minor=True)) == 0
    assert [label.get_text() for label in ax.get_xticklabels()] == ticks


# Models compared


@pytest.mark.parametrize("relative", [False, True])
def test_sensitivity_histograms_count_every_row(relative, two):
    models, Z = two
    display = SensitivityDisplay.from_estimators(
        models, Z, noise_std=0.2, n_repeats=2, relative=relative, bins=7
    )
    for name, model in models.items():
        table = inspection.sensitivity(model, Z, noise_std=0.2, n_repeats=2)
        values = table["relative" if relative else "sensitivity"]
        counts, edges, _ = display.artists_[name].get_data()
        np.testing.assert_array_equal(counts, np.histogram(values, edges)[0])
        assert counts.sum() == len(Z) and len(counts) == 7
    assert display.ax_.get_xlabel().startswith("relative" if relative else "sensit")
    assert legend(display.ax_) == list(models)


def test_sensitivity_boxes_reach_from_quartile_to_quartile(two):
    models, Z = two
    display = SensitivityDisplay.from_estimators(models, Z, kind="box")
    for name, model in models.items():
        values = inspection.sensitivity(model, Z)["sensitivity"]
        heights = display.artists_[name].get_path().vertices[:, 1]
        drawn = heights.min(), heights.max()
        np.testing.assert_allclose(drawn, np.quantile(values, [0.25, 0.75]))
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == list(models)


@pytest.mark.parametrize("kind", ["violin", None, ["hist"]])
def test_sensitivity_refuses_other_kinds(kind):
    with pytest.raises(ValueError, match="kind must be 'hist' or 'box'"):
        SensitivityDisplay({"a": [1.0, 2.0]}).plot(kind=kind)


@pytest.mark.parametrize("values", [[np.nan, 1.0], [[1.0]], []])
def test_sensitivity_refuses_what_it_cannot_count(values):
    with pytest.raises(ValueError, match="sensitivities of 'a' must be finite"):
        SensitivityDisplay({"a": values}).plot()


def test_spectrum_draws_means_and_quantiles(two):
    models, Z = two
    display = JacobianSpectrumDisplay.from_estimators(models, Z, quantiles=(0.2, 0.7))
    for name, model in models.items():
        spectrum = inspection.jacobian_spectrum(model, Z)
        line, band = display.lines_[name], display.bands_[name]
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(line.get_ydata(), spectrum.mean)
        drawn = np.unique(band.get_paths()[0].vertices, axis=0)
        quantiles = np.quantile(spectrum.singular_values, [0.2, 0.7], axis=0).T
        edges = [(i + 1, value) for i, pair in enumerate(quantiles) for value in pair]
        np.testing.assert_allclose(drawn, edges)
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize(("tiny", "floor"), [(1e-17, 0.5), (0.0, 0.5), (1e-3, 5e-4)])
def test_spectrum_ends_where_rounding_begins(tiny, floor):
    display = JacobianSpectrumDisplay({"a": [[2.0, 1.0, tiny]]}).plot()
    np.testing.assert_allclose(display.ax_.get_ylim(), (floor, 4))


def test_spectrum_of_zeros_is_linear():
    display = JacobianSpectrumDisplay({"a": np.zeros((4, 3))}).plot()
    assert display.ax_.get_yscale() == "linear"


@pytest.mark.parametrize("radii", [None, [0.1, 1, 5]])
def test_contraction_curve_draws_ratio_and_deviation(radii, two):
    models, Z = two
    display = ContractionCurveDisplay.from_estimators(models, Z, radii, n_repeats=2)
    for name, model in models.items():
        curve = inspection.contraction_curve(model, Z, radii=radii, n_repeats=2)
        line = display.lines_[name]
        np.testing.assert_array_equal(line.get_xdata(), curve.index)
        np.testing.assert_array_equal(line.get_ydata(), curve["ratio"])
        ends = display.bands_[name].get_paths()[0].vertices[:, 1]
        low, high = curve["ratio"] - curve["std"], curve["ratio"] + curve["std"]
        np.testing.assert_allclose([ends.min(), ends.max()], [low.min(), high.max()])
    assert display.ax_.get_xscale() == "log" and display.ax_.get_ylim()[0] == 0


# Directions


@pytest.mark.parametrize("which", ["kept", "contracted"])
def test_images_show_rows_and_directions(which, two):
    models, Z = two
    display = TangentVectorsDisplay.from_estimator(
        models["plain"], Z[:2], 3, which, image_shape=(1, 4)
    )
    table = inspection.tangent_vectors(models["plain"], Z[:2], 3, which=which)
    vectors = table.to_numpy().reshape(2, 3, 1, 4)
    assert display.artists_.shape == display.axes_.shape == (2, 4)
    for i in range(2):
        image = display.artists_[i, 0]
        np.testing.assert_array_equal(image.get_array(), Z[i : i + 1])
        for image, vector in zip(display.artists_[i, 1:], vectors[i], strict=True):
            np.testing.assert_array_equal(image.get_array(), vector)
            low, high = image.get_clim()
            assert -low == high == np.abs(vector).max()
            white = image.get_cmap()(image.norm(0.0))
            assert min(white[:3]) > 0.95
    titles = [ax.get_title() for ax in display.axes_[0]]
    assert titles == ["image", f"{which} 1", f"{which} 2", f"{which} 3"]


@pytest.mark.parametrize("scaled", [None, True, False])
@pytest.mark.parametrize("image_shape", [None, (2, 2)])
def test_directions_are_in_the_units_asked_for(scaled, image_shape, wine):
    pipeline = make_pipeline(StandardScaler(), autoencoder()).fit(wine)
    rows = wine.iloc[[3, 1]]
    display = TangentVectorsDisplay.from_estimator(
        pipeline, rows, 2, image_shape=image_shape, scaled=scaled
    )
    behind = image_shape is None if scaled is None else scaled
    model, seen = pipeline, rows
    if behind:
        model, seen = pipeline[-1], pipeline[0].transform(rows)
    table = inspection.tangent_vectors(model, seen, 2)
    np.testing.assert_array_equal(np.reshape(display.vectors, (4, 4)), table)
    np.testing.assert_array_equal(display.rows, seen)
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == [
        "row bottle 3",
        "row bottle 1",
    ]
    if image_shape is None:
        xlabel = display.axes_[-1, 0].get_xlabel()
        assert xlabel.endswith("autoencoder's input" if behind else "columns")
        ticks = display.axes_[0, 0].get_yticklabels()
        assert [t.get_text() for t in ticks] == list(wine.columns)


def test_bars_show_the_columns_with_the_largest_entries():
    vectors = np.array([[[0.1, -3, 0.2, 1.0]], [[0.3, 0.1, 0.2, 0.5]]])
    display = TangentVectorsDisplay(np.zeros((2, 4)), vectors).plot(max_columns=2)
    for bars, vector in zip(display.artists_[:, 0], vectors[:, 0], strict=True):
        assert [bar.get_width() for bar in bars] == list(vector[[1, 3]])
        colours = {bar.get_facecolor() for bar in bars}
        assert len(colours) == (2 if vector[1] < 0 else 1)
    ticks = display.axes_[1, 0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["x1", "x3"]
    bottom, top = display.axes_[1, 0].get_ylim()
    assert bottom > top  # the first on top


def test_names_are_the_callers():
    names = ["a", "b", "c"]
    display = TangentVectorsDisplay(
        np.zeros((1, 3)), np.eye(3)[None], names=names, row_names=["r"]
    ).plot()
    ticks = display.axes_[0, 0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == names
    assert display.axes_[0, 0].get_ylabel() == "row r"


@pytest.mark.parametrize("image_shape", [(3, 2), (4,), 4, (1, 2, 2)])
def test_images_have_a_height_and_a_width(image_shape):
    display = TangentVectorsDisplay(
        np.ones((1, 4)), np.ones((1, 2, 4)), image_shape=image_shape
    )
    with pytest.raises(ValueError, match="image_shape must be .* of 4 cells"):
        display.plot()


@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (2, 2, 3)])
def test_directions_belong_to_rows(shape):
    with pytest.raises(ValueError, match="vectors must be of shape"):
        TangentVectorsDisplay(np.ones((2, 4)), np.ones(shape)).plot()


# Scores


@pytest.mark.parametrize("with_labels", [False, True])
def test_anomaly_scores_count_every_row_and_mark_the_threshold(with_labels, fitted):
    model, X = fitted["frame"]
    y = np.where(np.arange(len(X)) % 5 == 0, -1, 1) if with_labels else None
    display = AnomalyScoresDisplay.from_estimator(model, X, y, bins=9)
    errors = -model.score_samples(X)
    groups = {"rows": errors}
    if with_labels:
        groups = {"inliers": errors[y == 1], "outliers": errors[y == -1]}
    assert list(display.histograms_) == list(groups)
    for name, patch in display.histograms_.items():
        counts, edges, _ = patch.get_data()
        np.testing.assert_array_equal(counts, np.histogram(groups[name], edges)[0])
        assert counts.sum() == len(groups[name]) and len(counts) == 9
        np.testing.assert_allclose(
            np.diff(np.log(edges)), np.log(edges[1:] / edges[:-1]).mean()
        )
    np.testing.assert_array_equal(display.threshold_.get_xdata(), -model[-1].offset_)
    assert display.ax_.get_xscale() == "log"
    assert legend(display.ax_) == [*groups, "threshold"]


def test_no_row_falls_out_of_logarithmic_bins(rng):
    ax = plt.figure().subplots()
    for _ in range(8):
        display = AnomalyScoresDisplay(-rng.lognormal(size=20), -1.0).plot(ax)
        assert display.histograms_["rows"].get_data()[0].sum() == 20


def test_errors_of_zero_are_drawn_on_a_linear_axis():
    display = AnomalyScoresDisplay([0.0, -1.0, -4.0], -2.0).plot(bins=4)
    counts, edges, _ = display.histograms_["rows"].get_data()
    np.testing.assert_array_equal(counts, [1, 1, 0, 1])
    np.testing.assert_array_equal(edges, [0, 1, 2, 3, 4])
    assert display.ax_.get_xscale() == "linear"


@pytest.mark.parametrize("y", [[0, 1, 1], [1, -1], [True, False, True], ["a"] * 3])
def test_labels_are_one_and_minus_one(y):
    with pytest.raises(ValueError, match=r"y must hold 1 \(inlier\) or -1"):
        AnomalyScoresDisplay([-1.0, -2.0, -3.0], -2.0, y=y).plot()


@pytest.mark.parametrize("scores", [[-1.0, -np.inf], [[-1.0]]])
def test_scores_are_finite_numbers(scores):
    with pytest.raises(ValueError, match="scores of 'rows' must be finite numbers"):
        AnomalyScoresDisplay(scores, -1.0).plot()


@pytest.mark.parametrize("stretch", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["array", "frame"])
def test_field_is_drawn_at_its_length(kind, stretch, fitted):
    model, X = fitted[kind]
    display = ScoreFieldDisplay.from_estimator(model, X, stretch=stretch)
    field = inspection.score_field(model, X)
    np.testing.assert_array_equal(arrows(display.field_), stretch * np.asarray(field))
    np.testing.assert_array_equal(display.field_.XY, X)
    quiver = display.field_
    assert (quiver.angles, quiver.scale_units, quiver.scale) == ("xy", "xy", 1)
    assert display.true_ is None
    names = X.columns if kind == "frame" else ["x0", "x1"]
    assert [display.ax_.get_xlabel(), display.ax_.get_ylabel()] == list(names)


def test_arrows_end_within_the_axes():
    display = ScoreFieldDisplay(
        [[0.0, 0.0], [1.0, 1.0]], [[9.0, -3.0], [0, 7.0]]
    ).plot()
    assert display.ax_.get_xlim()[1] >= 9
    assert display.ax_.get_ylim()[0] <= -3 and display.ax_.get_ylim()[1] >= 8


@pytest.mark.parametrize("as_callable", [False, True])
def test_true_score_has_the_length_of_the_field(as_callable, fitted):
    model, X = fitted["array"]
    score = (lambda rows: -rows) if as_callable else -X
    display = ScoreFieldDisplay.from_estimator(model, X, score)
    np.testing.assert_allclose(arrows(display.true_), -display.scale_ * X)
    lengths = [np.linalg.norm(arrows(q)) for q in (display.field_, display.true_)]
    np.testing.assert_allclose(*lengths)


def test_rows_with_nan_are_left_out_of_the_field():
    field = [[1.0, 2.0], [np.nan, 0.0], [3.0, 4.0]]
    display = ScoreFieldDisplay([[0, 0], [1, 1], [2, 2]], field, names="ab").plot()
    np.testing.assert_array_equal(arrows(display.field_), [[1, 2], [3, 4]])


def test_field_has_two_columns(two):
    models, Z = two
    with pytest.raises(ValueError, match=r"shape \(n_samples, 2\); got \(80, 4\)"):
        ScoreFieldDisplay.from_estimator(models["plain"], Z)
    with pytest.raises(ValueError, match=r"got \(3, 2\), \(3, 2\), \(2, 2\)"):
        ones = np.ones((3, 2))
        ScoreFieldDisplay(ones, ones, true_score=ones[:2]).plot()


def test_a_single_point_can_be_seen(two):
    models, X = two
    display = ContractionCurveDisplay.from_estimators(models, X, [0.5])
    assert all(line.get_marker() == "o" for line in display.lines_.values())
    short = ContractiveAutoencoder(3, max_iter=1, random_state=0).fit(X)
    lines = TrainingCurvesDisplay.from_estimator(short).lines_
    assert all(line.get_marker() == "o" for line in lines.values())


def test_names_of_another_number_than_columns_are_refused():
    with pytest.raises(ValueError, match="names must name each of 3 columns; got 1"):
        TangentVectorsDisplay(np.zeros((1, 3)), np.eye(3)[None], names=["a"]).plot()


def test_names_of_columns_stand_once_in_axes_that_are_given():
    axes = plt.figure().subplots(1, 3)
    TangentVectorsDisplay(np.zeros((1, 3)), np.eye(3)[None], names="abc").plot(axes)
    written = [ax.yaxis.get_tick_params()["labelleft"] for ax in axes]
    assert written == [True, False, False]
