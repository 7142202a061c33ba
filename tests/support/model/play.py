"""Episodes: seeded runs of a twin with every check on, and what is left of one that fails."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from tests.support.model.actions import POSITION_CALLS, Action
from tests.support.model.generator import CRASH, MOODS, Generator
from tests.support.model.invariants import Invariants
from tests.support.model.twin import SETTINGS, MismatchError, Outcome, Setting, Twin
from tests.support.model.views import Views
from tests.support.model.what_if import WhatIf

VIEWS_A_STEP = 2
QUESTIONS = 0.25
"""Share of the steps before which a question is put to a copy of the mirror."""
SHRINK_SECONDS = 30.0


class Stage:
    """A twin with its checks."""

    def __init__(self, setting: Setting, seed: int, mood: str) -> None:
        self.twin = Twin(setting)
        self.generator = Generator(self.twin, Random(seed), mood)
        cast, positions = self.generator.cast, self.generator.positions
        self.invariants = Invariants(self.twin, positions, cast.everyone)
        checks = Random()
        self.what_if = WhatIf(self.twin, cast, positions, checks)
        self.views = Views(self.twin, cast, positions, checks)
        self._rng = checks

    def step(self, action: Action) -> Outcome:
        """Run an action on both sides with every check; raise MismatchError.

        What is asked follows from the action alone, so that a shortened run asks it again.
        """
        self._rng.seed(repr(action))
        if self._rng.random() < QUESTIONS:
            self.what_if.ask(action)
        may_act = action.name in POSITION_CALLS and self.invariants.permissions(action)
        outcome = self.twin.run(action)
        self.invariants.check(action, outcome, may_act)
        for _ in range(VIEWS_A_STEP):
            self.views.compare_one()
        return outcome

    def finish(self) -> None:
        """Compare all that both sides know."""
        self.twin.check_all_words()
        self.views.compare_all()


def script(stage: Stage, mood: str, steps: int) -> Iterator[Action]:
    """Draw an episode's actions while it runs."""
    yield from stage.generator.opening()
    for _ in range(steps):
        yield stage.generator.next()
    if mood == CRASH:
        yield from stage.generator.crash()
        for _ in range(steps // 8):
            yield stage.generator.next()


@dataclass(frozen=True, slots=True)
class Record:
    """How often each action ended how, None for a success, and what noteworthy came to pass."""

    counts: Counter[tuple[str, str | None]]
    situations: Counter[str]


def play(seed: int, steps: int) -> Record:
    """Play one episode and return its record.

    Raises MismatchError that tells the seed, the step, and the shortest sequence found that fails
    in the same way.
    """
    setting = SETTINGS[seed % len(SETTINGS)]
    mood = MOODS[seed // len(SETTINGS) % len(MOODS)]
    stage = Stage(setting, seed, mood)
    done: list[tuple[Action, bool]] = []
    try:
        for action in script(stage, mood, steps):
            done.append((action, False))
            done[-1] = action, stage.step(action).succeeded
        stage.finish()
    except MismatchError as error:
        shortest = shrink(setting, seed, mood, done, str(error))
        lines = "\n".join(f"    {action!r}," for action in shortest)
        raise MismatchError(
            f"{error}\nseed {seed} ({setting.title}, {mood}), step {len(done)}; "
            f"{len(shortest)} actions suffice:\n{lines}"
        ) from error
    return Record(stage.twin.counts, stage.invariants.situations)


def failure(
    setting: Setting, seed: int, mood: str, actions: Iterable[Action]
) -> tuple[int, str] | None:
    """Replay actions; return after how many the run fails and why, None if it does not."""
    stage = Stage(setting, seed, mood)
    count = 0
    try:
        for count, action in enumerate(actions, start=1):  # noqa: B007  # read in the handler
            stage.step(action)
        stage.finish()
    except MismatchError as error:
        return count, str(error)
    return None


def shrink(
    setting: Setting, seed: int, mood: str, done: list[tuple[Action, bool]], message: str
) -> list[Action]:
    """Leave out what is not needed for a failure that opens like `message`.

    First all that reverted, then halves, then less.
    """
    kind = message.split(":")[0]
    deadline = time.monotonic() + SHRINK_SECONDS
    moved = [action for action, succeeded in done if succeeded] + [done[-1][0]]
    failed = failure(setting, seed, mood, moved)
    is_same = failed is not None and failed[1].split(":")[0] == kind
    actions = moved if is_same else [action for action, _ in done]
    size = len(actions) // 2
    while size >= 1 and time.monotonic() < deadline:
        start = 0
        while start < len(actions) and time.monotonic() < deadline:
            shorter = actions[:start] + actions[start + size :]
            failed = failure(setting, seed, mood, shorter)
            if failed is not None and failed[1].split(":")[0] == kind:
                actions = shorter[: failed[0]]
            else:
                start += size
        size //= 2
    return actions
