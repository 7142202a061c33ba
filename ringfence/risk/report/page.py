"""The page: what a run of a risk command found, in figures, with what it takes to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ringfence.risk.report.panel import Panel
from ringfence.risk.report.svg import draw
from ringfence.sim.frame import environment, framed
from ringfence.sim.wording import number, shorten

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    title: str, lead: Sequence[str], facts: Mapping[str, str], panels: Sequence[Panel]
) -> str:
    """Return the report as one HTML page of about 5 MB.

    `lead` are the findings in words, `facts` what the run was made of ("seed" -> "1"), in the order
    of the page.
    """
    shown = [panel for panel in panels if panel.figure["data"]]
    own = environment(_TEMPLATES)
    own.filters.update(cell=cell, shorten=shorten)
    return own.get_template("risk.html.j2").render(
        lead=lead,
        facts=facts,
        panels=panels,
        drawn={panel.name: Markup(draw(panel.figure, panel.caption)) for panel in shown},
        **framed(title, {panel.name: panel.figure for panel in shown}),
    )


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
