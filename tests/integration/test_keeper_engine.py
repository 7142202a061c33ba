"""The keeper's engine over real markets and feeds: what it calls due is what the lens does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.evm.errors import Reverted
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.engine import Tick
from ringfence.keeper.memory.store import Deployment, Store
from ringfence.sim.scenario import load_scenario
from ringfence.sim.stage import Stage, Venue, account_of, set_stage
from tests.support.crash import CRASH
from tests.support.ticking import CountingRpc, Watcher

TRADERS = [account_of(f"trader {number}") for number in range(4)]
LIQUIDATOR = account_of("liquidator")
EVERYTHING = 2**255


@dataclass(slots=True)
class Course:
    """Acts of traders, a liquidator and the feed, drawn by a seed; the engine looks on."""

    stage: Stage
    watcher: Watcher
    random: Random
    ids: dict[bytes, set[int]]
    tick: Tick = field(init=False)
    due: int = 0

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Tick at the chain's head, and hold what it says to the lens's word on every id."""
        self.tick = self.watcher.tick()
        assert self.tick.block == self.watcher.store.tip()
        assert [*self.tick.vaults] == [*self.ids]
        for vault, sight in self.tick.vaults.items():
            assert (sight.unread, sight.lagging) == (None, None), "BOOK-2: an event was lost"
            assert sight.due == self.watcher.liquidatable(vault, [*self.ids[vault]])
            assert not sight.due or (sight.nearest or 0) < 0
            self.due += len(sight.due)

    def act(self) -> None:
        """Do one thing, as far as the vault allows it, and look."""
        self.stage.engine.advance(self.random.choice([1, 12, 60, 1_900]))
        acts = (self.open, self.open, self.touch, self.liquidate, self.move_price, self.move_price)
        with suppress(Reverted):
            self.random.choice(acts)()
        self.look()

    def open(self) -> None:
        """Up to the initial LTV, or past it, which the vault refuses."""
        venue = self.random.choice([*self.stage.venues.values()])
        owner = self.random.choice(TRADERS)
        position = int(owner, 16) << 96 | self.random.getrandbits(96)
        collateral = self.random.randint(10**18, 5 * 10**18)
        if venue.side == "short":
            collateral = self.random.randint(200 * 10**6, 1_000 * 10**6)
        self.stage.fund(owner, venue.collateral, collateral)
        venue.collateral.approve(venue.vault, collateral, sender=owner)
        self.ids[address_bytes(venue.vault)].add(position)
        most = collateral * venue.oracle.quote()[0] * venue.vault.parameters().initial_ltv
        debt = int(most // 10**54 * self.random.uniform(0.8, 1.02))
        venue.vault.adjust(position, collateral, debt, owner, b"", sender=owner)

    def touch(self) -> None:
        """Top one up, repay some of it, or close it."""
        venue, position = self.any_position()
        owner = f"0x{position >> 96:040x}"
        debt = venue.vault.position(position).debt
        self.stage.fund(owner, venue.asset, debt + 1)
        venue.asset.approve(venue.vault, EVERYTHING, sender=owner)
        what = self.random.randrange(3)
        if what == 0:
            self.stage.top_up(venue, owner, position, Decimal(1))
        elif what == 1:
            venue.vault.adjust(position, 0, -(debt // 4), owner, b"", sender=owner)
        else:
            venue.vault.close(position, owner, b"", sender=owner)

    def any_position(self) -> tuple[Venue, int]:
        found = [
            (venue, position)
            for venue in self.stage.venues.values()
            for position in sorted(self.ids[address_bytes(venue.vault)])
            if venue.vault.slot(position)
        ]
        if not found:
            raise Reverted("nobody is there")
        return self.random.choice(found)

    def liquidate(self) -> None:
        """The first due one of each vault."""
        for venue in self.stage.venues.values():
            for position in self.tick.vaults[address_bytes(venue.vault)].due[:1]:
                venue.asset.approve(venue.vault, EVERYTHING, sender=LIQUIDATOR)
                venue.vault.liquidate(position, EVERYTHING, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)

    def move_price(self) -> None:
        factor = self.random.choice([0.85, 0.95, 1.05, 1.16])
        self.stage.ether_feed.updateAnswer(int(self.stage.ether_feed.latestAnswer() * factor))


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, JsonRpc]]:
    with launch() as engine:
        stage = set_stage(engine, load_scenario(CRASH), tmp_path_factory.mktemp("engine"))
        stage.fund(LIQUIDATOR, stage.weth, 10**23)
        stage.fund(LIQUIDATOR, stage.usdc, 10**13)
        rpc = JsonRpc(engine.url)
        yield stage, rpc
        rpc.close()


@pytest.fixture
def course(
    staged: tuple[Stage, JsonRpc], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Course]:
    stage, rpc = staged
    mark = stage.engine.snapshot()
    factory, lens = address_bytes(stage.factory), address_bytes(stage.lens)
    store = Store(
        f"sqlite:///{tmp_path / 'keeper.db'}", Deployment(stage.engine.chain_id, factory, 1)
    )
    watcher = Watcher(CountingRpc(rpc.url), rpc, store, lens)
    ids = {address_bytes(venue.vault): set[int]() for venue in stage.venues.values()}
    yield Course(stage, watcher, Random(request.param), ids)
    store.close()
    stage.engine.restore(mark)


@pytest.mark.parametrize("course", range(4), indirect=True)
def test_tick__any_course_and_reorgs__due_as_the_lens_says(course: Course) -> None:
    engine = course.stage.engine
    for _ in range(12):
        with suppress(Reverted):
            course.open()
    for _ in range(4):
        for _act in range(6):
            course.act()
        mark = engine.snapshot()
        for _act in range(course.random.randint(1, 3)):
            course.act()
        engine.restore(mark)
        engine.advance(7)
        course.move_price()
        course.look()
    course.watcher.restart()
    before = course.tick
    course.look()
    assert course.tick == before
    assert course.due, "nothing was ever due"
