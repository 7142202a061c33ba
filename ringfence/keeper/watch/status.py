"""What a keeper knows of itself, and what of that is a problem.

The service fills a `Status` at each block; health, metrics, alerts and the line that a person reads
are made of nothing else. Times are unix seconds, amounts wei or an asset's units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ringfence.client.units import ZERO_ADDRESS, Token
from ringfence.keeper.engine import Tick
from ringfence.keeper.watch.redact import tidy

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)

Severity: TypeAlias = Literal["critical", "warning", "info"]
"""critical: nothing is liquidated, or soon will not be; warning: something; info: no alert."""


@dataclass(slots=True)
class VaultStatus:
    """One vault; the words as in `engine.Sight`.

    Unless `watched`, it has no series and no alert of its own: anyone may create vaults, with
    oracles that fail, and drown in them what is said of the others.
    """

    name: str
    watched: bool = True
    positions: int = 0
    nearest: float | None = None
    unread: str | None = None
    unpriced: str | None = None
    lagging: str | None = None

    @property
    def troubled(self) -> bool:
        """Return whether what is due in it is not known or not certain."""
        return bool(self.unread or self.unpriced or self.lagging)


@dataclass(slots=True)
class EndpointStatus:
    """One node's endpoint; its height is the last block that it told."""

    name: str
    height: int | None = None
    healthy: bool = True
    error: str | None = None


@dataclass(slots=True)
class LaneStatus:
    """What was sent: transactions open now, the oldest one's age in blocks, and totals.

    `profit` is by asset, in its units; below zero where losses were allowed.
    """

    open: int = 0
    oldest: int = 0
    sent: int = 0
    mined: int = 0
    failed: int = 0
    replaced: int = 0
    profit: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class AlertCounts:
    """Alerts that the webhook has taken, those given up, and why the last one was not taken."""

    sent: int = 0
    dropped: int = 0
    error: str | None = None


@dataclass(slots=True)
class Repeated:
    """A step's last error, and how many times in a row it has failed."""

    words: str
    times: int = 1


@dataclass(slots=True)
class Status:
    """All that a keeper shows of itself; None where it is not known yet or not used.

    `due` and `skipped`, a count by reason, are of the last block. `answered` says whether any
    endpoint did when all were last asked. `leases_held` is None for a keeper that shares nothing.
    """

    chain_id: int
    started_at: float
    account: str = ""
    head_number: int | None = None
    head_timestamp: int | None = None
    head_seen_at: float | None = None
    indexed: int | None = None
    vaults: dict[bytes, VaultStatus] = field(default_factory=dict)
    endpoints: list[EndpointStatus] = field(default_factory=list)
    answered: bool = True
    gas_money: int | None = None
    gas_floor: int = 0
    lane: LaneStatus = field(default_factory=LaneStatus)
    due: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    tick_at: float | None = None
    tick_seconds: float | None = None
    errors: dict[str, Repeated] = field(default_factory=dict)
    leases_held: int | None = None
    lease_error: str | None = None
    alerts: AlertCounts = field(default_factory=AlertCounts)

    @property
    def nearest(self) -> tuple[float, str] | None:
        """Return the least distance to a liquidation, part of the price, and the vault's name."""
        found = [(v.nearest, v.name) for v in self.vaults.values() if v.nearest is not None]
        return min(found, default=None)

    def head(self, number: int, timestamp: int, now: float) -> None:
        """Take over a head; one seen again, or one that is lower, is no new one."""
        if self.head_number is None or number > self.head_number:
            self.head_seen_at = now
        self.head_number, self.head_timestamp = number, timestamp

    def saw(self, tick: Tick, names: Mapping[bytes, str], positions: Mapping[bytes, int]) -> None:
        """Take over a tick; the vaults with a name are watched, the others go by their address."""
        self.indexed = tick.block and tick.block.number
        self.due = sum(len(sight.due) for sight in tick.vaults.values())
        self.vaults = {
            vault: VaultStatus(
                name=names.get(vault, "0x" + vault.hex()),
                watched=vault in names,
                positions=positions.get(vault, 0),
                nearest=sight.nearest,
                unread=sight.unread,
                unpriced=sight.unpriced,
                lagging=sight.lagging,
            )
            for vault, sight in tick.vaults.items()
        }

    def failed(self, step: str, words: str) -> None:
        """Count a step's error; `step` is one of a few names."""
        before = self.errors.get(step)
        self.errors[step] = Repeated(tidy(words), before.times + 1 if before else 1)

    def worked(self, step: str) -> None:
        """Forget a step's errors: it has not failed."""
        self.errors.pop(step, None)


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a problem.

    `head_seconds` is the age of the head, by its time and since it was seen; `tick_seconds` since
    the last tick; `lag_blocks` how far the index may be behind the head; `spread_blocks` how far
    apart healthy endpoints may be; `open_blocks` how long a transaction may be open; `repeats` how
    often a step may fail in a row.
    """

    head_seconds: float = 60
    tick_seconds: float = 60
    lag_blocks: int = 2
    spread_blocks: int = 3
    open_blocks: int = 10
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should do something about; `key` stays while it lasts."""

    key: str
    severity: Severity
    words: str


