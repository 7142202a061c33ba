"""Attackers, and what their attacks earned them at the feed's price."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ringfence.deploy.units import to_units
from ringfence.evm.errors import Reverted
from ringfence.keeper.act.market import REPAY_ALL
from ringfence.math.health import value_down
from ringfence.sim.history import in_usdc, symbol_of
from ringfence.sim.outcome import AttackEnd
from ringfence.sim.scenario import OracleLag, SelfLiquidation, ShareInflation, seconds
from ringfence.sim.stage import Stage, Venue, account_of

_SALT = 10_000
"""Where attackers' positions are, past all traders'."""


def wealth(
    stage: Stage,
    account: str,
    held: tuple[Venue, int] | None = None,
    price: Fraction | None = None,
) -> int:
    """Return wallet and the equity of a position, at least 0, USDC units.

    At a price in USDC per WETH, the feed's by default.
    """
    price = price or stage.feed_price()
    total = int(stage.usdc.balanceOf(account))
    total += in_usdc("WETH", stage.weth.balanceOf(account), price)
    if held is None:
        return total
    venue, position_id = held
    position = venue.vault.position(position_id)
    long = venue.side == "long"
    units = {"WETH": 0, "USDC": 0}
    units["WETH" if long else "USDC"] += position.collateral
    units["USDC" if long else "WETH"] -= position.debt
    return total + max(units["USDC"] + in_usdc("WETH", Fraction(units["WETH"]), price), 0)


@dataclass(slots=True)
class Borrower:
    """An attacker with one position, which it may liquidate before anybody else.

    `gain`, `bonus` and `stake` in USDC units, as in `AttackEnd`.
    """

    stage: Stage
    table: SelfLiquidation | OracleLag
    number: int
    gain: int = 0
    bonus: int = 0
    stake: int = 0
    tried: int = 0
    done: int = 0
    opened: bool = False

    @property
    def venue(self) -> Venue:
        """The vault that it attacks."""
        return self.stage.venues[self.table.market]

    @property
    def account(self) -> str:
        """Its address."""
        return account_of(self.table.account)

    @property
    def position_id(self) -> int:
        """Its one position's id."""
        return int(self.account, 16) << 96 | self.number + _SALT

    def _liquidate(self) -> None:
        held = self.venue, self.position_id
        before, own = (wealth(self.stage, self.account, *one) for one in ((held,), ()))
        path = self.stage.pool.path(self.venue.collateral)
        order = (self.position_id, REPAY_ALL, 0)
        self.tried += 1
        try:
            self.stage.liquidator.liquidate(
                self.venue.vault, order, path, self.account, sender=self.account
            )
        except Reverted:
            return
        self.done += 1
        earned = wealth(self.stage, self.account, held) - before
        if before == own:
            self.bonus += earned
        else:
            self.gain += earned

    def end(self) -> AttackEnd:
        """Return what it earned."""
        left = wealth(self.stage, self.account, (self.venue, self.position_id))
        return AttackEnd(
            account=self.table.account,
            attack=self.table.attack,
            market=self.table.market,
            tried=self.tried,
            done=self.done,
            gain=self.gain,
            bonus=self.bonus,
            result=left - self.stake,
        )


@dataclass(slots=True)
class SelfLiquidator(Borrower):
    """Opens a position, and once it is liquidatable liquidates it before anybody else."""

    table: SelfLiquidation

    def act(self, time: int) -> None:
        """Open when it is time, liquidate when it can; raise Reverted where opening is refused."""
        table = self.table
        if not self.opened and time >= seconds(table.at):
            self.opened = True
            leverage = None if table.leverage == "max" else table.leverage
            salt = self.number + _SALT
            self.stage.open(self.venue, self.account, salt, table.margin, leverage)
            margin = int(table.margin * 10 ** self.stage.decimals(self.venue.collateral))
            symbol = symbol_of(self.stage, self.venue.collateral.address)
            self.stake = in_usdc(symbol, margin, self.stage.feed_price())
        elif self.opened and not self.venue.vault.is_healthy(self.position_id):
            self._liquidate()


