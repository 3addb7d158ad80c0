"""Plots of benchmark reports."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from perception_common.atomic_file import output_file
from perception_common.errors import InputError
from replay_ros.benchmarks.measurement import Figure

_INCHES = (6.4, 4.2)
_BELOW_OR_ABOVE = ((5, -9), (5, 5))  # of a point, points: names of neighbours take turns


def check_plot(path: Path) -> None:
    """Raise InputError where a plot could not be written to this path, before anything is measured."""
    if path.suffix not in (".svg", ".png"):
        raise InputError(f"--plot {path}: the name must end in .svg or .png")
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("--plot needs matplotlib: pip install '.[evaluation]' in the checkout")


def draw_figure(figure: Figure, path: Path) -> None:
    """Draw a line through the points of each series in .svg or .png. Raises InputError when it cannot be written."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import LogLocator, NullLocator

    canvas = Canvas(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    for name in dict.fromkeys(point.series for point in figure.points):
        points = [point for point in figure.points if point.series == name]
        axes.plot([point.x for point in points], [point.y for point in points], marker="o", label=name)
        for index, point in enumerate(points):
            place = _BELOW_OR_ABOVE[index % 2]
            axes.annotate(point.name, (point.x, point.y), textcoords="offset points", xytext=place, fontsize=7)
    axes.set(xlabel=figure.x, ylabel=figure.y, xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    same = {"svg.hashsalt": "yolc", "svg.fonttype": "none"}  # the same figure gives the same file
    with output_file(path) as unfinished, matplotlib.rc_context(same):
        canvas.savefig(unfinished, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else {})
