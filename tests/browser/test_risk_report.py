"""The risk report in a real browser: every figure is drawn, nothing is complained of or fetched."""

import re
from pathlib import Path

import pytest

from ringfence.report.page import render
from tests.support.browser import BROWSER, visit
from tests.support.risk_panels import every_panel

if BROWSER is None:
    pytest.skip("no chromium on PATH, so no figure can be drawn", allow_module_level=True)

COUNT = """<script>addEventListener("load", () => {
  document.title = "fetched " + performance.getEntriesByType("resource").length;
});</script>"""
CLIPPED = """<script>addEventListener("load", () => {
  const nav = document.querySelector("nav");
  document.title = "clipped " + (nav.scrollWidth - nav.clientWidth);
});</script>"""
SCRIPT = re.compile(r"<script.*?</script>", re.S)


def test_risk_report__in_a_browser__draws_every_figure_and_fetches_nothing(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    panels = every_panel()
    page.write_text(
        render("report on risk", "Made", ["made"], {"seed": "1"}, panels) + COUNT, encoding="utf-8"
    )
    dom, said = visit(page, tmp_path / "profile")
    assert said == []
    assert "<title>fetched 0</title>" in dom
    for panel in panels:
        place = re.search(
            rf'<div class="plot[^"]*" id="plot-{panel.name}".*?<div class="static">', dom, re.S
        )
        assert place, f"{panel.name} has no place"
        assert 'class="main-svg"' in place[0], f"{panel.name} was not drawn"
        assert re.search(r'class="(js-line|point|hm)|<g class="point', place[0]), (
            f"{panel.name} is empty"
        )
        assert "$" not in SCRIPT.sub("", place[0]), f"{panel.name} has an unknown colour"


def test_risk_report__nine_figures_on_a_wide_page__every_link_is_in_sight(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    html = render("report on risk", "Made", ["made"], {"seed": "1"}, every_panel()[:9])
    assert "<nav aria" in html
    page.write_text(html + CLIPPED, encoding="utf-8")
    dom, _said = visit(page, tmp_path / "profile")
    assert "<title>clipped 0</title>" in dom


def test_risk_report__page_that_fetches__is_seen(tmp_path: Path) -> None:
    page = tmp_path / "fetching.html"
    page.write_text(f'<!doctype html><img src="http://127.0.0.1:9/a.png">{COUNT}', encoding="utf-8")
    dom, said = visit(page, tmp_path / "profile")
    assert "<title>fetched 0</title>" not in dom or said
