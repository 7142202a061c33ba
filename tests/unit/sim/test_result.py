"""Results as JSON: back to the same, integers of any size exact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringfence.sim.result import Action, Check, Keeper, Result, Token, from_json, to_json
from tests.unit.sim.test_checks import BOOKS, LIQUIDATION, MARKET, POSITION, steps

RESULT = Result(
    scenario="name",
    title="Title",
    seed=1,
    seconds=1.25,
    chain_id=31_337,
    transactions=5,
    accounts=1,
    crash_end=10,
    keeper_off=((1, 2), (3, 4)),
    tokens=(Token("WETH", "0x" + "01" * 20, 18),),
    steps=steps(1.0, 2.0),
    markets=(MARKET,),
    positions=(
        replace(
            POSITION,
            slot=2**256 - 1,
            ltvs=(None, 0.5),
            actions=(Action("opened", 0, "0x01", 1.0, 2**111, -1, 5, "WETH", 2**255),),
        ),
    ),
    liquidations=(LIQUIDATION,),
    keeper=Keeper("0x" + "02" * 20, 1, {"USDC": -5}, 1, 2, 3),
    conservation=(),
    checks=(Check("one", True, "why"), Check("two", False, "why not")),
)


def test_from_json__to_json__gives_the_same() -> None:
    assert from_json(to_json(RESULT)) == RESULT
    assert from_json(to_json(RESULT)).markets[0].before == BOOKS


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_from_json__anything_else__raises(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(text)


def test_summary__counts_and_checks_by_name() -> None:
    summary = RESULT.summary()
    assert (summary["accounts"], summary["positions"], summary["liquidations"]) == (1, 1, 1)
    assert summary["checks"] == {"one": True, "two": False}


def test_held__one_check_failed__is_false() -> None:
    assert not RESULT.held
    assert replace(RESULT, checks=RESULT.checks[:1]).held
