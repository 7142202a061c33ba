"""What some of these tests share: a market, and a keeper's memory that follows a chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.evm.anvil import launch
from tests.support.following import Chain, Follower, chain_on
from tests.support.market import market, standing_market

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
