"""A whole vault as an integer state machine; mirrors contracts/MarginVault.vy.

Every entry point takes a `Call`: who calls, when, and what the oracle and the rate model say. A
call that the contract would revert raises RevertError with the contract's reason and changes
nothing; `vault.events` are what the last call logged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ringfence.math import health, liquidation
from ringfence.math.authority import Authority
from ringfence.math.balance_sheet import (
    BalanceSheet,
    check_room,
    claims_lost_up,
    socialise,
)
from ringfence.math.errors import RevertError, check_amount
from ringfence.math.lender_shares import LenderShares
from ringfence.math.limits import is_paused
from ringfence.math.liquidation import NOTHING, Liquidation
from ringfence.math.position_slot import PositionSlot
from ringfence.math.positions import Positions, owner_of
from ringfence.math.storage import Storage
from ringfence.math.tokens import Token
from ringfence.math.vault_state import (
    Call,
    VaultParams,
    call_back,
    entry_point,
    high_of,
    quote_of,
)


@dataclass(frozen=True, slots=True)
class Position:
    """A position as its owner sees it: collateral units, asset units, unix seconds."""

    collateral: int
    debt: int
    last_risk_increase: int


class MarginVault(LenderShares, Positions, Authority):
    """One market of isolated margin."""

    def __init__(
        self,
        storage: Storage,
        address: int,
        params: VaultParams,
        *,
        now: int,
        supply_cap: int,
        debt_cap: int,
        curator: int,
        guardian: int,
    ) -> None:
        collateral = Token(storage, params.collateral_token)
        super().__init__(storage, address, params, collateral, Token(storage, params.asset))
        self.appoint(curator, guardian)
        self.construct(now, supply_cap, debt_cap)

    # Liquidate

    @entry_point
    def liquidate(
        self,
        call: Call,
        position_id: int,
        max_repay: int,
        min_seized: int,
        receiver: int,
        data: bytes = b"",
    ) -> tuple[int, int]:
        """Repay an unhealthy position; return the collateral seized and the assets paid."""
        fields = self.load_position(position_id)
        if fields.last_risk_increase >= call.now:
            raise RevertError("risk rose in this block")
        sheet = self.accrue_in_memory(call)
        high = high_of(call)
        outcome = liquidation.liquidate(fields, sheet.debt_index, high, max_repay, self.risk)
        if outcome.seized < min_seized:
            raise RevertError("seized is below min_seized")

        word = self.store_position(
            position_id,
            replace(
                fields,
                collateral=fields.collateral - outcome.seized,
                scaled_debt=fields.scaled_debt - outcome.scaled_retired,
            ),
        )
        paid = outcome.repaid + outcome.cut
        sheet = replace(
            sheet,
            total_scaled_debt=sheet.total_scaled_debt - outcome.scaled_retired,
            cash=sheet.cash + paid,
        )
        sheet = self._socialise(position_id, sheet)
        self.store_sheet(sheet)

        self.push(self.collateral, receiver, outcome.seized)
        call_back(call, position_id, outcome.seized, paid, data)
        self.pull(self.asset, call.caller, paid)
        self.log(
            "Liquidated",
            account=owner_of(position_id),
            position_id=position_id,
            liquidator=call.caller,
            seized=outcome.seized,
            repaid=outcome.repaid,
            cut=outcome.cut,
            loss=outcome.loss,
            slot=word,
            debt_index=sheet.debt_index,
            supply_index=sheet.supply_index,
        )
        return outcome.seized, paid

    def _socialise(self, position_id: int, sheet: BalanceSheet) -> BalanceSheet:
        """Return books that bear their claims; log what the reserve could not take."""
        supply_index = socialise(sheet)
        if supply_index != sheet.supply_index:
            self.log(
                "LossSocialised",
                position_id=position_id,
                amount=claims_lost_up(sheet, supply_index),
            )
        return replace(sheet, supply_index=supply_index)

    # Books

    @entry_point
    def accrue(self, call: Call) -> None:
        """Bring the books to the time of the call."""
        self.store_accrued(self.accrue_in_memory(call))

    @entry_point
    def fund_reserve(self, call: Call, amount: int) -> None:
        """Give the reserve `amount` asset units of the caller's."""
        check_amount(amount)
        sheet = self.accrue_in_memory(call)
        sheet = replace(sheet, cash=sheet.cash + amount)
        check_room(sheet)
        self.store_accrued(sheet)
        self.pull(self.asset, call.caller, amount)
        self.log("ReserveFunded", caller=call.caller, amount=amount)

    # Read

    def position(self, call: Call, position_id: int) -> Position:
        """Return a position with interest up to the call."""
        fields = self.load_position(position_id)
        return Position(fields.collateral, self._debt(call, fields), fields.last_risk_increase)

    def ltv(self, call: Call, position_id: int) -> int:
        """Return debt over value at `high`, 1e18, rounded up."""
        return self._ltv(call, self.load_position(position_id))

    def is_healthy(self, call: Call, position_id: int) -> bool:
        """Return whether a position is at or below the liquidation LTV at `high`."""
        return self.ltv(call, position_id) <= self.params.liquidation_ltv

    def liquidation_price(self, call: Call, position_id: int) -> int:
        """Return the smallest price, 1e36, at which a position is healthy; 0 without debt."""
        fields = self.load_position(position_id)
        return health.backing_needed_up(
            self._debt(call, fields), fields.collateral, self.params.liquidation_ltv
        )

    def max_borrow(self, call: Call, position_id: int) -> int:
        """Return what `adjust` would lend to a position now, asset units."""
        fields = self.load_position(position_id)
        sheet = self.current_sheet(call)
        caps = self.load_limits()
        if is_paused(caps, call.now) or fields.collateral == 0:
            return 0
        low = quote_of(call)[0]
        bound = health.debt_bound_down(
            health.value_down(fields.collateral, low), self.params.initial_ltv
        )
        amount = min(
            health.room_down(fields.scaled_debt, sheet.debt_index, bound),
            health.room_down(sheet.total_scaled_debt, sheet.debt_index, caps.debt_cap),
            sheet.cash,
        )
        debt = health.debt_up(fields.scaled_debt, sheet.debt_index)
        if debt + amount < self.params.min_debt:
            return 0
        return amount

    def max_withdraw_collateral(self, call: Call, position_id: int) -> int:
        """Return what `adjust` would pay out of the collateral now, repaying nothing."""
        fields = self.load_position(position_id)
        if fields.scaled_debt == 0:
            return fields.collateral
        debt = self._debt(call, fields)
        low = quote_of(call)[0]
        if low == 0 or debt < self.params.min_debt or is_paused(self.load_limits(), call.now):
            return 0
        kept = health.backing_needed_up(debt, low, self.params.initial_ltv)
        return max(fields.collateral, kept) - kept

    def preview_liquidation(self, call: Call, position_id: int, max_repay: int) -> Liquidation:
        """Return what `liquidate` would do now; zeros when it may not."""
        fields = self.load_position(position_id)
        ltv = 0 if fields.last_risk_increase >= call.now else self._ltv(call, fields)
        if ltv <= self.params.liquidation_ltv:
            return NOTHING
        return liquidation.liquidate(
            fields, self.current_sheet(call).debt_index, high_of(call), max_repay, self.risk
        )

    def _debt(self, call: Call, fields: PositionSlot) -> int:
        """Return what a position owes at the time of the call, asset units."""
        if fields.scaled_debt == 0:
            return 0
        return health.debt_up(fields.scaled_debt, self.current_sheet(call).debt_index)

    def _ltv(self, call: Call, fields: PositionSlot) -> int:
        """Return debt over value at `high`, 1e18, rounded up; needs no price without debt."""
        if fields.scaled_debt == 0:
            return 0
        value = health.value_down(fields.collateral, high_of(call))
        return health.ltv_up(self._debt(call, fields), value)
