"""Traders' rules against what a position looks like."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from ringfence.math.fixed_point import WAD
from ringfence.sim.agents.trader import Trader, View
from ringfence.sim.scenario import Close, Delever, TopUp

CALM = View(collateral=10, debt=5, ltv=WAD // 2)
PRESSED = View(collateral=10, debt=9, ltv=9 * WAD // 10)
GONE = View(collateral=0, debt=0, ltv=0)
PRICE = Fraction(100)

TOP_UP = TopUp(do="top up", above_ltv=Decimal("0.8"), amount=Decimal(1), times=2)
DELEVER = Delever(do="delever", above_ltv=Decimal("0.8"), share=Decimal("0.5"))


def test_decide__no_rules__does_nothing() -> None:
    assert Trader(()).decide(PRESSED, PRICE) is None


@pytest.mark.parametrize("rule", [TOP_UP, DELEVER])
def test_decide__calm__does_nothing(rule: TopUp | Delever) -> None:
    assert Trader((rule,)).decide(CALM, PRICE) is None


@pytest.mark.parametrize("rule", [TOP_UP, DELEVER])
def test_decide__pressed__acts(rule: TopUp | Delever) -> None:
    order = Trader((rule,)).decide(PRESSED, PRICE)
    assert order is not None
    assert order.what == rule


def test_decide__at_the_bound__does_nothing() -> None:
    view = View(collateral=10, debt=8, ltv=8 * WAD // 10)
    assert Trader((TOP_UP,)).decide(view, PRICE) is None


def test_decide__used_up__goes_on_to_the_next_rule() -> None:
    trader = Trader((TOP_UP, DELEVER))
    made = [trader.decide(PRESSED, PRICE) for _ in range(4)]
    assert [one and one.what for one in made] == [TOP_UP, TOP_UP, DELEVER, None]


def test_decide__without_debt__neither_tops_up_nor_delevers() -> None:
    view = View(collateral=10, debt=0, ltv=2**256 - 1)
    assert Trader((TOP_UP, DELEVER)).decide(view, PRICE) is None


@pytest.mark.parametrize(
    ("below", "above", "closes"), [(100, None, True), (99, None, False), (None, 100, True)]
)
def test_decide__close__at_its_price(below: int | None, above: int | None, closes: bool) -> None:
    rule = Close(
        do="close",
        at_or_below=None if below is None else Decimal(below),
        at_or_above=None if above is None else Decimal(above),
    )
    assert (Trader((rule,)).decide(CALM, PRICE) is not None) == closes


def test_decide__position_gone__does_nothing() -> None:
    rule = Close(do="close", at_or_below=Decimal(100))
    assert Trader((TOP_UP, DELEVER, rule)).decide(GONE, PRICE) is None
