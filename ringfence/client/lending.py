"""A lender in one market: shares, what they earn, what can be withdrawn now."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from ringfence.client.abi import interface
from ringfence.client.market import Market, moment
from ringfence.client.node import Transaction
from ringfence.client.plan import Plan, approvals, transaction
from ringfence.client.refusals.vault import CashError, SharesError
from ringfence.evm.abi import address_bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account lends: shares in share units, the rest in asset units.

    `interest` is what it holds and withdrew above what it deposited; shares that came or went by
    transfer count as nothing paid.
    """

    market: Market = field(repr=False)
    shares: int
    value: int
    withdrawable: int
    interest: int

    @property
    def whole_value(self) -> Decimal:
        """What the shares are worth, whole assets."""
        return self.market.asset.whole(self.value)


@dataclass(frozen=True, slots=True)
class Lender:
    """An account that lends in a market."""

    market: Market = field(repr=False)
    address: str

    def holding(self) -> Holding:
        """Return what the account lends now."""
        market = self.market
        shares = int(market.read("balanceOf", self.address))
        value = int(market.read("convertToAssets", shares))
        return Holding(
            market=market,
            shares=shares,
            value=value,
            withdrawable=int(market.read("maxWithdraw", self.address)),
            interest=value - self._paid_in(),
        )

    def deposit(self, amount: int) -> Plan:
        """Plan to lend so many asset units; raise BalanceError when they are not there."""
        market, state = self.market, self.market.state()
        asset = market.asset
        supply = state.sheet.cash + state.total_debt
        facts = {
            "supply cap is full": (asset.text(supply + amount), asset.text(state.supply_cap)),
            "new risk is paused": (f"until {moment(state.paused_until)}", None),
        }
        return self._plan(
            *approvals(
                market.node, asset, self.address, market.address, amount, f"the vault {market.name}"
            ),
            transaction(
                "MarginVault",
                market.address,
                f"lend {asset.text(amount)} in {market.name}",
                "deposit",
                amount,
                self.address,
                facts=facts,
            ),
        )

    def withdraw(self, amount: int | None = None) -> Plan:
        """Plan to withdraw so many asset units, None all; raise SharesError or CashError."""
        market, holding, state = self.market, self.holding(), self.market.state()
        wanted = holding.value if amount is None else amount
        if wanted > holding.value or holding.shares == 0:
            raise SharesError(market.asset.text(wanted), market.asset.text(holding.value))
        if wanted > state.sheet.cash:
            raise CashError(market.asset.text(wanted), market.asset.text(state.sheet.cash))
        what = f"withdraw {market.asset.text(wanted)} from {market.name}"
        if amount is None:
            # By shares, so that none are left behind.
            return self._plan(
                transaction(
                    "MarginVault",
                    market.address,
                    what,
                    "redeem",
                    holding.shares,
                    self.address,
                    self.address,
                )
            )
        return self._plan(
            transaction(
                "MarginVault",
                market.address,
                what,
                "withdraw",
                amount,
                self.address,
                self.address,
            )
        )

    def _plan(self, *transactions: Transaction) -> Plan:
        return Plan(self.market.node, self.address, transactions)

    def _paid_in(self) -> int:
        """Return deposits less withdrawals by the events, asset units."""
        vault, market = interface("MarginVault"), self.market
        account = bytes(12) + address_bytes(self.address)
        deposits = market.node.logs(
            [market.address], [[vault.topic("Deposit")], None, [account]], market.since
        )
        withdrawals = market.node.logs(
            [market.address], [[vault.topic("Withdraw")], None, None, [account]], market.since
        )
        paid = sum(int(event.fields["assets"]) for event in vault.events(deposits))
        return paid - sum(int(event.fields["assets"]) for event in vault.events(withdrawals))
