"""Chains for tests: `engine` in process, rolled back after each test."""

from collections.abc import Iterator

import pytest

from ringfence.evm import Engine, InProcessEngine


@pytest.fixture(scope="session")
def chain() -> Engine:
    """The session's in-process chain: for setups that several tests share."""
    return InProcessEngine()


@pytest.fixture
def engine(chain: Engine) -> Iterator[Engine]:
    """The chain for one test; whatever the test does to it is undone."""
    mark = chain.snapshot()
    yield chain
    chain.restore(mark)
