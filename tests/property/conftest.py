"""What the property tests share."""

import pytest

from ringfence.evm import Contract, Engine, load


@pytest.fixture(scope="session")
def maths(chain: Engine) -> Contract:
    """The vault's pure internals."""
    return chain.deploy(load("MathsHarness"))
