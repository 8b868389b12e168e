"""What the displays draw with: axes, styles, and marks of one kind.

Colours are those of Okabe and Ito, which the colour-blind tell apart; line styles tell
models apart in grey. Matplotlib is imported when something is drawn.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Okabe and Ito's, but for yellow, which is lost on white.
COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()
DASHES = ("-", "--", "-.", ":")
MARK = {"color": "black", "linewidth": 1}
SMALL = "small"

# Tables have no truth value to compare displays by, and make no line to print.
display = dataclass(eq=False, repr=False)


def pyplot():
    """Matplotlib, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'skcae.plotting draws with matplotlib: pip install "skcae[plot]"'
        ) from error
    return plt


def place(owner, ax):
    """Where a display of one panel is drawn: the axes given, or new ones."""
    plt = pyplot()
    owner.ax_ = plt.subplots(layout="constrained")[1] if ax is None else ax
    owner.figure_ = owner.ax_.figure


def panels(ax, shape, size=None, **shared):
    """Axes of that shape: new, or in the place of ``ax``, or those in it."""
    plt = pyplot()
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        return figure.subplots(*shape, squeeze=False, **shared)
    if isinstance(ax, plt.Axes) and ax.get_subplotspec() is not None:
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(*shape)
        return grid.subplots(squeeze=False, **shared)
    axes = np.asarray(ax, dtype=object)
    if axes.size != np.prod(shape):
        raise ValueError(
            f"ax must be one Axes of a grid, or {np.prod(shape)} Axes in {shape[0]} "
            f"rows of {shape[1]}; got {axes.size}."
        )
    return axes.reshape(shape)


def colour(i):
    """Of the i-th model."""
    return COLOURS[i % len(COLOURS)]


def style(i):
    """Colour and line style of the i-th model; 28 differ."""
    return {"color": colour(i), "linestyle": DASHES[i % len(DASHES)]}


def marker(x):
    """A line through one point cannot be seen."""
    return "o" if len(x) == 1 else None


def label(ax, x, y):
    """Small enough for a figure of half a page's width."""
    ax.set_xlabel(x, fontsize=SMALL)
    ax.set_ylabel(y, fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)


def curves(ax, bands):
    """A line and a band for each model's x, y, low and high; both by name."""
    lines, areas = {}, {}
    for i, (name, (x, y, low, high)) in enumerate(bands.items()):
        area = {"color": colour(i), "alpha": 0.2, "linewidth": 0}
        lines[name] = ax.plot(x, y, label=name, marker=marker(x), **style(i))[0]
        areas[name] = ax.fill_between(x, low, high, **area)
    return lines, areas


def histograms(ax, groups, edges):
    """One in front of the other, with outlines to tell them apart."""
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
    """One a model, with its name under it."""
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
    """In grey, or in colours whose white is 0."""
    limit = np.abs(cells).max()
    # of which the colour-blind tell the ends apart
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    ax.set(xticks=[], yticks=[])
    return ax.imshow(cells, **(colours if signed else {"cmap": "gray"}))


def bars(ax, values, names):
    """From the top down, rising and falling apart."""
    places = range(len(values))
    drawn = ax.barh(places, values, color=np.where(values < 0, *COLOURS[:2]))
    ax.axvline(0, color="black", linewidth=0.5)
    ax.set_yticks(places, names)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.tick_params(labelsize="x-small")
    return drawn


def arrows(ax, starts, moves, label, i, width):
    """As long as the axes say."""
    ax.update_datalim(starts + moves)  # of which quiver counts the starts only
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": width}
    return ax.quiver(*starts.T, *moves.T, color=colour(i), label=label, **units)


def log_axis(axis, values):
    """Logarithmic; over less than two decades with few ticks, in plain numbers."""
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
    """Logarithmic, with a place for 0; a tick at each λ that is not too near another.

    Parameters
    ----------
    ax : Axes
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
    """Above the axes, where it covers no data, in as many columns as fit."""
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
    """Of axes, in points, before a layout that gives them a little more."""
    return 72 * ax.get_window_extent().width / ax.figure.dpi


def check_dict(name, value):
    """It names models."""
    if not (isinstance(value, Mapping) and len(value) > 0):
        raise ValueError(
            f"{name} must be a dict, not empty, with the models' names as keys; got "
            f"{type(value).__name__}."
        )


def check_arrays(name, groups, ndim):
    """As arrays of float, finite and not empty."""
    check_dict(name, groups)
    arrays = {key: np.asarray(group, dtype=float) for key, group in groups.items()}
    for key, array in arrays.items():
        if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
            raise ValueError(
                f"{name} of {key!r} must be finite numbers in {ndim} dimensions; got "
                f"shape {array.shape} and {(~np.isfinite(array)).sum()} not finite."
            )
    return arrays
