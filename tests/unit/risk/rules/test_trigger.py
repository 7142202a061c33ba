"""Triggers, held to the vault's own bytecode behind a real oracle and its feeds."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from ringfence.evm import Engine
from ringfence.math.fixed_point import WAD
from ringfence.risk.rules import trigger as module
from ringfence.risk.rules.trigger import MAX_ANSWER, trigger, triggers
from tests.support.risk import LIQUIDATION_LTV, risk_market
from tests.support.risk_vault import CASES, assert_turns_at_the_trigger


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("days", [0, 40])
def test_trigger__liquidating_the_real_vault__succeeds_exactly_past_it(
    engine: Engine, case: str, days: int
) -> None:
    assert_turns_at_the_trigger(engine, case, days)


@pytest.mark.parametrize("falls", [True, False])
def test_trigger__no_debt__never_turns(falls: bool) -> None:
    market = risk_market(falls=falls)
    assert trigger(market, WAD, 0, WAD, LIQUIDATION_LTV) == (1 if falls else MAX_ANSWER)


@pytest.mark.parametrize("falls", [True, False])
def test_trigger__debt_without_collateral__is_beyond_every_answer(falls: bool) -> None:
    market = risk_market(falls=falls)
    assert trigger(market, 0, 1, WAD, LIQUIDATION_LTV) == (MAX_ANSWER + 1 if falls else 0)


def test_triggers__many_positions__are_each_one_s_in_order() -> None:
    market = replace(risk_market(), still=99_990_000)
    held, owed = [WAD, 5 * WAD, 1, 0], [1_500 * 10**6, 0, 2**104 - 1, 7]
    found = triggers(market, held, owed, 11 * WAD // 10, LIQUIDATION_LTV)
    assert found.dtype == np.int64
    assert found.tolist() == [
        trigger(market, one, debt, 11 * WAD // 10, LIQUIDATION_LTV)
        for one, debt in zip(held, owed, strict=True)
    ]


def test_docstrings__their_examples__come_out_as_written() -> None:
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed
