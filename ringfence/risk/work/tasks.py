"""Work in many processes or on a cluster: the same bytes on any number of workers.

A task is pure: what it returns follows from its input and its own stream of random numbers, which
is spawned by the task's index. Finished work is kept on disk under a key of all that it follows
from, code included, so that a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.random import SeedSequence, default_rng
from numpy.typing import NDArray

from ringfence.risk.errors import RiskError
from ringfence.risk.work.sources import digest_of

Result = dict[str, NDArray[Any]]
Say = Callable[[str], None]

AHEAD = 32
"""Tasks that may be under way or finished before the one whose turn it is."""
CHECK_EVERY = 5.0
"""Seconds without a result after which the pool is looked at."""
_DIGEST = hashlib.sha256().digest_size
_ROOT = Path(__file__).parents[3]
"""Where the package is imported from."""
_VERSIONS = {one: version(one) for one in ("numpy", "scipy", "numba")} | {
    "python": platform.python_version()
}
"""Of what computes the last digits: Python itself sums floats otherwise since 3.12."""


@dataclass(frozen=True, slots=True)
class Task:
    """A function that workers can import, and its name."""

    name: str
    call: Callable[[Any, np.random.Generator], Result]


def sizes(total: int, most: int) -> list[int]:
    """Return how many paths each task draws so that they are `total`: `most`, the last the rest.

    >>> sizes(750, 500)
    [500, 250]
    """
    return [min(most, total - begun) for begun in range(0, total, most)]


def canonical(value: object) -> str:
    """Return JSON of a value with sorted keys.

    An array counts by its type, shape and digest, a dataclass by its type, code and fields. Raises
    RiskError for what has no such form, NaN and infinity among it.

    >>> canonical({"b": (1, 0.5), "a": None})
    '{"a":null,"b":[1,0.5]}'
    """
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain
        )
    except (TypeError, ValueError) as error:
        raise RiskError(f"the input of a task has no canonical form: {error}") from None


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"dtype": value.dtype.str, "shape": value.shape, "sha256": digest}
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        of = {one.name: getattr(value, one.name) for one in fields(value)}
        return {"type": kind.__qualname__, "code": _code(kind), "of": of}
    raise TypeError(f"{type(value).__name__} is neither JSON, array nor dataclass")


def _code(of: type | Callable[..., Any]) -> tuple[str, str]:
    return of.__module__, digest_of(of.__module__)


@dataclass(frozen=True, slots=True)
class Cache:
    """Results in a directory, a file each: a SHA-256 and the arrays that it is of."""

    directory: Path
    say: Say

    def load(self, key: str) -> Result | None:
        """Return what is kept under a key; None, and a word about it, where that is damaged."""
        try:
            kept = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, body = kept[:_DIGEST], kept[_DIGEST:]
        if hashlib.sha256(body).digest() == digest:
            return unpacked(body)
        self.say(f"{self._path(key)} is damaged; its task is done again")
        return None

    def store(self, key: str, result: Result) -> None:
        """Keep a result; whoever reads sees all of it or nothing."""
        body = packed(result)
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
            file.write(hashlib.sha256(body).digest() + body)
        Path(file.name).replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.npz"


def packed(result: Result) -> bytes:
    """Return a result's bytes: equal results, equal bytes."""
    body = io.BytesIO()
    np.savez(body, **result)
    return body.getvalue()


