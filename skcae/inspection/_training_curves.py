"""How training went."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skcae import _drawing
from skcae._checks import check_keys, check_numeric
from skcae._pipeline import split_pipeline
from skcae._typing import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = (
    "reconstruction",
    "penalty",
    "validation_loss",
    "grad_norm",
    "weight_norm",
    "lam",
    "learning_rate",
)


@_drawing.display
class TrainingCurvesDisplay:
    """How training went: both terms of the objective, norms and λ by epoch.

    It is drawn in three panels, one above the other.

    Parameters
    ----------
    history : dict of list of float
        ``history_`` of a fitted :class:`~skcae.ContractiveAutoencoder`.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (3,)
        Objective; norms, of the gradient on the left and of the weights on the right;
        λ, and on the right the learning rate if it changed.
    lines_ : dict of Line2D
        By their names in ``history``. "penalty" is times λ, as it enters the
        objective, and itself only where λ was 0 throughout. "validation_loss" is there
        if it was watched.
    figure_ : Figure
        The figure of ``axes_``.

    See Also
    --------
    skcae.ContractiveAutoencoder : Its attribute ``history_`` has the numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import TrainingCurvesDisplay
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0)
    >>> display = TrainingCurvesDisplay.from_estimator(model.fit(load_iris().data))
    >>> len(display.lines_["reconstruction"].get_xdata())
    5
    """

    history: Mapping[str, ArrayLike]

    @classmethod
    def from_estimator(
        cls, estimator: Model, *, ax: "Axes | ArrayLike | None" = None
    ) -> Self:
        """Draw the history of a fitted model.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            Fitted.
        ax : Axes or array-like of three Axes, default=None
            What to draw into, see :meth:`plot`; None for a new figure.

        Returns
        -------
        display : TrainingCurvesDisplay
            What was drawn.
        """
        _, autoencoder = split_pipeline(estimator)
        check_is_fitted(autoencoder)
        return cls(autoencoder.history_).plot(ax)

    def plot(self, ax: "Axes | ArrayLike | None" = None) -> Self:
        """Draw three panels, one above the other.

        Parameters
        ----------
        ax : Axes or array-like of three Axes, default=None
            One Axes of a grid, which is divided, or three; None for a new figure.

        Returns
        -------
        display : TrainingCurvesDisplay
            The display itself.
        """
        check_keys("history", self.history, _DRAWN)
        history = {
            name: check_numeric(
                f"{name} of history", self.history[name], 1, finite=False
            )
            for name in _DRAWN
        }
        lengths = {len(values) for values in history.values()}
        if len(lengths) > 1:
            raise ValueError(
                f"history must have lists of one length; got {sorted(lengths)}."
            )
        penalty = "penalty, with λ = 0"
        contracts = np.any(history["lam"] > 0)
        if contracts:
            penalty = "λ · penalty"
            history["penalty"] = history["penalty"] * history["lam"]
        self.axes_ = _drawing.panels(ax, (3, 1), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        loss, gradient, lam = self.axes_
        curves = [
            (loss, "loss", "reconstruction", "reconstruction"),
            (loss, "loss", "penalty", penalty),
            (loss, "loss", "validation_loss", "validation"),
            (gradient, "gradient\nnorm", "grad_norm", None),
            (gradient.twinx(), "weight\nnorm", "weight_norm", None),
            (lam, "λ", "lam", None),
        ]
        if np.ptp(history["learning_rate"]) > 0:
            curves.append((lam.twinx(), "learning\nrate", "learning_rate", None))
        self.lines_ = {}
        for axes, what, name, label in curves:
            if np.isnan(history[name]).all():
                continue
            epochs = np.arange(1, len(history[name]) + 1)
            on_the_right = axes not in self.axes_
            style = _drawing.style(on_the_right + len(axes.lines)) | {"label": label}
            style["marker"] = _drawing.marker(epochs)
            self.lines_[name] = axes.plot(epochs, history[name], **style)[0]
            _drawing.label(axes, "", what)
            if axes is not loss:  # the colour says whose axis it is
                axes.yaxis.label.set_color(style["color"])
            if name not in ("lam", "weight_norm"):
                # where λ starts from 0, the logarithm leaves a gap
                lines = [line.get_ydata() for line in axes.lines]
                _drawing.log_axis(axes.yaxis, lines)
        lam.set_xlabel("epoch", fontsize=_drawing.SMALL)
        if not contracts:
            lam.set_ylim(-0.1, 1)  # without a scale, it would lie on the frame
        _drawing.legend(loss)
        return self
