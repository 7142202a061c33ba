"""What a run has reached: entry points, revert reasons, situations, branches."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ringfence.evm import load
from ringfence.evm.artifacts import ROOT
from ringfence.evm.engine import Branch
from tests.support.model.actions import VAULT_CALLS
from tests.support.model.play import Record
from verification.fuzz.branches import all_branches, jumps
from verification.fuzz.episodes import Episode
from verification.fuzz.unreachable import unreachable


def reasons() -> set[str]:
    """Every reason that the vault's modules can revert with."""
    source = (ROOT / "contracts" / "modules" / "errors.vy").read_text()
    words = re.findall(r"constant\(bytes32\) = 0x([0-9a-f]{64})", source)
    return {bytes.fromhex(word).rstrip(b"\0").decode() for word in words}


@dataclass(slots=True)
class Coverage:
    """Sums the records of a run."""

    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    situations: Counter[str] = field(default_factory=Counter)
    branches: set[Branch] = field(default_factory=set)
    digests: dict[int, str] = field(default_factory=dict)
    anvil_episodes: int = 0
    anvil_steps: int = 0

    def add(self, episode: Episode, record: Record) -> None:
        """Add one episode's record."""
        self.counts += record.counts
        self.situations += record.situations
        self.branches |= record.branches
        self.digests[episode.seed] = record.digest
        if episode.on_anvil:
            self.anvil_episodes += 1
            self.anvil_steps += record.counts.total()

    @property
    def steps(self) -> int:
        return self.counts.total()

    def reasons_missed(self) -> list[str]:
        """Return the vault's reasons that were not met."""
        return sorted(reasons() - {reason for _, reason in self.counts})

    def calls_missed(self) -> list[str]:
        """Return the entry points that never succeeded."""
        succeeded = {name for name, reason in self.counts if reason is None}
        return sorted(set(VAULT_CALLS) - succeeded)

    def figures(self) -> dict[str, Any]:
        """Return everything as JSON; `digest` is of all actions, in their order.

        A branch is reached, cannot be, or was missed; what cannot be and was is a contradiction.
        """
        calls: dict[str, dict[str, int]] = {}
        for (name, reason), count in sorted(self.counts.items(), key=str):
            calls.setdefault(name, {})[_word(reason)] = count
        every = all_branches(load("MarginVault").runtime)
        excluded = unreachable(jumps("MarginVault"))
        groups: dict[str, list[str]] = {}
        for branch, why in sorted(excluded.items()):
            groups.setdefault(why, []).extend(_named({branch}))
        actions = "".join(digest for _, digest in sorted(self.digests.items()))
        return {
            "steps": self.steps,
            "episodes": len(self.digests),
            "anvil_episodes": self.anvil_episodes,
            "anvil_steps": self.anvil_steps,
            "calls": calls,
            "calls_never_succeeded": self.calls_missed(),
            "situations": dict(sorted(self.situations.items())),
            "reasons": len(reasons()),
            "reasons_missed": self.reasons_missed(),
            "branches": len(every),
            "branches_reached": len(every & self.branches),
            "branches_unreachable": groups,
            "branches_missed": _named(every - self.branches - set(excluded)),
            "branches_contradicted": _named(self.branches & set(excluded)),
            "digest": hashlib.sha256(actions.encode()).hexdigest(),
        }


def _word(reason: str | None) -> str:
    return "success" if reason is None else reason or "no reason"


def _named(branches: set[Branch]) -> list[str]:
    """Return branches as text: counter, way, source line and what is looked at."""
    known = jumps("MarginVault")
    return [
        f"{at:#06x} {'taken' if taken else 'not taken'} {known[at].place} ({known[at].looks_at})"
        for at, taken in sorted(branches)
    ]
