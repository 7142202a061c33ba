"""The engine's tick on a real chain: what it asks, what it says, and what it does not trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringfence.evm import load
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.engine import Sight
from ringfence.keeper.store import Deployment, Store
from tests.support.following import Chain, Spoil, dropping, honest
from tests.support.market import DEPLOYER, LIQUIDATOR, TRADER, USDC, WETH, Market, price_of
from tests.support.ticking import CountingRpc, Watcher


@pytest.fixture
def watcher(blockchain: Chain, tmp_path: Path) -> Iterator[Watcher]:
    """At the chain's head, the lens deployed, and two vaults of which one has positions."""
    engine = blockchain.engine
    lens = address_bytes(engine.deploy(load("VaultLens")))
    blockchain.new_market()
    deployment = Deployment(engine.chain_id, blockchain.registry.factory, 1)
    store = Store(f"sqlite:///{tmp_path / 'keeper.db'}", deployment)
    made = Watcher(CountingRpc(engine.url), blockchain.rpc, store, lens)
    made.tick()
    yield made
    store.close()


@pytest.fixture
def vault(blockchain: Chain) -> bytes:
    return address_bytes(blockchain.market.vault)


@pytest.fixture
def other(watcher: Watcher) -> bytes:
    return [*watcher.engine.book.vaults][1]


def fall(chain: Chain, dollars: int) -> None:
    """The price of every vault, a block later."""
    chain.engine.advance(12)
    chain.market.set_price(price_of(dollars))


def due(watcher: Watcher, chain: Chain, vault: bytes) -> tuple[int, ...]:
    """What a tick says of a vault, the same as the lens says."""
    found = watcher.tick().vaults[vault].due
    assert found == watcher.liquidatable(vault, [*chain.ids])
    return found


def only(method: str, error: str) -> Spoil:
    """Errors to all requests of a method."""

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        return [
            RpcError(method, error, None) if asked == method else answer
            for (asked, _params), answer in zip(requests, answers, strict=True)
        ]

    return spoil


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
    assert tick.vaults[other] == Sight()
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


# What goes wrong in a vault


def with_oracle(chain: Chain, title: str, *arguments: int) -> Market:
    """A vault more, over an oracle of its own, with a position."""
    shared = chain.registry.draft.oracle
    chain.registry.draft.oracle = chain.engine.deploy(load(title), *arguments)
    market = chain.new_market()
    chain.registry.draft.oracle = shared
    chain.open(1, market=market)
    return market


@pytest.mark.parametrize("how", ["no price", "reverts"])
def test_tick__oracle_gives_no_price__that_vault_is_named_and_no_other(
    blockchain: Chain, watcher: Watcher, vault: bytes, how: str
) -> None:
    if how == "reverts":
        market = with_oracle(blockchain, "RevertingOracle", price_of(2_000))
        market.oracle.set_broken(True)
    else:
        market = with_oracle(blockchain, "SettableOracle", price_of(2_000), price_of(2_000))
        market.set_price(0)
    fall(blockchain, 500)
    tick = watcher.tick()
    sight = tick.vaults[address_bytes(market.vault)]
    reason = f"its oracle {market.oracle.address} gives no price"
    assert sight == Sight(unpriced=reason)
    assert [*tick.due] == [vault]
    assert tick.vaults[vault].unpriced is None


def test_tick__lens_reverts_for_a_vault__that_vault_is_named_and_no_other(
    blockchain: Chain, watcher: Watcher, vault: bytes, other: bytes
) -> None:
    # PUSH0 PUSH0 REVERT
    blockchain.engine.set_code("0x" + other.hex(), bytes.fromhex("5f5ffd"))
    fall(blockchain, 500)
    tick = watcher.tick()
    assert len(watcher.batches) == 1
    unread = tick.vaults[other].unread or ""
    assert "does not say its market: eth_call" in unread
    assert "revert" in unread
    assert tick.vaults[other] == Sight(unread=unread)
    assert tick.due == {vault: watcher.liquidatable(vault, [*blockchain.ids])}
    assert len(tick.due[vault]) == 3


