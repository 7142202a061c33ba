"""The frame that every report shares: one HTML page with its style, script, Plotly and figures.

A page extends `frame.html.j2` and is a function of what it is given: the same input gives the same
bytes. It needs the extra `report`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from ringfence.sim.plots.style import Figure

_TEMPLATES = Path(__file__).parent / "templates"


def environment(*own: Path) -> Environment:
    """Return Jinja over a page's own folders and the frame's: escaping, no undefined names."""
    return Environment(
        loader=FileSystemLoader([*own, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def framed(title: str, drawn: Mapping[str, Figure]) -> dict[str, str]:
    """Return what `frame.html.j2` is filled with; figures by the names of their places."""
    return {
        "title": title,
        "figures": embed(drawn),
        "plotly": Markup(get_plotlyjs()),
        "style": Markup(_text("report.css")),
        "script": Markup(_text("report.js")),
    }


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def embed(drawn: Mapping[str, Figure]) -> Markup:
    """Return figures as JSON that no text in it can break out of."""
    text = json.dumps(drawn, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
