"""The keeper's command in processes of their own: killed, ended, in twos, and with bad nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import create_engine, select

from benchmarks.keeper.ground import lay
from benchmarks.keeper.judge import Key
from benchmarks.keeper.world import World
from ringfence.evm.abi import address_bytes
from ringfence.keeper.act.lease import LEASES
from ringfence.keeper.act.ledger import Ledger, Row, State
from tests.support.keeper_process import FORKED, Beat, KeeperProcess
from tests.support.proxy import Proxy, proxies

ACCOUNT = 9
"""Which of the node's accounts the keepers sign with."""
CALM: frozenset[str] = frozenset()
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A vault with eight positions, four fifths of the way to where they are due or more."""
    with lay(tmp_path_factory.mktemp("ground"), 3) as ground:
        account = ground.engine.accounts[ACCOUNT].address
        world = World(ground, Random(7), account, restless=False)
        world.begin(8)
        yield world


@dataclass(slots=True)
class Scene:
    """The chain, and the keepers that a test has started."""

    world: World
    folder: Path
    keepers: list[KeeperProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.world.ground.engine.url

    def keeper(self, *urls: str, ledger: str = "ledger.sqlite", share: str = "") -> KeeperProcess:
        """Start a keeper with a store of its own."""
        first, *others = urls or (self.url,)
        name = f"keeper-{len(self.keepers)}"
        words = ["--network", first, "--record", str(self.world.ground.folder / "deployment.json")]
        words += ["--account", f"TEST::{ACCOUNT}", "--interval", "1s"]
        words += ["--store", str(self.folder / f"{name}.sqlite")]
        words += ["--share", share] if share else ["--ledger", str(self.folder / ledger)]
        for other in others:
            words += ["--rpc", other]
        made = KeeperProcess(self.folder, tuple(words), name, context=FORKED)
        self.keepers.append(made)
        made.start()
        return made

    def fall(self) -> frozenset[Key]:
        """Let the price fall by a third; return what is due in that block."""
        self.world.price *= 0.66
        due = self.world.block(CALM).due
        assert len(due) >= 6
        return due

    def go_on(self, keeper: KeeperProcess, blocks: int = 8) -> int:
        """Mine until the lens calls nothing due, and return how many blocks that took.

        Each comes once the keeper has seen the one before; it has seen the last one, too.
        """
        for mined in range(blocks):
            head = max(self.world.blocks)
            keeper.wait_beat(lambda beat, head=head: beat["block"] == head, f"beat at {head}")
            if not self.world.blocks[head].due:
                return mined
            self.world.block(CALM)
        raise AssertionError(f"due after {blocks} blocks: {self.world.blocks}")

    def taken(self) -> list[Key]:
        """Return what the keepers' account has liquidated, again and again if it did."""
        found = []
        for seen in self.world.blocks.values():
            for key, taker in seen.taken:
                assert taker == self.world.keeper
                found.append(key)
        return found

    def rows(self, database: str = "") -> list[Row]:
        url = database or f"sqlite:///{self.folder / 'ledger.sqlite'}"
        chain_id = self.world.ground.engine.chain_id
        ledger = Ledger(url, chain_id, address_bytes(self.world.keeper))
        try:
            return ledger.rows(-1)
        finally:
            ledger.close()

    def check(self, due: frozenset[Key], database: str = "") -> None:
        """Assert that all was liquidated once, no nonce left out, and nothing printed a trace."""
        assert sorted(self.taken()) == sorted(due)
        mined = [row for row in self.rows(database) if row.state in (State.MINED, State.FAILED)]
        count = self.world.ground.rpc.call("eth_getTransactionCount", self.world.keeper, "latest")
        assert [row.nonce for row in mined] == [*range(int(count, 16))]
        assert all(row.state is State.MINED for row in mined)
        for one in self.keepers:
            assert "Traceback" not in one.errors.read_text()


@pytest.fixture
def scene(begun: World, tmp_path: Path) -> Iterator[Scene]:
    engine = begun.ground.engine
    mark = engine.snapshot()
    made = Scene(replace(begun, blocks={}), tmp_path)
    made.world.block(CALM)
    yield made
    for one in made.keepers:
        one.kill()
    engine.restore(mark)


@pytest.fixture
def nodes(scene: Scene) -> Iterator[list[Proxy]]:
    with proxies(scene.url, 3) as made:
        yield made


def began(beat: Beat) -> bool:
    return beat["block"] is not None


def sent(beat: Beat) -> bool:
    return bool(beat["sent"])


def is_green(keeper: KeeperProcess) -> Callable[[], bool]:
    return lambda: keeper.health()[0] == 200


# Killed


