"""What some of these tests share: a market, and a keeper's memory that follows a chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.evm import load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.keeper.memory.store import Deployment, Store
from tests.support.following import Chain, Follower, chain_on
from tests.support.market import market, standing_market
from tests.support.ticking import CountingRpc, Watcher

__all__ = ["market", "standing_market"]


@pytest.fixture
def blockchain() -> Iterator[Chain]:
    """A chain of the test's own, as `anvil_rollback` cannot be undone."""
    with launch() as engine, chain_on(engine) as made:
        yield made


@pytest.fixture
def follower(blockchain: Chain, tmp_path: Path) -> Iterator[Follower]:
    made = Follower(blockchain, f"sqlite:///{tmp_path / 'keeper.db'}")
    yield made
    made.store.close()


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
