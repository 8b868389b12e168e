import json

import numpy as np
import pandas as pd
import pytest

# the repository's root is on the path of "python -m pytest", and of an editable install
pytest.importorskip("benchmarks")

from benchmarks import speed
from benchmarks._data import digits, labelled, mnist
from benchmarks._report import spreads
from benchmarks._tables import Split


@pytest.fixture
def command(monkeypatch, tmp_path):
    """benchmarks.speed over rows that cost nothing, with these bars; and its file."""
    out = tmp_path / "rows.json"

    def run(*bars):
        rows = [speed.Contest(f"row {bar}", bar, int, int) for bar in bars]
        monkeypatch.setattr(speed, "contests", lambda quick, device: [*rows, None])
        monkeypatch.setattr(speed, "ratios", lambda pairs: (0.8, 0.7, 0.9))
        options = "--pairs 1 --threads 1 --only row --out".split()
        monkeypatch.setattr("sys.argv", ["speed", *options, str(out)])
        speed.main()

    return run, out


def verdicts(out):
    return [row["met"] for row in json.loads(out.read_text())["rows"]]


def test_speed_ends_well_where_every_bar_is_met(command, capsys):
    run, out = command
    run(0.8, 0.9)
    assert "missed" not in capsys.readouterr().out
    assert verdicts(out) == [True, True]


def test_speed_fails_past_a_bar_and_names_the_row(command, capsys):
    run, out = command
    with pytest.raises(SystemExit, match="1 of 2 bars missed: row 0.7$"):
        run(0.9, 0.7)
    assert "missed" in capsys.readouterr().out.splitlines()[-1]
    assert verdicts(out) == [True, False]


@pytest.mark.parametrize("paper", [0, 255])
def test_mnist_is_ink_on_paper_whichever_way_round_the_file_has_it(tmp_path, paper):
    ink = 255 - paper
    for part, n in (("train", 60_000), ("test", 10_000)):
        X = np.full((n, 4), paper, np.uint8)
        X[:, 0] = ink
        np.savez(tmp_path / f"mnist_{part}.npz", X=X, y=np.arange(n) % 10)
    X, y = mnist(tmp_path)
    assert X.shape == (70_000, 4) and y.shape == (70_000,)
    np.testing.assert_array_equal(X[[0, -1]], [[1, 0, 0, 0]] * 2)
    X_train, X_test, y_train, y_test = digits(tmp_path, n_train=7, n_test=5)
    assert len(X_train) == len(y_train) == 7 and len(X_test) == len(y_test) == 5


def test_spreads_say_only_what_there_is():
    frame = pd.DataFrame({"of": list("aab"), "x": [1.0, 3.0, 5.0]})
    frame["y"] = [np.nan, np.nan, 2.0]
    text = spreads(frame.groupby("of"), ".1f")
    assert text.loc["a"].tolist() == ["2.0 ± 1.4", ""]
    assert text.loc["b"].tolist() == ["5.0", "2.0"]


def test_labelled_tables_keep_their_rare_rows(tmp_path):
    rng = np.random.default_rng(0)
    for name, n_rare, d in (("a", 40, 4), ("b", 400, 4), ("few", 29, 4), ("c", 40, 3)):
        y = np.zeros(900, int)
        y[:n_rare] = 1
        (tmp_path / "family").mkdir(exist_ok=True)
        X = rng.standard_normal((900, d))
        np.savez(tmp_path / "family" / f"{name}.npz", X=X, y=y)
    found = {name: y for name, _, y in labelled(tmp_path, 300)}
    assert set(found) == {"a", "b", "breast_cancer", "digits", "iris", "wine"}
    assert len(found["a"]) == 300 and found["a"].sum() == 40
    assert found["b"].sum() == 100
    assert np.bincount(found["breast_cancer"]).tolist() == [100, 200]


@pytest.fixture
def split():
    """Rows near a plane, whose classes lie along it."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((240, 2))
    X = latent @ rng.standard_normal((2, 8)) + 0.1 * rng.standard_normal((240, 8))
    return Split(X, (latent[:, 0] > 0).astype(int), 0)


def test_rows_are_damaged_alike_for_all_methods(split):
    first, second = split._damaged(), split._damaged()
    for name, rows in first.items():
        np.testing.assert_array_equal(rows, second[name])
    for method in ("KNNImputer fills", "regression fills"):
        for name, rows in split._filled(method).items():
            hole = first[name] == 0
            assert np.isfinite(rows).all()
            np.testing.assert_array_equal(rows[~hole], split.X_test[~hole])
            errors = [
                np.mean((X - split.X_test)[hole] ** 2) for X in (rows, first[name])
            ]
            assert errors[0] < errors[1] / 3


@pytest.mark.parametrize("noisy", [False, True])
def test_no_fold_tests_on_a_copy(noisy, split):
    folds = list(split._folds(split.y))
    X, y, folds = split._with_copies(folds, noisy)
    n = len(split.y)
    assert len(X) == len(y) == 3 * n
    for train, test in folds:
        assert test.max() < n and not set(train % n) & set(test)
    np.testing.assert_array_equal(X[:n], split.X)


def test_few_labels_are_of_every_class_and_nest(split):
    drawn = dict(split._labelled())
    assert list(drawn) == [20, 50]  # of 160 training rows
    assert set(drawn[20]) < set(drawn[50])
    assert all(len(rows) == n == len(set(rows)) for n, rows in drawn.items())


def test_a_method_is_measured_whole(split):
    figures = split.measure("raw")
    assert figures["clean"] > 95 > figures["40% missing"]
    assert {"20 labels", "50 labels", "noise 1", "a column drifted"} < set(figures)
    assert set(split.measure("regression fills")) == {"20% missing", "40% missing"}
