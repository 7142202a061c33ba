"""Which episodes make up a run, and how one of them is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random

from ringfence.evm.anvil import launch
from tests.support.model.play import PLAIN, Ground, Record, play
from verification.fuzz.lockstep import LockstepEngine

STEPS = 400
"""Steps of an episode, its opening of some fifty and its crash not counted."""
ANVIL_ONE_IN = 50
"""Of so many episodes in a row one, drawn by the seed, is played on anvil too: 2 %."""
NOTES_ONE_IN = 10
"""Of so many episodes one looks at the branches of all that it does."""
_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of a run."""

    seed: int
    steps: int
    on_anvil: bool


def episodes(steps: int, seed: int) -> list[Episode]:
    """Return the episodes of a run of so many steps."""
    sizes = [STEPS] * (steps // STEPS) + ([steps % STEPS] if steps % STEPS else [])
    drawn = Random(seed)
    replayed = {
        first + drawn.randrange(min(ANVIL_ONE_IN, len(sizes) - first))
        for first in range(0, len(sizes), ANVIL_ONE_IN)
    }
    return [
        Episode(seed * _SEEDS + number, size, number in replayed)
        for number, size in enumerate(sizes)
    ]


@contextmanager
def lockstep(ground: Ground = PLAIN) -> Iterator[Ground]:
    """Start an anvil, and give a ground on which every transaction runs on it too."""
    with launch(steps=True) as node:
        start = node.snapshot()

        def engine() -> LockstepEngine:
            node.restore(start)
            return LockstepEngine(node)

        yield Ground(engine, ground.code, notes_branches=True)


def run(episode: Episode, ground: Ground = PLAIN) -> Record:
    """Play an episode; raise BrokenRunError."""
    if not episode.on_anvil:
        if episode.seed % _SEEDS % NOTES_ONE_IN == 0:
            ground = replace(ground, notes_branches=True)
        return play(episode.seed, episode.steps, ground)
    with lockstep(ground) as both:
        return play(episode.seed, episode.steps, both)
