"""Trade: `ape run trade open --market weth-usdc --margin "1.5 WETH" --leverage 4x`.

Everything is quoted and checked before it is signed. `show` lists an account's positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from ringfence.client import InputError, Market, Position, Trader
from ringfence.client.refusals.periphery import AlreadyOpenError
from ringfence.client.routes import FEES
from ringfence.client.units import (
    number_text,
    parse_address,
    parse_amount,
    parse_duration,
    parse_salt,
    parse_share,
)
from scripts._client import Desk, market_option, reads, writes


@click.group()
def cli() -> None:
    """Open, change, close and show positions."""


_salt = click.argument("salt")
_owner = click.option("--owner", help="Whose position it is; the account's unless given.")


def _routed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a trade through Uniswap."""
    for option in (
        click.option("--deadline", default="20m", show_default=True, help="Good for so long."),
        click.option("--fee", help='The pool by its fee, such as "0.05%"; the best otherwise.'),
        click.option("--slippage", default="0.5%", show_default=True, help="Worse by at most."),
    ):
        command = option(command)
    return command


def _fees(text: str | None) -> tuple[int, ...]:
    if text is None:
        return FEES
    fee = parse_share(text) * 1_000_000
    if fee not in FEES:
        known = ", ".join(f"{number_text(one * parse_share('1bps'), 2)}%" for one in FEES)
        raise InputError(f"no pool takes a fee of {text}; pass one of {known}")
    return (int(fee),)


def _trader(desk: Desk, market_name: str | None) -> Trader:
    return Trader(desk.market(market_name), desk.address)


def _delta(market: Market, text: str | None, *, collateral: bool) -> int:
    """Return a signed amount in token units, 0 for none."""
    token = market.collateral if collateral else market.asset
    return 0 if text is None else parse_amount(text, [token], signed=True)[1]


@reads(cli, "quote")
@market_option
@click.option("--margin", required=True, help='What is put in: "1.5 WETH".')
@click.option("--leverage", required=True, help='Collateral over margin: "4x".')
@_routed
def quote(
    desk: Desk,
    market_name: str | None,
    margin: str,
    leverage: str,
    slippage: str,
    fee: str | None,
    deadline: str,
) -> None:
    """Say what opening a leveraged position would come to."""
    parse_duration(deadline)
    trader = _trader(desk, market_name)
    quoted = trader.quote_open(margin, leverage, slippage=slippage, fees=_fees(fee))
    desk.say(f"To {quoted.title}", quoted.rows(), quoted.facts())


@writes(cli, "open")
@market_option
@click.option("--margin", required=True, help='What is put in: "1.5 WETH", "1.5 ETH".')
@click.option("--leverage", help='Collateral over margin, through Uniswap: "4x".')
@click.option("--borrow", help='Borrow so much and trade nothing: "500 USDC".')
@click.option("--salt", help="Names the position; the first free number unless given.")
@_routed
def open_(
    desk: Desk,
    market_name: str | None,
    margin: str,
    leverage: str | None,
    borrow: str | None,
    salt: str | None,
    slippage: str,
    fee: str | None,
    deadline: str,
) -> None:
    """Open a position: leveraged through Uniswap, or borrowing to the account."""
    if (leverage is None) == (borrow is None):
        raise InputError('how to open is not said; pass either --leverage "3x" or --borrow')
    seconds = parse_duration(deadline)
    trader = _trader(desk, market_name)
    number = trader.free_salt() if salt is None else parse_salt(salt)
    if leverage is not None:
        quoted = trader.quote_open(
            margin, leverage, slippage=slippage, salt=number, fees=_fees(fee)
        )
        plan = trader.open(quoted, deadline=seconds)
    else:
        market = trader.market
        if market.slot(trader.address, number).collateral:
            raise AlreadyOpenError(f"salt {number}")
        put_in = parse_amount(margin, [market.collateral])[1]
        borrowed = parse_amount(borrow or "", [market.asset])[1]
        quoted = trader.quote_adjust(number, put_in, borrowed)
        plan = trader.adjust(number, put_in, borrowed)
    desk.execute(plan, f"To {quoted.title}", quoted.rows(), quoted.facts())


