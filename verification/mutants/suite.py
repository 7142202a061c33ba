"""The tests that try a mutant: collected once, run in a forked process each, to the first failure.

The vault is first held to its mirror over short random runs, which finds most faults within a
second, then to its unit tests. The other contracts have their unit and property tests.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pytest

from tests.support.model.cast import MOODS
from tests.support.model.markets import SETTINGS
from tests.support.model.play import Stage, script
from verification.mutants.build import InvalidMutantError, compile_mutant, digest, install
from verification.mutants.edits import Mutant
from verification.mutants.targets import CONTRACTS, TARGET_OF, TARGETS, VAULT, Target

EPISODES = 2 * len(SETTINGS) * len(MOODS)
"""Each market in each mood, twice."""
STEPS = 60
SECONDS = 90
"""Processor time that a mutant may take; a busy machine makes none late. The suite takes 7."""

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
INVALID, IDENTICAL = "invalid", "identical"
TESTED = (KILLED, SURVIVED, TIMEOUT)
"""The outcomes of a mutant that is one: it compiles, to code of its own."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant: killed by which test, the digest of its code, seconds it took."""

    outcome: str
    killer: str = ""
    code: str = ""
    seconds: float = 0.0


class Suite:
    """A pytest session whose tests run when a mutant asks for them; needs no terminal."""

    def __init__(self, items: list[pytest.Item]) -> None:
        self._items: dict[str, list[pytest.Item]] = {
            target.stem: [item for item in items if item.nodeid.startswith(target.tests)]
            for target in TARGETS
        }

    def killer(self, target: Target) -> str:
        """Run what tries a target; return the first that fails, "" when all pass."""
        if target.group == VAULT:
            for seed in range(EPISODES):
                fault = _differs(seed)
                if fault:
                    return f"differential, seed {seed}: {fault}"
        items = self._items[target.stem]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.session.testsfailed:
                return item.nodeid
        return ""

    def judge(self, mutant: Mutant | str, originals: dict[str, str], pipe: Connection) -> None:
        """Try a mutant, or a sound contract by its name, in this forked process; tell by `pipe`."""
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        gc.freeze()
        gc.disable()  # compiling makes much and drops little; halves its time
        started = time.monotonic()
        target = target_of(mutant)
        code = ""
        if isinstance(mutant, Mutant):
            try:
                artifact = compile_mutant(target.stem, CONTRACTS / mutant.file, mutant.apply())
            except InvalidMutantError as error:
                pipe.send(Result(INVALID, str(error)[:200], "", time.monotonic() - started))
                return
            code = digest(artifact)
            if code == originals[target.stem]:
                pipe.send(Result(IDENTICAL, "", code, time.monotonic() - started))
                return
            install(artifact, target.stem)
        gc.enable()
        killer = self.killer(target)
        outcome = KILLED if killer else SURVIVED
        pipe.send(Result(outcome, killer, code, time.monotonic() - started))


def target_of(mutant: Mutant | str) -> Target:
    if isinstance(mutant, Mutant):
        return TARGET_OF[mutant.file]
    return next(target for target in TARGETS if target.stem == mutant)


def _differs(seed: int) -> str:
    """Play an episode; return in what the contract differs from its mirror, "" when in nothing."""
    mood = MOODS[seed // len(SETTINGS) % len(MOODS)]
    try:
        stage = Stage(SETTINGS[seed % len(SETTINGS)], seed, mood)
        for action in script(stage, mood, STEPS):
            stage.step(action)
        stage.finish()
    except Exception as error:  # noqa: BLE001  # whatever stops it, the mutant was noticed
        return f"{type(error).__name__}: {error}".split("\n")[0][:160]
    return ""


class _Collected:
    """A pytest plugin that runs `work` with the collected tests in the place of the tests."""

    def __init__(self, work: Callable[[Suite], None]) -> None:
        self._work = work
        self.failed = True
        self.error: BaseException | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.failed = session.testsfailed > 0
        try:
            if not self.failed:
                self._work(Suite(session.items))
        except BaseException as error:  # noqa: BLE001  # pytest would swallow it; see with_suite
            self.error = error
        return True


def with_suite(targets: list[Target], work: Callable[[Suite], None]) -> bool:
    """Collect the targets' tests once and call `work`; return whether they could be collected."""
    plugin = _Collected(work)
    paths = [path for target in targets for path in target.tests]
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*options, *paths], plugins=[plugin])
    if plugin.error is not None:
        raise plugin.error
    return not plugin.failed
