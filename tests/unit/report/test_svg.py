"""Figures as SVG: well-formed, each trace in its place, nothing that is no number."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from ringfence.report.panel import along, bars, figure, heat, line, marks
from ringfence.report.svg import WIDTH, draw
from ringfence.sim.plots import figures
from ringfence.sim.plots.engine import engine_panels
from ringfence.sim.story import stories
from tests.support.risk_panels import every_panel
from tests.support.synthetic_result import synthetic_result

RESULT = synthetic_result()
FIGURES = {
    **{f"risk {panel.name}": panel.figure for panel in (*every_panel(), *engine_panels(RESULT))},
    **{f"run {name}": one for name, one in figures(RESULT, stories(RESULT)).items()},
}


def parts(svg: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(tag))


@pytest.mark.parametrize("name", FIGURES)
def test_draw__every_figure__stands_inside_its_frame(name: str) -> None:
    svg = draw(FIGURES[name], "what it shows")
    assert "nan" not in svg.lower()
    assert "$" not in svg
    seen = [one for one in ElementTree.fromstring(svg).iter() if one.tag != "svg"]
    assert len(seen) > 10
    for one in seen:
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(one.get(name, "0")) <= WIDTH
        for name in ("width", "height"):
            assert float(one.get(name, "0")) >= 0


def test_draw__line_with_a_gap__is_two_lines() -> None:
    broken = {**line("a", [0, 1, 2, 3], [0, 1, 2, 3], "$blue"), "y": [0, 1, None, 3]}
    drawn = figure([broken], along("x"), along("y"), 300)
    assert len(parts(draw(drawn, "a"), "polyline")) == 2


def test_draw__two_axes_one_above_the_other__each_in_its_part() -> None:
    upper = line("a", [0, 1], [0, 1], "$blue")
    lower = line("b", [0, 1], [500, 600], "$red", yaxis="y2")
    drawn = figure([upper, lower], along("x", anchor="y2"), along("y", domain=[0.5, 1]), 300,
                   yaxis2=along("z", domain=[0, 0.4]))  # fmt: skip
    svg = draw(drawn, "a")
    levels = [
        [float(point.split(",")[1]) for point in one.get("points", "").split()]
        for one in parts(svg, "polyline")
    ]
    middle = (52 + 300 - 56) / 2
    assert max(levels[0]) <= middle < min(levels[1])
    texts = [one.text for one in parts(svg, "text")]
    assert {"x", "y", "z", "500", "600"} <= set(texts)
    assert texts.count("x") == 1


def test_draw__shades_and_words__stand_where_the_axis_says() -> None:
    shade = {"type": "rect", "x0": 5, "x1": 10, "fillcolor": "$shade"}
    word = {"text": "<b>here</b>", "x": 5, "xref": "x", "y": 1, "yanchor": "top"}
    drawn = figure([line("a", [0, 10], [0, 1], "$blue")], along("x", range=[0, 10]), along("y"),
                   300, shapes=[shade], annotations=[word])  # fmt: skip
    svg = draw(drawn, "a")
    (box,) = [one for one in parts(svg, "rect") if "shade" in (one.get("style") or "")]
    assert float(box.get("x", "0")) + float(box.get("width", "0")) == WIDTH - 20
    (text,) = [one for one in parts(svg, "text") if one.text == "here"]
    assert text.get("x") == f"{float(box.get('x', '0')):g}"


def test_draw__line__from_corner_to_corner() -> None:
    drawn = figure([line("a", [0, 10], [0, 5], "$blue")], along("x", range=[0, 10]),
                   along("y", range=[0, 5]), 300)  # fmt: skip
    (shape,) = parts(draw(drawn, "a"), "polyline")
    left, right = (one.split(",") for one in shape.get("points", "").split())
    assert float(right[0]) == WIDTH - 20
    assert (float(left[1]), float(right[1])) == (300 - 56, 52)
    assert "stroke:var(--blue)" in shape.get("style", "")


def test_draw__log_axis__ticks_are_powers_of_ten() -> None:
    drawn = figure(
        [line("a", [0, 1], [0.001, 1], "$blue")], along("x"), along("y", type="log"), 300
    )
    texts = [one.text for one in parts(draw(drawn, "a"), "text")]
    assert {"0.001", "0.01", "0.1"} <= set(texts)


def test_draw__heat_map__strong_where_high_and_of_both_colours() -> None:
    z = np.array([[-2.0, 0.0], [1.0, 2.0]])
    cells = heat("z", np.array([1.0, 2.0]), np.array([1.0, 2.0]), z, ("$red", "$card", "$green"))
    styles = [one.get("style") for one in parts(draw(figure([cells], along("x"), along("y")), "z"),
                                                "rect")]  # fmt: skip
    assert styles == [
        "fill:var(--red);fill-opacity:1.000", "fill:var(--red);fill-opacity:0.000",
        "fill:var(--green);fill-opacity:0.500", "fill:var(--green);fill-opacity:1.000",
    ]  # fmt: skip


def test_draw__bars_from_a_base__lie_on_either_side_of_it() -> None:
    drawn = figure(
        [bars("a", [-10.0, 5.0], ["one", "two"], "$blue", orientation="h", base=[100.0, 100.0],
              showlegend=False)],
        along("x"), along("", type="category", categoryarray=["one", "two"]),
    )  # fmt: skip
    left, right = parts(draw(drawn, "a"), "rect")
    end = float(left.get("x", "0")) + float(left.get("width", "0"))
    assert end == pytest.approx(float(right.get("x", "0")), abs=0.2)
    widths = [float(one.get("width", "0")) for one in (left, right)]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)


def test_draw__text_with_signs__is_escaped() -> None:
    drawn = figure([marks("<a> & b", [1.0], [1.0], "$blue")], along("<x>"), along("y"))
    svg = draw(drawn, '"quoted"')
    assert "<a> & b" in [one.text for one in parts(svg, "text")]
