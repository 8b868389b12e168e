"""What each λ costs and what it buys."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, indexable

from skcae import _drawing
from skcae._checks import (
    check_keys,
    check_not_negative,
    check_numbers,
    check_positive,
    check_table,
)
from skcae._pipeline import Inputs, flat_pipeline, split_pipeline, spread, take_rows
from skcae._typing import Model, Table
from skcae.inspection._sensitivity import sensitivity
from skcae.metrics import (
    contraction_score,
    denoising_score,
    largest_lam_within_one_standard_error,
    reconstruction_score,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A fit that starts from another's weights gets this share of max_iter. It starts from
# them if they leave at most this share of the variance unexplained.
_WARM_SHARE = 1 / 3
_COLLAPSED = 0.5


def lambda_path(
    estimator: Model,
    X: Table,
    lams: ArrayLike,
    y: ArrayLike | None = None,
    *,
    cv: Any = 5,
    scoring: Callable[..., float] | None = None,
    noise_std: float = 0.5,
    random_state: int | None = 0,
) -> Bunch:
    r"""Cross-validate λ along a path of fits that start from one another.

    In each fold the steps before the autoencoder are fitted once. The largest λ is
    then fitted from scratch; each smaller one starts from the weights of the one
    before and gets a third of ``max_iter``. While more than half of the variance
    is unexplained, so strong a λ may have switched units off for good: the next
    fit is then from scratch as well. At the same cost, this order ends at lower
    objectives than that from small to large. At small λ it also ends lower than fits
    from scratch, which stop before they are as contractive.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        It is cloned, need not be fitted, and its ``lam`` is ignored. A fitted search
        stands for its best estimator.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    lams : array-like of shape (n_lams,)
        Values >= 0.
    y : array-like of shape (n_samples,), default=None
        Labels, for steps that are fitted with them, for ``cv`` and for ``scoring``.
        The autoencoder ignores them.
    cv : int, cross-validation generator or iterable, default=5
        As in ``GridSearchCV``; at least two folds. Where they depend on groups, give
        ``list(splitter.split(X, y, groups))``.
    scoring : callable, default=None
        ``(estimator, X) -> float``, or ``(estimator, X, y) -> float`` where ``y`` is
        given; higher is better, for fitted estimators and held-out rows. It then
        decides; None for :func:`skcae.metrics.denoising_score`.
    noise_std : float, default=0.5
        Standard deviation of the noise in "denoising_score" and "sensitivity", in the
        units of the autoencoder's input.
    random_state : int or None, default=0
        Seeds that noise; an int gives every candidate the same.

    Returns
    -------
    path : Bunch
        - table : DataFrame indexed by "lam", ascending. Each of the following is
          the mean over folds of held-out rows, and has beside it its standard
          error under the name with "_se" appended: "reconstruction_error" (as the
          negative of ``score``), "contraction" (mean of
          :math:`\|\partial f / \partial x\|_F^2`), "sensitivity" and
          "relative_sensitivity" (means of :func:`sensitivity`),
          "denoising_score", and "score" where ``scoring`` is given.
        - best_lam : float, the largest λ whose score is within one standard error
          of the best, see
          :func:`skcae.metrics.largest_lam_within_one_standard_error`.
        - at_edge : bool, whether ``best_lam`` is the smallest of several λ, but not
          0, or the largest: a better one may lie beyond. This is also warned of.

    Raises
    ------
    ValueError
        If a fit fails, see :meth:`skcae.ContractiveAutoencoder.fit`; it names λ.

    See Also
    --------
    skcae.plotting.LambdaPathDisplay : The picture.
    skcae.metrics.largest_lam_within_one_standard_error : The rule, for a search.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.inspection import lambda_path
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0)
    >>> lambda_path(model, X, [0], cv=2).best_lam
    0.0
    """
    lams = check_numbers("lams", lams, zero=True)
    check_positive("noise_std", noise_std)
    if not (scoring is None or callable(scoring)):
        raise ValueError(
            "scoring must be a callable (estimator, X) -> float, such as one of "
            f"skcae.metrics, or None; got {scoring!r}."
        )
    flat = flat_pipeline(estimator)
    check_table(X)
    X, y = indexable(X, y)
    noise = {"noise_std": noise_std, "random_state": random_state}
    records = []
    for fold, (train, test) in enumerate(check_cv(cv, y).split(X, y)):
        y_train, y_test = (
            None if y is None else take_rows(y, part) for part in (train, test)
        )
        held_out = take_rows(X, test)
        for lam, model in _path(flat, take_rows(X, train), y_train, lams):
            record = {"lam": lam, "fold": fold} | _measures(model, held_out, noise)
            if scoring is not None:
                labels = () if y is None else (y_test,)
                record["score"] = float(scoring(model, held_out, *labels))
            records.append(record)
    return _summary(pd.DataFrame(records).set_index(["lam", "fold"]))


def _path(flat, X, y, lams):
    """Yield each λ, from the largest on, with the model fitted for it."""
    model = clone(flat)
    front, autoencoder = split_pipeline(model)
    if front is not None:
        X = _fit_front(front, X, y)
        model = type(model)([*front.steps, model.steps[-1]])
    epochs, warm = autoencoder.max_iter, False
    for lam in lams[::-1]:
        autoencoder.set_params(
            lam=float(lam),
            warm_start=warm,
            max_iter=int(np.ceil(epochs * _WARM_SHARE)) if warm else epochs,
        )
        try:
            autoencoder.fit(X)
        except ValueError as error:
            raise ValueError(
                f"The fit at lam={lam:g} failed; leave it out of lams if it is the "
                f"largest. {error}"
            ) from error
        yield lam, model
        inputs = Inputs(autoencoder, X)
        residual = np.sum((inputs.reconstruct() - inputs.rows) ** 2, axis=1).mean()
        warm = bool(residual <= _COLLAPSED * spread(inputs.rows) ** 2)


def _fit_front(front, X, y):
    try:
        return front.fit_transform(X, y)
    except (TypeError, ValueError) as error:
        if y is not None:
            raise
        reason = str(error).rstrip(".")
        raise ValueError(
            f"A step before the autoencoder cannot be fitted: {reason}. If it needs "
            "labels, give them to lambda_path as y."
        ) from error


def _measures(model, X, noise):
    moved = sensitivity(model, X, **noise).mean()
    return {
        "reconstruction_error": -reconstruction_score(model, X),
        "contraction": -contraction_score(model, X),
        "sensitivity": moved["sensitivity"],
        "relative_sensitivity": moved["relative"],
        "denoising_score": denoising_score(model, X, **noise),
    }


def _summary(by_fold):
    """Means and standard errors over folds, and the λ that they choose."""
    decisive = by_fold.iloc[:, -1].unstack("fold").sort_index()
    best = largest_lam_within_one_standard_error(
        {"param_lam": decisive.index, "mean_test_score": decisive.mean(axis=1)}
        | {f"split{fold}_test_score": decisive[fold].to_numpy() for fold in decisive}
    )
    lams = decisive.index
    beyond = None
    if best == len(lams) - 1:
        beyond = "largest of lams: a better one may lie above"
    elif best == 0 and lams[0] > 0:
        beyond = "smallest of lams: a better one may lie below"
    at_edge = len(lams) > 1 and beyond is not None
    if at_edge:
        warnings.warn(
            f"The best λ, {lams[best]:g}, is the {beyond}. Add some there.",
            UserWarning,
            stacklevel=3,
        )
    folds = by_fold.groupby("lam")
    table = folds.mean().join(folds.sem().add_suffix("_se"))
    names = [name + end for name in by_fold for end in ("", "_se")]
    return Bunch(table=table[names], best_lam=float(lams[best]), at_edge=at_edge)


@_drawing.display
class LambdaPathDisplay:
    """What each λ costs and what it buys, and the λ that the rule chooses.

    Dots are means over folds of held-out rows, bars their standard errors. The dashed
    line lies one standard error below the best score; the largest λ above it is
    chosen, and marked by a line through all panels.

    Parameters
    ----------
    path : Bunch
        From :func:`skcae.inspection.lambda_path`.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (3,)
        Reconstruction error, relative sensitivity and the score that decided, over λ,
        whose axis is logarithmic, with 0 to the left of the smallest other.
    errorbars_ : dict of ErrorbarContainer
        By the names in ``path.table``.
    chosen_ : list of Line2D
        The line at the chosen λ, for each panel.
    threshold_ : Line2D
        The line below the best score.
    figure_ : Figure
        The figure of ``axes_``.

    See Also
    --------
    skcae.inspection.lambda_path : The numbers.
    skcae.metrics.largest_lam_within_one_standard_error : The rule.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import KFold
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.plotting import LambdaPathDisplay
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(
    ...     3, hidden_layer_sizes=(), activation="tanh", max_iter=40, random_state=0
    ... )
    >>> folds = KFold(3, shuffle=True, random_state=0)
    >>> lams = [0, 0.1, 1, 10, 100]
    >>> display = LambdaPathDisplay.from_estimator(model, X, lams, cv=folds)
    >>> len(display.axes_)
    3
    """

    path: Mapping[str, Any]

    @classmethod
    def from_estimator(
        cls,
        estimator: Model,
        X: Table,
        lams: ArrayLike,
        y: ArrayLike | None = None,
        *,
        ax: "Axes | ArrayLike | None" = None,
        **keywords: Any,
    ) -> Self:
        """Fit along the path by :func:`skcae.inspection.lambda_path`, and draw.

        Parameters
        ----------
        estimator : ContractiveAutoencoder or Pipeline
            It is cloned and need not be fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimator takes them.
        lams : array-like of shape (n_lams,)
            Values >= 0.
        y : array-like of shape (n_samples,), default=None
            Labels, for steps that are fitted with them.
        ax : Axes or array-like of three Axes, default=None
            What to draw into, see :meth:`plot`; None for a new figure.
        **keywords : dict
            Parameters of :func:`skcae.inspection.lambda_path`: ``cv``, ``scoring``,
            ``noise_std``, ``random_state``.

        Returns
        -------
        display : LambdaPathDisplay
            What was drawn.
        """
        _drawing.pyplot()  # if it is missing, say so before all the fits
        return cls(lambda_path(estimator, X, lams, y, **keywords)).plot(ax)

    def plot(self, ax: "Axes | ArrayLike | None" = None) -> Self:
        """Draw three panels, one above the other.

        Parameters
        ----------
        ax : Axes or array-like of three Axes, default=None
            One Axes of a grid, which is divided, or three; None for a new figure.

        Returns
        -------
        display : LambdaPathDisplay
            The display itself.
        """
        check_keys("path", self.path, ("table", "best_lam"))
        table, chosen = self.path["table"], self.path["best_lam"]
        check_not_negative("best_lam of path", chosen)
        score = "score" if "score" in table else "denoising_score"
        names = ("reconstruction_error", "relative_sensitivity", score)
        titles = ("reconstr.\nerror", "relative\nsensitivity", score.replace("_", "\n"))
        check_keys("table of path", table, [n + s for n in names for s in ("", "_se")])
        self.axes_ = _drawing.panels(ax, (3, 1), sharex=True)[:, 0]
        self.figure_ = self.axes_[0].figure
        self.errorbars_, self.chosen_ = {}, []
        for i, (axes, name) in enumerate(zip(self.axes_, names, strict=True)):
            style = _drawing.style(i) | {"marker": "o", "markersize": 3, "capsize": 2}
            columns = table.index, table[name], table[f"{name}_se"]
            self.errorbars_[name] = axes.errorbar(*columns, **style)
            self.chosen_.append(axes.axvline(chosen, zorder=0, **_drawing.MARK))
            _drawing.label(axes, "", titles[i])
            _drawing.lam_axis(axes, table.index.to_numpy())
        best = table.loc[table[score].idxmax()]
        limit = best[score] - best[f"{score}_se"]
        self.threshold_ = self.axes_[-1].axhline(limit, linestyle="--", **_drawing.MARK)
        self.axes_[-1].set_xlabel("λ", fontsize=_drawing.SMALL)
        title = f"chosen: λ = {chosen:g}"
        self.axes_[0].set_title(title, fontsize=_drawing.SMALL)
        return self
