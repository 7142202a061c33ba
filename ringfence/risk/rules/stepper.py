"""Books stepped along price paths, at memory speed and exactly: integers against integers.

Where liquidations do not move the price, what becomes of a position depends on its trigger and the
path's running extreme alone. `count` compares every trigger with every answer, and so is bound by
memory, or `blocked` by the cores; `first_steps` and `survey` walk sorted triggers along the running
extreme. All are pure: give slices of the paths to a `concurrent.futures.Executor`.

triggers: int64 [position]; answers: int64 [step] or [path, step], 1 or more; `falls` as in the
market: liquidatable iff answer < trigger, in a short iff answer > trigger. Nothing but the triggers
and one int32 is held: 12 bytes a position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.trigger import MAX_ANSWER
from ringfence.risk.work.jit import njit

Counts = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]

NEVER = 2**31 - 1
"""The first step of a position that no answer of the path makes liquidatable."""

BLOCK = 2_048
"""Triggers that stay in the first-level cache while all steps pass over them."""


def answers_of(paths: Floats, first: int) -> Integers:
    """Return relative prices as a feed's answers, from the first one: rounded, at least 1.

    Raises RiskError for a price that is not a number, or beyond what a feed may answer.
    """
    scaled: Floats = np.rint(paths * float(first))
    if not (scaled < float(MAX_ANSWER)).all():
        raise RiskError(
            f"a path reaches {np.max(scaled):g} (limit: a number below {MAX_ANSWER:g}); check the "
            "model and the first answer"
        )
    return np.maximum(scaled, 1).astype(np.int64)


@njit
def _count(triggers: Integers, answers: Integers) -> Counts:
    """Return at each step how many triggers are above the answer, step by step."""
    counts = np.zeros(answers.size, np.int64)
    for step in range(answers.size):
        answer, above = answers[step], 0
        for position in range(triggers.size):
            above += triggers[position] > answer
        counts[step] = above
    return counts


@njit
def _count_blocked(triggers: Integers, answers: Integers) -> Counts:
    """Return the same for a multiple of four steps: four at a time, a block of triggers in all."""
    counts = np.zeros(answers.size, np.int64)
    for start in range(0, triggers.size, BLOCK):
        part = triggers[start : start + BLOCK]
        for step in range(0, answers.size, 4):
            one, two, three, four = answers[step : step + 4]
            first = second = third = fourth = 0
            for position in range(part.size):
                at = part[position]
                first += at > one
                second += at > two
                third += at > three
                fourth += at > four
            counts[step] += first
            counts[step + 1] += second
            counts[step + 2] += third
            counts[step + 3] += fourth
    return counts


def count(triggers: Integers, answers: Integers, *, falls: bool, blocked: bool = True) -> Counts:
    """Return how many positions are liquidatable at each step: int64 [step].

    Every trigger is compared with every answer, in any order of either. `blocked` takes all steps
    for some positions, then for the next: triggers come from memory once a path, not once a step.
    """
    above = answers if falls else answers - 1
    if blocked:
        counts = _count_blocked(triggers, np.pad(above, (0, -above.size % 4)))[: above.size]
    else:
        counts = _count(triggers, above)
    return np.asarray(counts if falls else triggers.size - counts)


def newly(counts: Counts) -> Counts:
    """Return how many of those liquidatable at each step were not before; the same shape.

    Positions fall in the order of their triggers, so that the running maximum has been reached.
    """
    reached = np.maximum.accumulate(counts, axis=-1)
    return np.diff(reached, axis=-1, prepend=0)


@njit
def _first_steps(triggers: Integers, answers: Integers, falls: bool, first: Steps) -> None:
    left, right = 0, triggers.size
    for step in range(answers.size):
        answer = answers[step]
        if falls:
            while right > 0 and triggers[right - 1] > answer:
                right -= 1
                first[right] = step
        else:
            while left < triggers.size and triggers[left] < answer:
                first[left] = step
                left += 1
    first[left:right] = NEVER


def first_steps(triggers: Integers, answers: Integers, *, falls: bool) -> Steps:
    """Return the first step at which each position is liquidatable, or NEVER: int32 [position].

    `triggers` must be sorted, rising; `answers` are one path's.
    """
    first = np.empty(triggers.size, np.int32)
    _first_steps(triggers, answers, falls, first)
    return first


@dataclass(frozen=True, slots=True)
class Survey:
    """What some paths do to a book of sorted triggers.

    newly: int64 [path, step], positions that become liquidatable; hits: int32 [position], in how
    many of the paths each does.
    """

    newly: Counts
    hits: Steps

    def __add__(self, other: Survey) -> Survey:
        """Return the survey of these paths and then the others."""
        return Survey(np.concatenate((self.newly, other.newly)), self.hits + other.hits)


@njit
def _survey(triggers: Integers, answers: Integers, falls: bool) -> tuple[Counts, Steps]:
    found = np.zeros(answers.shape, np.int64)
    hits = np.zeros(triggers.size, np.int32)
    for path in range(answers.shape[0]):
        left, right = 0, triggers.size
        for step in range(answers.shape[1]):
            answer = answers[path, step]
            if falls:
                while right > 0 and triggers[right - 1] > answer:
                    right -= 1
                    hits[right] += 1
                    found[path, step] += 1
            else:
                while left < triggers.size and triggers[left] < answer:
                    hits[left] += 1
                    found[path, step] += 1
                    left += 1
    return found, hits


def survey(triggers: Integers, answers: Integers, *, falls: bool) -> Survey:
    """Return what each of the paths does to sorted, rising triggers; answers: int64 [path, step].

    Costs the steps, and the positions that each path makes liquidatable.
    """
    return Survey(*_survey(triggers, answers, falls))