@dataclass(slots=True)
class LagBorrower(Borrower):
    """Borrows on the feed's old answer what its collateral is no longer worth.

    `worst` is the most that it saw the feed overstate collateral by, a part of what it says;
    `gain` counts at the market's price at which it borrowed.
    """

    table: OracleLag
    worst: Fraction = Fraction(0)
    opened_at: int = 0

    @property
    def gap(self) -> Fraction:
        """The lag past which the attack pays, fees left out: what bounds it.

        Walking away leaves lenders what is worth the initial LTV of the feed's answer; who
        liquidates an insolvent position pays a part of its worth, one over beta_max.
        """
        risk = self.venue.market.file.risk
        ltv = Fraction(risk.initial_ltv)
        return 1 - ltv * (1 if self.table.then == "walk away" else Fraction(risk.beta_max))

    def see(self, time: int, market: Fraction) -> None:
        """Look at a feed that has not answered yet, and borrow if it lags enough.

        The market's price is in USDC per WETH. Raises Reverted where borrowing is refused.
        """
        said = self.stage.feed_price()
        lag = 1 - (market / said if self.venue.side == "long" else said / market)
        self.worst = max(self.worst, lag)
        if not self.opened and lag >= Fraction(self.table.lag):
            self.opened, self.opened_at = True, time
            self.tried += 1
            self._borrow(market)
            self.done += 1

    def act(self, time: int) -> None:
        """Liquidate its position if that is how it goes on: not in the second of its borrowing."""
        liquidates = self.opened and self.table.then == "self-liquidation"
        if (
            liquidates
            and time > self.opened_at
            and not self.venue.vault.is_healthy(self.position_id)
        ):
            self._liquidate()

    def _borrow(self, market: Fraction) -> None:
        stage, venue, account = self.stage, self.venue, self.account
        before = wealth(stage, account, price=market)
        units = to_units(self.table.stake, stage.decimals(venue.asset))
        stage.fund(account, venue.asset, units)
        self.stake = wealth(stage, account, price=market) - before
        collateral = stage.uniswap.sell(account, stage.pool.path(venue.asset), units).value
        venue.collateral.approve(venue.vault, collateral, sender=account)
        worth = value_down(collateral, venue.oracle.quote()[0])
        # A unit of slack for the index's rounding.
        most = int(worth * Fraction(venue.market.file.risk.initial_ltv)) - 1
        debt = min(most, venue.vault.current_balance_sheet().cash)
        venue.vault.adjust(self.position_id, collateral, debt, account, b"", sender=account)
        held = venue, self.position_id
        self.gain = wealth(stage, account, held, market) - before - self.stake


@dataclass(slots=True)
class ShareInflator:
    """Makes shares dear before the lenders come, so that theirs round in its favour."""

    stage: Stage
    table: ShareInflation
    gain: int = 0

    def before(self) -> None:
        """Lend a unit, and send the vault a gift: lenders are not in yet."""
        venue, account = self.stage.venues[self.table.market], account_of(self.table.account)
        units = int(self.table.gift * 10 ** self.stage.decimals(venue.asset))
        self.stage.fund(account, venue.asset, units + 1)
        self.gain = -wealth(self.stage, account)
        venue.asset.approve(venue.vault, 1, sender=account)
        venue.vault.deposit(1, account, sender=account)
        venue.asset.transfer(venue.vault, units, sender=account)

    def after(self) -> None:
        """Redeem every share: lenders are in."""
        venue, account = self.stage.venues[self.table.market], account_of(self.table.account)
        shares = venue.vault.balanceOf(account)
        if shares:
            venue.vault.redeem(shares, account, account, sender=account)
        self.gain += wealth(self.stage, account)

    def end(self) -> AttackEnd:
        """Return what it earned."""
        return AttackEnd(
            account=self.table.account,
            attack=self.table.attack,
            market=self.table.market,
            tried=1,
            done=1,
            gain=self.gain,
            bonus=0,
            result=self.gain,
        )
