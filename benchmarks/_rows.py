"""Rows that take minutes each: measured once, kept as JSON files in a folder."""

import json
import time


def name_of(parameters):
    """Short and readable, for a file: "lam=1 seed=0"."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def once(folder, key, measure):
    """One row, from the folder or measured and put there.

    Parameters
    ----------
    folder : pathlib.Path
        Of the rows of one kind.
    key : dict
        What tells the row from the others, short.
    measure : callable
        Returns a dict of figures, plain Python.

    Returns
    -------
    dict
        The key, the figures, and "seconds" where no figure has that name.
    """
    path = folder / f"{name_of(key)}.json"
    if path.exists():
        return json.loads(path.read_text())
    start = time.perf_counter()
    row = key | measure()
    row.setdefault("seconds", round(time.perf_counter() - start, 1))
    single = {name: value for name, value in row.items() if not isinstance(value, list)}
    print(f"{folder.name}: {name_of(single)}", flush=True)
    put(path, lambda unfinished: unfinished.write_text(json.dumps(row)))
    return row


def put(path, write):
    """Write a file whole: a run that is stopped leaves none that is half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    write(unfinished)
    unfinished.rename(path)
