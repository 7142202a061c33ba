"""Lenders that come and go by the scenario's rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ringfence.deploy.units import to_units
from ringfence.math.balance_sheet import BalanceSheet, total_debt_up
from ringfence.math.fixed_point import WAD
from ringfence.math.rates import utilisation_down
from ringfence.sim.scenario import Deposit, LenderRule, LenderTable, Withdraw, seconds
from ringfence.sim.stage import Stage, Venue, account_of


def applies(rule: LenderRule, time: int, utilisation: int) -> bool:
    """Return whether a rule that is not used up applies; seconds, utilisation 1e18."""
    if rule.at is not None:
        return time >= seconds(rule.at)
    return utilisation > int((rule.above_utilisation or 0) * WAD)


def utilisation_of(venue: Venue) -> int:
    """Return a vault's utilisation now, 1e18."""
    sheet = BalanceSheet(*venue.vault.current_balance_sheet())
    return utilisation_down(sheet.cash, total_debt_up(sheet))


@dataclass(slots=True)
class LenderAgent:
    """One lender in one vault; `lent` and `withdrawn` in asset units."""

    stage: Stage
    venue: Venue
    table: LenderTable
    lent: int = 0
    withdrawn: int = 0
    _used: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lent = to_units(self.table.amount, self.stage.decimals(self.venue.asset))

    @property
    def account(self) -> str:
        """Its address."""
        return account_of(self.table.account)

    def wanted(self, time: int) -> Deposit | Withdraw | None:
        """Return the first rule that applies, and count it; None when none does."""
        left = [
            (index, rule)
            for index, rule in enumerate(self.table.rules)
            if self._used.get(index, 0) < rule.times
        ]
        asked = any(rule.at is None for _index, rule in left)
        utilisation = utilisation_of(self.venue) if asked else 0
        for index, rule in left:
            if applies(rule, time, utilisation):
                self._used[index] = self._used.get(index, 0) + 1
                return rule
        return None

    def act(self, rule: Deposit | Withdraw) -> None:
        """Do what a rule says; raise Reverted when the vault refuses."""
        vault = self.venue.vault
        if isinstance(rule, Deposit):
            self.stage.lend(self.venue, self.account, rule.amount)
            self.lent += to_units(rule.amount, self.stage.decimals(self.venue.asset))
            return
        shares = int(vault.balanceOf(self.account) * Fraction(rule.share))
        shares = min(shares, int(vault.maxRedeem(self.account)))
        receipt = vault.redeem(shares, self.account, self.account, sender=self.account)
        self.withdrawn += int(receipt.value)

    def claim(self) -> int:
        """Return what its shares are worth now, asset units."""
        vault = self.venue.vault
        return int(vault.convertToAssets(vault.balanceOf(self.account)))
