"""Lines over slices as an inline SVG picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 760, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 150, 12, 34
_COLOURS = 5  # the page's style has so many, for light and for dark


def line_chart(
    series: Mapping[str, Sequence[tuple[int, float]]],
    x_title: str,
    y_title: str,
    marked: Mapping[str, Collection[int]] | None = None,
) -> str:
    """Draw one line for each series.

    Parameters
    ----------
    series : mapping of name to points (x, y)
    x_title, y_title : str
    marked : mapping of name to x values, optional
        Points of a series that get a triangle.

    Returns
    -------
    str
        An `<svg>` element.
    """
    points = [p for line in series.values() for p in line if np.isfinite(p[1])]
    if not points:
        return ""
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    y_high = _round_up(max(p[1] for p in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / max(x_high - x_low, 1)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y / y_high * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_title)}">']
    for step in range(5):
        y = y_high * step / 4
        x1, py = place(x_low, y)
        x2, _ = place(x_high, y)
        parts.append(
            f'<line x1="{x1:.0f}" x2="{x2:.0f}" y1="{py:.1f}" y2="{py:.1f}" class="grid"/>'
        )
        parts.append(f'<text x="{x1 - 6:.0f}" y="{py + 4:.1f}" class="end">{y:g}</text>')
    for x in sorted({round(v) for v in np.linspace(x_low, x_high, 8)}):
        px, py = place(x, 0)
        parts.append(f'<text x="{px:.1f}" y="{py + 16:.1f}" class="middle">{x}</text>')
    for n, (name, line) in enumerate(series.items()):
        style = f"series{n % _COLOURS}"
        known = (place(*p) for p in line if np.isfinite(p[1]))
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in known)
        parts.append(f'<polyline points="{path}" class="line {style}"/>')
        for x, y in line:
            if x in (marked or {}).get(name, ()) and np.isfinite(y):
                px, py = place(x, y)
                parts.append(_triangle(px, py, style))
        y = _TOP + 16 + 18 * n
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 14}" y="{y}" class="name {style}">{escape(name)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 4}" class="middle">{escape(x_title)}</text>')
    parts.append(
        f'<text transform="translate(12 {_HEIGHT / 2 - 10}) rotate(-90)" class="middle">'
        f"{escape(y_title)}</text></svg>"
    )
    return "".join(parts)


def _triangle(x: float, y: float, style: str) -> str:
    """Draw a triangle that stands on a point."""
    corners = f"{x:.1f},{y - 3:.1f} {x - 6:.1f},{y - 13:.1f} {x + 6:.1f},{y - 13:.1f}"
    return f'<polygon points="{corners}" class="mark {style}"/>'


def _round_up(value: float) -> float:
    """Next of 1, 2, 4, 5, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value))
