"""Whether rows still come from where the normal rows came from."""

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.utils.validation import check_is_fitted

from skcae import _drawing
from skcae._checks import check_count, check_in_memory, check_positive
from skcae._pipeline import split_anything
from skcae._typing import Model, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More names would run into each other.
_MOST_BARS = 20


def drift(estimator: Model, X: Table) -> pd.DataFrame:
    """How far a batch of rows is from the normal rows that a detector remembers.

    The score and every column are compared with those of the normal rows by the
    two-sample test of Kolmogorov and Smirnov [1]_. A few anomalies do not move it; a
    law that has changed does, and then false alarms, thresholds and p-values are no
    longer what they were: train again, or see ``density_ratio`` of :func:`p_values`.

    Parameters
    ----------
    estimator : AnomalyDetector or Pipeline
        Fitted; of a Pipeline, the columns are those that reach the detector.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows of some time, as the estimator takes them.

    Returns
    -------
    report : DataFrame of shape (1 + n_columns, 3)
        Indexed by "score" and by the columns, with

        - "distance": largest difference of the two distribution functions, from 0 to 1;
        - "shift": difference of the means, in standard deviations of the normal rows;
          below 0 for scores that became more anomalous;
        - "p_value": chance of a distance so large without drift, times the number of
          tests (Bonferroni). So all are above 0.05 in at least 95 % of batches of the
          same law.

    Raises
    ------
    TypeError
        If the estimator does not end in an AnomalyDetector.

    See Also
    --------
    skcae.plotting.DriftDisplay : A picture of it.

    References
    ----------
    .. [1] Hodges, J. L. (1958). The significance probability of the Smirnov two-sample
       test. Arkiv för Matematik 3 (5).

    Examples
    --------
    >>> import numpy as np
    >>> from skcae.anomaly import AnomalyDetector, drift
    >>> rng = np.random.default_rng(0)
    >>> detector = AnomalyDetector(random_state=0).fit(rng.normal(size=(400, 3)))
    >>> report = drift(detector, rng.normal([0, 1, 0], size=(200, 3)))
    >>> report["p_value"].drop("score").idxmin()
    'x1'
    """
    front, detector = split_anything(estimator)
    if not hasattr(detector, "drift"):
        raise TypeError(
            "estimator must be an AnomalyDetector, or a Pipeline that ends in one; got "
            f"{type(detector).__name__}."
        )
    check_is_fitted(detector)
    check_in_memory(X)
    if front is None:
        return detector.drift(X)
    report = detector.drift(front.transform(X))
    if not hasattr(detector, "feature_names_in_"):
        try:
            names = front.get_feature_names_out()
        except (AttributeError, ValueError):  # of a step that gives no names
            return report
        report.index = pd.Index([report.index[0], *names], dtype=object)
    return report


def compare(samples):
    """Compare samples with reference samples, see :func:`drift`.

    Parameters
    ----------
    samples : list of tuples
        Name, ndarray of shape (n,) and ndarray of shape (n_reference,).

    Returns
    -------
    report : DataFrame
    """
    lines = []
    for _, values, reference in samples:
        # exact p-values take long, and differ little
        test = ks_2samp(values, reference, method="asymp")
        difference = np.mean(values, dtype=np.float64) - np.mean(reference)
        spread = np.std(reference)
        shift = 0.0
        if difference:
            # of a column that was constant, any difference is beyond all measure
            shift = difference / spread if spread else np.copysign(np.inf, difference)
        lines.append((test.statistic, shift, min(1.0, test.pvalue * len(samples))))
    names = pd.Index([name for name, *_ in samples], dtype=object)
    return pd.DataFrame(lines, names, ["distance", "shift", "p_value"])


@_drawing.display
class DriftDisplay:
    """How far the score and the columns have drifted.

    The score is at the top, and below it the columns, the one that moved farthest
    first.

    Parameters
    ----------
    report : DataFrame
        From :func:`skcae.anomaly.drift`.

    Attributes
    ----------
    ax_ : Axes
        With a bar for the score and for each of the columns that moved farthest.
    bars_ : BarContainer
        From the bottom to the top as the names on the axis; filled where p is small.
    figure_ : Figure
        The figure of ``ax_``.

    See Also
    --------
    skcae.anomaly.drift : The report.

    Examples
    --------
    >>> import numpy as np
    >>> from skcae.anomaly import AnomalyDetector
    >>> from skcae.plotting import DriftDisplay
    >>> rng = np.random.default_rng(0)
    >>> detector = AnomalyDetector(random_state=0).fit(rng.normal(size=(400, 3)))
    >>> display = DriftDisplay.from_estimator(detector, rng.normal(size=(200, 3)))
    >>> len(display.bars_)
    4
    """

    report: pd.DataFrame

    @classmethod
    def from_estimator(
        cls,
        estimator: Model,
        X: Table,
        *,
        rate: float = 0.01,
        ax: "Axes | None" = None,
    ) -> Self:
        """Compare a batch, and draw.

        Parameters
        ----------
        estimator : AnomalyDetector or Pipeline
            Fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows, as the estimator takes them.
        rate : float, default=0.01
            P-values up to it are drawn filled.
        ax : Axes, default=None
            What to draw into; None for a new figure.

        Returns
        -------
        display : DriftDisplay
            What was drawn.
        """
        _drawing.pyplot()
        return cls(drift(estimator, X)).plot(ax, rate=rate)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        rate: float = 0.01,
        n_columns: int = _MOST_BARS,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw into; None for a new figure.
        rate : float, default=0.01
            P-values up to it are drawn filled.
        n_columns : int, default=20
            Columns to draw at most, those that moved farthest.

        Returns
        -------
        display : DriftDisplay
            The display itself.
        """
        check_positive("rate", rate, high=1)
        check_count("n_columns", n_columns)
        self.ax_, self.figure_ = _drawing.place(ax)
        score, columns = self.report.iloc[:1], self.report.iloc[1:]
        columns = columns.sort_values("distance", kind="stable").tail(n_columns)
        shown = pd.concat([columns, score])
        is_small = shown["p_value"] <= rate
        places = range(len(shown))
        self.bars_ = self.ax_.barh(
            places,
            shown["distance"],
            color=[_drawing.colour(1) if small else "none" for small in is_small],
            edgecolor=[_drawing.colour(1 if small else 0) for small in is_small],
        )
        self.ax_.set_yticks(places, [str(name) for name in shown.index])
        _drawing.label(self.ax_, "distance of the distribution functions", "")
        self.ax_.set_xlim(0, max(0.1, 1.05 * shown["distance"].max()))
        n_small = int((self.report["p_value"] <= rate).sum())
        self.ax_.set_title(
            f"filled: p ≤ {rate:g}, {n_small} of {len(self.report)}",
            fontsize=_drawing.SMALL,
        )
        return self
