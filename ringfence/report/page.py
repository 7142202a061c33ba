"""A page of panels: what a command found, in figures, with what it takes to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ringfence.report.frame import environment, framed
from ringfence.report.panel import Panel


def render(
    kind: str,
    title: str,
    lead: Sequence[str],
    facts: Mapping[str, str],
    panels: Sequence[Panel],
) -> str:
    """Return the report as one HTML page of about 5 MB; `kind` is what it is called at its head.

    `lead` are the findings in words, `facts` what the run was made of ("seed" -> "1"), in the order
    of the page.
    """
    contents = {panel.name: panel.title for panel in panels}
    page = environment().get_template("panels.html.j2")
    return page.render(panels=panels, **framed(kind, title, lead, facts, contents, panels, {}))
