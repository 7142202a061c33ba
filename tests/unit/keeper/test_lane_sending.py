"""The lane where sending goes wrong: nodes that refuse, hang or lie, and relays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.lane import LanePolicy
from ringfence.keeper.act.sending import Verdict, broadcast
from tests.support.lanes import (
    GWEI,
    VAULT,
    Door,
    Stand,
    bid,
    failing,
    is_sending,
    stand_on,
)

TIMEOUT = "no answer: TimeoutError"


@pytest.fixture
def engine() -> Iterator[AnvilEngine]:
    with launch() as made:
        yield made


@pytest.fixture
def stand(engine: AnvilEngine, tmp_path: Path) -> Iterator[Stand]:
    with stand_on(engine, f"sqlite:///{tmp_path / 'lane.db'}?timeout=0.1") as made:
        yield made


def sent_and_then(message: str) -> Callable[[Stand], Callable[[list[Request]], list[Json] | None]]:
    """A node that takes the transaction and answers with an error all the same."""

    def make(stand: Stand) -> Callable[[list[Request]], list[Json] | None]:
        def hook(requests: list[Request]) -> list[Json] | None:
            if not is_sending(requests):
                return None
            stand.rpc.batch(requests)
            return [RpcError(method, message, None) for method, _params in requests]

        return hook

    return make


# What a node answers


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("already known", Verdict.ACCEPTED),
        ("transaction already imported", Verdict.ACCEPTED),
        ("AlreadyKnown", Verdict.ACCEPTED),
        ("nonce too low: next nonce 4, tx nonce 3", Verdict.STALE),
        ("replacement transaction underpriced", Verdict.UNDERPRICED),
        ("transaction underpriced: gas tip cap 0, minimum needed 1", Verdict.UNDERPRICED),
        ("insufficient funds for gas * price + value", Verdict.REFUSED),
        ("max fee per gas less than block base fee", Verdict.REFUSED),
        ("intrinsic gas too low", Verdict.REFUSED),
        (TIMEOUT, Verdict.UNSURE),
        ("no answer: ClientResponseError 502", Verdict.UNSURE),
        ("internal error", Verdict.UNSURE),
        ("", Verdict.UNSURE),
    ],
)
def test_broadcast__every_kind_of_answer__its_verdict(message: str, verdict: Verdict) -> None:
    node = Door("http://127.0.0.1:1", failing(message))
    assert asyncio.run(broadcast(b"\1", [node])).verdict is verdict


def test_broadcast__several_nodes__the_best_answer() -> None:
    nodes = [
        Door("", failing(one)) for one in ("underpriced", TIMEOUT, "already known", "nonce too low")
    ]
    assert asyncio.run(broadcast(b"\1", nodes)).verdict is Verdict.ACCEPTED
    assert asyncio.run(broadcast(b"\1", nodes[:2])).verdict is Verdict.UNSURE
    assert asyncio.run(broadcast(b"\1", [nodes[0], nodes[3]])).verdict is Verdict.STALE


def test_step__refused_before_it_was_sent__its_nonce_is_the_next_ones(stand: Stand) -> None:
    refused = 0

    def hook(requests: list[Request]) -> list[Json] | None:
        nonlocal refused
        if is_sending(requests) and refused == 0:
            refused += 1
            return failing("insufficient funds for gas * price + value")(requests)
        return None

    stand.door.hook = hook
    report = stand.step(bid(1), bid(2), bid(3))
    assert [(one.nonce, one.targets) for one in report.sent] == [
        (0, ((VAULT, 2),)),
        (1, ((VAULT, 3),)),
    ]
    assert report.left[0].reason == "refused: insufficient funds for gas * price + value"
    assert stand.step(bid(1), bid(2), bid(3)).sent[0].nonce == 2
    stand.mine()
    stand.step()
    assert [nonce for nonce, _hash in stand.mined()] == [0, 1, 2]
    assert stand.liquidated() == [(VAULT, 2), (VAULT, 3), (VAULT, 1)]


def test_step__refused_block_after_block__signed_anew_until_it_is_taken(stand: Stand) -> None:
    stand.door.hook = failing("insufficient funds for transfer")
    for _ in range(3):
        report = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI))
        assert (len(report.left), report.problems, report.waiting) == (1, [], [])
        again = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI))
        assert again.left[0].reason == "refused: insufficient funds for transfer"
        stand.mine()
    assert len(stand.door.raws()) == 3
    assert len(stand.states()) == 1
    stand.door.hook = None
    [sent] = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI)).sent
    assert (sent.nonce, sent.max_fee) == (0, 19 * GWEI)
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1)]


def test_step__underpriced_though_it_replaces_nothing__more_in_the_next_block(
    stand: Stand,
) -> None:
    stand.door.hook = failing("transaction underpriced")
    stand.step(bid(1), fees=Fees(9 * GWEI, GWEI))
    stand.mine()
    stand.door.hook = None
    [sent] = stand.step(bid(1), fees=Fees(9 * GWEI, GWEI)).sent
    assert (sent.nonce, sent.max_fee * 8 >= 19 * GWEI * 9, sent.tip) == (0, True, GWEI * 9 // 8)


@pytest.mark.parametrize("message", [TIMEOUT, "internal error", "already known"])
def test_step__error_though_the_node_has_it__never_sent_twice(stand: Stand, message: str) -> None:
    stand.door.hook = sent_and_then(message)(stand)
    report = stand.step(bid(1), bid(2))
    assert [one.nonce for one in report.sent] == [0, 1]
    stand.restart()
    again = stand.step(bid(1), bid(2))
    assert (again.sent, again.resent) == ([], [])
    stand.mine()
    stand.step()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]
    assert [state for _nonce, _attempt, state in stand.states()] == ["mined", "mined"]


def test_step__timeout_and_the_node_has_it_not__the_same_bytes_again(stand: Stand) -> None:
    stand.door.hook = failing(TIMEOUT)
    report = stand.step(bid(1), bid(2))
    assert [row.state for row in report.waiting] == ["sent", "sent"]
    assert report.waiting[0].error == f"unsure: {TIMEOUT}"
    stand.door.hook = None
    again = stand.step(bid(1), bid(2))
    assert again.resent == [row.hash for row in report.waiting]
    stand.mine()
    assert [sent for _nonce, sent in stand.mined()] == again.resent


def test_step__nonce_used_since_the_head__stops_and_goes_on_after_the_next_block(
    stand: Stand,
) -> None:
    def hook(requests: list[Request]) -> list[Json] | None:
        if is_sending(requests):
            stand.send_foreign(0)
            stand.mine()
            stand.door.hook = None
        return None

    stand.door.hook = hook
    report = stand.step(bid(1), bid(2))
    assert report.sent == []
    assert "nonce 0 has been used since block" in report.problems[0]
    report = stand.step(bid(1), bid(2))
    assert report.changed[0].state == "foreign"
    assert [one.nonce for one in report.sent] == [1, 2]
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]


def test_step__node_that_says_nothing__nothing_is_sent(stand: Stand) -> None:
    stand.step(bid(1))
    stand.door.hook = lambda requests: [RpcError(method, TIMEOUT, None) for method, _ in requests]
    report = stand.step(bid(1), bid(2))
    assert (report.sent, report.resent, stand.door.raws()[1:]) == ([], [], [])
    assert report.problems == [
        f"the node cannot say what became of the transactions: eth_getTransactionCount: {TIMEOUT}"
    ]


@pytest.mark.parametrize("count", ["0x", "-0x1", hex(10_001), hex(2**63), hex(2**256)])
def test_step__counts_that_cannot_be__said_and_nothing_sent(stand: Stand, count: str) -> None:
    """Who counts up to what a node says of the pool would count for ever."""

    def hook(requests: list[Request]) -> list[Json]:
        return [
            count if params[-1] == "pending" else answer
            for (_method, params), answer in zip(requests, stand.rpc.batch(requests), strict=True)
        ]

    stand.door.hook = hook
    report = stand.step(bid(1))
    assert report.sent == []
    assert "the node sent a count that cannot be read" in report.problems[0]


SPOILED: list[Callable[[Json], Json]] = [
    lambda _receipt: 7,
    lambda _receipt: {"blockNumber": "0x1"},
    lambda receipt: {**receipt, "status": None},
    lambda receipt: {**receipt, "blockHash": "0x12"},
    lambda receipt: {**receipt, "logs": [{"address": "0x11"}]},
    lambda receipt: {**receipt, "gasUsed": "many"},
    lambda receipt: {**receipt, "blockNumber": hex(2**63)},
    lambda receipt: {**receipt, "gasUsed": "-0x1"},
    lambda receipt: {**receipt, "transactionHash": None},
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_step__receipt_that_cannot_be_read__said_and_nothing_sent(
    stand: Stand, spoil: Callable[[Json], Json]
) -> None:
    stand.step(bid(1))
    stand.mine()

    def hook(requests: list[Request]) -> list[Json]:
        return [
            spoil(answer) if method == "eth_getTransactionReceipt" else answer
            for (method, _), answer in zip(requests, stand.rpc.batch(requests), strict=True)
        ]

    stand.door.hook = hook
    report = stand.step(bid(2))
    assert report.sent == []
    assert "the node sent a receipt that cannot be read" in report.problems[0]
    stand.door.hook = None
    assert stand.step(bid(2)).changed[0].state == "mined"


@pytest.mark.parametrize("moved", [False, True])
def test_step__receipt_of_another_transaction__said_and_nothing_is_settled(
    stand: Stand, moved: bool
) -> None:
    """The lie would be believed: what it is the receipt of has really been mined, and reverted."""
    stand.step(bid(1))
    stand.mine()
    if moved:
        stand.step()
        stand.rpc.call("anvil_rollback", 1)
        stand.engine.advance(7)
        stand.mine()
        stand.rpc.call("eth_sendRawTransaction", stand.door.raws()[0])
        stand.mine()
    before = stand.states()
    other = "0x" + "11" * 32

    def hook(requests: list[Request]) -> list[Json]:
        answers = stand.rpc.batch(requests)
        return [
            {**answer, "transactionHash": other, "status": "0x0"}
            if method == "eth_getTransactionReceipt"
            else answer
            for (method, _), answer in zip(requests, answers, strict=True)
        ]

    stand.door.hook = hook
    report = stand.step(bid(2))
    assert (report.sent, report.changed, stand.states()) == ([], [], before)
    assert f"the node sent the receipt of {other} for 0x" in report.problems[0]
    stand.door.hook = None
    assert stand.step(bid(2)).changed[0].state == "mined"


# Relays


def test_step__with_relays__only_they_get_it(stand: Stand, engine: AnvilEngine) -> None:
    stand.relays = [Door(engine.url), Door(engine.url)]
    stand.step(bid(1))
    assert [len(one.raws()) for one in [*stand.relays, stand.door]] == [1, 1, 0]
    stand.mine()
    stand.step()
    assert stand.liquidated() == [(VAULT, 1)]


def swallowing(requests: list[Request]) -> list[Json] | None:
    """A relay that says yes and keeps it."""
    return ["0x" + "00" * 32 for _ in requests] if is_sending(requests) else None


def test_step__relay_that_drops_silently__raised_there_and_never_public(stand: Stand) -> None:
    stand.relays = [Door("", swallowing)]
    for _ in range(8):
        stand.step(bid(1))
        stand.mine()
    assert (stand.door.raws(), stand.mined()) == ([], [])
    fees = [row.max_fee for row in stand.ledger.rows(-1)]
    assert len(fees) == 4
    assert all(later * 8 >= earlier * 9 for earlier, later in pairwise(fees))


def test_step__relay_that_drops_silently__public_after_as_many_blocks_as_said(
    stand: Stand,
) -> None:
    stand.relays = [Door("", swallowing)]
    stand.policy = LanePolicy(patience=100, public_after=3)
    for blocks in range(4):
        assert len(stand.door.raws()) == 0
        stand.step(bid(1))
        assert len(stand.relays[0].raws()) == blocks + 1
        stand.mine()
    assert len({*stand.relays[0].raws(), *stand.door.raws()}) == 1
    stand.step()
    assert stand.liquidated() == [(VAULT, 1)]
