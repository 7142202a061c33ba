"""Chains for tests: `engine`, rolled back after each test, in process unless the test says else.

`@pytest.mark.engines("in process", "anvil")` runs a test on each engine that it names, unchanged;
`pytest --engine anvil` runs every other test on anvil.
"""

from collections.abc import Iterator

import pytest

from ringfence.evm import Engine, InProcessEngine
from ringfence.evm.anvil import AnvilEngine, launch

FIXTURES = {"in process": "in_process", "anvil": "anvil"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=FIXTURES, default="in process", help="where tests run")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): run on each engine named, see FIXTURES")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("engines")
    if marker is not None and "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", marker.args, indirect=True)


@pytest.fixture(scope="session")
def in_process() -> InProcessEngine:
    """The session's in-process chain."""
    return InProcessEngine()


@pytest.fixture(scope="session")
def anvil() -> Iterator[AnvilEngine]:
    """The session's anvil, a process of our own on a free port."""
    with launch() as engine:
        yield engine


@pytest.fixture(scope="session")
def chain(request: pytest.FixtureRequest) -> Engine:
    """The session's chain, the one that `--engine` names: for setups that several tests share."""
    engine: Engine = request.getfixturevalue(FIXTURES[request.config.getoption("--engine")])
    return engine


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The chain for one test; whatever the test does to it is undone."""
    name = getattr(request, "param", request.config.getoption("--engine"))
    engine: Engine = request.getfixturevalue(FIXTURES[name])
    mark = engine.snapshot()
    yield engine
    engine.restore(mark)
