"""What a leveraged trade would come to, before anything is signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from ringfence.client.market import Market, percent
from ringfence.client.routes import Trade, fee_text
from ringfence.client.units import Token, number_text, scaled
from ringfence.math.health import backing_needed_up, ltv_up, value_down


@dataclass(frozen=True, slots=True)
class Outlook:
    """A position as it would be: collateral and debt in token units, at a price of 1e36."""

    market: Market = field(repr=False)
    collateral_units: int
    debt_units: int
    price: int

    @property
    def ltv_wad(self) -> int:
        """Debt over value, 1e18, rounded up."""
        return ltv_up(self.debt_units, value_down(self.collateral_units, self.price))

    @property
    def liquidation_price_raw(self) -> int:
        """The price, 1e36, at which it is just healthy; 0 without debt."""
        if self.debt_units == 0 or self.collateral_units == 0:
            return 0
        ltv = self.market.params.liquidation_ltv
        return backing_needed_up(self.debt_units, self.collateral_units, ltv)

    @property
    def fall_to_liquidation(self) -> Decimal:
        """By which share of it the price may fall until then."""
        return 1 - Decimal(self.liquidation_price_raw) / Decimal(self.price)


@dataclass(frozen=True, slots=True)
class Quote:
    """A trade through the router, and the position after it, as expected and at worst.

    `margin` in units of its token (0 for none), `interest_units` the first day's in asset units.
    """

    market: Market = field(repr=False)
    salt: int
    title: str
    trade: Trade | None
    margin_token: Token
    margin: int
    expected: Outlook
    worst: Outlook
    interest_units: int

    @property
    def liquidation_price(self) -> Decimal:
        """Whole assets per whole collateral at which it is just healthy, as expected."""
        return self.market.price(self.expected.liquidation_price_raw)

    @property
    def interest_per_day(self) -> Decimal:
        """Whole assets for the first day, at the rate that holds after the trade."""
        return self.market.asset.whole(self.interest_units)

    @property
    def greatest_loss(self) -> Decimal:
        """All that can be lost: the margin, whole tokens. No other position can be touched."""
        return self.margin_token.whole(self.margin)

    @property
    def slippage(self) -> Decimal:
        """By which share the trade is worse than the oracle's price, the pools' fees included."""
        if self.trade is None:
            return Decimal(0)
        asset, collateral = self.trade.sold, self.trade.bought
        if self.sells_collateral:
            asset, collateral = collateral, asset
        ratio = Decimal(asset) / Decimal(collateral) / scaled(self.expected.price, 36)
        return 1 - ratio if self.sells_collateral else ratio - 1

    @property
    def sells_collateral(self) -> bool:
        """Whether the trade goes from the collateral to the asset."""
        ends = self.trade.path[:20] if self.trade else b""
        return ends == bytes.fromhex(self.market.collateral.address[2:])

    def rows(self) -> list[tuple[str, str]]:
        """Return the quote as (label, words), for people."""
        market, expected, worst = self.market, self.expected, self.worst
        rows = [("position", f"{market.name}, salt {self.salt}")]
        if self.margin:
            rows.append(("margin", self.margin_token.text(self.margin)))
        if self.trade is not None:
            sell, buy = market.asset, market.collateral
            if self.sells_collateral:
                sell, buy = buy, sell
            fees = ", ".join(map(fee_text, self.trade.fees))
            rows += [
                ("trade", f"{sell.text(self.trade.sold)} for {buy.text(self.trade.bought)}"),
                (
                    "at worst",
                    f"{sell.text(self.trade.most_sold)} for {buy.text(self.trade.least_bought)}",
                ),
                ("pool's fee", f"{sell.text(self.trade.fee_paid)} ({fees})"),
                ("slippage to the oracle", f"{number_text(self.slippage * 100, 2)} %"),
            ]
        rows += [
            ("collateral then", market.collateral.text(expected.collateral_units)),
            ("debt then", market.asset.text(expected.debt_units)),
        ]
        if expected.debt_units:
            now, then = expected.liquidation_price_raw, worst.liquidation_price_raw
            away = f"{number_text(expected.fall_to_liquidation * 100, 2)} % away"
            prices = f"{market.price_text(now)} ({away}), at worst {market.price_text(then)}"
            rows += [
                ("LTV", f"{percent(expected.ltv_wad)}, at worst {percent(worst.ltv_wad)}"),
                ("liquidation price", prices),
                ("interest a day", market.asset.text(self.interest_units)),
            ]
        if self.margin:
            rows.append(("greatest loss", f"{self.margin_token.text(self.margin)}: the margin"))
        return rows


@dataclass(frozen=True, slots=True)
class CloseQuote:
    """Closing through the router: what is paid out, and what at least, in units of its token."""

    market: Market = field(repr=False)
    salt: int
    trade: Trade | None
    paid_in: Token
    paid: int
    least_paid: int
    collateral_units: int
    debt_units: int

    def rows(self) -> list[tuple[str, str]]:
        """Return the quote as (label, words), for people."""
        rows = [
            ("position", f"{self.market.name}, salt {self.salt}"),
            ("collateral", self.market.collateral.text(self.collateral_units)),
            ("debt to repay", self.market.asset.text(self.debt_units)),
        ]
        if self.trade is not None:
            sold = self.market.collateral.text(self.trade.sold)
            bought = self.market.asset.text(self.trade.bought)
            rows += [
                ("trade", f"{sold} for {bought}"),
                ("pool's fee", self.market.collateral.text(self.trade.fee_paid)),
            ]
        rows.append(
            ("paid out", f"{self.paid_in.text(self.paid)}, at least {self._least()}"),
        )
        return rows

    def _least(self) -> str:
        return self.paid_in.text(self.least_paid)
