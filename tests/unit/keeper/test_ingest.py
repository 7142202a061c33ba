"""Ingest on a real chain: every reorg, every way for a node to fail, and on from where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from ringfence.client.abi import interface
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.ingest import IngestError
from ringfence.keeper.store import StoreError
from tests.support.following import Chain, Follower, chain_on, dropping, honest
from tests.support.market import DEPLOYER, TRADER, WETH


@pytest.fixture
def chain() -> Iterator[Chain]:
    """A chain of the test's own, as `anvil_rollback` cannot be undone."""
    with launch() as engine, chain_on(engine) as made:
        yield made


@pytest.fixture
def follower(chain: Chain, tmp_path: Path) -> Iterator[Follower]:
    made = Follower(chain, f"sqlite:///{tmp_path / 'keeper.db'}")
    yield made
    made.store.close()


def old_branch(chain: Chain) -> list[Callable[[], object]]:
    """A block each."""
    return [lambda: chain.top_up(1), lambda: chain.close(2), lambda: chain.open(4)]


def new_branch(chain: Chain) -> list[Callable[[], object]]:
    return [
        lambda: chain.open(5),
        lambda: chain.close(3),
        lambda: chain.top_up(2, 9),
        lambda: chain.open(4, debt=300 * 10**6),
    ]


# Forward


def test_advance__new_store__as_the_chain(chain: Chain, follower: Follower) -> None:
    assert follower.follow() == chain.head().number
    follower.check()
    assert follower.follow() == 0


def test_advance__block_by_block__one_step_each(chain: Chain, follower: Follower) -> None:
    follower.follow()
    for act in old_branch(chain) + new_branch(chain)[:2]:
        act()
        assert follower.follow() == 1
        follower.check()


def test_advance__head_before_the_first_block__waits(chain: Chain, follower: Follower) -> None:
    genesis = chain.rpc.call("eth_getBlockByNumber", "0x0", False)
    head = chain.head()
    assert follower.follow(type(head).parse(genesis)) == 0
    assert follower.store.cursor() is None


def test_advance__far_behind__ranges_then_blocks(chain: Chain, follower: Follower) -> None:
    follower.window = 4
    head = chain.head().number
    assert follower.follow() == 1 + 4
    follower.check()
    ranges = [params[0] for method, params in follower.asked if "fromBlock" in str(params)]
    # Once for what is known, once for the vault that was found in it.
    assert [(int(one["fromBlock"], 16), int(one["toBlock"], 16)) for one in ranges] == [
        (1, head - 4)
    ] * 2
    assert len(ranges[1]["address"]) == 1


def test_advance__vault_and_position_in_one_block__both_found(
    chain: Chain, follower: Follower
) -> None:
    for window in (64, 1):
        draft = chain.registry.draft
        salt = bytes([window]) * 32
        vault = draft.address_of(salt=salt)
        draft.collateral.approve(vault, WETH, sender=TRADER)
        follower.window = window
        follower.restart()
        follower.follow()
        arguments = draft.all_arguments({"salt": salt}).values()
        position = chain.id_of(77)
        adjust = interface("MarginVault").encode("adjust", position, WETH, 0, TRADER.address, b"")
        create = interface("VaultFactory").encode("create_vault", *arguments)
        calls = (DEPLOYER, draft.factory.address, create), (TRADER, vault, adjust)
        for sender, to, data in calls:
            transaction = {"from": sender.address, "to": to, "data": "0x" + data.hex()}
            chain.rpc.call("eth_sendTransaction", transaction | {"gas": "0x989680"})
        chain.engine.advance(1)
        chain.rpc.call("evm_mine", chain.engine.timestamp)
        if window == 1:
            chain.mine(3)
        follower.follow()
        stored = follower.stored()
        word = stored[address_bytes(vault), position]
        assert word >> 144 == WETH
        assert word == chain.engine.storage_at(vault, chain.market.slot_key(position))
        assert follower.store.addresses() == chain.vaults()


# Reorganisations


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("depth", "branch"), [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (3, 4)]
)
def test_advance__reorg__as_the_chain(
    chain: Chain,
    follower: Follower,
    request: pytest.FixtureRequest,
    depth: int,
    branch: int,
    database: str,
) -> None:
    if database == "postgresql":
        follower.url = request.getfixturevalue("postgres_url")
    follower.follow()
    for act in old_branch(chain)[:depth]:
        act()
    follower.follow()
    follower.check()
    before = follower.stored()
    chain.rollback(depth)
    for act in new_branch(chain)[:branch]:
        act()
    assert follower.follow() == 1 + branch
    follower.check()
    assert follower.stored() != before
    follower.restart()
    follower.check()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_advance__anvil_reorg_into_empty_blocks__as_the_chain(
    chain: Chain, follower: Follower, depth: int
) -> None:
    for act in old_branch(chain)[:depth]:
        act()
    follower.follow()
    chain.rpc.call("anvil_reorg", depth, [])
    assert follower.follow() == 1 + depth
    follower.check()


