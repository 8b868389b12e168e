"""What the displays draw with: axes, styles, and marks of one kind.

Colours are those of Okabe and Ito, which the colour-blind tell apart; line styles tell
models apart in grey. Matplotlib is imported when something is drawn.
"""

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe and Ito without yellow, which is lost on white.
COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()
DASHES = ("-", "--", "-.", ":")
MARK: dict[str, Any] = {"color": "black", "linewidth": 1}
SMALL = "small"

_Display = TypeVar("_Display")


@dataclass_transform(eq_default=False)
def display(cls: type[_Display]) -> type[_Display]:
    """Make a display a dataclass.

    It holds tables, which have no truth value to compare and no line to print.
    """
    return dataclass(eq=False, repr=False)(cls)


def pyplot():
    """Return matplotlib.pyplot, or raise an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'skcae.plotting draws with matplotlib: pip install "skcae[plot]"'
        ) from error
    return plt


def for_each(estimators, function, X, **keywords):
    """Call a function of a model and rows for every model; return results by name.

    If matplotlib is missing, that is said before anything is computed.
    """
    pyplot()
    return {name: function(model, X, **keywords) for name, model in estimators.items()}


def place(ax: "Axes | None") -> "tuple[Axes, Figure]":
    """Return the axes of a display of one panel, the ones given or new, and figure."""
    plt = pyplot()
    if not (ax is None or isinstance(ax, plt.Axes)):
        raise ValueError(f"ax must be an Axes of matplotlib or None; got {ax!r}.")
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    return ax, cast(Any, ax.figure)


def panels(ax, shape, size=None, **shared):
    """Return axes of a shape: new, or in the place of ``ax``, or those in it."""
    plt = pyplot()
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        return figure.subplots(*shape, squeeze=False, **shared)
    if isinstance(ax, plt.Axes) and ax.get_subplotspec() is not None:
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(*shape)
        return grid.subplots(squeeze=False, **shared)
    axes = np.asarray(ax, dtype=object)
    are_axes = all(isinstance(item, plt.Axes) for item in axes.flat)
    if not are_axes or axes.size != np.prod(shape):
        raise ValueError(
            f"ax must be one Axes of a grid, or {np.prod(shape)} Axes in {shape[0]} "
            f"rows of {shape[1]}; got {axes.size if are_axes else repr(ax)}."
        )
    return axes.reshape(shape)


def colour(i):
    """Return the colour of the i-th model."""
    return COLOURS[i % len(COLOURS)]


def style(i):
    """Return colour and line style of the i-th model; 28 differ."""
    return {"color": colour(i), "linestyle": DASHES[i % len(DASHES)]}


def marker(x):
    """Return a marker for a line of one point, which cannot be seen without."""
    return "o" if len(x) == 1 else None


def label(ax, x, y):
    """Label both axes, small enough for a figure of half a page's width."""
    ax.set_xlabel(x, fontsize=SMALL)
    ax.set_ylabel(y, fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)


def curves(ax, bands):
    """Draw and return, by name, a line and a band for x, y, low and high of models."""
    lines, areas = {}, {}
    for i, (name, (x, y, low, high)) in enumerate(bands.items()):
        area = {"color": colour(i), "alpha": 0.2, "linewidth": 0}
        lines[name] = ax.plot(x, y, label=name, marker=marker(x), **style(i))[0]
        areas[name] = ax.fill_between(x, low, high, **area)
    return lines, areas


def histograms(ax, groups, edges):
    """Draw histograms in front of each other, with outlines to tell them apart."""
    return {
        name: ax.stairs(
            np.histogram(values, edges)[0],
            edges,
            fill=True,
            facecolor=(colour(i), 0.35),
            edgecolor=colour(i),
            linewidth=1.2,
            linestyle=DASHES[i % len(DASHES)],
            label=name,
        )
        for i, (name, values) in enumerate(groups.items())
    }


