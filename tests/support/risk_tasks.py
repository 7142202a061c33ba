"""Tasks that workers of any kind can import."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import Generator, SeedSequence, default_rng

from ringfence.risk.work.tasks import Result, Task, packed

SEED = 42


def _draw(given: Mapping[str, Any], rng: Generator) -> Result:
    time.sleep(given.get("seconds", 0))
    return {"drawn": rng.standard_normal(4) * given["scale"]}


def _noted(given: Mapping[str, Any], rng: Generator) -> Result:
    """Draw, and leave a note that it was done."""
    with Path(given["notes"]).open("a") as notes:
        notes.write(f"{given['scale']}\n")
    return _draw(given, rng)


def _dies(given: Mapping[str, Any], rng: Generator) -> Result:
    """Kill its own process at one input; where `once` names a file, only until it is there."""
    if given["scale"] == given["dies_at"]:
        once = given.get("once")
        if once is None or not Path(once).exists():
            if once is not None:
                Path(once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return _noted(given, rng)


def _fails(given: Mapping[str, Any], rng: Generator) -> Result:
    if given["scale"] == given["fails_at"]:
        raise ZeroDivisionError("as told")
    return _noted(given, rng)


DRAW = Task("draw", _draw)
NOTED = Task("noted", _noted)
DIES = Task("dies", _dies)
FAILS = Task("fails", _fails)


def expected(count: int) -> list[bytes]:
    """Return what DRAW gives at scales 0, 1, ..., from streams that were spawned all at once."""
    streams = SeedSequence(SEED).spawn(count)
    return [
        packed({"drawn": default_rng(stream).standard_normal(4) * scale})
        for scale, stream in enumerate(streams)
    ]


def scales(count: int, **more: object) -> list[dict[str, object]]:
    return [{"scale": scale, **more} for scale in range(count)]


@dataclass(frozen=True)
class Thread:
    """A pool that takes no time to begin."""

    kind: type[ThreadPoolExecutor] = ThreadPoolExecutor
    broken: tuple[type[BaseException], ...] = ()

    @contextmanager
    def open(self) -> Iterator[Executor]:
        executor = self.kind(1)
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)

    def check(self, executor: Executor) -> None:
        pass


THREAD = Thread()
