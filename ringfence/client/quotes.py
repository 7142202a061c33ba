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
    def ltv_text(self) -> str:
        """The LTV in words."""
        return percent(self.ltv_wad) if self.price else "unknown without a price"

    @property
    def fall_to_liquidation(self) -> Decimal | None:
        """By which share of it the price may fall until then; None without a price."""
        if self.price == 0:
            return None
        return 1 - Decimal(self.liquidation_price_raw) / Decimal(self.price)

    def facts(self) -> dict[str, str | None]:
        """Return the position for programs: whole tokens and shares as decimal text."""
        debt, price = self.debt_units, self.liquidation_price_raw
        return {
            "collateral": f"{self.market.collateral.whole(self.collateral_units):f}",
            "debt": f"{self.market.asset.whole(debt):f}",
            "ltv": f"{scaled(self.ltv_wad, 18):f}" if self.price else None,
            "liquidation_price": f"{self.market.price(price):f}" if debt else None,
        }


@dataclass(frozen=True, slots=True)
class Quote:
    """A trade through the router, and the position after it, as expected and at worst.

    `margin` in units of its token (0 for none), `interest_units` the first day's in asset units;
    `opens` says whether nothing was open before.
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
    opens: bool

    @property
    def liquidation_price(self) -> Decimal:
        """Whole assets per whole collateral at which it is just healthy, as expected."""
        return self.market.price(self.expected.liquidation_price_raw)

    @property
    def interest_per_day(self) -> Decimal:
        """Whole assets for the first day, at the rate that holds after the trade."""
        return self.market.asset.whole(self.interest_units)

    @property
    def greatest_loss(self) -> Decimal | None:
        """All that can be lost: the margin, whole tokens. No other position can be touched.

        None where the position was open before: what is added now is only a part of its margin.
        """
        return self.margin_token.whole(self.margin) if self.opens else None

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

    def facts(self) -> dict[str, object]:
        """Return the quote for programs: whole tokens and shares as decimal text."""
        trade, slippage = self.trade, f"{self.slippage:f}"
        margin = f"{self.margin_token.whole(self.margin):f} {self.margin_token.symbol}"
        return {
            "market": self.market.address,
            "salt": self.salt,
            "margin": margin,
            "trade": None if trade is None else _trade_facts(self, trade) | {"slippage": slippage},
            "expected": self.expected.facts(),
            "worst": self.worst.facts(),
            "interest_per_day": f"{self.interest_per_day:f}",
            "greatest_loss": margin if self.opens else None,
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the quote as (label, words), for people."""
        market, expected, worst = self.market, self.expected, self.worst
        rows = [("position", f"{market.name}, salt {self.salt}")]
        if self.margin:
            label = "margin" if self.opens else "margin added"
            rows.append((label, self.margin_token.text(self.margin)))
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
            prices = market.price_text(now)
            if expected.fall_to_liquidation is not None:
                prices += f" ({number_text(expected.fall_to_liquidation * 100, 2)} % away)"
            if then != now:
                prices += f", at worst {market.price_text(then)}"
            rows += [
                ("LTV", _at_worst(expected.ltv_text, worst.ltv_text)),
                ("liquidation price", prices),
                ("interest a day", market.asset.text(self.interest_units)),
            ]
        if self.opens:
            rows.append(("greatest loss", f"{self.margin_token.text(self.margin)}: the margin"))
        return rows


def _at_worst(expected: str, worst: str) -> str:
    return expected if expected == worst else f"{expected}, at worst {worst}"


def _trade_facts(quote: Quote, trade: Trade) -> dict[str, object]:
    sell, buy = quote.market.asset, quote.market.collateral
    if quote.sells_collateral:
        sell, buy = buy, sell
    return {
        "sold": f"{sell.whole(trade.sold):f} {sell.symbol}",
        "bought": f"{buy.whole(trade.bought):f} {buy.symbol}",
        "most_sold": f"{sell.whole(trade.most_sold):f} {sell.symbol}",
        "least_bought": f"{buy.whole(trade.least_bought):f} {buy.symbol}",
        "fee": f"{sell.whole(trade.fee_paid):f} {sell.symbol}",
    }


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

    def facts(self) -> dict[str, object]:
        """Return the quote for programs: whole tokens as decimal text."""
        return {
            "market": self.market.address,
            "salt": self.salt,
            "collateral": f"{self.market.collateral.whole(self.collateral_units):f}",
            "debt": f"{self.market.asset.whole(self.debt_units):f}",
            "paid": f"{self.paid_in.whole(self.paid):f} {self.paid_in.symbol}",
            "least_paid": f"{self.paid_in.whole(self.least_paid):f} {self.paid_in.symbol}",
        }

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
