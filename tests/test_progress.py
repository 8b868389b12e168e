"""What verbose prints: in a terminal, in a file, in a notebook, from workers."""

import io
import re
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console
from rich.file_proxy import FileProxy

from skcae import ContractiveAutoencoder, _progress
from skcae._core.training import Trainer, TrainingDivergedError

CONVERGED = "converged: no improvement of tol for 2 epochs"


@pytest.fixture
def X(rng):
    return rng.normal(size=(60, 3)) @ rng.normal(size=(3, 7))


def verbose(**parameters):
    defaults = {"max_iter": 6, "hidden_layer_sizes": (8,), "verbose": 1}
    return ContractiveAutoencoder(4, random_state=0, **defaults | parameters)


def converging():
    """Where epochs after the second improve by too little."""
    return verbose(max_iter=1000, lam_warmup=0, tol=1e9, n_iter_no_change=2)


class Terminal(io.StringIO):
    """A terminal of so many columns."""

    encoding = "utf-8"

    def __init__(self, monkeypatch, columns):
        super().__init__()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, "stderr", self)
        monkeypatch.setattr(_progress, "_FRAME", 0)

    def isatty(self):
        return True

    def screens(self):
        """The lines that one sees, after every erasure and at the end."""
        lines, found = [""], []
        for token in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.text):
            if token == "\x1b[1A":
                lines.pop()
            elif token == "\x1b[2K":
                found.append("\n".join(lines))
                lines[-1] = ""
            elif token == "\n":
                lines.append("")
            elif token[0] not in "\x1b\r":
                lines[-1] += token
        found.append("\n".join(lines))
        return [re.sub(" +$", "", screen, flags=re.M) for screen in found]

    @property
    def text(self):
        return self.getvalue()


@pytest.fixture
def clock(monkeypatch):
    """Seconds that an epoch takes, in a list, of a clock that stands otherwise."""
    seconds, now, epoch = [1.0], [100.0], Trainer._safe_epoch

    def ticking(*args):
        epoch(*args)
        now[0] += seconds[0]

    monkeypatch.setattr(Trainer, "_safe_epoch", ticking)
    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return seconds


def test_silent_by_default(X, capfd):
    verbose(verbose=0).fit(X)
    assert capfd.readouterr() == ("", "")


def test_two_is_a_line_an_epoch(X, capfd):
    verbose(max_iter=3, verbose=2).fit(X)
    *lines, reason = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["epoch", f"{epoch}/3"] for epoch in (1, 2, 3)
    ]
    assert all("penalty 0." in line for line in lines)
    assert reason == "max_iter reached"


# In a terminal


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_bar_fits_the_terminal(X, monkeypatch, clock, columns, early_stopping):
    terminal = Terminal(monkeypatch, columns)
    model = verbose(early_stopping=early_stopping).fit(X)
    screens = terminal.screens()
    for screen in screens:
        assert max(map(len, screen.splitlines()), default=0) <= columns
        assert screen.count("/6 ") <= 1
    end = " ".join(screens[-1].split())
    latest = {name: values[-1] for name, values in model.history_.items()}
    assert "epoch 6/6 ━━━━" in end
    for name in ("reconstruction", "penalty", "validation_loss"):
        shown = name != "validation_loss" or early_stopping
        assert (f"{name} {latest[name]:#.4g}" in end) == shown
    assert end.endswith("1.0 s/epoch 6.0 s in all max_iter reached")
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1


def test_time_left_is_what_the_latest_epochs_took_and_a_bound(X, monkeypatch, clock):
    terminal = Terminal(monkeypatch, 100)
    safe_epoch = Trainer._safe_epoch

    def slower(trainer, *args):
        clock[0] = 1.0 if trainer.epochs < 5 else 120.0
        safe_epoch(trainer, *args)

    monkeypatch.setattr(Trainer, "_safe_epoch", slower)
    verbose(max_iter=1005, tol=1e9, n_iter_no_change=10).fit(X)
    screens = [" ".join(screen.split()) for screen in terminal.screens()]
    assert any("epoch 5/1005" in s and "at most 16:40 min left" in s for s in screens)
    latest = [s for s in screens if "epoch 15/1005" in s][0]
    assert "2:00 min/epoch at most 33:00 h left no improvement 9/10" in latest


def test_it_says_that_training_converged(X, monkeypatch):
    terminal = Terminal(monkeypatch, 80)
    model = converging().fit(X)
    assert (model.converged_, model.n_iter_) == (True, 3)
    end = terminal.screens()[-1]
    assert "epoch 3/1000 " in end and CONVERGED in end
    assert "left" not in end and "no improvement " in end


