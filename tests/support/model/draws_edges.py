"""Draws that stand on an edge, a unit before it and a unit past it."""

from __future__ import annotations

from ringfence.math import health
from ringfence.math.balance_sheet import MAX_ASSETS
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256
from ringfence.math.position_slot import MAX_COLLATERAL
from ringfence.math.rates import MAX_RATE
from tests.support.model.actions import Action
from tests.support.model.draws_world import WorldDraws

YEAR = 31_536_000


class EdgeDraws(WorldDraws):
    """Bounds of LTV, dust and widths; `edges` counts the draws, `Invariants` what came of them."""

    def _edge(self) -> Action:
        draws = {
            "initial LTV by debt": self._ltv_by_debt,
            "initial LTV by collateral": self._ltv_by_collateral,
            "liquidation LTV by price": self._threshold,
            "min_debt by borrowing": self._dust_by_borrowing,
            "min_debt by repaying": self._dust_by_repaying,
            "min_debt by liquidating": self._dust_by_liquidating,
            "width of collateral": self._width_of_collateral,
            "room of the vault": self._room,
            "saturated indices": self._saturation,
        }
        name = self.rng.choice(list(draws))
        offset = self.rng.choice((-1, 0, 1))
        self.edges[f"edge: {name} {offset:+d}"] += 1
        return draws[name](offset)

    def _owned(self, *, indebted: bool = False) -> int:
        """Draw a position that is open, and in debt if asked, where there is one."""
        slots = {one: self._slot(one) for one in self.positions}
        fit = [
            one
            for one, slot in slots.items()
            if (slot.scaled_debt if indebted else slot.collateral)
        ]
        return self.rng.choice(fit or self.positions)

    def _changed(self, position: int, collateral: int, debt: int) -> Action:
        owner = position >> 96
        return Action("adjust", owner, (position, collateral, debt, owner, self._data(owner)))

    def _ltv_by_debt(self, offset: int) -> Action:
        position = self._owned()
        try:
            most = self.mirror.max_borrow(self._call(0), position)
        except RevertError:
            most = 0
        return self._changed(position, 0, most + offset)

    def _ltv_by_collateral(self, offset: int) -> Action:
        position = self._owned(indebted=True)
        try:
            most = self.mirror.max_withdraw_collateral(self._call(0), position)
        except RevertError:
            most = 0
        return self._changed(position, -max(most + offset, 0), 0)

    def _threshold(self, offset: int) -> Action:
        """The least price at which a position is healthy or a unit off, then its liquidation."""
        position = self._owned(indebted=True)
        caller = self.cast.liquidators[0]
        args = (position, MAX_UINT256, 0, caller, b"")
        self.queue += [
            lambda: self._quote_threshold(position, offset),
            lambda: Action("liquidate", caller, args),
        ]
        return Action("warp", 0, (1,))

    def _quote_threshold(self, position: int, offset: int) -> Action:
        threshold = self.mirror.liquidation_price(self._call(0), position)
        self.price = max(threshold + offset, 1)
        return Action("set_quote", 0, (self.price, self.price))

    def _dust_by_borrowing(self, offset: int) -> Action:
        position = self._owned()
        debt = self._debt(self._slot(position))
        return self._changed(position, 0, self.mirror.params.min_debt + offset - debt)

    def _dust_by_repaying(self, offset: int) -> Action:
        position = self._owned(indebted=True)
        amount = self._debt(self._slot(position)) - self.mirror.params.min_debt + offset
        return Action("repay", position >> 96, (position, max(amount, 0)))

    def _dust_by_liquidating(self, offset: int) -> Action:
        position = self._owned(indebted=True)
        amount = self._debt(self._slot(position)) - self.mirror.params.min_debt + offset
        caller = self.cast.liquidators[0]
        threshold = self.mirror.liquidation_price(self._call(0), position)
        self.price = max(threshold - 1, 1)
        args = (position, max(amount, 0), 0, caller, b"")
        self.queue += [
            lambda: Action("warp", 0, (1,)),
            lambda: Action("liquidate", caller, args),
        ]
        return Action("set_quote", 0, (self.price, self.price))

    def _width_of_collateral(self, offset: int) -> Action:
        position = self._owned()
        left = max(MAX_COLLATERAL - self._slot(position).collateral + offset, 0)
        if self.rng.random() < 0.5:
            return Action("top_up", position >> 96, (position, left))
        self.queue.append(lambda: self._changed(position, -self._slot(position).collateral, 0))
        return self._changed(position, left, 0)

    def _room(self, offset: int) -> Action:
        """Fill the books to the last unit by a loan and a gift, then take the loan out again."""
        lender = self.cast.lenders[0]
        self.queue += [lambda: self._last_units(lender, offset), lambda: self._back_out(lender)]
        return Action("deposit", lender, (max(self._left() - 2, 0), lender))

    def _last_units(self, lender: int, offset: int) -> Action:
        """Give what is left, where no more is than `_room` leaves."""
        return Action("fund_reserve", lender, (max(min(self._left(), 2) + offset, 0),))

    def _left(self) -> int:
        sheet = self.mirror.current_sheet(self._call(0))
        debt = health.debt_up(sheet.total_scaled_debt, sheet.debt_index)
        return max(MAX_ASSETS - sheet.cash - debt, 0)

    def _back_out(self, lender: int) -> Action:
        most = self.mirror.max_withdraw(self._call(lender), lender)
        return Action("withdraw", lender, (max(most - self.unit, 1), lender, lender))

    def _saturation(self, offset: int) -> Action:
        """Interest as fast as it goes for ten years; twelve such end at the widest index."""
        if self.rng.random() > 0.1:
            return Action("warp", 0, (10 * YEAR + offset,))
        self.queue += [
            lambda: Action("warp", 0, (10 * YEAR + offset,)),
            lambda: Action("accrue", self.cast.stranger, ()),
        ] * 3
        self.queue.append(lambda: Action("set_rate", 0, (0,)))
        return Action("set_rate", 0, (self.rng.choice((MAX_RATE, MAX_UINT256)),))
