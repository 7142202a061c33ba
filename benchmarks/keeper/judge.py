"""What the chain says of a keeper: pure functions over what was read at each block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_high
from typing import Any

PATIENCE = 5
"""Quiet blocks for which a keeper may leave alone what pays: more is a miss."""

Key = tuple[str, int]
"""A vault's address and a position's id."""


@dataclass(slots=True)
class Seen:
    """A block: what was due at its end, and who liquidated what in it, `taken`, in order.

    `priced` are the vaults with a price, `faults` what was wrong while the block was waited for,
    `pays` the due positions whose liquidation, tried at this block, earns more than its gas.
    """

    number: int
    due: frozenset[Key]
    priced: frozenset[str]
    taken: Sequence[tuple[Key, str]]
    faults: frozenset[str]
    pays: set[Key] = field(default_factory=set)


@dataclass(slots=True)
class Episode:
    """A position that was due from the end of block `start` on; `end` is None while it is.

    `how` is who liquidated it, "healed", "unpriced" or "open".
    """

    key: Key
    start: int
    end: int | None = None
    how: str = "open"
    quiet: int = 0
    worst_quiet: int = 0
    faults: set[str] = field(default_factory=set)

    @property
    def missed(self) -> bool:
        """Return whether it was left alone for more than PATIENCE quiet blocks that paid."""
        return self.worst_quiet > PATIENCE

    def close(self, number: int, how: str) -> None:
        """End it at a block."""
        self.end, self.how = number, how

    def wait(self, seen: Seen) -> None:
        """Count another block at whose end it is due."""
        self.faults |= seen.faults
        self.quiet = self.quiet + 1 if not seen.faults and self.key in seen.pays else 0
        self.worst_quiet = max(self.worst_quiet, self.quiet)


def episodes(blocks: Iterable[Seen]) -> list[Episode]:
    """Return every episode of a chain, its blocks in order."""
    ended: list[Episode] = []
    running: dict[Key, Episode] = {}
    for seen in blocks:
        takers = dict(seen.taken)
        for key, episode in [*running.items()]:
            if key in takers:
                episode.close(seen.number, takers[key])
            elif key[0] not in seen.priced:
                episode.close(seen.number, "unpriced")
            elif key not in seen.due:
                episode.close(seen.number, "healed")
            else:
                episode.wait(seen)
                continue
            ended.append(running.pop(key))
            takers.pop(key, None)
        # What became due and was liquidated within one block.
        ended += [Episode(key, seen.number, seen.number, who) for key, who in takers.items()]
        for key in seen.due - running.keys():
            running[key] = Episode(key, seen.number)
    return [*ended, *running.values()]


def twice(blocks: Iterable[Seen], keeper: str) -> list[Key]:
    """Return what the keeper liquidated twice without its having been well in between."""
    found: list[Key] = []
    last: dict[Key, str] = {}
    for seen in blocks:
        for key, taker in seen.taken:
            if taker == keeper and last.get(key) == keeper:
                found.append(key)
            last[key] = taker
        for key in last.keys() - seen.due:
            del last[key]
    return found


def _waits(found: Sequence[Episode]) -> dict[str, int]:
    blocks = sorted(one.end - one.start for one in found if one.end is not None)
    if not blocks:
        return {}
    return {
        "median": median_high(blocks),
        "p95": blocks[min(len(blocks) - 1, len(blocks) * 95 // 100)],
        "worst": blocks[-1],
    }


def summary(found: Sequence[Episode], keeper: str) -> Mapping[str, Any]:
    """Return the episodes by their ends, and the blocks from due to liquidated by the keeper."""
    ends: dict[str, int] = {}
    for one in found:
        how = "keeper" if one.how == keeper else "rival" if one.how.startswith("0x") else one.how
        ends[how] = ends.get(how, 0) + 1
    ours = [one for one in found if one.how == keeper]
    return {
        "episodes": len(found),
        "ends": ends,
        "blocks_to_liquidation": _waits(ours),
        "blocks_to_liquidation_without_faults": _waits([one for one in ours if not one.faults]),
        "missed": sum(one.missed for one in found),
    }
