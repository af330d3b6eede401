"""SVG to stand inside a page: no date, no size, ids of its own, colours that a page can turn."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Final

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_PATH: Final = re.compile(r'\bd="([^"]*)"')
_NUMBER: Final = re.compile(r"-?\d+\.\d{2,}")


def inline_svg(figure: Figure, *, variables: Mapping[str, str], name: str, prefix: str) -> str:
    """Return a figure as an ``<svg>`` element, the same bytes each time.

    Args:
        figure: what to write.
        variables: each colour drawn, and the CSS variable that stands in its place.
        name: the element's class.
        prefix: begins each of its ids, so that two pictures of a page share none.
    """
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
        text, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"'?DejaVu Sans'?[^;\"]*", "var(--font, system-ui, sans-serif)", svg)
    svg = svg.replace("<svg ", f'<svg class="{name}" aria-hidden="true" ', 1)
    svg = _PATH.sub(lambda found: f'd="{_shortened(found[1])}"', svg)
    for colour, variable in variables.items():
        svg = svg.replace(colour, f"var(--{variable}, {colour})")
    return svg.strip()


def _shortened(path: str) -> str:
    """A tenth of a point is finer than any screen: most of a picture's bytes are digits."""
    path = _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", path)
    return " ".join(path.split())