def boxes(ax, groups):
    """Draw a box for each model, with its name under it."""
    drawn = ax.boxplot(
        [*groups.values()],
        patch_artist=True,
        flierprops={"marker": ".", "markersize": 3},
        medianprops=MARK,
    )["boxes"]
    for i, box in enumerate(drawn):
        box.set_facecolor((colour(i), 0.5))
    room = _width(ax) / len(groups) / (0.55 * _points(SMALL))
    names = [textwrap.fill(str(name), max(8, int(room))) for name in groups]
    ax.set_xticks(range(1, len(names) + 1), names)
    return dict(zip(groups, drawn, strict=True))


def image(ax, cells, signed):
    """Draw an image in grey or, if signed, in colours whose white is 0."""
    limit = np.abs(cells).max()
    # the colour-blind tell the ends of this scale apart
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    ax.set(xticks=[], yticks=[])
    return ax.imshow(cells, **(colours if signed else {"cmap": "gray"}))


def bars(ax, values, names):
    """Draw bars from the top down; negative ones have another colour."""
    places = range(len(values))
    drawn = ax.barh(places, values, color=np.where(values < 0, *COLOURS[:2]))
    ax.axvline(0, color="black", linewidth=0.5)
    ax.set_yticks(places, names)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.tick_params(labelsize="x-small")
    return drawn


def arrows(ax, starts, moves, label, i, width):
    """Draw arrows, as long as the units of the axes make them."""
    ax.update_datalim(starts + moves)  # quiver counts the starts only
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": width}
    return ax.quiver(*starts.T, *moves.T, color=colour(i), label=label, **units)


def log_axis(axis, values):
    """Make an axis logarithmic; below two decades, with few ticks in plain numbers."""
    from matplotlib import ticker

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", nonpositive="mask")
    values = np.concatenate(values)
    values = values[values > 0]
    ratio = values.max() / values.min() if values.size > 0 else np.inf
    if ratio < 100:
        few = ticker.LogLocator(subs=(1, 3))
        if ratio < 10:
            few = ticker.MaxNLocator(3, steps=(1, 2, 5, 10))
        axis.set_major_locator(few)
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(ticker.NullFormatter())


def lam_axis(ax, lams):
    """Make the x axis logarithmic, with a place for 0 and ticks at λs that have room.

    Parameters
    ----------
    ax : Axes
        The axes.
    lams : ndarray of shape (n_lams,)
        Ascending, >= 0.
    """
    positive = lams[lams > 0]
    if len(lams) == 1 and lams[0] > 0:
        ax.set_xlim(lams[0] / 2, lams[0] * 2)
    if len(positive) == len(lams):
        ax.set_xscale("log")
    elif len(positive) > 0:
        ax.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    places = ax.transScale.transform(np.column_stack([lams, np.ones_like(lams)]))[:, 0]
    shown = [0]
    for i, place in enumerate(places):
        if place - places[shown[-1]] > (places[-1] - places[0]) / 10:
            shown.append(i)
    ax.set_xticks(lams[shown], [f"{lam:g}" for lam in lams[shown]])
    ax.minorticks_off()


def legend(ax):
    """Put a legend above the axes, off the data, in as many columns as fit."""
    from matplotlib.textpath import TextPath

    texts = ax.get_legend_handles_labels()[1]
    widths = [
        TextPath((0, 0), text, _points(SMALL)).get_extents().width for text in texts
    ]
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=int(np.clip(_width(ax) // (max(widths) + 3 * _points(SMALL)), 1, 9)),
        fontsize=SMALL,
        frameon=False,
        borderpad=0.2,
        borderaxespad=0.2,
        columnspacing=1,
        handlelength=1.7,
        handletextpad=0.5,
    )


def _points(size):
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=size).get_size_in_points()


def _width(ax):
    """Return the width of axes in points; a layout gives them a little more later."""
    return 72 * ax.get_window_extent().width / ax.figure.dpi
