"""Lend: `ape run lend deposit "1,000 USDC" --market weth-usdc`."""

from __future__ import annotations

import click

from ringfence.client import Lender, Market, MarketState
from ringfence.client.market import LENS_BATCH, percent
from ringfence.client.refusals.vault import PriceUnusableError
from ringfence.client.units import number_text, parse_amount, scaled
from scripts._client import Desk, market_option, reads, writes


@click.group()
def cli() -> None:
    """Deposit, withdraw and show what is lent."""


def _rates(market: Market, state: MarketState) -> list[tuple[str, str]]:
    rate = f"{number_text(state.supply_rate_per_year * 100, 2)} %"
    if state.rate_is_fallback:
        rate += " (the rate model does not answer: fallback)"
    return [
        ("market", market.name),
        ("lenders earn a year, now", rate),
        ("utilisation", percent(state.utilisation)),
        ("cash", market.asset.text(state.sheet.cash)),
        ("reserve", market.asset.text(state.reserve)),
    ]


@writes(cli, "deposit")
@market_option
@click.argument("amount")
def deposit(desk: Desk, market_name: str | None, amount: str) -> None:
    """Lend AMOUNT."""
    market = desk.market(market_name)
    units = parse_amount(amount, [market.asset])[1]
    plan = Lender(market, desk.address).deposit(units)
    facts = {"market": market.address, "assets": f"{market.asset.whole(units):f}"}
    desk.execute(plan, f"To lend {amount}", _rates(market, market.state()), facts)


@writes(cli, "withdraw")
@market_option
@click.argument("amount")
def withdraw(desk: Desk, market_name: str | None, amount: str) -> None:
    """Withdraw AMOUNT, or `all`."""
    market = desk.market(market_name)
    lender = Lender(market, desk.address)
    units = None if amount == "all" else parse_amount(amount, [market.asset])[1]
    plan = lender.withdraw(units)
    taken = lender.holding().value if units is None else units
    facts = {"market": market.address, "assets": f"{market.asset.whole(taken):f}"}
    desk.execute(plan, f"To withdraw {amount}", _rates(market, market.state()), facts)


def _pending(market: Market) -> int | None:
    """Return the loss not booked yet, asset units; None without a price."""
    ids = market.position_ids()
    try:
        return sum(
            market.pending_loss(ids[start : start + LENS_BATCH])[0]
            for start in range(0, len(ids) or 1, LENS_BATCH)
        )
    except PriceUnusableError:
        return None


@reads(cli, "show")
@market_option
def show(desk: Desk, market_name: str | None) -> None:
    """Show what the account lends, what it earned, and what the market has lost."""
    market = desk.market(market_name)
    state, asset = market.state(), market.asset
    holding = Lender(market, desk.address).holding()
    (written_off, socialised), pending = market.losses(), _pending(market)
    rows = [
        ("shares", market.share.text(holding.shares)),
        ("worth", asset.text(holding.value)),
        ("interest so far", asset.text(holding.interest)),
        ("can be withdrawn now", asset.text(holding.withdrawable)),
        *_rates(market, state),
        ("written off so far", asset.text(written_off)),
        ("of which lenders took", asset.text(socialised)),
        (
            "not booked yet",
            "unknown without a price" if pending is None else asset.text(pending),
        ),
    ]
    facts = {
        "market": market.address,
        "account": desk.address,
        "shares": f"{market.share.whole(holding.shares):f}",
        "value": f"{holding.whole_value:f}",
        "interest": f"{asset.whole(holding.interest):f}",
        "withdrawable": f"{asset.whole(holding.withdrawable):f}",
        "supply_rate_per_year": f"{state.supply_rate_per_year:f}",
        "utilisation": f"{scaled(state.utilisation, 18):f}",
        "cash": f"{asset.whole(state.sheet.cash):f}",
        "reserve": f"{asset.whole(state.reserve):f}",
        "written_off": f"{asset.whole(written_off):f}",
        "lenders_lost": f"{asset.whole(socialised):f}",
        "pending_loss": None if pending is None else f"{asset.whole(pending):f}",
    }
    desk.say(f"{desk.address} in {market.name}", rows, facts)
