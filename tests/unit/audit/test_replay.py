"""Rebuilding words from events: each event's effect, and events that cannot follow."""

from __future__ import annotations

import pytest

from ringfence.audit import Replay, ReplayError
from ringfence.math.balance_sheet import unpack
from ringfence.math.fixed_point import WAD
from ringfence.math.limits import Limits
from ringfence.math.position_slot import PositionSlot, pack

LENDER, TRADER, OPERATOR = "0x" + "0a" * 20, "0x" + "0b" * 20, "0x" + "0c" * 20
NOBODY = "0x" + "00" * 20
POSITION = 0x0B << 96
INDICES = {"debt_index": 2 * WAD, "supply_index": WAD + 5}


@pytest.fixture
def replay() -> Replay:
    replay = Replay(created_at=10)
    replay.apply("CapsSet", {"supply_cap": 1_000, "debt_cap": 900}, 10)
    replay.apply("Accrued", {"debt_index": WAD, "supply_index": WAD}, 20)
    replay.apply("Deposit", {"assets": 500, "shares": 400}, 20)
    replay.apply("Transfer", {"sender": NOBODY, "receiver": LENDER, "value": 400}, 20)
    return replay


def adjusted(collateral: int, scaled: int, debt_delta: int) -> dict[str, int]:
    word = pack(PositionSlot(collateral, scaled, 30))
    return {"position_id": POSITION, "debt_delta": debt_delta, "slot": word, **INDICES}


def test_replay__nothing_yet__is_what_the_constructor_writes() -> None:
    sheet = unpack(*Replay(created_at=10).books)
    assert (sheet.last_accrual, sheet.debt_index, sheet.supply_index) == (10, WAD, WAD)
    assert (sheet.cash, sheet.total_shares, sheet.total_scaled_debt) == (0, 0, 0)


def test_apply__deposit__adds_cash_and_shares(replay: Replay) -> None:
    sheet = unpack(*replay.books)
    assert (sheet.cash, sheet.total_shares, sheet.last_accrual) == (500, 400, 20)
    assert replay.shares == {LENDER: 400}


def test_apply__borrowing__takes_the_word_and_the_indices(replay: Replay) -> None:
    replay.apply("Adjusted", adjusted(70, 50, debt_delta=100), 30)
    sheet = unpack(*replay.books)
    assert (sheet.cash, sheet.total_scaled_debt, sheet.last_accrual) == (400, 50, 30)
    assert (sheet.debt_index, sheet.supply_index) == (2 * WAD, WAD + 5)
    assert replay.positions == {POSITION: pack(PositionSlot(70, 50, 30))}


def test_apply__collateral_alone__leaves_the_books(replay: Replay) -> None:
    before = replay.books
    replay.apply("Adjusted", adjusted(70, 0, debt_delta=0), 30)
    assert replay.books == before


def test_apply__liquidation_of_all__clears_the_position(replay: Replay) -> None:
    replay.apply("Adjusted", adjusted(70, 50, debt_delta=100), 30)
    args = {"position_id": POSITION, "repaid": 60, "cut": 2, "slot": 0, **INDICES}
    replay.apply("Liquidated", args, 40)
    sheet = unpack(*replay.books)
    assert (sheet.cash, sheet.total_scaled_debt, sheet.last_accrual) == (462, 0, 40)
    assert replay.positions == {}


def test_apply__limits_and_operators__take_the_last_word(replay: Replay) -> None:
    replay.apply("CapsSet", {"supply_cap": 7, "debt_cap": 6}, 30)
    replay.apply("NewRiskPaused", {"until": 99}, 30)
    granted = {"owner": TRADER, "operator": OPERATOR, "permissions": 3, "max_loss_bps": 50}
    replay.apply("OperatorSet", granted, 30)
    assert replay.limits == Limits(7, 6, 99)
    assert replay.operators == {(TRADER, OPERATOR): (3, 50)}


def test_apply__reserve_in_and_out__moves_cash(replay: Replay) -> None:
    replay.apply("ReserveFunded", {"amount": 30}, 30)
    replay.apply("ReserveCollected", {"amount": 10}, 30)
    assert unpack(*replay.books).cash == 520


def test_apply__event_that_moves_no_word__is_ignored(replay: Replay) -> None:
    before = replay.books
    replay.apply("GuardianSet", {"guardian": TRADER}, 30)
    assert replay.books == before


def test_apply__more_out_than_in__is_refused(replay: Replay) -> None:
    with pytest.raises(ReplayError, match="Withdraw takes more than there is"):
        replay.apply("Withdraw", {"assets": 501, "shares": 1}, 30)


def test_apply__top_up_of_a_debt_never_seen__is_refused(replay: Replay) -> None:
    word = pack(PositionSlot(70, 50, 30))
    with pytest.raises(ReplayError, match="a top-up changed a debt"):
        replay.apply("ToppedUp", {"position_id": POSITION, "slot": word}, 30)
