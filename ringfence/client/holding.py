"""A trader's positions in one market, changed with the trader's own tokens.

Amounts are integers in token units; each wish is a plan to look at first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ringfence.client.market import Market, MarketState, moment, percent
from ringfence.client.node import Fact, Transaction
from ringfence.client.plan import Plan, approvals, transaction
from ringfence.client.quotes import Outlook, Quote
from ringfence.client.refusals import refusal
from ringfence.client.refusals.vault import (
    CollateralError,
    InitialLtvError,
    NoPermissionError,
    PositionNotOpenError,
)
from ringfence.client.units import position_id
from ringfence.math.balance_sheet import total_debt_up
from ringfence.math.fixed_point import MAX_UINT256
from ringfence.math.health import (
    debt_up,
    is_healthy,
    ltv_up,
    repay_amounts,
    scaled_up,
    value_down,
)
from ringfence.math.position_slot import PositionSlot
from ringfence.math.positions import is_reduce_only


@dataclass(frozen=True, slots=True)
class Holder:
    """An account with positions in a market."""

    market: Market = field(repr=False)
    address: str

    def free_salt(self) -> int:
        """Return the smallest salt above zero under which nothing is open."""
        return next(
            salt
            for salt in itertools.count(1)
            if self.market.slot(self.address, salt).collateral == 0
        )

    def adjust(self, salt: int, collateral: int, debt: int, *, owner: str | None = None) -> Plan:
        """Plan a change of collateral and debt, in token units; positive deposits and borrows.

        Raises RefusedError for what the vault would refuse, BalanceError for what is not there.
        """
        holder = owner or self.address
        state, before = self.market.state(), self.market.slot(holder, salt)
        after, moved = self._after(state, before, collateral, debt)
        facts = self._facts(state, before, after, collateral, debt) | {
            NoPermissionError.reason: (f"the position is {holder}'s", None)
        }
        if before.collateral == 0 and collateral <= 0:
            raise PositionNotOpenError(self._name(holder, salt))
        if before.collateral + collateral < 0:
            raise CollateralError(*facts[CollateralError.reason])
        self._check(state, before, after, facts)
        return self._plan(
            *self._pulls(max(collateral, 0), max(-moved, 0)),
            transaction(
                "MarginVault",
                self.market.address,
                self._words(collateral, moved, salt),
                "adjust",
                position_id(holder, salt),
                collateral,
                debt,
                self.address,
                b"",
                facts=facts,
            ),
        )

    def quote_adjust(
        self, salt: int, collateral: int, debt: int, *, owner: str | None = None
    ) -> Quote:
        """Return what `adjust` would come to. What is deposited counts as the margin."""
        market, state = self.market, self.market.state()
        before = market.slot(owner or self.address, salt)
        after, moved = self._after(state, before, collateral, debt)
        owed = debt_up(after.scaled_debt, state.sheet.debt_index)
        then = Outlook(market, after.collateral, owed, state.price_high)
        return Quote(
            market=market,
            salt=salt,
            title=self._words(collateral, moved, salt),
            trade=None,
            margin_token=market.collateral,
            margin=max(collateral, 0),
            expected=then,
            worst=then,
            interest_units=market.interest_per_day(state, moved, after.scaled_debt),
            opens=before.collateral == 0,
        )

    def top_up(self, salt: int, amount: int, *, owner: str | None = None) -> Plan:
        """Plan to add collateral to an open position, whoever's it is, collateral units."""
        holder = owner or self.address
        self._check_open(holder, salt)
        return self._plan(
            *self._pulls(amount, 0),
            transaction(
                "MarginVault",
                self.market.address,
                f"add {self.market.collateral.text(amount)} to position {salt}",
                "top_up",
                position_id(holder, salt),
                amount,
            ),
        )

    def repay(self, salt: int, amount: int | None = None, *, owner: str | None = None) -> Plan:
        """Plan to repay debt of a position, whoever's it is, asset units; None repays all."""
        holder = owner or self.address
        before = self._check_open(holder, salt)
        state = self.market.state()
        most = MAX_UINT256 if amount is None else amount
        index = state.sheet.debt_index
        paid = repay_amounts(before.scaled_debt, index, most, self.market.params.min_debt)[1]
        if amount is None:
            # Interest goes on until the transaction is mined.
            paid += self._interest(state, before) + 1
        return self._plan(
            *self._pulls(0, paid),
            transaction(
                "MarginVault",
                self.market.address,
                f"repay {self.market.asset.text(paid)} of position {salt}",
                "repay",
                position_id(holder, salt),
                most,
            ),
        )

    def close(self, salt: int) -> Plan:
        """Plan to repay all debt out of the account's own assets, and to take all collateral."""
        before = self._check_open(self.address, salt)
        state = self.market.state()
        debt = debt_up(before.scaled_debt, state.sheet.debt_index)
        most = debt + self._interest(state, before) + 1 if debt else 0
        taken = self.market.collateral.text(before.collateral)
        return self._plan(
            *self._pulls(0, most),
            transaction(
                "MarginVault",
                self.market.address,
                f"repay {self.market.asset.text(debt)} and take {taken} of position {salt}",
                "close",
                position_id(self.address, salt),
                self.address,
                b"",
            ),
        )

    # Inside

    def _plan(self, *transactions: Transaction) -> Plan:
        return Plan(self.market.node, self.address, transactions)

    def _name(self, owner: str, salt: int) -> str:
        return f"{owner} has no position with salt {salt} in {self.market.name}"

    def _check_open(self, owner: str, salt: int) -> PositionSlot:
        before = self.market.slot(owner, salt)
        if before.collateral == 0:
            raise PositionNotOpenError(self._name(owner, salt))
        return before

    def _pulls(self, collateral: int, asset: int) -> tuple[Transaction, ...]:
        """Return the approvals for what the vault will pull, token units."""
        market, node = self.market, self.market.node
        needed = ((market.collateral, collateral), (market.asset, asset))
        return tuple(
            one
            for token, amount in needed
            if amount
            for one in approvals(
                node, token, self.address, market.address, amount, f"the vault {market.name}"
            )
        )

    def _interest(self, state: MarketState, position: PositionSlot) -> int:
        return self.market.interest_per_day(state, 0, position.scaled_debt)

    def _after(
        self, state: MarketState, before: PositionSlot, collateral: int, debt: int
    ) -> tuple[PositionSlot, int]:
        """Return the position after a change, and the debt that moves, asset units."""
        index = state.sheet.debt_index
        scaled, moved = before.scaled_debt, debt
        if debt > 0:
            scaled += scaled_up(debt, index)
        elif debt < 0:
            retired, paid = repay_amounts(scaled, index, -debt, self.market.params.min_debt)
            scaled, moved = scaled - retired, -paid
        after = replace(
            before, collateral=max(before.collateral + collateral, 0), scaled_debt=scaled
        )
        return after, moved

    def _check(
        self,
        state: MarketState,
        before: PositionSlot,
        after: PositionSlot,
        facts: Mapping[str, Fact],
    ) -> None:
        """Raise what the vault would refuse a change for; mirrors MarginVault._adjust.

        Approvals come before the change: nobody shall send one for a change that will not be.
        """
        borrows = after.scaled_debt > before.scaled_debt
        if not borrows and (
            after.collateral >= before.collateral
            or after.scaled_debt == 0
            or is_reduce_only(before, after)
        ):
            return
        params, index = self.market.params, state.sheet.debt_index
        debt = debt_up(after.scaled_debt, index)
        borrowed = debt - debt_up(before.scaled_debt, index) if borrows else 0
        total = total_debt_up(state.sheet) + borrowed
        refused = {
            "not enough cash": borrowed > state.sheet.cash,
            "new risk is paused": state.is_paused,
            "debt is below min_debt": debt < params.min_debt,
            "debt cap is full": borrows and total > state.debt_cap,
        }
        for reason, is_refused in refused.items():
            if is_refused:
                raise refusal(reason, *facts[reason])
        value = value_down(after.collateral, self.market.usable(state.price_low))
        if not is_healthy(debt, value, params.initial_ltv):
            ltv = percent(ltv_up(debt, value)) if value else "no collateral"
            raise InitialLtvError(ltv, percent(params.initial_ltv))

    def _facts(
        self,
        state: MarketState,
        before: PositionSlot,
        after: PositionSlot,
        collateral: int,
        debt: int,
    ) -> dict[str, Fact]:
        """Return value and limit of each reason that a change may be refused for."""
        market, asset = self.market, self.market.asset
        owed = debt_up(after.scaled_debt, state.sheet.debt_index)
        total = total_debt_up(state.sheet) + max(debt, 0)
        return {
            CollateralError.reason: (
                market.collateral.text(max(-collateral, 0)),
                market.collateral.text(before.collateral),
            ),
            "not enough cash": (asset.text(max(debt, 0)), asset.text(state.sheet.cash)),
            "debt is below min_debt": (asset.text(owed), asset.text(market.params.min_debt)),
            "new risk is paused": (f"until {moment(state.paused_until)}", None),
            "debt cap is full": (asset.text(total), asset.text(state.debt_cap)),
        }

    def _words(self, collateral: int, debt: int, salt: int) -> str:
        tokens = self.market
        words = [
            f"{verb} {token.text(abs(amount))}"
            for token, amount, up, down in (
                (tokens.collateral, collateral, "deposit", "withdraw"),
                (tokens.asset, debt, "borrow", "repay"),
            )
            for verb in [up if amount > 0 else down]
            if amount
        ]
        return f"{' and '.join(words) or 'change nothing'}, position {salt}"
