"""The report in a real browser: nothing is complained of, every figure is drawn, offline."""

import re
from pathlib import Path

import pytest

from ringfence.sim.plots import figures
from ringfence.sim.plots.engine import engine_panels
from ringfence.sim.report import render
from ringfence.sim.story import stories
from tests.support.browser import BROWSER, visit
from tests.support.synthetic_result import synthetic_result

if BROWSER is None:
    pytest.skip("no chromium on PATH, so no figure can be drawn", allow_module_level=True)


def test_report__in_a_browser__draws_every_figure_without_complaint(tmp_path: Path) -> None:
    result = synthetic_result()
    page = tmp_path / "report.html"
    page.write_text(render(result), encoding="utf-8")
    dom, said = visit(page, tmp_path / "profile")
    assert said == []
    panels = [panel.name for panel in engine_panels(result)]
    assert len(panels) == 6
    for name in (*figures(result, stories(result)), *panels):
        place = re.search(
            rf'<div class="plot[^"]*" id="plot-{name}".*?<p class="missing"', dom, re.S
        )
        assert place, f"{name} has no place"
        assert 'class="main-svg"' in place[0], f"{name} was not drawn"
        assert re.search(r"<path class=\"(js-line|point)|<g class=\"point", place[0]), (
            f"{name} is empty"
        )
        assert "$" not in re.sub(r"<script.*?</script>", "", place[0], flags=re.S), (
            f"{name} has a colour that the page does not know"
        )


def test_report__nothing_recorded__says_so_in_place_of_figures(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    bare = synthetic_result(steps=(), markets=(), positions=(), liquidations=())
    page.write_text(render(bare), encoding="utf-8")
    dom, said = visit(page, tmp_path / "profile")
    assert said == []
    assert "main-svg" not in re.sub(r"<script.*?</script>", "", dom, flags=re.S)
    assert len(re.findall(r'<p class="missing">[^<]*: not recorded', dom)) >= 5


def test_visit__page_that_fails__hears_it(tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<!doctype html><script>missing()</script>", encoding="utf-8")
    _, said = visit(page, tmp_path / "profile")
    assert any("missing is not defined" in line for line in said)
