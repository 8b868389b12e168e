"""What ``verbose`` prints while the estimator trains."""

import math
import multiprocessing
import sys
import textwrap
import threading
import time
from collections import deque
from contextlib import contextmanager

from skcae._core.training import TrainingDivergedError, Watcher

# The mean time of so many epochs is what each of the next is expected to take.
_RECENT_EPOCHS = 10
# Seconds between two pictures of the bar.
_FRAME = 0.1
# Seconds between two lines: as many as have passed so far, but within these.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0


@contextmanager
def progress(parameters, *, silent=False):
    """Give the watcher that prints, in a list, or an empty list.

    Parameters
    ----------
    parameters : ContractiveAutoencoder
        Its ``verbose``, ``max_iter`` and ``n_iter_no_change`` are read.
    silent : bool
        Whether to print nothing, as another rank does.
    """
    if silent or not parameters.verbose:
        yield []
        return
    report = (_LineAnEpoch if parameters.verbose == 2 else _Report)(parameters)
    try:
        yield [report]
    except TrainingDivergedError as error:
        report.end(f"diverged in epoch {error.epoch}: the {error.term} exploded")
        raise
    except BaseException as error:
        report.end(f"broken off by {type(error).__name__}")
        raise


class _LineAnEpoch(Watcher):
    """A line an epoch on the standard output, and one that says why it ended."""

    def __init__(self, parameters):
        self._max_iter = parameters.max_iter
        self._patience = parameters.n_iter_no_change

    def end_epoch(self, history):
        values = (f"{name} {values[-1]:.5g}" for name, values in history.items())
        epoch = f"epoch {len(history['loss'])}/{self._max_iter}"
        _write_line(sys.stdout, epoch, *values)

    def finish(self, reason):
        self.end(
            {
                "converged": "converged: no improvement of tol for "
                f"{self._patience} epochs",
                "max_iter": "max_iter reached",
                "callback": "stopped by a callback",
            }[reason]
        )

    def end(self, reason):
        _write_line(sys.stdout, reason)


class _Report(_LineAnEpoch):
    """A bar on the standard error, or a few lines where nothing can be redrawn."""

    _display = None

    def start(self, snapshot):
        self._start = time.monotonic()
        self._ends = deque([self._start], maxlen=_RECENT_EPOCHS + 1)

    def end_epoch(self, history):
        self._ends.append(time.monotonic())
        self._history = history
        if self._display is None:
            # no earlier, to see whether another display has come up
            self._display = _display(self._start)
        left = self._max_iter - len(history["loss"])
        # the last picture is that of the end
        if left and self._display.due(self._ends[-1]):
            self._show(
                f"at most {_duration(left * self._seconds())} left",
                f"no improvement {history['n_iter_no_change'][-1]}/{self._patience}",
            )

    def end(self, reason):
        if self._display is not None:
            all_time = _duration(time.monotonic() - self._start)
            self._show(f"{all_time} in all", reason=reason)
            self._display.close()

    def _seconds(self):
        return (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)

    def _show(self, *parts, reason=""):
        latest = {name: values[-1] for name, values in self._history.items()}
        terms = [
            f"{name} {latest[name]:#.4g}"
            for name in ("reconstruction", "penalty", "validation_loss")
            if not math.isnan(latest[name])
        ]
        parts = [*terms, f"{_duration(self._seconds())}/epoch", *parts]
        self._display.show(len(self._history["loss"]), self._max_iter, parts, reason)


def _display(start):
    """What shows the progress, depending on where the standard error leads to."""
    try:
        from rich.console import Console
        from rich.file_proxy import FileProxy
    except ImportError:
        return _Lines(start)
    console = Console(stderr=True)
    if console.is_jupyter:
        return _Cell(console)
    # one bar at a time: workers share a terminal, as do threads and other displays
    alone = (
        multiprocessing.parent_process() is None
        and threading.current_thread() is threading.main_thread()
        and not isinstance(sys.stderr, FileProxy)
    )
    return _Bar(console) if alone and console.is_interactive else _Lines(start)


class _Lines:
    def __init__(self, start):
        self._start, self._next = start, start + _SHORTEST_PAUSE

    def due(self, now):
        if now < self._next:
            return False
        pause = max(_SHORTEST_PAUSE, min(now - self._start, _LONGEST_PAUSE))
        self._next = now + pause
        return True

    def show(self, epoch, max_iter, parts, reason):
        reason = [reason] if reason else []
        _write_line(sys.stderr, f"epoch {epoch}/{max_iter}", *parts, *reason)

    def close(self):
        pass


class _Frames:
    _next = 0.0

    def due(self, now):
        if now < self._next:
            return False
        self._next = now + _FRAME
        return True

    def close(self):
        pass

    def picture(self, epoch, max_iter, parts, reason):
        """The bar, and below it the parts, as many in a line as fit."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1)
        bar.add_row(f"epoch {epoch}/{max_iter}", ProgressBar(max_iter, epoch))
        # lines end between parts, not within them
        words = "  ".join(part.replace(" ", "\xa0") for part in parts)
        words = textwrap.fill(words, self._console.width).replace("\xa0", " ")
        picture = Table.grid(expand=True)
        for row in (bar, words, reason):
            if row:
                picture.add_row(row)
        return picture


class _Bar(_Frames):
    """Rich's bar in a terminal."""

    def __init__(self, console):
        from rich.live import Live

        self._console = console
        # What else is printed comes out above the bar. What is redirected to a file
        # stays there.
        to_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._live = Live(
            console=console, auto_refresh=False, redirect_stdout=to_terminal
        )
        self._live.start()

    def show(self, *status):
        self._live.update(self.picture(*status), refresh=True)

    def close(self):
        self._live.stop()


class _Cell(_Frames):
    """Rich's bar in a notebook, without the widgets that its own display needs."""

    def __init__(self, console):
        self._console = console
        self._handle = None

    def show(self, *status):
        from IPython.display import display

        if self._handle is None:
            self._handle = display(self.picture(*status), display_id=True)
        else:
            self._handle.update(self.picture(*status))


def _write_line(file, *parts):
    # at once: the lines of several workers must not run into each other
    print("  ".join(parts) + "\n", end="", file=file, flush=True)


def _duration(seconds):
    if seconds < 1:
        return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"
