"""Episodes: seeded runs of a twin with every check on, and what is left of one that fails."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from ringfence.audit import Replay
from ringfence.evm import InProcessEngine
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import Branch
from ringfence.evm.errors import EvmError
from ringfence.math.vault_state import POSITIONS, WORD_1, WORD_2, Event
from tests.support.model.actions import POSITION_CALLS, Action
from tests.support.model.cast import CRASH, MOODS
from tests.support.model.generator import Generator
from tests.support.model.invariants import Invariants
from tests.support.model.liquidation_rules import require
from tests.support.model.markets import SETTINGS, Setting
from tests.support.model.pair import MismatchError
from tests.support.model.twin import Outcome, Twin
from tests.support.model.views import Views
from tests.support.model.what_if import WhatIf

VIEWS_A_STEP = 2
QUESTIONS = 0.25
"""Share of the steps before which a question is put to a copy of the mirror."""
EVENTS = 0.1
"""Share of the steps whose events are compared whole: their topics cost some milliseconds."""
SHRINK_SECONDS = 30.0
"""Processor time: a busy machine cuts down as far as a quiet one."""
FAULTS = (AssertionError, ArithmeticError, EvmError)
"""What ends a run: a mismatch, a mirror that cannot count so far, machines that disagree."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where episodes are played: on which engine, with which code of the vault."""

    engine: Callable[[], InProcessEngine] = InProcessEngine
    code: Artifact | None = None
    notes_branches: bool = False
    """Whether to look, for their branches, at each way of a call to end and, at the end, at views;
    without, only at odd calls and those whose topics are asked: py-evm takes milliseconds each."""


PLAIN = Ground()


class Stage:
    """A twin with its checks."""

    def __init__(self, setting: Setting, seed: int, mood: str, ground: Ground = PLAIN) -> None:
        self.twin = Twin(setting, ground.engine(), ground.code)
        self.generator = Generator(self.twin, Random(seed), mood)
        cast, positions = self.generator.cast, self.generator.positions
        self.invariants = Invariants(self.twin, positions, cast.everyone)
        checks = Random()
        self.what_if = WhatIf(self.twin, cast, positions, checks)
        self.views = Views(self.twin, cast, positions, checks)
        self._rng = checks
        self._notes_branches = ground.notes_branches
        self.branches: set[Branch] = set()
        self.replay = Replay(self.twin.now)
        self._apply(self.twin.mirror.events)

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
        self._check_events(action, outcome)
        return outcome

    def _check_events(self, action: Action, outcome: Outcome) -> None:
        """BOOK-7: the events alone rebuild the words; some steps ask for their topics as well."""
        if outcome.receipt is None:
            return
        if outcome.succeeded:
            self.twin.compare_event_data(outcome)
        if action.odd is not None or (self._notes_branches and self._is_new(action, outcome)):
            self.branches.update(outcome.receipt.branches)
        is_loss = any(event.name == "LossSocialised" for event in outcome.events)
        if outcome.succeeded and (is_loss or self._rng.random() < EVENTS):
            told = self.twin.events(outcome.receipt)
            self.branches.update(outcome.receipt.branches)
            mirrored = [(event.name, dict(event.args)) for event in outcome.events]
            require(told == mirrored, f"events: the contract says {told}, the mirror {mirrored}")
        self._apply(outcome.events)
        words, address = self.twin.storage.words, self.twin.address
        stored = tuple(words[address, name] for name in (WORD_1, WORD_2))
        require(self.replay.books == stored, "BOOK-7: the events do not rebuild the books")

    def _is_new(self, action: Action, outcome: Outcome) -> bool:
        """Whether nothing in this episode has ended so; each garbled call is another."""
        return action.name == "garble" or self.twin.counts[action.name, outcome.reason] == 1

    def _apply(self, events: Iterable[Event]) -> None:
        for event in events:
            self.replay.apply(event.name, event.args, self.twin.now)

    def _check_replay(self) -> None:
        """BOOK-7: every word of the vault that events tell of is rebuilt by them."""
        words, address, mirror = self.twin.storage.words, self.twin.address, self.twin.mirror
        positions = {
            cell[2]: word
            for cell, word in words.items()
            if cell[:2] == (address, POSITIONS) and word
        }
        require(self.replay.positions == positions, "BOOK-7: positions are not rebuilt")
        require(self.replay.limits == mirror.load_limits(), "BOOK-7: limits are not rebuilt")
        for lender, shares in self.replay.shares.items():
            require(mirror.balance_of(lender) == shares, "BOOK-7: shares are not rebuilt")
        for pair, granted in self.replay.operators.items():
            same = mirror.operator_permissions(*pair) == granted
            require(same, "BOOK-7: operators are not rebuilt")

    def finish(self) -> None:
        """Compare all that both sides know."""
        self.twin.check_all_words()
        self._check_replay()
        self.views.compare_all()
        if self._notes_branches:
            for name, args in self.twin.viewed.values():
                receipt = getattr(self.twin.vault, name).transact(*args, check=False)
                self.branches.update(receipt.branches)


