"""Draws of what traders, their operators and liquidators do."""

from __future__ import annotations

from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.position_slot import PositionSlot
from tests.support.model.actions import CALLBACK_DATA, Action
from tests.support.model.draws import Draws

MIN_INT256, MAX_INT256 = -(2**255), 2**255 - 1


class TraderDraws(Draws):
    """Positions: opened, adjusted, repaid, closed, liquidated."""

    def _trader(self, position: int) -> int:
        """The owner, often; an operator, at times; anybody, now and then."""
        shape = self.rng.random()
        if shape < 0.75:
            return position >> 96
        if shape < 0.95:
            asked = self.mirror.operator_permissions
            granted = [one for one in self.cast.operators if asked(position >> 96, one)[0]]
            return self.rng.choice(granted or self.cast.operators)
        return self.rng.choice(self.cast.everyone)

    def _data(self, caller: int) -> bytes:
        if caller == self.cast.contract_trader:
            return CALLBACK_DATA
        return b"nobody" if self.rng.random() < 0.01 else b""

    def _adjust(self) -> Action:
        position = self.rng.choice(self.positions)
        slot = self._slot(position)
        caller = self._trader(position)
        draw = self.rng.choice(
            (self._open, self._borrow_more, self._withdraw_collateral, self._delever, self._any)
            if slot.collateral
            else (self._open, self._open, self._open, self._any)
        )
        collateral_delta, debt_delta = draw(position, slot, caller)
        receiver = self._receiver(caller)
        args = (position, collateral_delta, debt_delta, receiver, self._data(caller))
        return Action("adjust", caller, args)

    def _open(self, _position: int, _slot: PositionSlot, _caller: int) -> tuple[int, int]:
        assets = self._assets()
        share = self.rng.choice((0, self.rng.random(), self.rng.uniform(0.9, 1.01)))
        return self._collateral(assets), int(assets * share * self.mirror.params.initial_ltv // WAD)

    def _borrow_more(self, position: int, slot: PositionSlot, _caller: int) -> tuple[int, int]:
        try:
            most = self.mirror.max_borrow(self._call(0), position)
        except RevertError:
            most = self._assets()
        added = self.rng.choice((0, 0, slot.collateral // 10))
        return added, most + self.rng.choice((-(most // 3), 0, 0, 1)) or 1

    def _withdraw_collateral(
        self, position: int, slot: PositionSlot, _caller: int
    ) -> tuple[int, int]:
        try:
            most = self.mirror.max_withdraw_collateral(self._call(0), position)
        except RevertError:
            most = slot.collateral
        most += self.rng.choice((-(most // 3), 0, 0, 1))
        return -most, self.rng.choice((0, 0, 0, -self._assets()))

    def _delever(self, position: int, slot: PositionSlot, caller: int) -> tuple[int, int]:
        """Debt and collateral down in step (reduce-only), or as far as an operator may go."""
        debt = self._debt(slot)
        repaid = self._part(debt)
        if not debt or self.rng.random() < 0.3:
            return -self._part(slot.collateral), -repaid
        if self.rng.random() < 0.5:
            removed = slot.collateral * repaid // debt
            return -max(removed + self.rng.choice((-1, 0, 0, 1)), 0), -repaid
        bound = self.mirror.operator_permissions(position >> 96, caller)[1]
        worth = repaid * (10_000 + bound) // 10_000 + self.rng.randint(-2, 1)
        removed = -(-worth * PRICE_SCALE // max(self.twin.quote[1], 1))
        return -max(min(removed, slot.collateral), 0), -repaid

    def _any(self, _position: int, slot: PositionSlot, _caller: int) -> tuple[int, int]:
        collateral = self.rng.choice((0, 1, -1)) * self._part(
            slot.collateral or self._collateral(self._assets())
        )
        debt = self.rng.choice((0, 1, -1)) * self.rng.choice(
            (self._assets(), self._part(self._debt(slot)), 2**127, -MIN_INT256)
        )
        return collateral, max(min(debt, MAX_INT256), MIN_INT256)

    def _top_up(self) -> Action:
        position = self.rng.choice(self.positions)
        caller = self._who(*self.cast.owners, self.cast.stranger)
        return Action("top_up", caller, (position, self._collateral(self._assets())))

    def _repay(self) -> Action:
        position = self.rng.choice(self.positions)
        debt = self._debt(self._slot(position))
        min_debt = self.mirror.params.min_debt
        amount = self.rng.choice(
            (self._part(debt), MAX_UINT256, 1, max(debt - min_debt, 0) + self.rng.randint(0, 2))
        )
        caller = self._who(*self.cast.owners, self.cast.stranger)
        return Action("repay", caller, (position, amount))

    def _close(self) -> Action:
        position = self.rng.choice(self.positions)
        caller = self._trader(position)
        args = (position, self._receiver(caller), self._data(caller))
        return Action("close", caller, args)

    def _liquidate(self) -> Action:
        call = self._call(0)
        sick = []
        for one in self.positions:
            try:
                if not self.mirror.is_healthy(call, one):
                    sick.append(one)
            except RevertError:
                break
        position = self.rng.choice(sick or self.positions)
        debt = self._debt(self._slot(position))
        caller = self._who(*self.cast.liquidators)
        most = self.rng.choice(
            (MAX_UINT256, self._part(debt), self._part(debt), debt // 2, self.rng.randint(0, 50))
        )
        floor = self._part(self._slot(position).collateral) if self.rng.random() < 0.1 else 0
        args = (position, most, floor, self._receiver(caller), self._data(caller))
        return Action("liquidate", caller, args)
