"""The frame that every report shares: head, contents, foot, style, script, Plotly and figures.

A page extends `frame.html.j2` and is a function of what it is given: the same input gives the same
bytes. It needs the extra `report`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from ringfence.report.panel import Panel
from ringfence.report.style import Figure
from ringfence.report.svg import draw
from ringfence.report.words import number, shorten

_TEMPLATES = Path(__file__).parent / "templates"
_MANY = 10
"""Links that still fit in one line, so that it may stay in sight."""


def environment(*own: Path) -> Environment:
    """Return Jinja over a page's own folders and the frame's: escaping, no undefined names."""
    made = Environment(
        loader=FileSystemLoader([*own, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(cell=cell, shorten=shorten)
    made.globals["MANY"] = _MANY
    return made


def framed(
    kind: str,
    title: str,
    lead: Sequence[str],
    facts: Mapping[str, str],
    contents: Mapping[str, str],
    panels: Sequence[Panel],
    drawn: Mapping[str, Figure],
) -> dict[str, object]:
    """Return what `frame.html.j2` and `panel.html.j2` are filled with.

    `lead` are the findings in words, `facts` what the run was made of ("seed" -> "1"), `contents`
    the page's places and what they are called, in their order; `drawn` are figures besides the
    panels', by the names of their places.
    """
    shown = [panel for panel in panels if panel.figure["data"]]
    return {
        "kind": kind,
        "title": title,
        "lead": lead,
        "facts": facts,
        "contents": contents,
        "drawn": {panel.name: Markup(draw(panel.figure, panel.caption)) for panel in shown},
        "still": {name: Markup(draw(figure, title)) for name, figure in drawn.items()},
        "figures": embed({**drawn, **{panel.name: panel.figure for panel in shown}}),
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


def cell(value: str | int | float) -> str:
    """Return what stands in a table: text as it is, numbers with as many digits as help.

    >>> [cell(one) for one in ("a", 12_345, 1_234.5, 0.123456)]
    ['a', '12,345', '1,234.5', '0.123456']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return number(value, 0)
    return f"{value:,.10g}"
