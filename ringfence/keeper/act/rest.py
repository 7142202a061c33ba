"""Which vaults are left alone for a while, since gas was paid for nothing there.

Anyone can make a vault whose liquidations pay when they are simulated and fail when they are mined:
an oracle or a token may look at the price of gas or at who builds the block. Each would cost gas,
until the day's is used up that the vaults that matter need. So a vault without a name is left alone
after a transaction in vain, twice as long after each further one, until one pays.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace

from ringfence.keeper.act.ledger import Row, State
from ringfence.keeper.act.plan import Skipped
from ringfence.keeper.engine import Tick

_FIRST, _LONGEST = 8, 8_192
"""Blocks that a vault is left alone."""


@dataclass(slots=True)
class Rest:
    """Remembers what was in vain, in memory alone; `names` has the vaults that are trusted."""

    names: Container[bytes]
    _times: dict[bytes, int] = field(default_factory=dict)
    _until: dict[bytes, int] = field(default_factory=dict)

    def heed(self, changed: Iterable[Row], number: int) -> None:
        """Take over what the chain made of transactions, at block `number`."""
        for row in changed:
            for vault in {vault for vault, _ in row.targets}:
                if vault in self.names or row.outcome is None:
                    continue
                if row.outcome.profits and row.state is State.MINED:
                    self._times.pop(vault, None)
                    self._until.pop(vault, None)
                    continue
                times = self._times[vault] = self._times.get(vault, 0) + 1
                self._until[vault] = number + min(_FIRST * 2 ** min(times - 1, 16), _LONGEST)

    def split(self, tick: Tick, number: int) -> tuple[Tick, list[Skipped]]:
        """Return the tick without what is due in vaults that rest, and that, with the reason."""
        vaults, skipped = dict(tick.vaults), []
        for vault, until in self._until.items():
            sight = vaults.get(vault)
            if sight is None or not sight.due or number >= until:
                continue
            times = self._times[vault]
            reason = (
                f"its vault is left alone until block {until:,}: gas was paid for nothing there "
                f"{times} time{'s' * (times > 1)}"
            )
            skipped += [Skipped(vault, one, reason) for one in sight.due]
            vaults[vault] = replace(sight, due=(), words=())
        return replace(tick, vaults=vaults), skipped
