"""What ``verbose`` prints while the estimator trains."""

import sys
from contextlib import contextmanager

_WIDTH = 30


@contextmanager
def progress(verbose, max_iter):
    """Give a function that prints the history's last epoch, or None.

    Parameters
    ----------
    verbose : int
        0 for None, 1 for a progress bar, 2 for a line an epoch.
    max_iter : int
    """

    def print_bar(history):
        epoch = len(history["loss"])
        done = "#" * (_WIDTH * epoch // max_iter)
        print(
            f"\r[{done:.<{_WIDTH}}] epoch {epoch}/{max_iter}  "
            f"loss {history['loss'][-1]:.5g}  "
            f"epochs without improvement {history['n_iter_no_change'][-1]}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def print_line(history):
        epoch = len(history["loss"])
        values = "  ".join(f"{name} {list_[-1]:.5g}" for name, list_ in history.items())
        print(f"epoch {epoch}/{max_iter}  {values}", flush=True)

    if verbose == 1:
        try:
            yield print_bar
        finally:
            print(file=sys.stderr)
    else:
        yield print_line if verbose else None
