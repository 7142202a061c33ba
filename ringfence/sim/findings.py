"""What the checks of a run look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.math.balance_sheet import BalanceSheet
from ringfence.sim.history import History
from ringfence.sim.result import (
    Conservation,
    Keeper,
    Liquidation,
    Market,
    Position,
    Step,
)
from ringfence.sim.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a check may look at; `sheets` are the vaults' books at the end, by address."""

    scenario: Scenario
    history: History
    sheets: Mapping[str, BalanceSheet]
    steps: tuple[Step, ...]
    markets: tuple[Market, ...]
    positions: tuple[Position, ...]
    liquidations: tuple[Liquidation, ...]
    keeper: Keeper
    conservation: tuple[Conservation, ...]
    keeper_off: tuple[tuple[int, int], ...]
    crash_end: int

    def position(self, market: str, position_id: int) -> Position:
        """Return a position by its market and id."""
        return next(
            one for one in self.positions if (one.market, one.position_id) == (market, position_id)
        )


Answer = tuple[bool, str]
"""Whether a check held, and what it saw."""
