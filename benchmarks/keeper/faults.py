"""What goes wrong in a soak: each fault a generator, whose steps are blocks while it is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from benchmarks.keeper.world import GWEI, RIVAL, World
from tests.support.keeper_process import KeeperProcess
from tests.support.proxy import Proxy


@dataclass(slots=True)
class Arena:
    """What faults act on: `ledger` is a URL, `sick` are the proxies that a fault has taken."""

    world: World
    keepers: Sequence[KeeperProcess]
    ledger: str
    proxies: Sequence[Proxy]
    socket: Proxy
    draw: Random
    sick: list[Proxy] = field(default_factory=list)


Fault: TypeAlias = Callable[[Arena], Iterator[None]]


def _bad_node(spoil: Callable[[Proxy, Arena], None]) -> Fault:
    """Return the fault of one node's being spoiled for some blocks; none, where all are already."""

    def fault(arena: Arena) -> Iterator[None]:
        well = [one for one in arena.proxies if one not in arena.sick]
        if not well:
            yield
            return
        node = arena.draw.choice(well)
        arena.sick.append(node)
        spoil(node, arena)
        yield from _blocks(arena, 3, 15)
        node.heal()
        arena.sick.remove(node)

    return fault


def _blocks(arena: Arena, least: int, most: int) -> Iterator[None]:
    for _ in range(arena.draw.randint(least, most)):
        yield


def _set(name: str, value: object) -> Fault:
    return _bad_node(lambda node, _arena: setattr(node, name, value))


def _frozen(node: Proxy, arena: Arena) -> None:
    node.height = max(arena.world.blocks)


def _lagging(node: Proxy, arena: Arena) -> None:
    node.lag, node.silent = arena.draw.randint(1, 6), arena.draw.random() < 0.5


def _busy(node: Proxy, _arena: Arena) -> None:
    node.status, node.body = 429, '{"error": "too many requests"}'


def _all_nodes(arena: Arena) -> Iterator[None]:
    """Have nothing be reached any more."""
    healthy = [one for one in arena.proxies if one not in arena.sick]
    arena.sick += healthy
    for node in healthy:
        node.drop = True
    arena.socket.close_sockets(1011)
    yield from _blocks(arena, 2, 8)
    for node in healthy:
        node.heal()
        arena.sick.remove(node)


def _socket_closed(arena: Arena) -> Iterator[None]:
    arena.socket.refuse = True
    for _ in _blocks(arena, 2, 10):
        arena.socket.close_sockets(1011)
        yield
    arena.socket.heal()


def _socket_stalled(arena: Arena) -> Iterator[None]:
    arena.socket.stall = True
    yield from _blocks(arena, 3, 15)
    arena.socket.heal()


def _killed(arena: Arena) -> Iterator[None]:
    """Kill a keeper, and start it again; on until it has seen a block."""
    keeper = arena.draw.choice(arena.keepers)
    keeper.kill()
    yield from _blocks(arena, 1, 3)
    keeper.start()
    while not keeper.beats:
        yield


def _reorganised(arena: Arena) -> Iterator[None]:
    arena.world.reorganise(arena.draw.randint(1, 3), frozenset(["reorganised"]))
    yield
    yield


def _dear(arena: Arena) -> Iterator[None]:
    arena.world.base = arena.draw.randint(30, 1_500) * GWEI
    yield from _blocks(arena, 2, 12)
    arena.world.base = GWEI


def _unpriced(arena: Arena) -> Iterator[None]:
    arena.world.unpriced = True
    yield from _blocks(arena, 2, 8)
    arena.world.unpriced = False
    yield


def _dropped(arena: Arena) -> Iterator[None]:
    """Have the node forget what the keeper has sent, before it is mined."""
    rpc, keeper = arena.world.ground.rpc, arena.world.keeper.lower()
    for _ in _blocks(arena, 2, 10):
        pool = rpc.call("txpool_content")
        for waiting in (pool["pending"], pool["queued"]):
            for sender, rows in waiting.items():
                if sender.lower() == keeper:
                    for row in rows.values():
                        rpc.call("anvil_dropTransaction", row["hash"])
        yield


def _rival(arena: Arena) -> Iterator[None]:
    """Somebody else liquidates some of what is due, before the keeper's transactions."""
    world = arena.world
    for _ in _blocks(arena, 5, 25):
        for key in sorted(world.blocks[max(world.blocks)].due)[:20]:
            if arena.draw.random() < 0.6:
                call = world.liquidation(key, RIVAL)
                world.send(RIVAL, world.ground.stage.liquidator, call, 7_000)
        yield


FAULTS: Mapping[str, Fault] = {
    "node drops": _set("drop", True),
    "node is slow": _bad_node(lambda node, arena: setattr(node, "delay", arena.draw.uniform(1, 5))),
    "node truncates": _set("truncate", True),
    "node answers 429": _bad_node(_busy),
    "node answers 500": _set("status", 500),
    "node lags": _bad_node(_lagging),
    "node is frozen": _bad_node(_frozen),
    "node forges": _set("forge", True),
    "no node": _all_nodes,
    "socket closed": _socket_closed,
    "socket stalled": _socket_stalled,
    "killed": _killed,
    "reorganised": _reorganised,
    "gas is dear": _dear,
    "no price": _unpriced,
    "transactions dropped": _dropped,
    "rival": _rival,
}


@dataclass(slots=True)
class Weather:
    """Draws faults, at most two at once, and lets them run; `count` is how often each was on."""

    arena: Arena
    kinds: Sequence[str]
    running: dict[str, Iterator[None]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    _calm: int = 10

    @property
    def names(self) -> frozenset[str]:
        """Return the faults that are on."""
        return frozenset(self.running)

    def step(self, *, fresh: bool) -> None:
        """Let a block's faults begin, go on and end; with `fresh` new ones may begin."""
        for name, fault in [*self.running.items()]:
            if next(fault, self) is self:
                del self.running[name]
        if self._calm > 0:
            self._calm -= 1
            return
        others = [one for one in self.kinds if one not in self.running]
        if fresh and others and len(self.running) < 2:
            name = self.arena.draw.choice(others)
            self.running[name] = FAULTS[name](self.arena)
            self.count[name] = self.count.get(name, 0) + 1
            next(self.running[name])
            self._calm = self.arena.draw.randint(2, 25)
