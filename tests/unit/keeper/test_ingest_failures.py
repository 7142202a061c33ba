"""Ingest with a node that fails or lies, and a process that dies: on from where it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event

from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.memory.ingest import IngestError
from tests.support.following import Chain, Follower, dropping, honest, new_branch, old_branch


def failing(after: int) -> Callable[[list[Request], list[Json]], list[Json]]:
    """Errors only, once so many batches were answered."""
    seen = 0

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        nonlocal seen
        seen += 1
        if seen <= after:
            return answers
        return [RpcError(method, "the node is gone", None) for method, _params in requests]

    return spoil


@pytest.mark.parametrize("window", [64, 4])
def test_advance__node_gone_after_any_answer__goes_on_from_there(
    blockchain: Chain, follower: Follower, window: int
) -> None:
    follower.window = window
    follower.follow()
    for act in old_branch(blockchain):
        act()
    follower.follow()
    blockchain.rollback(2)
    for act in new_branch(blockchain):
        act()
    if window == 4:
        blockchain.mine(6)
    failures = 0
    for after in range(20):
        follower.spoil = failing(after)
        try:
            follower.follow()
            break
        except IngestError:
            failures += 1
    assert failures >= 3
    follower.check()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_advance__killed_at_any_statement__a_new_keeper_goes_on(
    blockchain: Chain, follower: Follower, request: pytest.FixtureRequest, database: str
) -> None:
    if database == "postgresql":
        follower.url = request.getfixturevalue("postgres_url")
    for act in old_branch(blockchain):
        act()
    follower.follow()
    blockchain.rollback(3)
    for act in new_branch(blockchain):
        act()
    killed = 0
    for statement in range(1, 400, 3):
        seen = 0

        def count(*_arguments: object, limit: int = statement) -> None:
            nonlocal seen
            seen += 1
            if seen >= limit:
                raise KeyboardInterrupt

        engine = follower.store._engine
        assert follower.book
        event.listen(engine, "before_cursor_execute", count)
        try:
            follower.follow()
            break
        except KeyboardInterrupt:
            killed += 1
        finally:
            event.remove(engine, "before_cursor_execute", count)
            follower.restart()
    assert killed >= 5
    follower.check()


def test_advance__node_that_takes_small_ranges__finds_the_size(
    blockchain: Chain, follower: Follower
) -> None:
    sizes: list[int] = []

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        where = requests[0][1][0]
        if requests[0][0] != "eth_getLogs" or "fromBlock" not in where:
            return answers
        sizes.append(int(where["toBlock"], 16) - int(where["fromBlock"], 16) + 1)
        if sizes[-1] > 5:
            return [RpcError("eth_getLogs", "too many results", None), answers[1]]
        return answers

    blockchain.mine(30)
    follower.window, follower.spoil = 2, spoil
    follower.follow()
    follower.check()
    assert sizes[0] > 20
    assert sizes[1] == sizes[0] // 2
    # Halved until it fits, then grown again, a little at a time.
    assert max(sizes[10:]) in (6, 7)
    assert sum(size > 5 for size in sizes[10:]) < len(sizes[10:]) / 2


@pytest.mark.parametrize("answer", ["null header", "another block", "error"])
def test_advance__range_without_its_last_header__not_applied(
    blockchain: Chain, follower: Follower, answer: str
) -> None:
    bad = {
        "null header": None,
        "another block": blockchain.rpc.call("eth_getBlockByNumber", "0x1", False),
        "error": RpcError("eth_getBlockByNumber", "header not found", None),
    }[answer]

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        return [[], bad] if len(requests) == 2 else answers

    follower.window, follower.spoil = 2, spoil
    with pytest.raises(IngestError, match=r"block 1 could not be read|block 2 could not be read"):
        follower.follow()
    assert len(follower.asked) < 50, "asked without end"
    cursor = follower.store.cursor()
    assert cursor in (0, 1)
    follower.spoil = honest
    follower.follow()
    follower.check()


def test_advance__creation_lost_in_a_range__refused(blockchain: Chain, follower: Follower) -> None:
    blockchain.new_market()
    created = [
        log
        for log in blockchain.rpc.call("eth_getLogs", {"fromBlock": "0x1", "toBlock": "latest"})
        if log["address"] == blockchain.registry.draft.factory.address.lower()
    ]
    assert len(created) == 2

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if len(requests) < 2:
            return answers
        logs = [log for log in answers[0] if log["logIndex"] and log != created[0]]
        return [logs, answers[1]]

    follower.window, follower.spoil = 2, spoil
    with pytest.raises(IngestError, match="vault 1 was created, but vault 0 is not known"):
        follower.follow()


def test_advance__logs_lack_once__asked_for_again_with_the_next_block(
    blockchain: Chain, follower: Follower
) -> None:
    for act in [blockchain.mine, *old_branch(blockchain)]:
        follower.follow()
        follower.spoil = dropping(1)
        act()
        follower.follow()
        assert follower.stored() != blockchain.words() or act == blockchain.mine
        blockchain.mine()
        follower.asked.clear()
        follower.follow()
        follower.check()
        again = [params[0]["blockHash"] for method, params in follower.asked[:2]]
        assert len({*again}) == 2 or act == blockchain.mine, "not along with the next block's"
    assert follower.ingest.false_alarms == 0


def test_advance__logs_lack_and_block_goes__forgotten(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    blockchain.open(9)
    follower.spoil = dropping(1)
    follower.follow()
    blockchain.rollback(1)
    blockchain.ids.discard(blockchain.id_of(9))
    for act in new_branch(blockchain):
        act()
    follower.follow()
    follower.check()
    assert follower.ingest.false_alarms == 0


def test_advance__logs_lack_twice__counted_and_seen_in_the_books(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    blockchain.open(9)
    follower.spoil = dropping(2)
    assert follower.follow() == 1
    blockchain.mine()
    assert follower.follow() == 1
    assert follower.ingest.false_alarms == 1
    lost = 500 * 10**6
    books = blockchain.market.books()
    address = address_bytes(blockchain.market.vault)
    missing = follower.book.missing_debt(address, books.total_scaled_debt)
    assert abs(missing - lost * 10**18 // books.debt_index) <= 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"blockHash": "0x" + "77" * 32}, "is not of block"),
        ({"blockNumber": "0x1"}, "is not of block"),
        ({"address": "0x" + "88" * 20}, "was not asked for"),
        ({"topics": []}, "was not asked for"),
        ({"data": "0x"}, "which its event has not"),
    ],
)
def test_advance__log_of_something_else__refused(
    blockchain: Chain, follower: Follower, change: dict[str, Json], reason: str
) -> None:
    follower.follow()
    before = follower.stored()
    blockchain.top_up(1)

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if requests[0][0] != "eth_getLogs":
            return answers
        return [[log | change for log in answer] for answer in answers]

    follower.spoil = spoil
    with pytest.raises(IngestError, match=reason):
        follower.follow()
    assert follower.stored() == before
    follower.spoil = honest
    follower.follow()
    follower.check()


@pytest.mark.parametrize(
    "change",
    [
        {"blockNumber": "0xffff"},
        {"blockNumber": "0x0"},
        {"blockHash": "the last one's"},
        {"blockHash": "0x" + "77" * 32, "blockNumber": "the last one's"},
    ],
    ids=["above", "below", "hash of the last", "number of the last"],
)
def test_advance__log_outside_its_range__refused_and_asked_for_anew(
    blockchain: Chain, follower: Follower, change: dict[str, str]
) -> None:
    ends: list[int] = []

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if len(requests) < 2:
            return answers
        ends.append(int(requests[1][1][0], 16))
        # The first answer has the creation, the second the vault's own logs.
        if len(ends) != 2:
            return answers
        last = {"blockHash": answers[1]["hash"], "blockNumber": answers[1]["number"]}
        real = {key: last[key] if "one's" in new else new for key, new in change.items()}
        return [[answers[0][0] | real], answers[1]]

    blockchain.mine(5)
    follower.window, follower.spoil = 2, spoil
    follower.follow()
    follower.check()
    assert ends[0] == ends[1] > ends[2]


def test_advance__range_s_end_another_block_when_asked_again__read_anew(
    blockchain: Chain, follower: Follower
) -> None:
    ends: list[str] = []

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if len(requests) == 2:
            ends.append(requests[1][1][0])
            if len(ends) == 2:
                assert ends[0] == ends[1]
                return [[], answers[1] | {"hash": "0x" + "77" * 32}]
        return answers

    follower.window, follower.spoil = 2, spoil
    follower.follow()
    follower.check()
    assert len(ends) > 2


def test_advance__another_header_than_the_parent_s__refused(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    blockchain.top_up(1)
    blockchain.top_up(2)

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if requests[0][0] == "eth_getBlockByHash":
            return [answers[0] | {"hash": "0x" + "77" * 32}]
        return answers

    follower.spoil = spoil
    with pytest.raises(IngestError, match="the header of block"):
        follower.follow()
    follower.spoil = honest
    follower.follow()
    follower.check()