def test_advance__back_and_forth_between_branches__as_the_chain(
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    for turn in range(4):
        mark = chain.engine.snapshot()
        for act in (old_branch if turn % 2 else new_branch)(chain)[: 1 + turn % 3]:
            act()
        follower.follow()
        follower.check()
        chain.engine.restore(mark)
    chain.top_up(3)
    follower.follow()
    follower.check()


def test_advance__vault_undone_and_made_again__with_its_own_positions(
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    base = chain.head().number
    market = chain.new_market()
    chain.open(1, market=market)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 2
    chain.rollback(chain.head().number - base)
    chain.top_up(1)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 1
    chain.registry.markets.remove(market)
    again = chain.new_market()
    assert again.vault.address == market.vault.address
    chain.open(2, market=again)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 2


def test_advance__reorg_deeper_than_the_window__one_error_and_nothing_undone(
    chain: Chain, follower: Follower
) -> None:
    follower.window = 3
    chain.mine(6)
    follower.follow()
    follower.check()
    before = follower.stored()
    chain.rollback(5)
    for act in new_branch(chain):
        act()
    for _again in range(2):
        with pytest.raises(IngestError, match=r"can go back to \(window 3\); .*delete the store"):
            follower.follow()
        assert follower.stored() == before
        chain.mine(5)


def test_advance__reorg_while_it_was_away_and_far_behind__as_the_chain(
    chain: Chain, follower: Follower
) -> None:
    follower.window = 4
    for act in old_branch(chain):
        act()
    follower.follow()
    chain.rollback(3)
    for act in new_branch(chain):
        act()
    chain.mine(8)
    follower.restart()
    follower.follow()
    follower.check()


# Heads that lag


def test_advance__known_head__nothing_undone(chain: Chain, follower: Follower) -> None:
    heads = [chain.head()]
    for act in old_branch(chain):
        act()
        heads.append(chain.head())
    follower.window = 2
    follower.follow()
    for head in heads:
        assert follower.follow(head) == 0
        follower.check()


# Nodes that fail


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
    chain: Chain, follower: Follower, window: int
) -> None:
    follower.window = window
    follower.follow()
    for act in old_branch(chain):
        act()
    follower.follow()
    chain.rollback(2)
    for act in new_branch(chain):
        act()
    if window == 4:
        chain.mine(6)
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
    chain: Chain, follower: Follower, request: pytest.FixtureRequest, database: str
) -> None:
    if database == "postgresql":
        follower.url = request.getfixturevalue("postgres_url")
    for act in old_branch(chain):
        act()
    follower.follow()
    chain.rollback(3)
    for act in new_branch(chain):
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
    chain: Chain, follower: Follower
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

    chain.mine(30)
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
    chain: Chain, follower: Follower, answer: str
) -> None:
    bad = {
        "null header": None,
        "another block": chain.rpc.call("eth_getBlockByNumber", "0x1", False),
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


def test_advance__creation_lost_in_a_range__refused(chain: Chain, follower: Follower) -> None:
    chain.new_market()
    created = [
        log
        for log in chain.rpc.call("eth_getLogs", {"fromBlock": "0x1", "toBlock": "latest"})
        if log["address"] == chain.registry.draft.factory.address.lower()
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


def test_advance__logs_lack_once__bloom_filter_has_them_asked_for_again(
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    for act in old_branch(chain):
        act()
        follower.spoil = dropping(1)
        follower.follow()
        follower.check()
    assert follower.false_alarms == 0


def test_advance__logs_lack_twice__counted_and_seen_in_the_books(
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    chain.open(9)
    follower.spoil = dropping(2)
    assert follower.follow() == 1
    assert follower.false_alarms == 1
    lost = 500 * 10**6
    books = chain.market.books()
    address = address_bytes(chain.market.vault)
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
    chain: Chain, follower: Follower, change: dict[str, Json], reason: str
) -> None:
    follower.follow()
    before = follower.stored()
    chain.top_up(1)

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
    chain: Chain, follower: Follower, change: dict[str, str]
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

    chain.mine(5)
    follower.window, follower.spoil = 2, spoil
    follower.follow()
    follower.check()
    assert ends[0] == ends[1] > ends[2]


def test_advance__range_s_end_another_block_when_asked_again__read_anew(
    chain: Chain, follower: Follower
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
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    chain.top_up(1)
    chain.top_up(2)

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


def test_advance__another_keeper_on_the_same_store__refused(
    chain: Chain, follower: Follower
) -> None:
    follower.follow()
    chain.top_up(1)
    other = Follower(chain, follower.url)

    def meanwhile(requests: list[Request], answers: list[Json]) -> list[Json]:
        other.store.apply(chain.head(), (), {})
        return answers

    follower.spoil = meanwhile
    with pytest.raises(StoreError, match="does another keeper use it"):
        follower.follow()
    other.store.close()
