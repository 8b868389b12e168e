"""What the displays draw with: axes, styles, and marks of one kind.

Colours are those of Okabe and Ito, which the colour-blind tell apart; line styles tell
models apart in grey. Matplotlib is imported when something is drawn.
"""

import numpy as np

# Okabe and Ito's, but for yellow, which is lost on white.
COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()
DASHES = ("-", "--", "-.", ":")
MARK = {"color": "black", "linewidth": 1}
SMALL = "small"


def pyplot():
    """Matplotlib, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'skcae.plotting draws with matplotlib: pip install "skcae[plot]"'
        ) from error
    return plt


def panel(ax):
    """The axes given, or new ones."""
    plt = pyplot()
    return plt.subplots(layout="constrained")[1] if ax is None else ax


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


def curve_in_band(ax, x, y, low, high, label, i):
    """The i-th model's line, and its band."""
    line = ax.plot(x, y, label=label, **style(i))[0]
    return line, ax.fill_between(x, low, high, color=colour(i), alpha=0.2, linewidth=0)


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


def arrows(ax, starts, moves, colour, label):
    """As long as the axes say."""
    ax.update_datalim(starts + moves)  # of which quiver counts the starts only
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
    return ax.quiver(*starts.T, *moves.T, color=colour, label=label, **units)


def lam_axis(ax, lams):
    """Logarithmic, with a place for 0; a tick at each λ that is not too near another.

    Parameters
    ----------
    ax : Axes
    lams : ndarray of shape (n_lams,)
        Ascending, >= 0.
    """
    positive = lams[lams > 0]
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
    labels = ax.get_legend_handles_labels()[1]
    # In sizes of the font, a letter is 0.6 wide, and a line with its gaps 4.
    entry = 8.3 * (0.6 * max(map(len, labels)) + 4)
    width = 72 * ax.get_window_extent().width / ax.figure.dpi
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=int(np.clip(width // entry, 1, len(labels))),
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
    )
