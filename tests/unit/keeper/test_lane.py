"""The lane on a real node: sent, mined, dropped, taken away, and others with its key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ringfence.evm.anvil import launch
from ringfence.evm.rpc import Json, Request
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.lane import Lane, LanePolicy
from ringfence.keeper.act.signing import PolicyError
from tests.support.lanes import (
    BASE,
    ETHER,
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


# What is new


def test_step__two_bids__sent_in_a_row_and_mined(stand: Stand) -> None:
    report = stand.step(bid(1), bid(2, 3))
    assert [(one.nonce, one.targets) for one in report.sent] == [
        (0, ((VAULT, 1),)),
        (1, ((VAULT, 2), (VAULT, 3))),
    ]
    assert (report.problems, report.left) == ([], [])
    assert [row.hash for row in report.waiting] == [one.hash for one in report.sent]
    stand.mine()
    report = stand.step()
    assert [(row.nonce, row.state, row.settled) for row in report.changed] == [
        (0, "mined", stand.head().number),
        (1, "mined", stand.head().number),
    ]
    for row in report.changed:
        receipt = stand.rpc.call("eth_getTransactionReceipt", "0x" + row.hash.hex())
        assert row.outcome is not None
        assert row.outcome.cost == int(receipt["gasUsed"], 16) * (BASE + GWEI)
    assert stand.mined() == [(row.nonce, row.hash) for row in report.changed]
    assert report.waiting == []


def test_step__mined_and_known_to_be__its_receipt_is_not_read_again(stand: Stand) -> None:
    stand.step(bid(1))
    stand.mine()
    stand.step()
    stand.door.asked.clear()
    stand.mine()
    stand.step()
    asked = [method for method, _params in stand.door.asked]
    assert "eth_getTransactionByHash" in asked
    assert "eth_getTransactionReceipt" not in asked


def test_step__again_in_the_same_block__nothing_more(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    again = stand.step(bid(1), bid(2), bid(2, 3))
    assert (again.sent, again.resent, again.changed) == ([], [], [])
    assert len(stand.pooled()) == 2


def test_step__mined_after_the_head__its_target_waits_for_the_next_head(stand: Stand) -> None:
    """A keeper that took longer than a block: what it saw due is not so any more."""
    head, fees = stand.head(), Fees(BASE, GWEI)
    stand.step(bid(1))
    stand.mine()
    late = asyncio.run(stand.lane().step(head, fees, [bid(1), bid(2)]))
    assert [row.state for row in late.changed] == ["mined"]
    assert [sent.targets for sent in late.sent] == [((VAULT, 2),)]
    assert [sent.targets for sent in stand.step(bid(1)).sent] == [((VAULT, 1),)]


def test_step__bids_that_share_a_target__the_first_alone(stand: Stand) -> None:
    report = stand.step(bid(1, 2), bid(2, 3), bid(3))
    assert [one.targets for one in report.sent] == [
        ((VAULT, 1), (VAULT, 2)),
        ((VAULT, 3),),
    ]


@pytest.mark.parametrize("worth", [10**9, 100 * GWEI])
def test_step__new_bid__offers_what_it_is_worth_up_to_twice_the_base(
    stand: Stand, worth: int
) -> None:
    sent = stand.step(bid(1, worth=worth * GAS), fees=Fees(40 * GWEI, 2 * GWEI)).sent
    if worth == 10**9:
        assert sent == []
    else:
        assert [(one.max_fee, one.tip) for one in sent] == [(82 * GWEI, 2 * GWEI)]


def test_step__worth_between_todays_price_and_twice_the_base__offers_just_that(
    stand: Stand,
) -> None:
    sent = stand.step(bid(1, worth=50 * GWEI * GAS), fees=Fees(40 * GWEI, 2 * GWEI)).sent
    assert [(one.max_fee, one.tip) for one in sent] == [(50 * GWEI, 2 * GWEI)]


def test_step__gas_above_its_worth__waits_until_it_is_cheaper(stand: Stand) -> None:
    small = bid(1, worth=30 * GWEI * GAS)
    report = stand.step(small, bid(2), fees=Fees(30 * GWEI, GWEI))
    assert [one.targets for one in report.sent] == [((VAULT, 2),)]
    [left] = report.left
    assert left.targets == ((VAULT, 1),)
    assert left.reason == (
        "a unit of gas costs 31 gwei (limit 30); it waits until gas is cheaper or it is worth more"
    )
    report = stand.step(small, fees=Fees(29 * GWEI, GWEI))
    assert [(one.nonce, one.max_fee) for one in report.sent] == [(1, 30 * GWEI)]


def test_step__as_many_open_as_the_policy_lets__the_rest_waits(stand: Stand) -> None:
    stand.policy = LanePolicy(most_open=2)
    report = stand.step(bid(1), bid(2), bid(3))
    assert [one.nonce for one in report.sent] == [0, 1]
    assert [(one.targets, one.reason) for one in report.left] == [
        (((VAULT, 3),), "2 transactions wait already")
    ]


def test_step__dry_run__says_what_it_would_send_and_sends_nothing(stand: Stand) -> None:
    stand.policy = LanePolicy(dry_run=True)
    report = stand.step(bid(1), bid(2))
    assert [(one.nonce, one.hash) for one in report.sent] == [(0, b""), (1, b"")]
    assert stand.pooled() == stand.states() == stand.door.raws() == []


def test_step__account_without_ether__says_what_it_lacks(stand: Stand) -> None:
    stand.engine.set_balance(stand.ledger.account, GAS * 40 * GWEI)
    report = stand.step(bid(1), bid(2), bid(3), fees=Fees(9 * GWEI, GWEI))
    assert [one.nonce for one in report.sent] == [0, 1]
    [left] = report.left
    assert left.reason == (
        f"the account holds {GAS * 40 * GWEI:,} wei and all that waits may cost "
        f"{3 * GAS * 19 * GWEI:,}; send it more"
    )


# What the policy lets


def test_step__bid_that_the_policy_refuses__left_and_the_next_one_sent(stand: Stand) -> None:
    report = stand.step(replace(bid(1), to=b"\x99" * 20), bid(2, gas=10**7), bid(3))
    assert [(one.nonce, one.targets) for one in report.sent] == [(0, ((VAULT, 3),))]
    first, second = (left.reason for left in report.left)
    assert "recipient is 0x9999" in first
    assert "gas limit is 10,000,000 (limit 1,000,000)" in second


def test_step__a_days_fees_used_up__waits_a_day(stand: Stand) -> None:
    cost = GAS * 19 * GWEI
    stand.signing = replace(stand.signing, max_spend=cost)
    stand.step(bid(1), fees=Fees(9 * GWEI, GWEI))
    report = stand.step(bid(2), fees=Fees(9 * GWEI, GWEI))
    assert f"day's fees is {2 * cost:,} (limit {cost:,})" in report.left[0].reason
    stand.mine()
    report = stand.step(bid(2), fees=Fees(9 * GWEI, GWEI))
    assert report.changed[0].outcome is not None
    paid = report.changed[0].outcome.cost
    assert f"day's fees is {paid + cost:,} (limit {cost:,})" in report.left[0].reason
    stand.engine.advance(86_400)
    stand.mine()
    assert len(stand.step(bid(2), fees=Fees(9 * GWEI, GWEI)).sent) == 1


def test_step__signer_that_fails__left_with_its_words_and_nothing_written(stand: Stand) -> None:
    def locked(_fields: object) -> bytes:
        raise RuntimeError("account is locked")

    stand.signer = locked
    report = stand.step(bid(1))
    assert "the signer failed: account is locked" in report.left[0].reason
    assert stand.states() == []


def test_lane__ledger_of_another_chain__refused(stand: Stand) -> None:
    with pytest.raises(PolicyError, match=r"on chain 1, not of .* on 5"):
        Lane(stand.door, stand.ledger, bytes, replace(stand.signing, chain_id=5))  # type: ignore[arg-type]


# What the node forgot or took back


def test_step__dropped_by_the_node__the_same_bytes_again(stand: Stand) -> None:
    first, second = stand.step(bid(1), bid(2)).waiting
    stand.forget(second)
    report = stand.step(bid(1), bid(2))
    assert (report.resent, report.sent) == ([second.hash], [])
    stand.mine()
    assert stand.mined() == [(0, first.hash), (1, second.hash)]


def test_step__dropped_and_not_wanted__left_until_one_behind_it_needs_the_nonce(
    stand: Stand,
) -> None:
    [first] = stand.step(bid(1, worth=20 * GWEI * GAS)).waiting
    stand.forget(first)
    report = stand.step()
    assert (report.resent, report.sent, report.waiting) == ([], [], [first])
    stand.mine()
    report = stand.step(bid(2, worth=20 * GWEI * GAS), fees=Fees(9 * GWEI, GWEI))
    assert report.resent == [first.hash]
    assert [one.nonce for one in report.sent] == [1]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]


def test_step__dropped_not_wanted_and_another_bid__its_nonce_at_once(stand: Stand) -> None:
    [first] = stand.step(bid(1)).waiting
    stand.forget(first)
    [sent] = stand.step(bid(2)).sent
    assert (sent.nonce, sent.replaces) == (0, first.hash)


def test_step__block_that_had_it_is_gone__open_and_sent_again(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    stand.mine()
    stand.step()
    before = {row.hash for row in stand.ledger.rows(-1) if row.state == "mined"}
    assert len(before) == 2
    stand.rpc.call("anvil_reorg", 1, [])
    assert stand.mined() == []
    report = stand.step(bid(1), bid(2))
    assert {row.nonce for row in report.waiting} == {0, 1}
    assert all(row.outcome is None and row.settled is None for row in report.waiting)
    stand.mine()
    stand.step()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]
    assert [row.nonce for row in stand.ledger.rows(-1) if row.state == "mined"] == [0, 1]


def test_step__reorganised_into_a_later_block__its_new_block(stand: Stand) -> None:
    stand.step(bid(1))
    raw = stand.door.raws()[0]
    stand.mine()
    [before] = stand.step().changed
    stand.rpc.call("anvil_rollback", 1)
    stand.engine.advance(7)
    stand.mine()
    stand.rpc.call("eth_sendRawTransaction", raw)
    stand.mine()
    [after] = stand.step().changed
    assert (after.state, after.hash) == ("mined", before.hash)
    assert after.settled == stand.head().number
    assert after.outcome is not None
    assert after.outcome.block_hash == stand.head().hash


def test_step__reorganised_and_no_receipt_to_be_had__as_it_was_until_there_is_one(
    stand: Stand,
) -> None:
    """Another node of several may answer for the receipt, one that is behind."""
    stand.step(bid(1))
    raw = stand.door.raws()[0]
    stand.mine()
    [before] = stand.step().changed
    stand.rpc.call("anvil_rollback", 1)
    stand.engine.advance(7)
    stand.mine()
    stand.rpc.call("eth_sendRawTransaction", raw)
    stand.mine()

    def behind(requests: list[Request]) -> list[Json] | None:
        receipts_alone = {method for method, _ in requests} == {"eth_getTransactionReceipt"}
        return [None for _ in requests] if receipts_alone else None

    stand.door.hook = behind
    report = stand.step()
    assert (report.changed, report.problems, report.waiting) == ([], [], [])
    assert [*stand.ledger.rows(-1)] == [before]
    stand.door.hook = None
    [after] = stand.step().changed
    assert after.state == "mined"
    assert after.outcome is not None
    assert after.outcome.block_hash == stand.head().hash


# Others with the same key


def test_step__foreign_transaction_waits_already__the_nonce_after_it(stand: Stand) -> None:
    stand.send_foreign(0)
    [sent] = stand.step(bid(1)).sent
    assert sent.nonce == 1
    stand.mine()
    assert stand.step().changed[0].state == "mined"


def test_step__foreign_transaction_behind_ours__the_nonce_after_it(stand: Stand) -> None:
    stand.step(bid(1))
    stand.send_foreign(1)
    [sent] = stand.step(bid(1), bid(2)).sent
    assert sent.nonce == 2
    stand.mine()
    assert [nonce for nonce, _hash in stand.mined()] == [0, 1, 2]
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]


def test_step__foreign_transaction_took_the_nonce__foreign_and_sent_anew(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    stand.send_foreign(0, 90 * GWEI, 9 * GWEI)
    stand.mine()
    report = stand.step(bid(1))
    assert [(row.nonce, row.state) for row in report.changed] == [(0, "foreign"), (1, "mined")]
    assert [(one.nonce, one.targets) for one in report.sent] == [(2, ((VAULT, 1),))]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 2), (VAULT, 1)]


def test_step__foreign_transaction_taken_back__ours_is_open_again(stand: Stand) -> None:
    stand.step(bid(1))
    stand.send_foreign(0, 90 * GWEI, 9 * GWEI)
    stand.mine()
    assert stand.step().changed[0].state == "foreign"
    stand.rpc.call("anvil_reorg", 1, [])
    report = stand.step(bid(1))
    assert [row.nonce for row in report.waiting] == [0]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1)]


def test_step__foreign_transaction_offers_more_for_our_nonce__ours_raised_each_block(
    stand: Stand,
) -> None:
    """The node calls the replacement underpriced until it is not."""
    first = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI)).sent[0]
    stand.send_foreign(0, 25 * GWEI, 5 * GWEI)
    stand.mine_full()
    for _ in range(2):
        stand.mine_full()
        report = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI))
        assert (report.sent, report.waiting[0].hash) == ([], first.hash)
        assert report.left[0].reason.startswith("underpriced: ")
        assert stand.step(bid(1), fees=Fees(9 * GWEI, GWEI)).sent == []
    stand.mine_full()
    last = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI)).sent[0]
    offers = [row.max_fee for row in stand.ledger.rows(-1)]
    assert len(offers) == 4
    assert all(outbids(later, earlier) for earlier, later in pairwise(offers))
    stand.mine()
    stand.step()
    assert stand.mined() == [(0, last.hash)]
    assert [state for _nonce, _attempt, state in stand.states()] == [
        "replaced",
        "dropped",
        "dropped",
        "mined",
    ]


def test_step__foreign_transaction_below_ours_is_dropped__its_nonce_for_the_next_bid(
    stand: Stand,
) -> None:
    foreign = stand.send_foreign(0)
    stand.step(bid(1))
    stand.rpc.call("anvil_dropTransaction", "0x" + foreign.hex())
    [sent] = stand.step(bid(1), bid(2)).sent
    assert (sent.nonce, sent.targets) == (0, ((VAULT, 2),))
    stand.mine()
    assert stand.liquidated() == [(VAULT, 2), (VAULT, 1)]


def test_step__hole_and_no_other_bid__the_last_call_in_it_once_it_is_late(stand: Stand) -> None:
    foreign = stand.send_foreign(0)
    stand.step(bid(1), bid(2))
    stand.rpc.call("anvil_dropTransaction", "0x" + foreign.hex())
    stand.mine()
    assert stand.step(bid(1), bid(2)).sent == []
    stand.mine()
    [sent] = stand.step(bid(1), bid(2)).sent
    assert (sent.nonce, sent.targets, sent.replaces) == (0, ((VAULT, 2),), None)
    assert stand.step(bid(1), bid(2)).sent == []
    stand.mine_full(2)
    report = stand.step(bid(1), bid(2), bid(3))
    assert [(one.nonce, one.targets) for one in report.sent] == [
        (0, ((VAULT, 2),)),
        (3, ((VAULT, 3),)),
    ]


def test_step__worth_of_more_than_a_bigint__kept(stand: Stand) -> None:
    stand.step(bid(1, worth=10**6 * ETHER))
    assert stand.ledger.rows(-1)[0].worth == 10**6 * ETHER
