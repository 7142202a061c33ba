"""The lane when its transactions are not mined: outbid by an eighth, re-used, or left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ringfence.evm.anvil import launch
from ringfence.keeper.act.bid import Fees
from tests.support.lanes import (
    GAS,
    GWEI,
    VAULT,
    Stand,
    bid,
    stand_on,
)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with launch() as engine, stand_on(engine, f"sqlite:///{tmp_path / 'lane.db'}") as made:
        yield made


def outbids(later: int, earlier: int) -> bool:
    """Whether a price is higher by the eighth that the lane promises."""
    return later * 8 >= earlier * 9


def test_step__not_mined_for_two_blocks__replaced_an_eighth_higher_and_mined(stand: Stand) -> None:
    first = stand.step(bid(1)).sent[0]
    stand.mine_full()
    assert stand.step(bid(1)).sent == []
    stand.mine_full()
    second = stand.step(bid(1)).sent[0]
    assert (second.nonce, second.replaces) == (0, first.hash)
    assert outbids(second.max_fee, first.max_fee)
    assert outbids(second.tip, first.tip)
    assert [int(one["maxFeePerGas"], 16) for one in stand.pooled()] == [second.max_fee]
    stand.mine()
    stand.step()
    assert stand.mined() == [(0, second.hash)]
    assert stand.states() == [(0, 0, "replaced"), (0, 1, "mined")]


def test_step__stuck_and_gas_dearer_than_an_eighth__at_least_todays_fees(stand: Stand) -> None:
    stand.step(bid(1))
    stand.mine_full(2)
    sent = stand.step(bid(1), fees=Fees(90 * GWEI, 5 * GWEI)).sent[0]
    assert (sent.max_fee, sent.tip) == (185 * GWEI, 5 * GWEI)


def test_step__stuck_and_an_eighth_more_than_it_is_worth__left_and_said(stand: Stand) -> None:
    worth = 20 * GWEI * GAS
    first = stand.step(bid(1, worth=worth), fees=Fees(9 * GWEI, GWEI)).sent[0]
    stand.mine_full(2)
    report = stand.step(bid(1, worth=worth), fees=Fees(9 * GWEI, GWEI))
    assert report.sent == []
    assert report.left[0].reason == (
        "a unit of gas costs 10 gwei, an eighth over 19 to replace another (limit 20); "
        "it waits until gas is cheaper or it is worth more"
    )
    stand.mine()
    stand.step()
    assert stand.mined() == [(0, first.hash)]


def test_step__stuck_with_others_behind_it__only_the_first_is_replaced(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    stand.mine_full(2)
    report = stand.step(bid(1), bid(2))
    assert [one.nonce for one in report.sent] == [0]
    stand.mine()
    stand.step()
    assert stand.states() == [(0, 0, "replaced"), (0, 1, "mined"), (1, 0, "mined")]


def test_step__one_before_it_just_mined__has_as_long_from_then(stand: Stand) -> None:
    """A block has room for one: the second has waited for the first, not for a better price."""
    stand.step(bid(1), bid(2))
    stand.mine_full()
    stand.rpc.call("evm_setBlockGasLimit", hex(GAS))
    stand.mine()
    stand.open_blocks()
    assert stand.step(bid(2)).sent == []
    assert stand.states() == [(0, 0, "mined"), (1, 0, "sent")]
    stand.mine_full()
    assert stand.step(bid(2)).sent == []
    stand.mine_full()
    assert [one.nonce for one in stand.step(bid(2)).sent] == [1]


def test_step__stuck_and_today_another_bid_for_its_target__that_one_in_its_place(
    stand: Stand,
) -> None:
    stand.step(bid(1, 2))
    stand.mine_full(2)
    report = stand.step(bid(2, 4), bid(1))
    assert [(one.nonce, one.targets) for one in report.sent] == [
        (0, ((VAULT, 2), (VAULT, 4))),
        (1, ((VAULT, 1),)),
    ]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 2), (VAULT, 4), (VAULT, 1)]


def test_step__stuck_and_its_targets_spread_over_others__its_own_call_again(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    stand.mine_full(2)
    report = stand.step(bid(1, 2))
    assert [(one.nonce, one.targets) for one in report.sent] == [(0, ((VAULT, 1),))]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]


def test_step__stuck_and_nobody_wants_it__its_nonce_for_a_bid_that_waits(stand: Stand) -> None:
    first = stand.step(bid(1)).sent[0]
    stand.mine_full(2)
    second = stand.step(bid(2)).sent[0]
    assert (second.nonce, second.replaces) == (0, first.hash)
    assert outbids(second.max_fee, first.max_fee)
    stand.mine()
    stand.step()
    assert stand.liquidated() == [(VAULT, 2)]


def test_step__stuck_and_nothing_is_wanted__left_alone(stand: Stand) -> None:
    stand.step(bid(1))
    stand.mine_full(4)
    report = stand.step()
    assert (report.sent, report.resent, report.left) == ([], [], [])
    assert len(report.waiting) == 1


def test_step__replacement_mined_instead_by_the_first_bytes__its_outcome(stand: Stand) -> None:
    """A builder had the first bytes, whatever the pool replaced them with."""
    stand.step(bid(1))
    raw = stand.door.raws()[0]
    stand.mine_full(2)
    stand.step(bid(1))
    stand.rpc.call("anvil_dropAllTransactions")
    stand.rpc.call("eth_sendRawTransaction", raw)
    stand.mine()
    report = stand.step()
    assert stand.states() == [(0, 0, "mined"), (0, 1, "replaced")]
    assert report.waiting == []
    assert len(stand.step(bid(2)).sent) == 1


def test_step__bid_with_a_tip_of_its_own__offered_and_never_more(stand: Stand) -> None:
    """It has to follow another transaction: in the place of a stuck one it would go before it."""
    fees = Fees(10 * GWEI, GWEI)
    first, second = stand.step(bid(1), replace(bid(2), tip=GWEI // 2), fees=fees).sent
    assert (first.tip, second.tip) == (GWEI, GWEI // 2)
    assert second.max_fee == 20 * GWEI + GWEI // 2
    stand.mine_full(2)
    report = stand.step(replace(bid(3), tip=GWEI), fees=fees)
    assert {one.reason for one in report.left} == {
        "a tip of 1.125 gwei would put it before what it has to follow"
    }
    assert [(one.nonce, one.tip, one.replaces) for one in report.sent] == [(2, GWEI, None)]
