"""The engine's tick on a real chain: what it asks, what it says, and what it does not trust."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.engine import Sight
from ringfence.keeper.memory.store import Deployment, Store
from tests.support.following import Chain
from tests.support.market import DEPLOYER, LIQUIDATOR, TRADER, USDC, WETH, price_of
from tests.support.ticking import Watcher, due, fall

# What it asks


@pytest.mark.parametrize("count", [1, 10, 200])
def test_tick__head_follows__one_batch_whatever_the_positions(
    blockchain: Chain, watcher: Watcher, vault: bytes, count: int
) -> None:
    blockchain.close(2)
    blockchain.close(3)
    for number in range(4, 3 + count):
        blockchain.open(number)
    watcher.tick()
    assert len(watcher.engine.book.columns[vault]) == count
    acts: tuple[Callable[[], object], ...] = (
        blockchain.mine,
        lambda: blockchain.top_up(1),
        lambda: fall(blockchain, 1_990),
        lambda: fall(blockchain, 100),
    )
    for act in acts:
        act()
        tick = watcher.tick()
        [batch] = watcher.batches
        assert [method for method, _params in batch] == ["eth_getLogs", "eth_call", "eth_call"]
        head = "0x" + watcher.head().hash.hex()
        assert [params[-1]["blockHash"] for _method, params in batch] == [head] * 3
    assert len(tick.vaults[vault].due) == count


def test_tick__blocks_behind__lens_is_asked_at_the_head_alone(
    blockchain: Chain, watcher: Watcher, vault: bytes
) -> None:
    blockchain.open(4)
    blockchain.top_up(1)
    fall(blockchain, 500)
    assert len(due(watcher, blockchain, vault)) == 4
    asked = [[method for method, _params in batch] for batch in watcher.batches]
    assert asked[:2] == [["eth_getBlockByHash"]] * 2
    assert asked[2:] == [["eth_getLogs"]] * 2 + [["eth_getLogs", "eth_call", "eth_call"]]


def test_tick__same_head_again__asks_nothing_and_says_the_same(
    blockchain: Chain, watcher: Watcher
) -> None:
    fall(blockchain, 500)
    before = watcher.tick()
    assert before.due
    assert watcher.tick() == before
    assert watcher.batches == []
    watcher.restart()
    assert watcher.tick() == before
    assert [len(batch) for batch in watcher.batches] == [2]


def test_tick__vault_and_its_position_new__seen_at_once(
    blockchain: Chain, watcher: Watcher
) -> None:
    market = blockchain.new_market()
    blockchain.open(1, debt=1_500 * USDC, market=market)
    fall(blockchain, 1_700)
    assert due(watcher, blockchain, address_bytes(market.vault)) == (blockchain.id_of(1),)


def test_tick__batch_too_large_for_the_node__logs_alone_then_the_lens(
    blockchain: Chain, watcher: Watcher, vault: bytes
) -> None:
    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        if len(requests) <= 2:
            return answers
        return [RpcError(method, "batch too large", None) for method, _params in requests]

    watcher.counting.spoil = spoil
    fall(blockchain, 500)
    assert len(due(watcher, blockchain, vault)) == 3
    assert [len(batch) for batch in watcher.batches] == [3, 1, 2]


# What it says


def test_tick__nothing_due__says_how_near_over_all_vaults(
    blockchain: Chain, watcher: Watcher, vault: bytes, other: bytes
) -> None:
    tick = watcher.tick()
    assert tick.due == {}
    index = blockchain.registry.markets[1].books().debt_index
    assert tick.vaults[other] == Sight(price=price_of(2_000), debt_index=index)
    # 500 USDC of debt a WETH at 2,000, due above an LTV of 0.86.
    assert tick.vaults[vault].nearest == pytest.approx(1 - 500 / 0.86 / 2_000, abs=1e-6)
    assert tick.nearest == tick.vaults[vault].nearest
    blockchain.open(1, debt=1_000 * USDC, market=blockchain.registry.markets[1])
    tick = watcher.tick()
    assert tick.nearest == tick.vaults[other].nearest == pytest.approx(0.418605, abs=1e-5)


def test_tick__before_the_first_block__nothing(blockchain: Chain, watcher: Watcher) -> None:
    deployment = Deployment(blockchain.engine.chain_id, blockchain.registry.factory, 10**6)
    store = Store("sqlite://", deployment)
    waiting = Watcher(watcher.counting, blockchain.rpc, store, watcher.lens)
    tick = waiting.tick()
    assert (tick.block, tick.due, tick.nearest) == (None, {}, None)
    store.close()


def test_tick__opened_in_the_block_that_the_price_fell_in__due_in_the_next(
    blockchain: Chain, watcher: Watcher, vault: bytes
) -> None:
    market, position = blockchain.market, blockchain.id_of(9)
    engine = blockchain.engine
    engine.advance(12)
    opening = market.vault.adjust.encode(position, WETH, 1_500 * USDC, TRADER, b"")
    falling = market.oracle.set_price.encode(price_of(1_700))
    calls = (TRADER, market.vault, opening), (DEPLOYER, market.oracle, falling)
    for sender, to, data in calls:
        transaction = {"from": sender.address, "to": to.address, "data": "0x" + data.hex()}
        blockchain.rpc.call("eth_sendTransaction", transaction | {"gas": "0x4c4b40"})
    blockchain.rpc.call("evm_mine", engine.timestamp)
    tick = watcher.tick()
    assert watcher.liquidatable(vault, [position]) == ()
    assert tick.vaults[vault].due == (position,)
    engine.advance(12)
    market.give(market.asset, LIQUIDATOR, 10_000 * USDC)
    market.vault.liquidate(position, 2**255, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert due(watcher, blockchain, vault) == ()
