"""`make soak`: a keeper on a chain where everything goes wrong, and the chain as its judge.

Writes benchmarks/soak.json; exit code 1 when the keeper missed something or left a mess.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from benchmarks.keeper.aftermath import aftermath
from benchmarks.keeper.faults import FAULTS, Arena, Weather
from benchmarks.keeper.ground import lay
from benchmarks.keeper.judge import PATIENCE, Episode, episodes, summary, twice
from benchmarks.keeper.world import World
from tests.support.keeper_process import KeeperProcess
from tests.support.postgres import ABSENT, programs, server, url_of
from tests.support.proxy import Proxy, proxies

RESULT = Path(__file__).resolve().parents[1] / "soak.json"
KEEPER = 9
"""Which of the node's accounts the keeper signs with."""
_QUIET = 40
"""Blocks at the end without a fault."""
_VAULTS = 5
"""The scenario's three, and copies of the first; the first and its copies have positions."""
_TOLD = 20
"""Blocks from one line of progress to the next."""


def _keeper(
    folder: Path, name: str, nodes: Sequence[Proxy], socket: Proxy, share: str | None
) -> KeeperProcess:
    record = str(folder / "deployment.json")
    words = ["--network", nodes[0].url, "--record", record, "--account", f"TEST::{KEEPER}"]
    for node in nodes[1:]:
        words += ["--rpc", node.url]
    words += ["--ws", socket.websocket, "--interval", "1s", "--max-spend", "9000 ETH"]
    words += ["--store", str(folder / f"{name}.sqlite")]
    words += ["--share", share] if share else ["--ledger", str(folder / "ledger.sqlite")]
    return KeeperProcess(folder, tuple(words), name)


@contextmanager
def _arena(folder: Path, seed: int, share: str | None) -> Iterator[Arena]:
    """Lay the ground for one keeper, or for two that share a database."""
    with lay(folder, _VAULTS) as ground, proxies(ground.engine.url, 4) as made:
        # Two, so that the price's walk does not hang on how many draws the faults have taken.
        world = World(ground, Random(seed), ground.engine.accounts[KEEPER].address)
        world.begin()
        *nodes, socket = made
        names = ["first", "second"] if share else ["keeper"]
        keepers = [_keeper(folder, name, nodes, socket, share) for name in names]
        ledger = share or f"sqlite:///{folder / 'ledger.sqlite'}"
        try:
            yield Arena(world, keepers, ledger, nodes, socket, Random(f"faults {seed}"))
        finally:
            for keeper in keepers:
                keeper.kill()


class _Clock:
    """Wakes up every `pace` seconds; a block that took longer is followed by the next at once."""

    def __init__(self, pace: float) -> None:
        self._pace, self._next = pace, time.monotonic()

    def wait(self) -> None:
        """Sleep until the next block is to come."""
        self._next = max(self._next + self._pace, time.monotonic())
        time.sleep(max(0.0, self._next - time.monotonic()))


def _run(
    arena: Arena, weather: Weather, minutes: float, pace: float, console: Console
) -> list[str]:
    """Run it; return what the keeper did that no fault explains."""
    world, clock, faults = arena.world, _Clock(pace), frozenset(["starting"])
    for keeper in arena.keepers:
        keeper.start()
    problems: list[str] = []
    world.restless = False
    while not all(keeper.beats for keeper in arena.keepers):
        clock.wait()
        world.block(faults)
        for keeper in arena.keepers:
            if not keeper.alive:
                return [f"{keeper.name} did not start: {keeper.errors.read_text()[-500:]}"]
    started, told, left = time.monotonic(), 0, _QUIET
    while left:
        fresh = time.monotonic() - started < 60 * minutes
        weather.step(fresh=fresh)
        left -= not fresh and not weather.running
        world.restless = left > _QUIET // 2
        for keeper in arena.keepers:
            if not keeper.alive and "killed" not in weather.running:
                problems.append(
                    f"{keeper.name} ended by itself: {keeper.errors.read_text()[-300:]}"
                )
                keeper.start()
        clock.wait()
        seen = world.block(weather.names)
        if seen.number - told >= _TOLD:
            told = seen.number
            on = ", ".join(sorted(weather.names)) or "calm"
            found = episodes(world.blocks[number] for number in sorted(world.blocks))
            missed = sum(one.missed for one in found)
            console.print(
                f"{time.monotonic() - started:5.0f} s  block {seen.number}, {world.price:.2f}, "
                f"{len(world.collateral)} positions, {len(seen.due)} due ({len(seen.pays)} pay), "
                f"{len(found)} episodes, {missed} missed; {on}",
                highlight=False,
                soft_wrap=True,
            )
    return problems


def _misses(found: Sequence[Episode], last: int) -> list[str]:
    return [
        f"position {one.key[1] % 2**96} of {one.key[0]}: due from block {one.start} to "
        f"{one.end or last}, left alone for {one.worst_quiet} quiet blocks "
        f"(limit {PATIENCE}), then: {one.how}"
        for one in found
        if one.missed
    ]


def soak(
    minutes: float, seed: int, pace: float, kinds: Sequence[str], folder: Path, share: str | None
) -> dict[str, Any]:
    """Run a soak and return its figures; `problems` is empty when all went well."""
    console = Console(stderr=True)
    with _arena(folder, seed, share) as arena:
        weather = Weather(arena, kinds)
        problems = _run(arena, weather, minutes, pace, console)
        world = arena.world
        blocks = [world.blocks[number] for number in sorted(world.blocks)]
        found = episodes(blocks)
        problems += _misses(found, blocks[-1].number)
        problems += [f"liquidated twice: {key}" for key in twice(blocks, world.keeper)]
        if not any(one.how == world.keeper for one in found):
            problems.append("the keeper liquidated nothing: soak for longer, or see its output")
        figures, left = aftermath(arena, folder)
        return {
            "seed": seed,
            "minutes": minutes,
            "pace_seconds": pace,
            "keepers": len(arena.keepers),
            "blocks": len(blocks),
            "faults": dict(sorted(weather.count.items())),
            **summary(found, world.keeper),
            **figures,
            "problems": problems + left,
        }


@contextmanager
def _database(keepers: int) -> Iterator[str | None]:
    """Start what two keepers share; raise SystemExit when PostgreSQL is not installed."""
    if keepers == 1:
        yield None
        return
    found = programs()
    if found is None:
        raise SystemExit(ABSENT)
    with server(found) as folder:
        yield url_of(folder)


def main() -> int:
    """Soak and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keeper.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1, help="seconds from block to block")
    parser.add_argument("--keepers", type=int, choices=(1, 2), default=1, help="two share leases")
    parser.add_argument("--faults", nargs="*", choices=[*FAULTS], default=[*FAULTS])
    parser.add_argument("--folder", type=Path, help="keep the keeper's files here")
    given = parser.parse_args()
    # Proxies that fail are what is wanted.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with _database(given.keepers) as share:
            figures = soak(given.minutes, given.seed, given.pace, given.faults, folder, share)
    text = json.dumps(figures, indent=2) + "\n"
    RESULT.write_text(text)
    sys.stdout.write(text)
    wrong = figures["problems"]
    verdict = (
        f"FAILED: {len(wrong)} problems, the first: {wrong[0]}"
        if wrong
        else f"Nothing was missed: {figures['episodes']} episodes in {figures['blocks']} blocks."
    )
    Console(stderr=True).print(verdict, style="bold red" if wrong else "green", highlight=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
