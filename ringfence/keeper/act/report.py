"""What a step of the lane found and did."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringfence.keeper.act.bid import Target
from ringfence.keeper.act.ledger import Row


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that was signed and sent, or, in a dry run, would be: its hash is then empty.

    Fees in wei a unit; `replaces` is the hash of the one whose nonce it takes.
    """

    nonce: int
    hash: bytes
    targets: tuple[Target, ...]
    max_fee: int
    tip: int
    replaces: bytes | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Targets for which nothing was sent now, and why."""

    targets: tuple[Target, ...]
    reason: str


@dataclass(slots=True)
class LaneReport:
    """One step: `changed` are the rows that the chain decided otherwise than was written down.

    `waiting` are those that are open at the end, None where that was not found out; `resent` the
    hashes of the bytes that were given to nodes once more, `problems` what kept the step from its
    end.
    """

    block: int
    changed: list[Row] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    resent: list[bytes] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    waiting: list[Row] | None = None
    problems: list[str] = field(default_factory=list)
