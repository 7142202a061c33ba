"""Scenarios for the vectorised engine, against the bytecode at every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ringfence.evm import InProcessEngine
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.stepper import NEVER, first_steps
from ringfence.sim.scenario import load_scenario
from ringfence.sim.vectorised.from_scenario import agreement, from_scenario, with_agreement
from tests.support.simulated import DAY, edge, play, trigger_at, write


@pytest.mark.parametrize("market", ["weth-usdc-conservative", "usdc-weth-short"])
def test_liquidatable__at_the_trigger_and_one_past_it__is_the_contracts_verdict(
    tmp_path: Path, market: str
) -> None:
    there = edge(tmp_path, market)
    path = write(tmp_path, there.prices)
    outcome = play(InProcessEngine(traced=False), path, tmp_path, passive=True)
    markets = from_scenario(load_scenario(path), 1, tmp_path)
    alone = markets[market]
    assert alone.answers[there.at] == trigger_at(alone, there.at)
    flags = alone.liquidatable()[:, 0]
    assert np.nonzero(flags)[0].tolist() == [there.at + 1]
    assert agreement(outcome, markets).held
    assert with_agreement(outcome, markets).held


def test_agreement__an_index_that_stands_still__is_found_out(tmp_path: Path) -> None:
    there = edge(tmp_path, "weth-usdc-conservative")
    path = write(tmp_path, there.prices)
    outcome = play(InProcessEngine(traced=False), path, tmp_path, passive=True)
    markets = from_scenario(load_scenario(path), 1, tmp_path)
    still = {
        name: replace(one, indices=[one.indices[0]] * len(one.indices))
        for name, one in markets.items()
    }
    told = agreement(outcome, still)
    assert not told.held
    assert "long in weth-usdc-conservative" in told.detail


def test_from_scenario__day__agrees_with_the_bytecode_and_the_stepper(tmp_path: Path) -> None:
    scenario = load_scenario(DAY)
    outcome = play(InProcessEngine(traced=False), DAY, tmp_path, passive=True)
    markets = from_scenario(scenario, scenario.seed, tmp_path)
    assert agreement(outcome, markets).held
    alone = markets["weth-usdc-conservative"]
    flags = alone.liquidatable()
    assert 0 < flags.any(axis=0).sum() < len(alone.ids)
    # A day of interest is less than what any answer of this path is from a trigger.
    first = first_steps(alone.book().sorted().triggers, alone.answers, falls=True)
    exact = [int(np.argmax(one)) if one.any() else NEVER for one in flags.T]
    assert sorted(first.tolist()) == sorted(exact)


def test_from_scenario__position_that_opens_later__is_refused(tmp_path: Path) -> None:
    more = """
[[positions]]
account = "late"
market = "usdc-weth-short"
at = 0.1
margin = 1_000
leverage = 2
"""
    scenario = load_scenario(write(tmp_path, [2_000.0] * 3, more=more))
    with pytest.raises(RiskError, match=r"position 3 opens at 0.1 h \(limit: the first step\)"):
        from_scenario(scenario, 1, tmp_path)
