"""A vault with something due, as a plan sees it: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ringfence.client.units import Token
from ringfence.keeper.act.sale import Sales
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.health import debt_up, ltv_up, value_down
from ringfence.math.liquidation import Liquidation, RiskParams, beta_of, liquidate
from ringfence.math.position_slot import PositionSlot, unpack

REPAY_ALL = 2**127
"""More than any debt, asset units: the contract stops where it must."""


@dataclass(frozen=True, slots=True)
class Market:
    """A vault with something due.

    `price` is high, 1e36, `debt_index` 1e18, `due` ids with their words. `asset_per_ether` is asset
    units per 1e18 wei, or why there is no such price; `sales` by route, and where there are none
    `unsold` says why.
    """

    vault: bytes
    risk: RiskParams
    price: int
    debt_index: int
    due: Sequence[tuple[int, int]]
    asset: Token
    asset_per_ether: int | str
    sales: Sequence[Sales]
    unsold: str = "no pool trades the pair"

    @property
    def worst(self) -> int:
        """The highest LTV of what is due, 1e18."""
        return max((self._position(*one).ltv for one in self.due), default=0)

    def positions(self) -> list[Position]:
        """Return what is due, the highest LTV first."""
        found = [self._position(*one) for one in self.due]
        return sorted(found, key=lambda one: (-one.ltv, one.id))

    def _position(self, position_id: int, word: int) -> Position:
        slot = unpack(word)
        value = value_down(slot.collateral, self.price)
        return Position(
            position_id, slot, ltv_up(debt_up(slot.scaled_debt, self.debt_index), value)
        )

    def unit_cost(self, position: Position) -> Fraction:
        """Return what a seized collateral unit costs, asset units: repayment and cut."""
        beta = beta_of(position.ltv, self.risk)
        cut = (beta - WAD) * self.risk.reserve_cut
        return Fraction(self.price * (WAD * WAD + cut), PRICE_SCALE * beta * WAD)

    def moved(self, position: Position, max_repay: int) -> Liquidation | None:
        """Return what liquidating a position moves, None where the contract refuses."""
        try:
            return liquidate(position.slot, self.debt_index, self.price, max_repay, self.risk)
        except RevertError:
            return None

    def cost(self, wei: int) -> int:
        """Return wei in asset units, rounded up; there must be a price."""
        return -(-wei * int(self.asset_per_ether) // WAD)


@dataclass(frozen=True, slots=True)
class Position:
    """A due position, its LTV at the high price, rounded up, 1e18."""

    id: int
    slot: PositionSlot
    ltv: int
