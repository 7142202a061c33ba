"""Ingest on a real chain: forward, every reorganisation, and heads that lag."""

from __future__ import annotations

import pytest

from ringfence.client.abi import interface
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request
from ringfence.keeper.memory.ingest import IngestError
from ringfence.keeper.memory.store import StoreError
from tests.support.following import Chain, Follower, new_branch, old_branch
from tests.support.market import DEPLOYER, TRADER, WETH

# Forward


def test_advance__new_store__as_the_chain(blockchain: Chain, follower: Follower) -> None:
    assert follower.follow() == blockchain.head().number
    follower.check()
    assert follower.follow() == 0


def test_advance__block_by_block__one_step_each(blockchain: Chain, follower: Follower) -> None:
    follower.follow()
    for act in old_branch(blockchain) + new_branch(blockchain)[:2]:
        act()
        assert follower.follow() == 1
        follower.check()


def test_advance__head_before_the_first_block__waits(blockchain: Chain, follower: Follower) -> None:
    genesis = blockchain.rpc.call("eth_getBlockByNumber", "0x0", False)
    head = blockchain.head()
    assert follower.follow(type(head).parse(genesis)) == 0
    assert follower.store.cursor() is None


def test_advance__far_behind__ranges_then_blocks(blockchain: Chain, follower: Follower) -> None:
    follower.window = 4
    head = blockchain.head().number
    assert follower.follow() == 1 + 4
    follower.check()
    ranges = [params[0] for method, params in follower.asked if "fromBlock" in str(params)]
    # Once for what is known, once for the vault that was found in it.
    assert [(int(one["fromBlock"], 16), int(one["toBlock"], 16)) for one in ranges] == [
        (1, head - 4)
    ] * 2
    assert len(ranges[1]["address"]) == 1


def test_advance__vault_and_position_in_one_block__both_found(
    blockchain: Chain, follower: Follower
) -> None:
    for window in (64, 1):
        draft = blockchain.registry.draft
        salt = bytes([window]) * 32
        vault = draft.address_of(salt=salt)
        draft.collateral.approve(vault, WETH, sender=TRADER)
        follower.window = window
        follower.restart()
        follower.follow()
        arguments = draft.all_arguments({"salt": salt}).values()
        position = blockchain.id_of(77)
        adjust = interface("MarginVault").encode("adjust", position, WETH, 0, TRADER.address, b"")
        create = interface("VaultFactory").encode("create_vault", *arguments)
        calls = (DEPLOYER, draft.factory.address, create), (TRADER, vault, adjust)
        for sender, to, data in calls:
            transaction = {"from": sender.address, "to": to, "data": "0x" + data.hex()}
            blockchain.rpc.call("eth_sendTransaction", transaction | {"gas": "0x989680"})
        blockchain.engine.advance(1)
        blockchain.rpc.call("evm_mine", blockchain.engine.timestamp)
        if window == 1:
            blockchain.mine(3)
        follower.follow()
        stored = follower.stored()
        word = stored[address_bytes(vault), position]
        assert word >> 144 == WETH
        assert word == blockchain.engine.storage_at(vault, blockchain.market.slot_key(position))
        assert follower.store.addresses() == blockchain.vaults()


# Reorganisations


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("depth", "branch"), [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (3, 4)]
)
def test_advance__reorg__as_the_chain(
    blockchain: Chain,
    follower: Follower,
    request: pytest.FixtureRequest,
    depth: int,
    branch: int,
    database: str,
) -> None:
    if database == "postgresql":
        follower.url = request.getfixturevalue("postgres_url")
    follower.follow()
    for act in old_branch(blockchain)[:depth]:
        act()
    follower.follow()
    follower.check()
    before = follower.stored()
    blockchain.rollback(depth)
    for act in new_branch(blockchain)[:branch]:
        act()
    assert follower.follow() == 1 + branch
    follower.check()
    assert follower.stored() != before
    follower.restart()
    follower.check()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_advance__anvil_reorg_into_empty_blocks__as_the_chain(
    blockchain: Chain, follower: Follower, depth: int
) -> None:
    for act in old_branch(blockchain)[:depth]:
        act()
    follower.follow()
    blockchain.rpc.call("anvil_reorg", depth, [])
    assert follower.follow() == 1 + depth
    follower.check()


def test_advance__back_and_forth_between_branches__as_the_chain(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    for turn in range(4):
        mark = blockchain.engine.snapshot()
        for act in (old_branch if turn % 2 else new_branch)(blockchain)[: 1 + turn % 3]:
            act()
        follower.follow()
        follower.check()
        blockchain.engine.restore(mark)
    blockchain.top_up(3)
    follower.follow()
    follower.check()


def test_advance__vault_undone_and_made_again__with_its_own_positions(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    base = blockchain.head().number
    market = blockchain.new_market()
    blockchain.open(1, market=market)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 2
    blockchain.rollback(blockchain.head().number - base)
    blockchain.top_up(1)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 1
    blockchain.registry.markets.remove(market)
    again = blockchain.new_market()
    assert again.vault.address == market.vault.address
    blockchain.open(2, market=again)
    follower.follow()
    follower.check()
    assert len(follower.store.addresses()) == 2


def test_advance__reorg_deeper_than_the_window__one_error_and_nothing_undone(
    blockchain: Chain, follower: Follower
) -> None:
    follower.window = 3
    blockchain.mine(6)
    follower.follow()
    follower.check()
    before = follower.stored()
    blockchain.rollback(5)
    for act in new_branch(blockchain):
        act()
    for _again in range(2):
        with pytest.raises(IngestError, match=r"can go back to \(window 3\); .*delete the store"):
            follower.follow()
        assert follower.stored() == before
        blockchain.mine(5)


def test_advance__reorg_while_it_was_away_and_far_behind__as_the_chain(
    blockchain: Chain, follower: Follower
) -> None:
    follower.window = 4
    for act in old_branch(blockchain):
        act()
    follower.follow()
    blockchain.rollback(3)
    for act in new_branch(blockchain):
        act()
    blockchain.mine(8)
    follower.restart()
    follower.follow()
    follower.check()


# Heads that lag


def test_advance__known_head__nothing_undone(blockchain: Chain, follower: Follower) -> None:
    heads = [blockchain.head()]
    for act in old_branch(blockchain):
        act()
        heads.append(blockchain.head())
    follower.window = 2
    follower.follow()
    for head in heads:
        assert follower.follow(head) == 0
        follower.check()


def test_advance__another_keeper_on_the_same_store__refused(
    blockchain: Chain, follower: Follower
) -> None:
    follower.follow()
    blockchain.top_up(1)
    other = Follower(blockchain, follower.url)

    def meanwhile(requests: list[Request], answers: list[Json]) -> list[Json]:
        other.store.apply(blockchain.head(), (), {})
        return answers

    follower.spoil = meanwhile
    with pytest.raises(StoreError, match="does another keeper use it"):
        follower.follow()
    other.store.close()
