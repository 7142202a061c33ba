"""Traces in fewer kinds: what lies on what, and from where a step begins."""

from __future__ import annotations

from ringfence.report.plain import plain


def test_plain__bars_on_bars__each_begins_where_the_last_ended() -> None:
    stacked = [
        {"type": "bar", "orientation": "h", "x": [3.0, 1.0], "y": ["a", "b"]},
        {"type": "bar", "orientation": "h", "x": [4.0], "y": ["b"]},
        {"type": "bar", "orientation": "h", "x": [5.0, 6.0], "y": ["a", "b"]},
    ]
    found = plain({"data": stacked, "layout": {"barmode": "stack"}})
    assert [one["base"] for one in found] == [[0.0, 0.0], [1.0], [3.0, 5.0]]
    assert all("base" not in one for one in stacked)


def test_plain__waterfall__goes_on_from_step_to_step() -> None:
    colours = {side: {"marker": {"color": side}} for side in ("increasing", "decreasing", "totals")}
    trace = {
        "type": "waterfall", "x": ["before", "earned", "lost", "after"],
        "measure": ["absolute", "relative", "relative", "total"], "y": [10.0, 5.0, -7.0, 8.0],
        "yaxis": "y2", **colours,
    }  # fmt: skip
    found = plain({"data": [trace], "layout": {}})
    assert [(one["base"], one["y"]) for one in found] == [
        ([0.0], [10.0]), ([10.0], [5.0]), ([15.0], [-7.0]), ([0.0], [8.0]),
    ]  # fmt: skip
    assert [one["marker"]["color"] for one in found] == [
        "totals", "increasing", "decreasing", "totals",
    ]  # fmt: skip
    assert {one["yaxis"] for one in found} == {"y2"}