@writes(cli, "top-up")
@market_option
@_salt
@click.argument("amount")
@_owner
def top_up(desk: Desk, market_name: str | None, salt: str, amount: str, owner: str | None) -> None:
    """Add collateral to an open position, whoever's it is."""
    trader, number = _trader(desk, market_name), parse_salt(salt)
    holder = parse_address(owner) if owner else trader.address
    units = parse_amount(amount, [trader.market.collateral])[1]
    plan = trader.top_up(number, units, owner=holder)
    quoted = trader.quote_adjust(number, units, 0, owner=holder)
    desk.execute(plan, "To top up", quoted.rows(), quoted.facts())


@writes(cli, "repay")
@market_option
@_salt
@click.argument("amount")
@_owner
def repay(desk: Desk, market_name: str | None, salt: str, amount: str, owner: str | None) -> None:
    """Repay debt out of the account's own assets; AMOUNT may be `all`."""
    trader, number = _trader(desk, market_name), parse_salt(salt)
    holder = parse_address(owner) if owner else trader.address
    units = None if amount == "all" else parse_amount(amount, [trader.market.asset])[1]
    plan = trader.repay(number, units, owner=holder)
    quoted = trader.quote_adjust(number, 0, -(2**112 if units is None else units), owner=holder)
    desk.execute(plan, "To repay", quoted.rows(), quoted.facts())


def _adjust(
    desk: Desk, trader: Trader, salt: int, collateral: int, debt: int, owner: str | None
) -> None:
    holder = parse_address(owner) if owner else trader.address
    plan = trader.adjust(salt, collateral, debt, owner=holder)
    quoted = trader.quote_adjust(salt, collateral, debt, owner=holder)
    desk.execute(plan, f"To {quoted.title}", quoted.rows(), quoted.facts())


@writes(cli, "borrow")
@market_option
@_salt
@click.argument("amount")
@_owner
def borrow(desk: Desk, market_name: str | None, salt: str, amount: str, owner: str | None) -> None:
    """Borrow more against a position's collateral."""
    trader = _trader(desk, market_name)
    units = parse_amount(amount, [trader.market.asset])[1]
    _adjust(desk, trader, parse_salt(salt), 0, units, owner)


@writes(cli, "withdraw")
@market_option
@_salt
@click.argument("amount")
@_owner
def withdraw(
    desk: Desk, market_name: str | None, salt: str, amount: str, owner: str | None
) -> None:
    """Take collateral out of a position."""
    trader = _trader(desk, market_name)
    units = parse_amount(amount, [trader.market.collateral])[1]
    _adjust(desk, trader, parse_salt(salt), -units, 0, owner)


@writes(cli, "adjust")
@market_option
@_salt
@click.option("--collateral", help='Change of collateral: "+0.5 WETH", "-0.5 WETH".')
@click.option("--debt", help='Change of debt: "+200 USDC" borrows, "-200 USDC" repays.')
@click.option("--leverage", help='Bring it to this leverage through Uniswap: "2x".')
@_owner
@_routed
def adjust(
    desk: Desk,
    market_name: str | None,
    salt: str,
    owner: str | None,
    collateral: str | None,
    debt: str | None,
    leverage: str | None,
    slippage: str,
    fee: str | None,
    deadline: str,
) -> None:
    """Change collateral and debt at once, or the leverage through Uniswap."""
    seconds, number = parse_duration(deadline), parse_salt(salt)
    changes = collateral is not None or debt is not None
    if leverage is not None and owner is not None:
        raise InputError("the router acts on one's own positions only; leave --owner out")
    if changes == (leverage is not None):
        raise InputError("what to change is not said; pass --collateral, --debt, or --leverage")
    trader = _trader(desk, market_name)
    if leverage is None:
        units = _delta(trader.market, collateral, collateral=True)
        moved = _delta(trader.market, debt, collateral=False)
        _adjust(desk, trader, number, units, moved, owner)
        return
    quoted = trader.quote_leverage(number, leverage, slippage=slippage, fees=_fees(fee))
    plan = trader.set_leverage(quoted, deadline=seconds)
    desk.execute(plan, f"To {quoted.title}", quoted.rows(), quoted.facts())


