"""The sample, and the run through it: two processes at a time, taken up again where it stopped."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

from ringfence.evm.artifacts import find_source
from verification.mutants.build import compile_mutant, digest
from verification.mutants.edits import Mutant, mutants_of
from verification.mutants.suite import KILLED, SURVIVED, TESTED, TIMEOUT, Result, Suite, target_of
from verification.mutants.targets import Target


class MutantsError(Exception):
    """The run cannot go on; the message says what to do."""


Stratum = tuple[str, str]
"""A source below contracts/, and a function of it."""


def in_sample_order(mutants: list[Mutant], seed: int) -> list[Mutant]:
    """Return the mutants in an order of which every beginning is a sample stratified by function.

    First one of each function, then the rest so that each function's share grows evenly.
    """
    strata: dict[Stratum, list[Mutant]] = {}
    for mutant in mutants:
        strata.setdefault((mutant.file, mutant.function), []).append(mutant)
    placed: list[tuple[float, Mutant]] = []
    for stratum, members in sorted(strata.items()):
        rng = Random(f"{seed} {stratum}")
        drawn = rng.sample(sorted(members), len(members))
        offset = rng.random()
        for rank, mutant in enumerate(drawn):
            placed.append(((rank + offset) / len(drawn) if rank else offset - 1, mutant))
    return [mutant for _, mutant in sorted(placed)]


class Progress:
    """What is known already, in a file of JSON lines under out/; survivors are tried again.

    `first` keeps what became of a mutant when it was first tried: before tests were added for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[str, Result] = {}
        self.first: dict[str, Result] = {}
        if path.is_file():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                key = entry.pop("key")
                self.results[key] = Result(**entry)
                self.first.setdefault(key, self.results[key])
        self.results = {
            key: one for key, one in self.results.items() if one.outcome not in (SURVIVED, TIMEOUT)
        }

    def add(self, mutant: Mutant, result: Result) -> None:
        self.results[mutant.key] = result
        self.first.setdefault(mutant.key, result)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"key": mutant.key} | asdict(result)) + "\n")


@dataclass(slots=True)
class _Job:
    mutant: Mutant | str
    process: BaseProcess
    pipe: connection.Connection


@dataclass(slots=True)
class Pool:
    """Forked processes, one a mutant, at most `workers` at a time."""

    suite: Suite
    originals: dict[str, str]
    workers: int
    _jobs: list[_Job] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        return len(self._jobs) < self.workers

    @property
    def running(self) -> int:
        return len(self._jobs)

    def start(self, mutant: Mutant | str) -> None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        arguments = (mutant, self.originals, theirs)
        process = context.Process(target=self.suite.judge, args=arguments)
        process.start()
        theirs.close()
        self._jobs.append(_Job(mutant, process, ours))

    def wait(self) -> Iterator[tuple[Mutant | str, Result]]:
        """Wait for something to end; yield what has."""
        ready = connection.wait([job.pipe for job in self._jobs])
        for job in [job for job in self._jobs if job.pipe in ready]:
            yield job.mutant, self._end(job)

    def _end(self, job: _Job) -> Result:
        self._jobs.remove(job)
        try:
            result: Result = job.pipe.recv()
            job.process.join()
        except EOFError:
            job.process.join()
            if job.process.exitcode == -signal.SIGKILL:
                raise MutantsError(
                    "the system killed a test process, for its memory most likely, which tells "
                    "nothing of the mutant; run the same command again, with --workers 1"
                ) from None
            is_late = job.process.exitcode == -signal.SIGXCPU
            result = Result(TIMEOUT) if is_late else Result(KILLED, "the process died")
        return result

    def stop(self) -> None:
        for job in self._jobs:
            job.process.kill()
            job.process.join()


def sound_seconds(pool: Pool, targets: list[Target]) -> dict[str, float]:
    """Try the suite on the contracts as they are; return its seconds, raise when it fails."""
    seconds: dict[str, float] = {}
    for target in targets:
        pool.start(target.stem)
        (_, result), *_ = pool.wait()
        if result.outcome != SURVIVED:
            raise MutantsError(
                f"the suite fails on {target.stem} as it is: {result.killer or result.outcome}; "
                "make `make test` pass first"
            )
        seconds[target.stem] = round(result.seconds, 1)
    return seconds


def originals_of(targets: list[Target]) -> dict[str, str]:
    """Return the digests of the sound contracts' code, compiled as a mutant is."""
    found: dict[str, str] = {}
    for target in targets:
        path = find_source(target.stem)
        found[target.stem] = digest(compile_mutant(target.stem, path, path.read_text()))
    return found


def all_mutants(files: list[str]) -> list[Mutant]:
    return [mutant for file in files for mutant in mutants_of(file)]


def go_through(
    order: list[Mutant],
    size: int,
    pool: Pool,
    progress: Progress,
    tell: Callable[[int, Mutant, Result], None],
) -> list[tuple[Mutant, Result]]:
    """Try mutants in their order until `size` of them compile to code of their own.

    Returns all that were drawn for that, with what became of each; `tell` hears of each as it ends.
    """
    waiting = iter(order)
    drawn: list[Mutant] = []
    codes: set[tuple[str, str]] = set()

    def note(mutant: Mutant, result: Result) -> None:
        if result.outcome in TESTED:
            codes.add((target_of(mutant).stem, result.code or mutant.key))
        tell(len(codes), mutant, result)

    mutant = next(waiting, None)
    while pool.running or (mutant is not None and len(codes) < size):
        while mutant is not None and pool.has_room and len(codes) + pool.running < size:
            drawn.append(mutant)
            if mutant.key in progress.results:
                note(mutant, progress.results[mutant.key])
            else:
                pool.start(mutant)
            mutant = next(waiting, None)
        for ended, result in pool.wait() if pool.running else ():
            if isinstance(ended, Mutant):
                progress.add(ended, result)
                note(ended, result)
    return [(one, progress.results[one.key]) for one in drawn]
