"""The page of a simulation: the same frame, what was played in it, the same bytes again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ringfence.evm import InProcessEngine
from ringfence.sim.outcome import Outcome
from ringfence.sim.outcome_page import outcome_page
from ringfence.sim.result import Check
from ringfence.sim.scenario import load_scenario
from ringfence.sim.vectorised.from_scenario import differences, from_scenario
from tests.support.simulated import play, write

PRICES = [2_000.0, 1_900.0, 1_800.0, 1_700.0, 2_200.0, 2_300.0]
FACTS = {"seed": "1", "SHA-256 of the scenario": "ab" * 32}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("scenario"), PRICES)


@pytest.fixture(scope="module")
def outcome(scenario: Path) -> Outcome:
    return play(InProcessEngine(traced=False), scenario, scenario.parent)


def figures(page: str) -> dict[str, dict[str, list[dict[str, list[object]]]]]:
    found = re.search(r'id="figures">(.*?)</script>', page, re.S)
    assert found
    drawn: dict[str, dict[str, list[dict[str, list[object]]]]] = json.loads(found[1])
    return drawn


def test_outcome_page__a_run__draws_what_happened(outcome: Outcome) -> None:
    page = outcome_page(outcome, FACTS)
    drawn = figures(page)
    assert list(drawn) == ["price", "due", "liquidations", "gains"]
    assert len(outcome.liquidations) > 1
    assert len(drawn["price"]["data"][-1]["x"]) == len(outcome.liquidations)
    assert len(drawn["due"]["data"][-1]["x"]) == len(outcome.liquidations)
    due = sum(len(one.liquidatable_at) for one in outcome.positions)
    assert len(drawn["due"]["data"][0]["x"]) == due
    for one in (*outcome.lenders, *outcome.keepers):
        assert f"{one.account}, " in page
    for check in outcome.checks:
        assert check.name in page
    assert "ab" * 32 in page
    assert page == outcome_page(outcome, FACTS)


def test_outcome_page__failed_check__is_named_at_the_head(outcome: Outcome) -> None:
    failed = replace(outcome, checks=(Check("tokens", False, "a unit too many"),))
    page = outcome_page(failed, FACTS)
    assert "Failed: tokens." in page[: page.index("<main>")]


def test_outcome_page__attackers_position_liquidated__is_none_of_the_scenarios(
    outcome: Outcome,
) -> None:
    sold = {(one.market, one.position) for one in outcome.liquidations}
    first, *others = sorted(outcome.positions, key=lambda one: (one.market, one.id) not in sold)
    page = outcome_page(replace(outcome, positions=tuple(others)), FACTS)
    assert (first.market, first.id) in sold
    said = f"of {len(others)} positions {len(sold) - 1} and 1 of attackers were liquidated"
    assert said in page[: page.index("<main>")]


def test_outcome_page__left_alone__shows_the_engine_and_its_error(scenario: Path) -> None:
    quiet = play(InProcessEngine(traced=False), scenario, scenario.parent, passive=True)
    alone = from_scenario(load_scenario(scenario), 1, scenario.parent)
    page = outcome_page(quiet, FACTS, alone)
    assert {"ladder-usdc-weth-short", "drop-usdc-weth-short", "agreement"} <= set(figures(page))
    assert "liquidations" not in figures(page)
    assert "there was none" in page
    assert differences(quiet, alone).size == 3 * len(PRICES)
    assert "verdicts, positions by steps: zero everywhere" in page
    first, *others = quiet.positions
    wrong = replace(quiet, positions=(replace(first, liquidatable_at=(0,)), *others))
    changed = len({0} ^ set(first.liquidatable_at))
    assert f"verdicts, positions by steps: {changed} differ" in outcome_page(wrong, FACTS, alone)
