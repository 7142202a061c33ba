"""The figures' data, the words on the page, and who bore what."""

import doctest
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ringfence.report import frame, words
from ringfence.report.words import number
from ringfence.sim.plots import figures
from ringfence.sim.result import Result
from ringfence.sim.story import BEARERS, OUTCOMES, loss_parts, stories
from ringfence.sim.wording import Lexicon
from tests.support.synthetic_result import synthetic_result


@pytest.fixture(scope="module")
def result() -> Result:
    return synthetic_result()


def test_figures__whole_result__draws_all_five(result: Result) -> None:
    drawn = figures(result, stories(result))
    assert list(drawn) == ["price", "ladder", "ltv", "losses", "reserve"]
    json.dumps(drawn, allow_nan=False)


def test_figures__price__marks_every_liquidation(result: Result) -> None:
    data = figures(result, stories(result))["price"]["data"]
    marked = sum(len(trace["x"]) for trace in data if trace["mode"] == "markers")
    assert marked == len(result.liquidations)


def test_figures__ltv__has_a_line_per_position_and_three_bounds_per_market(result: Result) -> None:
    data = figures(result, stories(result))["ltv"]["data"]
    lines = [trace for trace in data if trace["mode"] == "lines"]
    assert sum(trace["name"] in OUTCOMES.values() for trace in lines) == len(result.positions)
    assert sum(trace["name"].endswith(" LTV") for trace in lines) == 3 * len(result.markets)
    named = [trace["name"] for trace in data if trace["showlegend"]]
    assert len(named) == len(set(named)) == len({trace["name"] for trace in data})


def test_figures__ladder__is_sorted_by_room_at_the_opening(result: Result) -> None:
    figure = figures(result, stories(result))["ladder"]
    openings = next(trace for trace in figure["data"] if trace["name"] == "at its opening")
    assert openings["x"] == sorted(openings["x"])
    assert len(openings["y"]) == len(result.positions)
    first, last = figure["layout"]["yaxis"]["range"]
    assert first > last, "the riskiest is not on top"


def test_figures__colours__are_names_that_the_page_defines(result: Result) -> None:
    defined = (Path(frame.__file__).parent / "templates/report.css").read_text("utf-8")

    def words(value: object) -> set[str]:
        if isinstance(value, dict):
            return set().union(*(words(one) for one in value.values()))
        if isinstance(value, list):
            return set().union(*(words(one) for one in value))
        return {value} if isinstance(value, str) and value.startswith("$") else set()

    for name in words(figures(result, stories(result))):
        assert f"--{name[1:]}:" in defined


def test_stories__whole_result__tell_every_outcome(result: Result) -> None:
    assert {story.outcome for story in stories(result)} == set(OUTCOMES)
    assert sum(len(story.liquidations) for story in stories(result)) == len(result.liquidations)


def test_stories__same_id_in_two_markets__are_kept_apart(result: Result) -> None:
    hit = next(story for story in stories(result) if story.liquidations)
    twin = replace(hit.position, market="another")
    told = stories(replace(result, positions=(twin, hit.position)))
    assert [bool(story.liquidations) for story in told] == [False, True]


def test_loss_parts__every_position__add_up_to_the_owners_loss_and_what_was_written_off(
    result: Result,
) -> None:
    lexicon = Lexicon.of(result)
    for story in stories(result):
        parts = loss_parts(story, lexicon)
        assert len(parts) == len(BEARERS)
        assert all(part >= 0 for part in parts)
        owner = max(0.0, -story.position.result / 10**6)
        assert sum(parts[:3]) == pytest.approx(owner)
        asset = lexicon.asset_of(story.position.market)
        lost = sum(lexicon.in_quote(one.loss, asset, one.price) for one in story.liquidations)
        assert sum(parts[3:]) == pytest.approx(lost)


def test_number__long_integer__keeps_every_digit() -> None:
    assert number(123456789012345678901234567890123456789, 0) == (
        "123,456,789,012,345,678,901,234,567,890,123,456,789"
    )
    lexicon = Lexicon({"T": 18}, {})
    assert lexicon.exact(-(10**40 + 1), "T").endswith(",000.000000000000000001")


def test_wording__examples__are_true() -> None:
    assert doctest.testmod(words).failed == 0