def _head(status: Status, limits: Limits, now: float) -> Iterator[Problem]:
    limit = limits.head_seconds
    seen = status.started_at if status.head_seen_at is None else status.head_seen_at
    number = "no block" if status.head_number is None else f"block {status.head_number:,}"
    if now - seen > limit:
        words = f"{number} was the last one, seen {now - seen:,.0f} s ago (limit {limit:,.0f})"
        if status.head_number is None:
            words = f"no block was seen in the {now - seen:,.0f} s since the start"
            words += f" (limit {limit:,.0f})"
    elif status.head_timestamp is not None and now - status.head_timestamp > limit:
        age = now - status.head_timestamp
        words = f"{number} is {age:,.0f} s old by its own time (limit {limit:,.0f})"
    else:
        return
    next_step = "see whether the node is in sync and this machine's clock is right"
    yield Problem("head", "critical", f"{words}; {next_step}, or name another endpoint")


def _tick(status: Status, limits: Limits, now: float) -> Iterator[Problem]:
    last = status.started_at if status.tick_at is None else status.tick_at
    if now - last > limits.tick_seconds:
        yield Problem(
            "tick",
            "critical",
            f"no tick has ended for {now - last:,.0f} s (limit {limits.tick_seconds:,.0f}); "
            "see the log for what it waits for, and restart the keeper",
        )


def _index(status: Status, limits: Limits, _now: float) -> Iterator[Problem]:
    if status.head_number is None:
        return
    if status.indexed is None:
        yield Problem(
            "index",
            "critical",
            f"nothing is indexed yet, the head is {status.head_number:,}; "
            "wait while the chain is read from the factory's block on",
        )
    elif status.head_number - status.indexed > limits.lag_blocks:
        yield Problem(
            "index",
            "critical",
            f"the index is at block {status.indexed:,}, "
            f"{status.head_number - status.indexed:,} behind the head (limit {limits.lag_blocks}); "
            "wait while it catches up, or name a quicker endpoint",
        )


def _gas(status: Status, _limits: Limits, _now: float) -> Iterator[Problem]:
    if status.gas_money is not None and status.gas_money < status.gas_floor:
        yield Problem(
            "gas",
            "critical",
            f"{status.account or 'the account'} has {_ETHER.text(status.gas_money, 6)} for gas "
            f"(floor {_ETHER.text(status.gas_floor, 6)}); send it some",
        )


def _lane(status: Status, limits: Limits, _now: float) -> Iterator[Problem]:
    if status.lane.open and status.lane.oldest > limits.open_blocks:
        yield Problem(
            "lane",
            "critical",
            f"{status.lane.open} open, the oldest transaction for {status.lane.oldest:,} blocks "
            f"(limit {limits.open_blocks}); raise the fee limit, or cancel its nonce",
        )


def _leases(status: Status, _limits: Limits, _now: float) -> Iterator[Problem]:
    if status.lease_error:
        yield Problem(
            "leases",
            "critical",
            f"leases cannot be renewed: {status.lease_error}; "
            "bring the database back: other keepers of it stand still as well",
        )


