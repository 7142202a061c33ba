"""What every test shares."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.network import only_loopback

pytest_plugins = [
    "tests.support.chain",
    "tests.support.state_diff",
    "tests.support.node_sweep",
    "tests.support.postgres",
]

# The same examples on every run, and no verdict from a busy machine's clock.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Leave what imports and collection made out of every later look for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True, scope="session")
def _network_is_loopback() -> Iterator[None]:
    with only_loopback():
        yield
