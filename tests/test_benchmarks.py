import json

import numpy as np
import pandas as pd
import pytest

# the repository's root is on the path of "python -m pytest", and of an editable install
pytest.importorskip("benchmarks")

from benchmarks import speed
from benchmarks._data import digits, mnist
from benchmarks._report import spreads


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
