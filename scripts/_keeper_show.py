"""What the keeper's command prints: for people a line a block and tables, for programs JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ringfence.client.units import MAX_SALT, Token
from ringfence.evm.abi import checksum
from ringfence.keeper.act.bid import Target
from ringfence.keeper.act.ledger import Row, State
from ringfence.keeper.act.report import Sent
from ringfence.keeper.engine import Tick
from ringfence.keeper.service import Beat

_ENDS = {
    State.MINED: "done",
    State.FAILED: "reverted",
    State.FOREIGN: "its nonce was used by another",
}


class _Due(NamedTuple):
    """A due position: what sending it should earn, its asset's units, or why it is left."""

    vault: bytes
    position_id: int
    asset: Token | None
    profit: int | None
    reason: str | None


def _due(beat: Beat) -> Iterator[_Due]:
    for batch in beat.plan.batches:
        for one in batch.targets:
            asset = batch.market.asset
            yield _Due(batch.market.vault, one.position_id, asset, one.profit, beat.refused)
    for left in beat.plan.skipped:
        yield _Due(left.vault, left.position_id, None, None, left.reason)


def _calm(tick: Tick) -> str:
    """Return what to say where nothing is due, so that silence is legible."""
    if tick.nearest is None:
        return "Nothing is due. No position has both a debt and a price."
    # A smallest debt counts for a unit or two more than it is.
    return f"Nothing is due. The nearest position: {max(tick.nearest, 0) * 100:.1f} % away."


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _shown(words: str) -> str:
    """Return words that others may have chosen, so that the terminal does nothing but show them."""
    return escape("".join(one if one.isprintable() else "\ufffd" for one in words))


def _positions(number: int) -> str:
    return f"{number:,} position{'' if number == 1 else 's'}"


def _hash(raw: bytes) -> str:
    return "0x" + raw.hex()


def _ids(targets: Sequence[Target]) -> list[str]:
    return [hex(position_id) for _vault, position_id in targets]


def _sent(one: Sent) -> dict[str, object]:
    return {
        "tx": _hash(one.hash),
        "nonce": one.nonce,
        "position_ids": _ids(one.targets),
        "max_fee": one.max_fee,
        "tip": one.tip,
        "replaces": one.replaces and _hash(one.replaces),
    }


def _settled(row: Row) -> dict[str, object]:
    """Return what became of a transaction; profits in the asset's units, the cost in wei."""
    outcome = row.outcome
    profits = {hex(target[1]): profit for target, profit in outcome.profits} if outcome else {}
    return {
        "tx": _hash(row.hash),
        "nonce": row.nonce,
        "state": row.state.value,
        "position_ids": _ids(row.targets),
        "block": outcome and outcome.block,
        "cost": outcome and outcome.cost,
        "profits": profits,
        "skipped": {hex(target[1]): why for target, why in outcome.skipped} if outcome else {},
    }


@dataclass(slots=True)
class Screen:
    """Prints beats; `names` are the markets' ids by their vaults' 20 bytes."""

    names: Mapping[bytes, str]
    as_json: bool
    console: Console = field(default_factory=Console)

    def name(self, vault: bytes) -> str:
        """Return what to call a vault."""
        return self.names.get(vault) or _short(checksum(vault))

    def _say(self, words: str) -> None:
        self.console.print(_shown(words), highlight=False, soft_wrap=True)

    def listening(self, url: str) -> None:
        """Say where health is."""
        click.echo(f"health, metrics and status: {url}/health /metrics /status", err=self.as_json)

    def beat(self, beat: Beat, line: str) -> None:
        """Print one head of many."""
        if self.as_json:
            click.echo(json.dumps(self.data(beat)))
            return
        self._say(line)
        for note in beat.notes:
            self._say(note)
        if beat.plan.batches or beat.plan.skipped:
            self._due_table(beat)
        self._acts(beat)

    def look(self, beat: Beat) -> None:
        """Print one look, at which nothing was sent."""
        if self.as_json:
            click.echo(json.dumps(self.data(beat)))
            return
        self._troubles(beat)
        if any(sight.due for sight in beat.tick.vaults.values()):
            self._due_table(beat)
        else:
            self._say(_calm(beat.tick))

    def outcome(self, beat: Beat) -> None:
        """Print what became of what was sent."""
        if self.as_json:
            click.echo(json.dumps(self.data(beat)))
        else:
            self._acts(beat)

    def data(self, beat: Beat) -> dict[str, object]:
        """Return a beat for programs; amounts in the asset's units."""
        block = beat.tick.block
        return {
            "block": block and block.number,
            "nearest": beat.tick.nearest,
            "troubles": {checksum(vault): why for vault, why in beat.tick.troubles.items()},
            "failed": dict(beat.failed),
            "refused": beat.refused,
            "notes": list(beat.notes),
            "due": [
                {
                    "vault": checksum(one.vault),
                    "position_id": hex(one.position_id),
                    "profit": one.profit,
                    "left": one.reason,
                }
                for one in _due(beat)
            ],
            "sent": [_sent(one) for one in beat.report.sent if one.hash],
            "unsent": [
                {"position_ids": _ids(one.targets), "reason": one.reason}
                for one in beat.report.left
            ],
            "settled": [_settled(row) for row in beat.report.changed],
        }

    def _troubles(self, beat: Beat) -> None:
        for vault, reason in beat.tick.troubles.items():
            self._say(f"{self.name(vault)}: {reason}")
        for step, reason in beat.failed.items():
            self._say(f"{step}: {reason}")

    def table(self, beat: Beat) -> None:
        """Print what is due and what would be done about it, before it is asked for."""
        if not self.as_json:
            self._troubles(beat)
            self._due_table(beat)

    def _due_table(self, beat: Beat) -> None:
        table = Table(title="Due for liquidation", title_justify="left")
        for name in ("market", "owner", "salt", "profit", ""):
            table.add_column(name, overflow="fold")
        for one in _due(beat):
            owner = checksum((one.position_id >> 96).to_bytes(20, "big"))
            profit = (
                "" if one.asset is None or one.profit is None else one.asset.text(one.profit, 6)
            )
            verdict = f"leave: {one.reason}" if one.reason else "liquidate"
            salt = str(one.position_id & MAX_SALT)
            table.add_row(
                *map(_shown, (self.name(one.vault), _short(owner), salt, profit, verdict))
            )
        self.console.print(table)

    def _acts(self, beat: Beat) -> None:
        for sent in beat.report.sent:
            if sent.hash:
                self._say(f"{_hash(sent.hash)}: sent, {_positions(len(sent.targets))}")
        for left in beat.report.left:
            self._say(f"not sent, {_positions(len(left.targets))}: {left.reason}")
        for row in beat.report.changed:
            if row.state in _ENDS:
                self._say(f"{_hash(row.hash)}: {_ENDS[row.state]}{self._earned(row)}")

    def _earned(self, row: Row) -> str:
        if row.outcome is None or not row.outcome.profits:
            return ""
        return f", {len(row.outcome.profits)} of {len(row.targets)} positions liquidated"