@writes(cli, "close")
@market_option
@_salt
@click.option("--pay-in", help="Token to be paid in, sold through Uniswap; the collateral else.")
@click.option("--own-funds", is_flag=True, help="Repay out of the account's own assets, no trade.")
@_routed
def close(
    desk: Desk,
    market_name: str | None,
    salt: str,
    pay_in: str | None,
    own_funds: bool,
    slippage: str,
    fee: str | None,
    deadline: str,
) -> None:
    """Repay all debt and take what is left."""
    seconds, number = parse_duration(deadline), parse_salt(salt)
    trader = _trader(desk, market_name)
    if own_funds:
        plan = trader.close(number)
        held = trader.market.slot(trader.address, number).collateral
        quoted: Any = trader.quote_adjust(number, -held, -(2**112))
    else:
        quoted = trader.quote_close(number, pay_in=pay_in, slippage=slippage, fees=_fees(fee))
        plan = trader.close_by_trade(quoted, deadline=seconds)
    desk.execute(plan, f"To close position {number}", quoted.rows(), quoted.facts())


@writes(cli, "revoke")
@market_option
def revoke(desk: Desk, market_name: str | None) -> None:
    """Take back what the router may do with the account's positions in a market."""
    trader = _trader(desk, market_name)
    plan, market = trader.revoke(), trader.market
    rows = [("market", market.name), ("router", market.router)]
    facts = {"market": market.address, "router": market.router}
    desk.execute(plan, "To take the router's permissions back", rows, facts)


def _row(name: str, one: Position) -> tuple[str, ...]:
    market = one.market
    if not one.is_open:
        return name, str(one.salt), "closed", "", "", "", ""
    unknown = "unknown" if one.debt_units else ""
    return (
        name,
        str(one.salt),
        market.collateral.text(one.collateral_units, 6),
        market.asset.text(one.debt_units, 6),
        unknown if one.ltv is None else f"{number_text(one.ltv * 100, 2)} %",
        market.price_text(one.liquidation_price_raw) if one.debt_units else "",
        "liquidatable" if one.liquidatable else "healthy" if one.health or not unknown else unknown,
    )


def _facts(name: str, one: Position) -> dict[str, object]:
    price = one.liquidation_price
    return {
        "market": name,
        "vault": one.market.address,
        "id": hex(one.id),
        "salt": one.salt,
        "open": one.is_open,
        "collateral": f"{one.collateral:f}",
        "debt": f"{one.debt:f}",
        "ltv": None if one.ltv is None else f"{one.ltv:f}",
        "health": None if one.health is None else f"{one.health:f}",
        "liquidation_price": None if price is None else f"{price:f}",
        "liquidatable": one.liquidatable,
    }


@reads(cli, "show")
@market_option
@click.option("--all", "closed", is_flag=True, help="Closed and liquidated ones too.")
def show(desk: Desk, market_name: str | None, closed: bool) -> None:
    """List the account's positions in every market, or in one."""
    account = desk.ringfence.account(desk.address)
    if market_name is None:
        markets = desk.ringfence.markets()
    else:
        markets = {market_name: desk.market(market_name)}
    found = [
        (name, one)
        for name, market in markets.items()
        for one in account.positions(market, closed=closed)
    ]
    if desk.as_json:
        facts = [_facts(name, one) for name, one in found]
        desk.say("", [], {"account": account.address, "positions": facts})
        return
    table = Table(title=f"Positions of {account.address}", title_justify="left")
    for column in ("market", "salt", "collateral", "debt", "LTV", "liquidation at", "state"):
        table.add_column(column, overflow="fold")
    for name, one in found:
        table.add_row(*_row(name, one))
    desk.console.print(table if found else f"{account.address} has no positions")