def _endpoints(status: Status, limits: Limits, _now: float) -> Iterator[Problem]:
    healthy = [one for one in status.endpoints if one.healthy]
    if not status.answered:
        yield Problem(
            "endpoints",
            "critical",
            f"none of {len(status.endpoints)} endpoints answers (at least 1): "
            + "; ".join(f"{one.name}: {one.error}" for one in status.endpoints)
            + "; bring one back, or name another",
        )
    for one in status.endpoints:
        if not one.healthy:
            yield Problem(
                f"endpoint:{one.name}",
                "warning",
                f"endpoint {one.name} is not used: {one.error or 'it said nothing'}; "
                "it is tried again, replace it if it stays",
            )
    heights = [one.height for one in healthy if one.height is not None]
    spread = max(heights, default=0) - min(heights, default=0)
    if spread > limits.spread_blocks:
        told = ", ".join(f"{e.name} at {e.height:,}" for e in healthy if e.height is not None)
        yield Problem(
            "endpoints_disagree",
            "warning",
            f"endpoints are {spread:,} blocks apart (limit {limits.spread_blocks}): {told}; "
            "replace the one that is wrong",
        )


def _vaults(status: Status, _limits: Limits, _now: float) -> Iterator[Problem]:
    for vault in status.vaults.values():
        if not vault.watched:
            continue
        for key, reason, next_step in (
            ("unread", vault.unread, "compare with another endpoint"),
            ("oracle", vault.unpriced, "nothing in it is liquidated until the oracle is back"),
            ("lagging", vault.lagging, ""),
        ):
            if reason:
                words = f"vault {vault.name}: {reason}" + (f"; {next_step}" if next_step else "")
                yield Problem(f"{key}:{vault.name}", "warning", words)
    others = [v.name for v in status.vaults.values() if not v.watched and v.troubled]
    if others:
        yield Problem(
            "other_vaults",
            "info",
            f"{_count(len(others), 'vault')} without a name cannot be judged, such as {others[0]}; "
            "name in the record those that matter",
        )


def _errors(status: Status, limits: Limits, _now: float) -> Iterator[Problem]:
    for step, error in status.errors.items():
        if error.times > limits.repeats:
            yield Problem(
                f"error:{step}",
                "warning",
                f"{step} failed {error.times:,} times in a row (limit {limits.repeats}): "
                f"{error.words}; see the log",
            )


def _alerts(status: Status, _limits: Limits, _now: float) -> Iterator[Problem]:
    # No alert of its own: who would hear it?
    if status.alerts.error:
        yield Problem(
            "alerts",
            "info",
            f"the webhook does not take alerts: {status.alerts.error}, "
            f"{status.alerts.dropped:,} dropped; look at its URL, and who watches it",
        )


_Check: TypeAlias = Callable[[Status, Limits, float], Iterator[Problem]]
_CHECKS: tuple[_Check, ...] = (
    _head,
    _tick,
    _index,
    _gas,
    _lane,
    _leases,
    _endpoints,
    _vaults,
    _errors,
    _alerts,
)
_RANKS = ("critical", "warning", "info")


def problems(status: Status, limits: Limits, now: float) -> tuple[Problem, ...]:
    """Return what is wrong at `now`, unix seconds, the worst first."""
    found = [problem for check in _CHECKS for problem in check(status, limits, now)]
    shown = [Problem(tidy(one.key), one.severity, tidy(one.words, 500)) for one in found]
    return tuple(sorted(shown, key=lambda one: _RANKS.index(one.severity)))


def line(status: Status) -> str:
    """Return what a block came to, for a person, on one line."""
    if status.head_number is None:
        return "waiting for the first block"
    positions = sum(vault.positions for vault in status.vaults.values())
    parts = [
        f"block {status.head_number:,}",
        f"{_count(len(status.vaults), 'vault')}, {_count(positions, 'position')}",
        _nearest(status),
        _due(status),
    ]
    if status.indexed is None or status.indexed < status.head_number:
        told = "nothing" if status.indexed is None else f"block {status.indexed:,}"
        parts.insert(1, f"indexed: {told}")
    if status.lane.open:
        parts.append(f"{status.lane.open:,} open")
    troubled = sum(vault.troubled for vault in status.vaults.values())
    if troubled:
        parts.append(f"trouble in {_count(troubled, 'vault')}")
    return tidy(" · ".join(parts), 500)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _nearest(status: Status) -> str:
    nearest = status.nearest
    if nearest is None:
        return "no debt with a price"
    # A smallest debt counts for a unit or two more than it is.
    return f"nearest: {max(nearest[0], 0) * 100:.1f} % away ({nearest[1]})"


def _due(status: Status) -> str:
    if not status.due:
        return "nothing due"
    skipped = ", ".join(f"{number:,} {reason}" for reason, number in status.skipped.items())
    return f"{status.due:,} due" + (f" (skipped: {skipped})" if skipped else "")
