"""Opening, adjusting and closing positions; mirrors that section of contracts/MarginVault.vy.

Collateral in collateral units, debts in asset units; signed amounts are seen from the position, a
positive debt borrows.
"""

from __future__ import annotations

from dataclasses import replace

from ringfence.math import health
from ringfence.math.balance_sheet import BalanceSheet, check_room, total_debt_up
from ringfence.math.errors import (
    RevertError,
    check_cash,
    check_not_zero,
    check_price,
)
from ringfence.math.limits import check_not_paused
from ringfence.math.operators import MAX_BPS, NO_BOUND, Operators
from ringfence.math.position_slot import PositionSlot, add_collateral
from ringfence.math.vault_state import Call, call_back, entry_point, quote_of

REPAY_ALL = 2**127
"""More than any debt, asset units."""


def owner_of(position_id: int) -> int:
    """Return the account in a position's id."""
    return position_id >> 96


def is_reduce_only(before: PositionSlot, after: PositionSlot) -> bool:
    """Return whether debt fell, and collateral no faster: no worse for lenders at any price."""
    return (
        after.scaled_debt < before.scaled_debt
        and after.scaled_debt * before.collateral <= before.scaled_debt * after.collateral
    )


def _split(delta: int) -> tuple[int, int]:
    """Return a signed amount as what comes and what goes."""
    return max(delta, 0), max(-delta, 0)


class Positions(Operators):
    """Traders' entry points."""

    @entry_point
    def adjust(
        self,
        call: Call,
        position_id: int,
        collateral_delta: int,
        debt_delta: int,
        receiver: int,
        data: bytes = b"",
    ) -> tuple[int, int]:
        """Change collateral and debt in one step; return what moved of each."""
        max_value_out = self.authorise(
            call,
            owner_of(position_id),
            borrows=debt_delta > 0,
            withdraws=collateral_delta < 0,
            reduces=debt_delta < 0,
        )
        return self._adjust(
            call, position_id, collateral_delta, debt_delta, receiver, data, max_value_out
        )

    @entry_point
    def close(
        self, call: Call, position_id: int, receiver: int, data: bytes = b""
    ) -> tuple[int, int]:
        """Repay all debt and take out all collateral; return what moved of each."""
        self.authorise_close(call, owner_of(position_id))
        removed = -self.load_position(position_id).collateral
        return self._adjust(call, position_id, removed, -REPAY_ALL, receiver, data, NO_BOUND)

    @entry_point
    def top_up(self, call: Call, position_id: int, amount: int) -> None:
        """Add collateral to an open position, whoever's it is."""
        check_not_zero(amount)
        word = self.store_word(position_id, add_collateral(self.load_word(position_id), amount))
        self.pull(self.collateral, call.caller, amount)
        self.log("ToppedUp", position_id=position_id, amount=amount, slot=word)

    @entry_point
    def repay(self, call: Call, position_id: int, amount: int) -> int:
        """Repay debt of any position, in whole or down to `min_debt`; return what was pulled."""
        most = min(amount, REPAY_ALL)
        return -self._adjust(call, position_id, 0, -most, 0, b"", NO_BOUND)[1]

    def _adjust(
        self,
        call: Call,
        position_id: int,
        collateral_delta: int,
        debt_delta: int,
        receiver: int,
        data: bytes,
        max_value_out: int,
    ) -> tuple[int, int]:
        before = self.load_position(position_id)
        sheet = self.accrue_in_memory(call)
        added, removed = _split(collateral_delta)
        borrowed, repaid = _split(debt_delta)
        check_not_zero(added | removed | borrowed | repaid)
        if removed > before.collateral:
            raise RevertError("not enough collateral")
        after = replace(before, collateral=before.collateral - removed + added)
        if borrowed:
            if after.collateral == 0:
                raise RevertError("position is not open")
            check_cash(borrowed, sheet.cash)
            scaled = health.scaled_up(borrowed, sheet.debt_index)
            after = replace(after, scaled_debt=before.scaled_debt + scaled)
            sheet = _repaid(sheet, -scaled, -borrowed)
        elif repaid:
            retired, repaid = health.repay_amounts(
                before.scaled_debt, sheet.debt_index, repaid, self.params.min_debt
            )
            after = replace(after, scaled_debt=before.scaled_debt - retired)
            sheet = _repaid(sheet, retired, repaid)

        takes_risk = bool(
            borrowed or (removed and after.scaled_debt and not is_reduce_only(before, after))
        )
        debt = health.debt_up(after.scaled_debt, sheet.debt_index)
        if takes_risk:
            after = replace(after, last_risk_increase=call.now)
            self._check_new_risk(call, sheet, debt, debt_grows=bool(borrowed))
        word = self.store_position(position_id, after)
        if borrowed or repaid:
            self.store_sheet(sheet)
        else:
            sheet = self.load_sheet()
        moved = added - removed, borrowed - repaid

        self._move_tokens(call, position_id, moved, receiver, data)
        self._check_price(call, after, debt, removed, repaid, takes_risk, max_value_out)
        self.log(
            "Adjusted",
            account=owner_of(position_id),
            position_id=position_id,
            caller=call.caller,
            collateral_delta=moved[0],
            debt_delta=moved[1],
            slot=word,
            debt_index=sheet.debt_index,
            supply_index=sheet.supply_index,
        )
        return moved

    def _move_tokens(
        self, call: Call, position_id: int, moved: tuple[int, int], receiver: int, data: bytes
    ) -> None:
        added, removed = _split(moved[0])
        borrowed, repaid = _split(moved[1])
        if removed:
            self.push(self.collateral, receiver, removed)
        if borrowed:
            self.push(self.asset, receiver, borrowed)
        call_back(call, position_id, *moved, data)
        if added:
            self.pull(self.collateral, call.caller, added)
        if repaid:
            self.pull(self.asset, call.caller, repaid)

    def _check_price(
        self,
        call: Call,
        after: PositionSlot,
        debt: int,
        removed: int,
        repaid: int,
        takes_risk: bool,
        max_value_out: int,
    ) -> None:
        """Hold new risk to the initial LTV at `low`, and an operator to its bound at `high`."""
        if not takes_risk and max_value_out == NO_BOUND:
            return
        low, high = quote_of(call)
        if takes_risk:
            check_price(low)
            value = health.value_down(after.collateral, low)
            if not health.is_healthy(debt, value, self.params.initial_ltv):
                raise RevertError("LTV is above initial LTV")
        if max_value_out != NO_BOUND:
            check_price(high)
            if (health.value_down(removed, high) + 1) * MAX_BPS > repaid * max_value_out:
                raise RevertError("operator loss bound exceeded")

    def _check_new_risk(
        self, call: Call, sheet: BalanceSheet, debt: int, *, debt_grows: bool
    ) -> None:
        """Hold new risk to the rules that need no price: pause, dust and, for debt, the caps."""
        fields = self.load_limits()
        check_not_paused(fields, call.now)
        if debt < self.params.min_debt:
            raise RevertError("debt is below min_debt")
        if debt_grows:
            if total_debt_up(sheet) > fields.debt_cap:
                raise RevertError("debt cap is full")
            check_room(sheet)


def _repaid(sheet: BalanceSheet, retired: int, paid: int) -> BalanceSheet:
    """Return the books after a repayment; of negative amounts, after borrowing."""
    return replace(
        sheet,
        total_scaled_debt=sheet.total_scaled_debt - retired,
        cash=sheet.cash + paid,
    )