def unpacked(body: bytes) -> Result:
    """Return the result of some bytes; never runs code that is in them."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return dict(arrays)


class Workers(Protocol):
    """Where tasks run; opened anew after workers died."""

    @property
    def broken(self) -> tuple[type[BaseException], ...]:
        """What a task ends with where not the task failed but what ran it."""

    def open(self) -> AbstractContextManager[Executor]:
        """Return an executor; leaving it ends what has not begun. Raises RiskError if dead."""

    def check(self, executor: Executor) -> None:
        """Raise RiskError where nothing is left that could do the work."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine, begun afresh so that nothing but the input reaches them."""

    workers: int

    @property
    def broken(self) -> tuple[type[BaseException], ...]:
        """A killed process breaks the whole pool."""
        return (BrokenProcessPool,)

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Yield a pool of processes."""
        # Processes are begun with this one's path, off which `ape run` takes the project.
        if str(_ROOT) not in sys.path:
            sys.path.insert(0, str(_ROOT))
        executor = ProcessPoolExecutor(self.workers, get_context("spawn"))
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)

    def check(self, executor: Executor) -> None:
        """Do nothing: a process that dies is noticed by the pool."""


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    input: object
    seed: int
    key: str


def run_tasks(
    task: Task,
    inputs: Iterable[Mapping[str, object]],
    seed: int,
    workers: Workers,
    say: Say,
    cache: Cache | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of each input, in the inputs' order.

    Inputs are taken as they are needed; closing the iterator ends what has not begun. Where workers
    die, finished work is kept and the rest is done once more by new ones; `say` gets a line about
    it. Raises RiskError where they die again or there are none, and whatever the task raises.
    """
    sweep = _Sweep(task, workers, cache, _jobs(task, inputs, seed))
    try:
        with workers.open() as executor:
            yield from sweep.run(executor)
            return
    except workers.broken:
        say("a worker died; finished work is kept, the rest is done once more by new workers")
    try:
        with workers.open() as executor:
            yield from sweep.run(executor)
    except workers.broken as error:
        kept = f"kept in {cache.directory}" if cache else "lost without --cache"
        raise RiskError(
            f"workers died twice, last at task {min(sweep.open, default=sweep.turn)}; finished "
            f"work is {kept}; give them more memory or use fewer, and run it again"
        ) from error


def _jobs(task: Task, inputs: Iterable[Mapping[str, object]], seed: int) -> Iterator[_Job]:
    for index, one in enumerate(inputs):
        yield _Job(index, one, seed, _key(task, one, seed, index))


def _key(task: Task, one: object, seed: int, index: int) -> str:
    """Return the SHA-256 of all that a result follows from."""
    facts = {
        "task": task.name, "code": _code(task.call), "versions": _VERSIONS, "input": one,
        "seed": [seed, index],
    }  # fmt: skip
    return hashlib.sha256(canonical(facts).encode()).hexdigest()


def _call(task: Task, job: _Job) -> Result:
    """Do a job, in a worker; raise RiskError where its code is not that of who sent it."""
    if _key(task, job.input, job.seed, job.index) != job.key:
        raise RiskError(
            "a worker has other code, or other versions of Python, NumPy, SciPy or numba, than "
            "this process; give both the same and run the command again, Dask's workers begun anew"
        )
    # The child that SeedSequence(seed).spawn would give at this index.
    return task.call(job.input, default_rng(SeedSequence(job.seed, spawn_key=(job.index,))))


@dataclass(slots=True)
class _Sweep:
    """Jobs by their index: open ones, and results that wait for their turn."""

    task: Task
    workers: Workers
    cache: Cache | None
    jobs: Iterator[_Job]
    open: dict[int, _Job] = field(default_factory=dict)
    ready: dict[int, Result] = field(default_factory=dict)
    turn: int = 0

    def run(self, executor: Executor) -> Iterator[Result]:
        """Yield results in turn; raise one of the workers' `broken` where workers died."""
        futures = {self._submit(executor, job): job for job in self.open.values()}
        while True:
            self._fill(executor, futures)
            if self.turn in self.ready:
                self.turn += 1
                yield self.ready.pop(self.turn - 1)
            elif futures:
                self._collect(executor, futures)
            else:
                return

    def _fill(self, executor: Executor, futures: dict[Future[Result], _Job]) -> None:
        while len(self.open) + len(self.ready) < AHEAD:
            job = next(self.jobs, None)
            if job is None:
                return
            kept = self.cache.load(job.key) if self.cache else None
            if kept is not None:
                self.ready[job.index] = kept
            else:
                self.open[job.index] = job
                futures[self._submit(executor, job)] = job

    def _submit(self, executor: Executor, job: _Job) -> Future[Result]:
        return executor.submit(_call, self.task, job)

    def _collect(self, executor: Executor, futures: dict[Future[Result], _Job]) -> None:
        """Keep what is finished, then raise what went wrong, if anything did."""
        done, _ = wait(futures, timeout=CHECK_EVERY, return_when=FIRST_COMPLETED)
        if not done:
            self.workers.check(executor)
        failed: list[BaseException] = []
        for future in done:
            job = futures.pop(future)
            try:
                result = future.result()
            except (Exception, CancelledError) as error:  # noqa: BLE001 - raised below
                failed.append(error)
                continue
            if self.cache:
                self.cache.store(job.key, result)
            self.ready[job.index] = result
            del self.open[job.index]
        if failed:
            raise next((e for e in failed if not isinstance(e, self.workers.broken)), failed[0])