@pytest.mark.parametrize("forgotten", [False, True])
def test_run__killed_with_transactions_on_their_way__all_due_is_liquidated_once(
    scene: Scene, forgotten: bool
) -> None:
    keeper = scene.keeper()
    keeper.wait_beat(began, "beat")
    due = scene.fall()
    keeper.wait_beat(sent, "transaction sent")
    keeper.kill()
    written = {row.nonce: row.hash for row in scene.rows()}
    if forgotten:
        scene.world.ground.rpc.call("anvil_dropAllTransactions")
    keeper.start()
    keeper.wait_beat(began, "beat after the restart")
    scene.go_on(keeper)
    scene.check(due)
    assert {row.nonce: row.hash for row in scene.rows()}.items() >= written.items()


def test_run__killed_as_a_block_comes__all_due_is_liquidated_once(scene: Scene) -> None:
    keeper = scene.keeper()
    keeper.wait_beat(began, "beat")
    due = scene.fall()
    keeper.kill()
    scene.world.block(CALM)
    keeper.start()
    keeper.wait_beat(began, "beat after the restart")
    scene.go_on(keeper)
    scene.check(due)


def test_run__terminated__one_line_and_no_lease(scene: Scene, postgres_url: str) -> None:
    keeper = scene.keeper(share=postgres_url)
    keeper.wait_beat(began, "beat")
    assert min(_leased_until(postgres_url)) > 0
    assert keeper.stop() == 0
    told = keeper.errors.read_text().splitlines()[1:]
    last = [line for line in told if not line.startswith("reading the chain")]
    assert last == ["stopped; what was sent is remembered"]
    assert set(_leased_until(postgres_url)) == {-1}


def _leased_until(url: str) -> list[int]:
    database = create_engine(url)
    with database.begin() as connection:
        found = [*connection.execute(select(LEASES.c.until_block)).scalars()]
    database.dispose()
    return found


# Two keepers


def test_run__holder_of_the_leases_killed__the_other_acts_within_two_blocks(
    scene: Scene, postgres_url: str
) -> None:
    holder = scene.keeper(share=postgres_url)
    holder.wait_beat(began, "beat of the holder")
    other = scene.keeper(share=postgres_url)
    other.wait_beat(began, "beat of the other")
    holder.kill()
    due = scene.fall()
    first = max(scene.world.blocks)
    assert scene.go_on(other) <= 3
    acted = next(beat["block"] for beat in other.beats if sent(beat))
    assert acted <= first + 2
    scene.check(due, postgres_url)


def test_run__holder_whose_node_lags__the_one_ahead_acts_alone(
    scene: Scene, nodes: list[Proxy], postgres_url: str
) -> None:
    behind = scene.keeper(nodes[0].url, share=postgres_url)
    behind.wait_beat(began, "beat of the holder")
    ahead = scene.keeper(nodes[1].url, share=postgres_url)
    ahead.wait_beat(began, "beat of the other")
    nodes[0].lag = 3
    for _ in range(3):
        scene.world.block(CALM)
    due = scene.fall()
    scene.go_on(ahead)
    for _ in range(4):
        scene.world.block(CALM)
    last = max(scene.world.blocks)
    behind.wait_beat(lambda beat: beat["block"] == last - 3, "beat of the one behind")
    scene.check(due, postgres_url)
    assert not any(map(sent, behind.beats))


# Bad nodes


def test_run__node_gone_and_back__red_then_green_and_goes_on(
    scene: Scene, nodes: list[Proxy]
) -> None:
    keeper = scene.keeper(nodes[0].url)
    keeper.wait_beat(began, "beat")
    keeper.wait(is_green(keeper), "health")
    # The last block that it sees is old by its own time before long: no wait for a minute.
    scene.world.now = lambda: time.time() - 55
    scene.world.block(CALM)
    last = max(scene.world.blocks)
    keeper.wait_beat(lambda beat: beat["block"] == last, "beat at the last block")
    nodes[0].drop = True
    due = scene.fall()
    keeper.wait(lambda: keeper.health()[0] == 503, "bad health")
    assert keeper.alive
    nodes[0].heal()
    scene.world.now = time.time
    scene.go_on(keeper)
    keeper.wait(is_green(keeper), "health again")
    scene.check(due)


def test_run__first_of_three_nodes_freezes__goes_on_with_the_others(
    scene: Scene, nodes: list[Proxy]
) -> None:
    keeper = scene.keeper(*[node.url for node in nodes])
    keeper.wait_beat(began, "beat")
    nodes[0].height = max(scene.world.blocks)
    due = scene.fall()
    first = max(scene.world.blocks)
    for _ in range(8):
        if not scene.world.blocks[max(scene.world.blocks)].due:
            break
        seen = len(keeper.beats)
        keeper.wait(lambda seen=seen: len(keeper.beats) > seen, "next beat")
        scene.world.block(CALM)
    last = max(scene.world.blocks)
    keeper.wait_beat(lambda beat: beat["block"] == last, "beat at the last block")
    scene.check(due)
    assert all(beat["sent"] == [] for beat in keeper.beats if beat["refused"])
    assert {row.block for row in scene.rows()} <= {*range(first, max(scene.world.blocks))}