@pytest.mark.parametrize(
    "answer",
    [None, "0x", "0x12", {}, "0x" + "00" * 39 * 32],
    ids=["null", "empty", "short", "object", "zeros"],
)
def test_tick__answer_of_no_lens__unread_and_the_next_block_anew(
    blockchain: Chain, watcher: Watcher, vault: bytes, answer: Json
) -> None:
    watcher.counting.spoil = lambda _requests, answers: [answers[0], answer, answer]
    fall(blockchain, 500)
    tick = watcher.tick()
    assert all(sight.unread for sight in tick.vaults.values())
    assert (tick.due, tick.nearest) == ({}, None)
    watcher.counting.spoil = honest
    blockchain.mine()
    assert len(due(watcher, blockchain, vault)) == 3


def test_tick__node_fails_the_lens_alone__store_goes_on(
    blockchain: Chain, watcher: Watcher, vault: bytes
) -> None:
    watcher.counting.spoil = only("eth_call", "limit exceeded")
    blockchain.open(4)
    tick = watcher.tick()
    assert tick.block == watcher.store.tip()
    assert "limit exceeded" in (tick.vaults[vault].unread or "")
    watcher.counting.spoil = honest
    fall(blockchain, 500)
    assert blockchain.id_of(4) in due(watcher, blockchain, vault)


def test_tick__event_lost__vault_lags_and_is_never_trusted_again(
    blockchain: Chain, watcher: Watcher, vault: bytes, other: bytes
) -> None:
    watcher.counting.spoil = dropping(2)
    blockchain.open(4)
    assert "left events out" in (watcher.tick().vaults[vault].lagging or "")
    watcher.counting.spoil = honest
    fall(blockchain, 500)
    for _again in range(2):
        tick = watcher.tick()
        assert "left events out; delete the store" in (tick.vaults[vault].lagging or "")
        assert blockchain.id_of(4) not in tick.vaults[vault].due
        assert len(tick.vaults[vault].due) == 3
        assert tick.vaults[other].lagging is None
        watcher.restart()


# Where it stands


def test_tick__head_that_the_store_has_passed__says_the_last(
    blockchain: Chain, watcher: Watcher
) -> None:
    behind = watcher.head()
    fall(blockchain, 500)
    tick = watcher.tick()
    assert watcher.tick(behind) == tick
    assert watcher.batches == []
    watcher.restart()
    assert watcher.tick(behind) == tick


def test_tick__reorg__as_the_new_branch(blockchain: Chain, watcher: Watcher, vault: bytes) -> None:
    fall(blockchain, 500)
    assert len(due(watcher, blockchain, vault)) == 3
    blockchain.rollback(1)
    blockchain.engine.advance(30)
    blockchain.top_up(1)
    assert due(watcher, blockchain, vault) == ()
    blockchain.close(2)
    fall(blockchain, 500)
    assert due(watcher, blockchain, vault) == (blockchain.id_of(1), blockchain.id_of(3))


def test_tick__store_moved_by_another_process__book_is_read_anew(
    blockchain: Chain, watcher: Watcher, vault: bytes
) -> None:
    blockchain.open(4)
    fall(blockchain, 500)
    other = Watcher(watcher.counting, blockchain.rpc, watcher.store, watcher.lens)
    assert len(other.tick().vaults[vault].due) == 4
    assert len(due(watcher, blockchain, vault)) == 4


def test_tick__died_between_store_and_book__goes_on_from_the_store(
    blockchain: Chain, watcher: Watcher, vault: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    blockchain.open(4)
    with monkeypatch.context() as patch:
        patch.setattr(type(watcher.engine.book), "update", lambda *_arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watcher.tick()
    fall(blockchain, 500)
    assert len(due(watcher, blockchain, vault)) == 4
    assert watcher.tick().vaults[vault].lagging is None
