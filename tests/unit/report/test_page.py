"""The page: whole, alone, the same for the same, and safe against text that is no page."""

from __future__ import annotations

import json
import re

import pytest

from ringfence.report.frame import cell
from ringfence.report.page import render
from ringfence.report.panel import FigureError, Panel, along, clean, figure, line
from ringfence.report.style import EMPTY
from tests.support.risk_panels import every_panel

FACTS = {"seed": "7", "SHA-256 of the scenario": "ab" * 32, "command": "ape run risk loss"}
DRAWN = figure([line("a", [0, 1], [1, 2], "$blue")], along("x"), along("y"))


def page(*panels: Panel, title: str = "title") -> str:
    return render("report on risk", title, ["lead of it", "and more"], FACTS, panels)


def test_render__every_figure__has_its_place_caption_numbers_and_link() -> None:
    panels = every_panel()
    text = page(*panels)
    assert len({panel.name for panel in panels}) == len(panels)
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert set(drawn) == {panel.name for panel in panels}
    for panel in panels:
        assert f'id="plot-{panel.name}"' in text
        assert f'href="#{panel.name}"' in text
        for axis in ("xaxis", "yaxis"):
            assert panel.figure["layout"][axis]["title"]["text"] or axis == "yaxis"
        assert panel.rows
        assert all(len(row) <= len(panel.columns) for row in panel.rows)
        assert panel.caption.endswith(".")


def test_render__same_input__same_bytes_with_plotly_once() -> None:
    panels = every_panel()
    text = page(*panels)
    assert text == page(*every_panel())
    assert text.count("plotly.js v") == 1
    bare = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)=\"(?!#|data:)|url\(|@import", bare)


def test_render__facts__stand_in_full_at_the_end_and_short_at_the_head() -> None:
    text = page()
    assert "abababababab…abababab" in text
    assert f"<code>{'ab' * 32}</code>" in text
    assert "Lead of it" in text


def test_render__figure_without_data__is_its_caption_alone() -> None:
    text = page(Panel("none", "Nothing", "Nobody loses.", EMPTY, ("a",), (("b",),)))
    assert "<p>Nobody loses.</p>" in text
    assert 'id="plot-none"' not in text


def test_render__text_of_others__is_escaped() -> None:
    panel = Panel("a", "<b>", "<script>alert(1)</script>.", DRAWN, ("<i>",), (("<u>",),))
    text = page(panel, title="</title><script>alert(2)</script>")
    assert "alert(1)</script>" not in text
    assert "alert(2)</script>" not in text
    for tag in ("<b>&", "<i>", "<u>"):
        assert f"<td>{tag}" not in text


def test_panel__number_that_is_none__is_refused() -> None:
    with pytest.raises(FigureError, match="not all numbers"):
        Panel("a", "A", "It.", DRAWN, ("a",), ((float("nan"),),))
    with pytest.raises(FigureError, match="not a number"):
        clean([1.0, float("inf")])


def test_cell__small_and_large__as_people_read_them() -> None:
    assert [cell(one) for one in (1_234_567, 1_234.5, 1e-7, "x")] == [
        "1,234,567", "1,234.5", "1e-07", "x",
    ]  # fmt: skip