def test_what_others_print_stays_above_the_bar(X, monkeypatch):
    terminal = Terminal(monkeypatch, 80)
    safe_epoch = Trainer._safe_epoch

    def talking(trainer, *args):
        safe_epoch(trainer, *args)
        if trainer.epochs == 3:
            print("a word", file=sys.stderr)

    monkeypatch.setattr(Trainer, "_safe_epoch", talking)
    verbose(contamination=0.1).fit(X)
    lines = terminal.screens()[-1].splitlines()
    assert lines[0] == "a word"
    assert lines[1].startswith("epoch 6/6 ━")
    assert sys.stderr is terminal


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("x")])
def test_after_an_error_the_terminal_is_as_before(X, monkeypatch, error):
    terminal = Terminal(monkeypatch, 80)
    safe_epoch = Trainer._safe_epoch

    def failing(trainer, *args):
        if trainer.epochs == 2:
            raise error
        safe_epoch(trainer, *args)

    monkeypatch.setattr(Trainer, "_safe_epoch", failing)
    with pytest.raises(type(error)):
        verbose().fit(X)
    end = terminal.screens()[-1].split("\n")
    assert end[-2:] == [f"broken off by {type(error).__name__}", ""]
    assert terminal.text.endswith("\x1b[?25h")
    assert sys.stderr is terminal


def test_it_says_that_training_diverged(X, capfd, monkeypatch):
    safe_epoch = Trainer._safe_epoch

    def diverging(trainer, *args):
        if trainer.epochs == 2:
            raise TrainingDivergedError("penalty", 3)
        safe_epoch(trainer, *args)

    monkeypatch.setattr(Trainer, "_safe_epoch", diverging)
    with pytest.raises(ValueError, match="diverged in epoch 3"):
        verbose().fit(X)
    line = capfd.readouterr().err
    assert line.startswith("epoch 2/6  ")
    assert line.endswith("  diverged in epoch 3: the penalty exploded\n")


# Where nothing can be redrawn


def assert_lines(text, epochs, max_iter=1000):
    lines = text.splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/{max_iter}" for n in epochs]
    assert "\r" not in text and "\x1b" not in text


def test_a_file_gets_few_lines(X, capfd, clock):
    clock[0] = 15.0
    verbose(max_iter=100, tol=0, n_iter_no_change=100, contamination=0.1).fit(X)
    captured = capfd.readouterr()
    assert captured.out == ""
    # after 15, 30, 60 and 120 seconds, then every minute
    assert_lines(captured.err, [1, 2, 4, *range(8, 100, 4), 100], 100)
    assert "  15.0 s/epoch  at most 24:30 min left  no impr" in captured.err
    assert captured.err.endswith("  25:00 min in all  max_iter reached\n")


def test_a_short_fit_is_one_line_of_a_file(X, capfd):
    converging().fit(X)
    line = capfd.readouterr().err
    assert_lines(line, [3])
    assert line.endswith(f" ms in all  {CONVERGED}\n")


@pytest.mark.parametrize("where", ["no rich", "dumb", "thread", "worker", "other"])
def test_some_terminals_get_lines_too(X, monkeypatch, where):
    terminal = Terminal(monkeypatch, 80)
    if where == "no rich":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    if where == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    if where == "other":
        monkeypatch.setattr(sys, "stderr", FileProxy(Console(file=terminal), terminal))
    if where == "worker":
        monkeypatch.setattr(
            _progress, "multiprocessing", SimpleNamespace(parent_process=object)
        )
    if where == "thread":
        thread = threading.Thread(target=converging().fit, args=(X,))
        thread.start()
        thread.join()
    else:
        converging().fit(X)
    assert " ".join(terminal.text.split()).endswith(CONVERGED)
    if where != "other":
        assert_lines(terminal.text, [3])
    assert "━" not in terminal.text


def test_a_notebook_gets_a_bar_that_is_updated(X, monkeypatch, capfd):
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture)

    def display(picture, display_id):
        assert display_id is True
        shown.append(picture)
        return Handle()

    ipython = ModuleType("IPython.display")
    ipython.display = display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich._console", None)  # is kept for later tests otherwise
    monkeypatch.setattr(_progress, "_FRAME", 0)
    converging().fit(X)
    # one for each epoch, and the end
    assert len(shown) == 4
    for picture in shown:
        data = picture._repr_mimebundle_([], [])
        assert "epoch " in data["text/html"] and "━" in data["text/plain"]
    assert CONVERGED in data["text/html"]
    assert capfd.readouterr() == ("", "")
