"""The checks: each can fail. Findings are made by hand, so that one thing at a time is wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ringfence.evm import Event, StateDiff
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.position_slot import PositionSlot, pack
from ringfence.sim import checks
from ringfence.sim.always import ALWAYS
from ringfence.sim.chronicle import Entry, books_slots, position_slot_of
from ringfence.sim.findings import Findings
from ringfence.sim.result import (
    Action,
    Books,
    Conservation,
    Keeper,
    Liquidation,
    Market,
    Position,
    Step,
    Word,
)
from ringfence.sim.scenario import Scenario
from ringfence.sim.shown import OUTCOMES

CENT = WAD // 100
THREE_WORDS = tuple(
    Word(name, n, 0, 1) for n, name in enumerate(("books 1", "books 2", "position"))
)
LIQUIDATION = Liquidation(
    tx_hash="0x01",
    block=1,
    time=60_000,
    market="long",
    position_id=1,
    account="one",
    kind="partial",
    price=100.0,
    ltv_before=0.9,
    ltv_after=0.83,
    seized=1,
    repaid=1,
    cut=0,
    loss=0,
    loss_to_reserve=0,
    loss_to_lenders=0,
    profit=1,
    gas_used=1,
    gas_cost=1,
    words=THREE_WORDS,
    other_vaults=0,
    isolated=True,
)
POSITION = Position(
    position_id=1,
    market="long",
    side="long",
    account="one",
    owner="0x" + "01" * 20,
    leverage=2.0,
    opened_at=0,
    status="open",
    actions=(),
    slot=1,
    collateral=1,
    debt=1,
    put_in=100,
    taken_out=0,
    kept=50,
    result=-50,
    to_keepers=0,
    to_reserve=0,
    ltvs=(),
    liquidatable_at=(),
)
BOOKS = Books(cash=1, debt=0, claims=1, reserve=0, supply_index=10**18)
MARKET = Market(
    name="long",
    title="Long",
    vault="0x" + "02" * 20,
    side="long",
    collateral="WETH",
    asset="USDC",
    initial_ltv=0.8,
    target_ltv=0.83,
    liquidation_ltv=0.86,
    beta_max=1.077,
    before=BOOKS,
    after=BOOKS,
    lenders=(),
    liquidations=0,
    to_reserve_lost=0,
    to_lenders_lost=0,
    risk=RiskParams(
        86 * WAD // 100, 83 * WAD // 100, WAD // 100, 1_077 * WAD // 1_000, WAD // 10, 0
    ),
    debt_indices=(WAD, WAD),
)
SHORT = replace(MARKET, name="short", side="short")


def steps(*prices: float) -> tuple[Step, ...]:
    """One price a quarter of an hour."""
    return tuple(
        Step(n * 900, price, price, price, True, round(price * 10**8))
        for n, price in enumerate(prices)
    )


def findings(**changes: Any) -> Findings:
    """Findings of a run in which nothing happened, without a chain behind them."""
    nothing = {
        "scenario": cast(Scenario, None),
        "history": cast(Any, None),
        "sheets": {},
        "steps": steps(100, 100),
        "markets": (MARKET, SHORT),
        "positions": (),
        "liquidations": (),
        "keeper": Keeper("0x" + "03" * 20, 0, {"USDC": 0, "WETH": 0}, 0, 0, 0),
        "conservation": (),
        "keeper_off": (),
        "crash_end": 50_000,
    }
    return Findings(**(nothing | changes))


def held(name: str, **changes: Any) -> bool:
    return {**ALWAYS, **OUTCOMES}[name](findings(**changes))[0]


def test_liquidations_isolated__three_words_each__holds() -> None:
    assert held("liquidations_isolated", liquidations=(LIQUIDATION,))


@pytest.mark.parametrize("liquidations", [(), (LIQUIDATION, replace(LIQUIDATION, isolated=False))])
def test_liquidations_isolated__none_or_one_more_word__fails(
    liquidations: tuple[Liquidation, ...],
) -> None:
    assert not held("liquidations_isolated", liquidations=liquidations)


VAULT, OTHER_VAULT = "0x" + "02" * 20, "0x" + "04" * 20


def transaction(diff: StateDiff) -> Any:
    """A history of one transaction that adjusted position 1 of a vault with positions 1 and 2."""
    event = Event("Adjusted", VAULT, {"position_id": 1})
    return SimpleNamespace(
        venues={VAULT: None, OTHER_VAULT: None},
        by_position={(VAULT, 1): [], (VAULT, 2): [], (OTHER_VAULT, 1): []},
        by_transaction={"0x01": [Entry(1, 0, 0, "0x01", event)]},
        diffs={"0x01": diff},
    )


OWN, OTHERS, BOOK = position_slot_of(1), position_slot_of(2), books_slots()[0]


@pytest.mark.parametrize(
    ("diff", "isolated"),
    [
        ({VAULT: {OWN: (1, 2), BOOK: (1, 2)}}, True),
        ({VAULT: {OWN: (1, 2), OTHERS: (1, 2)}}, False),
        ({VAULT: {OTHERS: (1, 2)}}, False),
        ({VAULT: {OWN: (1, 2)}, OTHER_VAULT: {BOOK: (1, 2)}}, False),
    ],
)
def test_transactions_isolated__another_position_or_vault_changed__fails(
    diff: StateDiff, isolated: bool
) -> None:
    assert held("transactions_isolated", history=transaction(diff)) == isolated


@pytest.mark.parametrize(("balances", "conserved"), [(10, True), (9, False), (11, False)])
def test_tokens_conserved__a_unit_off__fails(balances: int, conserved: bool) -> None:
    token = Conservation("WETH", 2, balances, 10)
    assert held("tokens_conserved", conservation=(token,)) == conserved


@pytest.mark.parametrize(
    ("name", "kind"),
    [("partial_liquidation", "partial"), ("full_liquidation", "full")],
)
def test_of_kind__only_others__fails(name: str, kind: Any) -> None:
    other = replace(LIQUIDATION, kind="insolvent")
    assert not held(name, liquidations=(other,))
    assert held(name, liquidations=(other, replace(LIQUIDATION, kind=kind)))


def test_loss_absorbed_by_reserve__lenders_paid_too__fails() -> None:
    loss = replace(LIQUIDATION, kind="insolvent", loss=5, loss_to_reserve=5)
    assert held("loss_absorbed_by_reserve", liquidations=(loss,))
    shared = replace(loss, loss_to_reserve=3, loss_to_lenders=2)
    assert not held("loss_absorbed_by_reserve", liquidations=(shared,))
    assert not held("loss_absorbed_by_reserve", liquidations=(LIQUIDATION,))


def test_short_closed_in_profit__at_a_loss_or_still_open_or_long__fails() -> None:
    won = replace(POSITION, side="short", status="closed", taken_out=101)
    assert held("short_closed_in_profit", positions=(won,))
    for change in ({"taken_out": 100}, {"status": "open"}, {"side": "long"}):
        assert not held("short_closed_in_profit", positions=(replace(won, **change),))


def test_short_liquidated_in_rebound__before_it_or_long__fails() -> None:
    late = replace(LIQUIDATION, market="short")
    assert held("short_liquidated_in_rebound", liquidations=(late,))
    for change in ({"time": 50_000}, {"market": "long"}):
        assert not held("short_liquidated_in_rebound", liquidations=(replace(late, **change),))


@pytest.mark.parametrize(("count", "enough"), [(11, False), (12, True)])
def test_enough_accounts__eleven__fails(count: int, enough: bool) -> None:
    people = tuple(replace(POSITION, account=str(n)) for n in range(count))
    assert held("enough_accounts", positions=people * 2) == enough
    assert held("enough_positions", positions=people * 2) == enough
    assert held("several_positions_per_account", positions=people * 2)
    assert not held("several_positions_per_account", positions=people)


def test_leverage_up_to_the_most__below_it_anywhere__fails() -> None:
    low, most = POSITION, replace(POSITION, leverage=4.999)
    both = (low, most, replace(most, market="short"))
    assert held("leverage_up_to_the_most", positions=both)
    assert not held("leverage_up_to_the_most", positions=both[:2])
    assert not held("leverage_up_to_the_most", positions=both[1:])
    assert not held("leverage_up_to_the_most", positions=(*both, replace(low, leverage=1.5)))


def test_longs_and_shorts__one_side__fails() -> None:
    short = replace(POSITION, side="short")
    assert held("longs_and_shorts", positions=(POSITION, short))
    assert not held("longs_and_shorts", positions=(POSITION, POSITION))


CRASH = steps(100, 100, 95, 90, 80, 75, 75)


def test_keeper_stood_still__half_of_the_worst_hour__holds() -> None:
    assert held("keeper_stood_still", steps=CRASH, keeper_off=((1_800, 3_600),))


@pytest.mark.parametrize("off", [(), ((1_800, 2_700),), ((0, 1_800),), ((3_600, 5_400),)])
def test_keeper_stood_still__too_short_or_elsewhere__fails(
    off: tuple[tuple[int, int], ...],
) -> None:
    assert not held("keeper_stood_still", steps=CRASH, keeper_off=off)


def test_keeper_stood_still__liquidated_meanwhile__fails() -> None:
    acted = replace(LIQUIDATION, time=2_700)
    assert not held(
        "keeper_stood_still", steps=CRASH, keeper_off=((1_800, 3_600),), liquidations=(acted,)
    )


def test_vectorised_engine_agrees__vault_says_otherwise_at_a_step__fails() -> None:
    word = pack(PositionSlot(10**18, 80 * 10**6, 0))
    opened = Action("opened", 0, "0x01", 100.0, 10**18, 80 * 10**6, 0, "WETH", word)
    position = replace(POSITION, actions=(opened,), liquidatable_at=(1,))

    def agrees(at: tuple[int, ...]) -> bool:
        there = replace(position, liquidatable_at=at)
        return held("vectorised_engine_agrees", steps=steps(100, 93), positions=(there,))

    assert agrees((1,))  # 80 of 93 is more than 86 %
    assert not any(map(agrees, [(), (0,), (0, 1)]))


def test_run_checks__expectations__only_those_of_the_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Expecting:
        expect = ("longs_and_shorts",)

    monkeypatch.setattr(checks, "ALWAYS", {"always": lambda _found: (False, "why")})
    found = checks.run_checks(findings(scenario=cast(Scenario, Expecting())))
    assert [(one.name, one.held) for one in found] == [
        ("always", False),
        ("longs_and_shorts", False),
    ]
