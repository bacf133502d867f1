"""How every figure of the report looks: colours, sizes, grid, curves with bands, legends beside the data.

Below the figures. Matplotlib's object interface alone: no window, no global state.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lit_rlvr.files import write_atomically
from lit_rlvr.report.page import DENSITY
from lit_rlvr.report.statistics import Band

WIDTH = 10.4
"""Inches. With the page's density an inch is 100 CSS pixels, so the figure is as wide as the page and 9 points read like its
tables."""

DPI = 100 * DENSITY

LETTERS = 13
"""That many letters of a legend stand on an inch; a handle with its gap takes six."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5F4B8B")
"""Okabe and Ito's, told apart with every common colour blindness, in an order whose neighbours differ most; its yellow is too
pale on white, and a violet stands for it."""

DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1.5, 2)))
"""With more arms than colours, the next dash begins."""

GREY, INK = "#6b6b6b", "#1a1a1a"

_LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 2.8,  # long enough for a dash to be seen beside its mark
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.linewidth": 1.6,
    # A name of a folder may hold a dollar sign, which is no mathematics.
    "text.parse_math": False,
}


@contextmanager
def look() -> Iterator[None]:
    """Everything drawn and saved inside has the report's look."""
    with matplotlib.rc_context(_LOOK):
        yield


def style(index: int) -> dict[str, Any]:
    """Colour and dash of the i-th curve of a figure."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % len(DASHES)]}


def panels(count: int, height: float, share_y: bool = False, wide: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, two or three in a row, each ``height`` inches tall; a single one may be ``wide``."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    # A single panel as wide as the page would be a strip: it gets two thirds.
    width = WIDTH if columns > 1 or wide else 0.72 * WIDTH
    figure = Figure(figsize=(width, rows * height + 0.35), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    flat = list(grid.flat)
    for axes in flat[count:]:
        axes.set_visible(False)
    return figure, flat[:count]


def rl_steps(axes: Axes) -> None:
    """Whole steps on the x-axis, from 0."""
    axes.set_xlabel("RL step")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))


def draw_band(axes: Axes, curve: Band, look: dict[str, Any], label: str, scale: float = 1, marks: bool = False) -> None:
    """The mean as a line, the range over seeds as a shade behind it, unless ``look`` says no ``bands``.

    Few points get marks; a single point is one.
    """
    look = dict(look)
    bands = look.pop("bands", True)
    mean = [scale * value for value in curve.mean]
    marker = "o" if marks or len(mean) == 1 else None
    # A mark on the edge of the panel is drawn whole.
    axes.plot(curve.steps, mean, label=label, marker=marker, markersize=3.5, clip_on=not marks, **look)
    if curve.seeds > 1 and bands:
        low, high = ([scale * value for value in side] for side in (curve.low, curve.high))
        axes.fill_between(curve.steps, low, high, color=look["color"], alpha=0.18, linewidth=0)


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, below them, where it covers no data."""
    handles: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        widest = max(map(len, handles))
        columns = max(1, min(len(handles), int(figure.get_figwidth() * LETTERS // (widest + 6))))
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)


def save(figure: Figure, file: Path) -> Path:
    """The figure as PNG, without a date in it: the same data give the same file."""
    write_atomically(file, lambda path: figure.savefig(path, format="png", metadata={"Software": "lit-rlvr"}))
    return file
