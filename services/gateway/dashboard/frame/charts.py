"""Small charts as SVG: shapes with classes, coloured by the style sheet. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

WIDTH: Final = 480
HEIGHT: Final = 96
GAP: Final = 2


class Bar(NamedTuple):
    """One column: its name, and its layers from the bottom as (class, count, what is counted)."""

    label: str
    layers: Sequence[tuple[str, int, str]]


def columns(bars: Sequence[Bar], title: str) -> Markup:
    """Stacked columns, the highest of which fills the height; each tells its numbers on a closer look."""
    most = max((sum(count for _, count, _ in bar.layers) for bar in bars), default=0) or 1
    width = WIDTH / max(1, len(bars))
    drawn = Markup("").join(_column(bar, place * width, width - GAP, most) for place, bar in enumerate(bars))
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{title}" '
        'preserveAspectRatio="none">{drawn}</svg>'
    ).format(width=WIDTH, height=HEIGHT, title=title, drawn=drawn)


def meter(used: int, limit: int, title: str) -> Markup:
    """How much of a limit is used, as a bar; its class says when little is left."""
    part = min(1.0, used / limit) if limit else 0.0
    kind = "full" if part >= 1 else "high" if part >= 0.8 else "low"
    return Markup(
        '<svg class="meter {kind}" viewBox="0 0 100 6" role="img" aria-label="{title}" preserveAspectRatio="none">'
        '<rect class="rail" width="100" height="6" rx="3"/><rect class="used" width="{used}" height="6" rx="3"/></svg>'
    ).format(kind=kind, title=title, used=f"{part * 100:.1f}")


def _column(bar: Bar, x: float, width: float, most: int) -> Markup:
    top, shapes = float(HEIGHT), Markup("")
    for kind, count, _ in bar.layers:
        height = count / most * (HEIGHT - 4)
        if count:
            top -= height
            shapes += Markup('<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>').format(
                kind=kind, x=f"{x:.1f}", y=f"{top:.1f}", width=f"{width:.1f}", height=f"{height:.1f}"
            )
    told = ", ".join(f"{count} {name}" for _, count, name in bar.layers if count)
    rail = Markup('<rect class="rail" x="{x}" y="{y}" width="{width}" height="2"/>').format(
        x=f"{x:.1f}", y=HEIGHT - 2, width=f"{width:.1f}"
    )
    return Markup("<g><title>{label}: {told}</title>{rail}{shapes}</g>").format(
        label=escape(bar.label), told=told or "0", rail=rail, shapes=shapes
    )
