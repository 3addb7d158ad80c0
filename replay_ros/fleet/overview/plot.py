"""A distribution as an SVG picture: a stack of points that lead to their bags, or bars for many bags."""

from __future__ import annotations

import html

import numpy as np

from replay_ros.fleet.overview.statistics import Distribution
from replay_ros.report.summary.numbers import significant

_WIDTH, _HEIGHT, _FOOT = 340.0, 84.0, 16.0  # of the picture and of its axis, user units
_MOST_POINTS = 300  # bags; above this, bars
_RADIUS = 4.0


def distribution_svg(distribution: Distribution, links: dict[str, str]) -> str:
    """Return the picture. links: address of the report of a bag, by name."""
    values = distribution.values
    low, high = float(values.min()), float(values.max())

    def place(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return _RADIUS + 2 + (_WIDTH - 2 * _RADIUS - 4) * share

    floor = _HEIGHT - _FOOT
    first, middle, third = (place(each) for each in distribution.quartiles)
    parts = [
        f'<rect class="box" x="{first:.1f}" y="2" width="{max(third - first, 1):.1f}" height="{floor - 2:.1f}"/>',
        f'<line class="axis" x1="0" x2="{_WIDTH:g}" y1="{floor:g}" y2="{floor:g}"/>',
        f'<line class="median" x1="{middle:.1f}" x2="{middle:.1f}" y1="2" y2="{floor:g}"/>',
    ]
    drawn = _points if len(values) <= _MOST_POINTS else _bars
    parts += drawn(distribution, np.array([place(value) for value in values.tolist()]), floor, links)
    parts += [
        f'<text x="0" y="{_HEIGHT - 2:g}">{value_text(low, distribution.unit)}</text>',
        f'<text x="{_WIDTH:g}" y="{_HEIGHT - 2:g}" text-anchor="end">{value_text(high, distribution.unit)}</text>',
    ]
    label = html.escape(f"Distribution of {distribution.name}")
    return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _points(distribution: Distribution, places: np.ndarray, floor: float, links: dict[str, str]) -> list[str]:
    """Stack points that would cover each other. places: (N,) along the axis."""
    columns = np.round(places / (2 * _RADIUS)).astype(int)
    heights: dict[int, int] = {}
    tallest = max(np.bincount(columns - columns.min()).max(), 1)
    step = min(2 * _RADIUS, (floor - 2 * _RADIUS - 2) / tallest)
    points = []
    for (record, metric), place, column in zip(distribution.metrics, places.tolist(), columns.tolist(), strict=True):
        level = heights[column] = heights.get(column, -1) + 1
        title = html.escape(f"{record.name}: {value_text(metric.value, metric.unit)}")
        circle = f'<circle class="dot" cx="{place:.1f}" cy="{floor - _RADIUS - 1 - level * step:.1f}" r="{_RADIUS:g}">'
        point = f"{circle}<title>{title}</title></circle>"
        link = links.get(record.name)
        points.append(f'<a href="{html.escape(link)}">{point}</a>' if link else point)
    return points


def _bars(distribution: Distribution, places: np.ndarray, floor: float, links: dict[str, str]) -> list[str]:
    counts, edges = np.histogram(places, bins=40, range=(0, _WIDTH))
    heights = (floor - 4) * counts / counts.max()
    return [
        f'<rect class="bar" x="{left + 0.5:.1f}" y="{floor - height:.1f}" width="{right - left - 1:.1f}" '
        f'height="{height:.1f}"><title>{count} bags</title></rect>'
        for left, right, height, count in zip(
            edges[:-1].tolist(), edges[1:].tolist(), heights.tolist(), counts.tolist(), strict=True
        )
        if count
    ]


def value_text(value: float, unit: str = "") -> str:
    """Return a value with its unit, without powers of ten for large ones."""
    return f"{f'{value:.0f}' if abs(value) >= 1000 else significant(value)} {unit}".rstrip()
