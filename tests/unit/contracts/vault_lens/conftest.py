"""A lens over the market that these tests share."""

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import market, standing_market, vault

__all__ = ["lens", "market", "standing_lens", "standing_market", "vault"]


@pytest.fixture(scope="session")
def standing_lens(chain: Engine) -> Contract:
    """The lens, deployed once a session: it holds nothing."""
    return chain.deploy(load("VaultLens"))


@pytest.fixture
def lens(standing_lens: Contract, engine: Engine) -> Contract:
    assert engine is standing_lens.engine
    return standing_lens
