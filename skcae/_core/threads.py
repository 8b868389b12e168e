"""How many threads torch uses: for the calling thread alone, and safely after a fork.

``torch.set_num_threads`` also decides for threads that start later, whoever starts
them. What is set here, by threadpoolctl, holds for the thread that sets it.
"""

import ctypes
import functools
import os
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController

# In one matrix product. Threads that share fewer lose more by meeting than they gain.
_MULTIPLICATIONS_PER_THREAD = 2**21
# Share of the time that trying another number of threads may take.
_TRIAL_SHARE = 0.05
_TRIAL_STEPS = 3
# Weight of the newest step in the mean time of a step.
_NEWEST = 0.2
_PROCESS = os.getpid()
# Of each thread, while it uses one: how many it could use.
_outside = threading.local()


def available():
    """Threads that the calling thread may use.

    One in a process that was forked: a team of threads does not survive a fork, and
    the child would wait for it for ever.
    """
    if os.getpid() != _PROCESS:
        return 1
    return getattr(_outside, "n_threads", None) or torch.get_num_threads()


@contextmanager
def one():
    """Use one thread inside, where :func:`available` still counts those outside."""
    outermost = not hasattr(_outside, "n_threads")
    if outermost:
        _outside.n_threads = available()
    try:
        with _restored():
            _set(1)
            yield
    finally:
        if outermost:
            del _outside.n_threads


def enough_for(multiplications):
    """Use one thread inside for so little work, or where only one is available.

    Others' OpenMP, as that of scikit-learn's neighbours, knows neither: its threads
    wait for each other for longer than a small search takes, and after a fork for ever.
    """
    is_shared = available() > 1 and multiplications >= 2 * _MULTIPLICATIONS_PER_THREAD
    return nullcontext() if is_shared else one()


class StepThreads:
    """One thread or all, step by step, whichever takes less time.

    On an idle machine large products gain by a second thread. On a busy one the threads
    wait for the one that is not scheduled, and a step takes up to fifty times as long.
    So every step is timed, and now and then a few steps try the other number.

    Parameters
    ----------
    multiplications : int
        In the largest matrix product of a step.
    """

    def __init__(self, multiplications):
        most = max(1, multiplications // _MULTIPLICATIONS_PER_THREAD)
        self._all = min(available(), most)
        self._mean_times = {}
        self._used = 1
        self._trial_left = 0
        self._trial_time = self._total_time = 0.0
        self._started = None

    @contextmanager
    def restored(self):
        """Use the chosen number inside, and the caller's again afterwards."""
        with _restored():
            _set(self._used)
            yield

    def pause(self):
        """Do not count the time until the next step."""
        self._started = None

    def step(self):
        """Choose for the step that begins."""
        if self._all == 1:
            return
        now = time.perf_counter()
        if self._started is not None:
            before = self._used
            self._choose(now - self._started)
            if self._used != before:
                _set(self._used)
        self._started = now

    def _choose(self, seconds):
        """Take the time of the last step into account."""
        used, other = self._used, self._all + 1 - self._used
        mean = self._mean_times.get(used, seconds)
        self._mean_times[used] = mean + _NEWEST * (seconds - mean)
        self._total_time += seconds
        if self._trial_left > 0:
            self._trial_time += seconds
            self._trial_left -= 1
            if seconds > 2 * self._mean_times[other]:
                self._trial_left = 0
            if self._trial_left == 0:
                self._used = min(self._mean_times, key=self._mean_times.get)
        elif self._mean_times.get(other, seconds) < self._mean_times[used]:
            self._used = other
        elif self._trial_time < _TRIAL_SHARE * self._total_time:
            self._mean_times.pop(other, None)
            self._used, self._trial_left = other, _TRIAL_STEPS


@contextmanager
def _restored():
    before = [library.get_num_threads() for library in _openmp()]
    mkl_before = _set_mkl(0)
    _set_mkl(mkl_before)
    try:
        yield
    finally:
        for library, n_threads in zip(_openmp(), before, strict=True):
            library.set_num_threads(n_threads)
        _set_mkl(mkl_before)


def _set(n_threads):
    for library in _openmp():
        library.set_num_threads(n_threads)
    _set_mkl(n_threads)


@functools.cache
def _openmp():
    return ThreadpoolController().select(user_api="openmp").lib_controllers


def _set_mkl(n_threads):
    """Set the calling thread's number in torch's MKL; 0 is "as OpenMP"; return the old.

    ``torch.set_num_threads`` sets it, and it then overrides OpenMP's.
    """
    function = _mkl_function()
    return 0 if function is None else function(n_threads)


@functools.cache
def _mkl_function():
    # threadpoolctl does not find an MKL that is linked into another library
    for library in Path(torch.__file__).parent.glob("lib/libtorch_cpu.*"):
        return getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)
    return None
