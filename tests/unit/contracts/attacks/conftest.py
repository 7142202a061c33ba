"""The market and the stage that these attacks are made on, and the two contracts of a class."""

import pytest

from ringfence.evm.artifacts import Artifact
from tests.support.market import market, standing_market, vault
from tests.support.periphery import stage, standing_stage
from tests.unit.contracts.attacks.catalogue import ATTACKS, id_of

__all__ = ["market", "stage", "standing_market", "standing_stage", "vault"]


@pytest.fixture
def broken(request: pytest.FixtureRequest) -> Artifact:
    """The contract that the test's `@attack` breaks."""
    return ATTACKS[id_of(request.function)].broken


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Artifact:
    """The same contract, whole."""
    return ATTACKS[id_of(request.function)].real
