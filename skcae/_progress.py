"""What ``verbose`` prints while the estimator trains."""

import sys

_WIDTH = 30


def progress_printer(verbose, max_iter):
    """Return a function that prints the history's last epoch, or None.

    Parameters
    ----------
    verbose : int
        0 for None, 1 for a progress bar, 2 for a line an epoch.
    max_iter : int
    """
    if not verbose:
        return None

    def print_bar(history):
        epoch = len(history["loss"])
        done = "#" * (_WIDTH * epoch // max_iter)
        print(
            f"\r[{done:.<{_WIDTH}}] epoch {epoch}/{max_iter}  "
            f"loss {history['loss'][-1]:.5g}",
            end="\n" if epoch == max_iter else "",
            file=sys.stderr,
            flush=True,
        )

    def print_line(history):
        epoch = len(history["loss"])
        values = "  ".join(f"{name} {list_[-1]:.5g}" for name, list_ in history.items())
        print(f"epoch {epoch}/{max_iter}  {values}", flush=True)

    return print_bar if verbose == 1 else print_line