def script(stage: Stage, mood: str, steps: int) -> Iterator[Action]:
    """Draw an episode's actions while it runs."""
    yield from stage.generator.opening()
    for _ in range(steps):
        yield stage.generator.next()
    if mood == CRASH:
        yield from stage.generator.crash()
        for _ in range(steps // 8):
            yield stage.generator.next()
    yield stage.generator.closing()


@dataclass(frozen=True, slots=True)
class Record:
    """How often each action ended how, None for a success, and what noteworthy came to pass."""

    counts: Counter[tuple[str, str | None]]
    situations: Counter[str]
    branches: frozenset[Branch]
    digest: str
    """Of the actions in their order."""


class BrokenRunError(MismatchError):
    """A run that failed, and the shortest sequence found that fails in the same way."""

    def __init__(self, message: str, seed: int, actions: list[Action]) -> None:
        super().__init__(message)
        self.seed = seed
        self.actions = actions

    def __reduce__(self) -> tuple[type[BrokenRunError], tuple[str, int, list[Action]]]:
        return type(self), (str(self), self.seed, self.actions)


def cast_of(seed: int) -> tuple[Setting, str]:
    """Return the market and the mood of a seed's episode."""
    return SETTINGS[seed % len(SETTINGS)], MOODS[seed // len(SETTINGS) % len(MOODS)]


def play(seed: int, steps: int, ground: Ground = PLAIN) -> Record:
    """Play one episode and return its record.

    Raises BrokenRunError that tells the seed, the step, and the shortest sequence found that fails
    in the same way.
    """
    setting, mood = cast_of(seed)
    stage = Stage(setting, seed, mood, ground)
    digest = hashlib.sha256()
    done: list[tuple[Action, bool]] = []
    try:
        for action in script(stage, mood, steps):
            done.append((action, False))
            digest.update(repr(action).encode())
            done[-1] = action, stage.step(action).succeeded
        stage.finish()
    except FAULTS as error:
        shortest = shrink(seed, done, str(error), ground)
        lines = "\n".join(f"    {action!r}," for action in shortest)
        raise BrokenRunError(
            f"{error}\nseed {seed} ({setting.title}, {mood}), step {len(done)}; "
            f"{len(shortest)} actions suffice:\n{lines}",
            seed,
            shortest,
        ) from error
    return Record(
        stage.twin.counts,
        stage.invariants.situations + stage.generator.edges,
        frozenset(stage.branches),
        digest.hexdigest(),
    )


def failure(seed: int, actions: Iterable[Action], ground: Ground = PLAIN) -> tuple[int, str] | None:
    """Replay actions; return after how many the run fails and why, None if it does not."""
    setting, mood = cast_of(seed)
    stage = Stage(setting, seed, mood, ground)
    count = 0
    try:
        for count, action in enumerate(actions, start=1):  # noqa: B007  # read in the handler
            stage.step(action)
        stage.finish()
    except FAULTS as error:
        return count, str(error)
    return None


def shrink(
    seed: int, done: list[tuple[Action, bool]], message: str, ground: Ground
) -> list[Action]:
    """Leave out what is not needed for a failure that opens like `message`.

    First all that reverted, then halves, then less.
    """
    kind = message.split(":")[0]
    deadline = time.process_time() + SHRINK_SECONDS
    moved = [action for action, succeeded in done if succeeded] + [done[-1][0]]
    failed = failure(seed, moved, ground)
    is_same = failed is not None and failed[1].split(":")[0] == kind
    actions = moved if is_same else [action for action, _ in done]
    size = len(actions) // 2
    while size >= 1 and time.process_time() < deadline:
        start = 0
        while start < len(actions) and time.process_time() < deadline:
            shorter = actions[:start] + actions[start + size :]
            failed = failure(seed, shorter, ground)
            if failed is not None and failed[1].split(":")[0] == kind:
                actions = shorter[: failed[0]]
            else:
                start += size
        size //= 2
    return actions
