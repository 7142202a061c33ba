"""Chains for tests: `engine`, rolled back after each test, in process unless the test says else.

`@pytest.mark.engines("in process", "anvil")` runs a test on each engine that it names, unchanged.
"""

from collections.abc import Iterator

import pytest

from ringfence.evm import Engine, InProcessEngine
from ringfence.evm.anvil import AnvilEngine, launch

FIXTURES = {"in process": "chain", "anvil": "anvil"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): run on each engine named, see FIXTURES")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("engines")
    if marker is not None and "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", marker.args, indirect=True)


@pytest.fixture(scope="session")
def chain() -> Engine:
    """The session's in-process chain: for setups that several tests share."""
    return InProcessEngine()


@pytest.fixture(scope="session")
def anvil() -> Iterator[AnvilEngine]:
    """The session's anvil, a process of our own on a free port."""
    with launch() as engine:
        yield engine


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The chain for one test; whatever the test does to it is undone."""
    chain: Engine = request.getfixturevalue(FIXTURES[getattr(request, "param", "in process")])
    mark = chain.snapshot()
    yield chain
    chain.restore(mark)
