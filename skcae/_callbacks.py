"""Scikit-learn's callbacks, which came with 1.9: the tasks that they are told of."""

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from skcae._core.training import Watcher
from skcae._typing import Method

if TYPE_CHECKING:
    from sklearn.callback import CallbackSupportMixin

    def with_callbacks(method: Method) -> Method:
        """Keep its type, which scikit-learn's decorator does not say."""
        return method

else:
    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:

        class CallbackSupportMixin:
            """In place of scikit-learn's, without ``set_callbacks``."""

        def with_callbacks(method):
            """In place of scikit-learn's; as deep, for warnings' ``stacklevel``."""

            @functools.wraps(method)
            def undecorated(*args, **kwargs):
                return method(*args, **kwargs)

            return undecorated


class FitTask:
    """A fit, as a task with subtasks. Without scikit-learn's callbacks it does nothing.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        Its method must be decorated by ``with_callbacks``.
    X : ndarray of shape (n_samples, n_features)
        Training rows, which are also the target.
    max_subtasks : int
        Epochs or members that are fitted.
    """

    def __init__(self, estimator, X, max_subtasks):
        self._known = {"estimator": estimator, "X": X, "y": X}
        self._context = None
        if hasattr(estimator, "_init_callback_context"):
            self._context = estimator._init_callback_context(max_subtasks=max_subtasks)
            self._context.call_on_fit_task_begin(**self._known)

    def end(self):
        """The estimator is fitted."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                **self._known, reconstruction_attributes={}
            )

    def epochs(self, attributes):
        """What makes each epoch a subtask: a list of Watcher, empty without callbacks.

        Parameters
        ----------
        attributes : callable
            From a snapshot of the training to the fitted attributes, a dict.
        """
        if self._context is None or not hasattr(
            self._known["estimator"], "_skl_callbacks"
        ):
            return []
        return [_Epochs(self._context, self._known, attributes)]

    @contextmanager
    def member(self, member):
        """Hand the callbacks on to a member while it is fitted, a subtask."""
        if self._context is None:
            yield
            return
        context = self._context.subcontext("fit-estimator")
        with context.propagate_callback_context(member):
            context.call_on_fit_task_begin(**self._known)
            yield
        context.call_on_fit_task_end(**self._known)


class _Epochs(Watcher):
    def __init__(self, context, known, attributes):
        self._context, self._known, self._attributes = context, known, attributes

    def start(self, snapshot):
        # as a function, it is called only for callbacks that ask for the model
        self._known = self._known | {
            "reconstruction_attributes": lambda: self._attributes(snapshot())
        }

    # inference mode would follow into what callbacks do with torch
    @torch.inference_mode(False)
    def begin_epoch(self):
        self._epoch = self._context.subcontext("epoch")
        self._epoch.call_on_fit_task_begin(**self._known)

    @torch.inference_mode(False)
    def end_epoch(self, history):
        return self._epoch.call_on_fit_task_end(**self._known)
