"""Govern: `ape run govern caps --market weth-usdc --debt "500,000 USDC"`."""

from __future__ import annotations

import click

from ringfence.client import Governor, InputError, Market, MarketState, Plan
from ringfence.client.market import moment, percent
from ringfence.client.units import (
    ZERO_ADDRESS,
    number_text,
    parse_address,
    parse_amount,
    parse_duration,
)
from scripts._client import Desk, market_option, reads, writes


@click.group()
def cli() -> None:
    """Caps, the pause, the reserve's excess and the offices of a market."""


def _office(address: str) -> str:
    return "none" if address == ZERO_ADDRESS else address


def _rows(market: Market, state: MarketState) -> list[tuple[str, str]]:
    asset, params = market.asset, market.params
    cap = f"{asset.text(state.sheet.cash + state.total_debt)} of {asset.text(state.supply_cap)}"
    prices = f"{market.price_text(state.price_low)} to {market.price_text(state.price_high)}"
    announced = "none"
    if state.announced_at:
        amount = asset.text(state.pending_collection)
        announced = f"{amount}, announced {moment(state.announced_at)}"
    ltvs = (params.initial_ltv, params.target_ltv, params.liquidation_ltv)
    rate = f"{number_text(state.borrow_rate_per_year * 100, 2)} %"
    return [
        ("market", f"{market.name} at {market.address}"),
        ("LTV initial, target, liquidation", ", ".join(percent(one) for one in ltvs)),
        ("price", prices if state.price_high else "none: the oracle gives no price"),
        ("supply", cap),
        ("debt", f"{asset.text(state.total_debt)} of {asset.text(state.debt_cap)}"),
        ("borrowers pay a year, now", rate + (" (fallback)" if state.rate_is_fallback else "")),
        ("new risk", f"paused until {moment(state.paused_until)}" if state.is_paused else "open"),
        ("reserve", f"{asset.text(state.reserve)}, {asset.text(state.excess)} above its target"),
        ("collection", announced),
        ("indices", "at their width: interest has stopped" if state.index_is_full else "growing"),
        ("curator", state.curator),
        ("next curator", _office(state.pending_curator)),
        ("guardian", _office(state.guardian)),
    ]


def _facts(market: Market, state: MarketState) -> dict[str, object]:
    asset = market.asset
    return {
        "market": market.address,
        "supply_cap": f"{asset.whole(state.supply_cap):f}",
        "debt_cap": f"{asset.whole(state.debt_cap):f}",
        "cash": f"{asset.whole(state.sheet.cash):f}",
        "total_debt": f"{asset.whole(state.total_debt):f}",
        "reserve": f"{asset.whole(state.reserve):f}",
        "excess": f"{asset.whole(state.excess):f}",
        "price_low": f"{market.price(state.price_low):f}" if state.price_low else None,
        "price_high": f"{market.price(state.price_high):f}" if state.price_high else None,
        "borrow_rate_per_year": f"{state.borrow_rate_per_year:f}",
        "rate_is_fallback": state.rate_is_fallback,
        "index_is_full": state.index_is_full,
        "paused_until": state.paused_until if state.is_paused else None,
        "pending_collection": (
            f"{asset.whole(state.pending_collection):f}" if state.announced_at else None
        ),
        "announced_at": state.announced_at or None,
        "curator": state.curator,
        "guardian": state.guardian,
        "pending_curator": None if state.pending_curator == ZERO_ADDRESS else state.pending_curator,
    }


@reads(cli, "show")
@market_option
def show(desk: Desk, market_name: str | None) -> None:
    """Show a market's limits, reserve and offices."""
    market = desk.market(market_name)
    state = market.state()
    desk.say(market.name, _rows(market, state), _facts(market, state))


def _governor(desk: Desk, market_name: str | None) -> Governor:
    return Governor(desk.market(market_name), desk.address)


def _execute(desk: Desk, plan: Plan, market: Market) -> None:
    rows = [("market", f"{market.name} at {market.address}"), ("account", plan.owner)]
    desk.execute(plan, f"To {plan.transactions[-1].what}", rows, {"market": market.address})


@writes(cli, "caps")
@market_option
@click.option("--supply", help="Bounds cash and debt together.")
@click.option("--debt", help="Bounds debt.")
def caps(desk: Desk, market_name: str | None, supply: str | None, debt: str | None) -> None:
    """Set one cap or both. The guardian may lower them."""
    if supply is None and debt is None:
        raise InputError("no cap is given; pass --supply, --debt or both")
    governor = _governor(desk, market_name)
    given = [
        None if text is None else parse_amount(text, [governor.market.asset], zero=True)[1]
        for text in (supply, debt)
    ]
    _execute(desk, governor.set_caps(*given), governor.market)


@writes(cli, "pause")
@market_option
@click.argument("duration")
def pause(desk: Desk, market_name: str | None, duration: str) -> None:
    """Pause new risk for DURATION, such as 3d; 0 ends a pause in five minutes (curator)."""
    governor = _governor(desk, market_name)
    _execute(desk, governor.pause(parse_duration(duration, zero=True)), governor.market)


@writes(cli, "guardian")
@market_option
@click.argument("address")
def guardian(desk: Desk, market_name: str | None, address: str) -> None:
    """Appoint the guardian."""
    governor = _governor(desk, market_name)
    _execute(desk, governor.set_guardian(parse_address(address)), governor.market)


@writes(cli, "hand-over")
@market_option
@click.argument("address")
def hand_over(desk: Desk, market_name: str | None, address: str) -> None:
    """Name the next curator, who must then accept."""
    governor = _governor(desk, market_name)
    _execute(desk, governor.hand_over(parse_address(address)), governor.market)


@writes(cli, "accept")
@market_option
def accept(desk: Desk, market_name: str | None) -> None:
    """Accept the curator's office."""
    governor = _governor(desk, market_name)
    _execute(desk, governor.accept(), governor.market)


@writes(cli, "announce")
@market_option
@click.argument("amount")
def announce(desk: Desk, market_name: str | None, amount: str) -> None:
    """Announce the collection of part of the reserve's excess, 3 to 10 days ahead."""
    governor = _governor(desk, market_name)
    units = parse_amount(amount, [governor.market.asset])[1]
    _execute(desk, governor.announce(units), governor.market)


@writes(cli, "collect")
@market_option
@click.option("--receiver", help="Who gets it; the account unless given.")
def collect(desk: Desk, market_name: str | None, receiver: str | None) -> None:
    """Pay out what was announced."""
    governor = _governor(desk, market_name)
    to = governor.address if receiver is None else parse_address(receiver)
    _execute(desk, governor.collect(to), governor.market)
