"""The engine's tick when a vault, the node or the process fails: said, and got over."""

from __future__ import annotations

import pytest

from ringfence.evm import load
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.engine import Sight
from tests.support.following import Chain, Spoil, dropping, honest
from tests.support.market import Market, price_of
from tests.support.ticking import Watcher, due, fall


def only(method: str, error: str) -> Spoil:
    """Errors to all requests of a method."""

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        return [
            RpcError(method, error, None) if asked == method else answer
            for (asked, _params), answer in zip(requests, answers, strict=True)
        ]

    return spoil


# In a vault


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
    assert sight == Sight(
        debt_index=market.vault.current_balance_sheet().debt_index, unpriced=reason
    )
    assert [*tick.due] == [vault]
    assert tick.troubles == {address_bytes(market.vault): reason}


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
    assert tick.troubles == {other: unread}
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
    blockchain.mine()
    assert "left events out" in (watcher.tick().vaults[vault].lagging or "")
    watcher.counting.spoil = honest
    fall(blockchain, 500)
    for _again in range(2):
        tick = watcher.tick()
        assert "left events out; delete the store" in (tick.vaults[vault].lagging or "")
        assert blockchain.id_of(4) not in tick.vaults[vault].due
        assert len(tick.vaults[vault].due) == 3
        assert tick.troubles == {vault: tick.vaults[vault].lagging}
        watcher.restart()


# Between store and book


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
