"""A result as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from rich.table import Table

from ringfence.sim.result import Market, Position, Result

_PLACES = {"WETH": 4, "USDC": 2}


def _amount(result: Result, symbol: str, units: int, *, sign: bool = False) -> str:
    decimals = next(token.decimals for token in result.tokens if token.symbol == symbol)
    whole = Decimal(units).scaleb(-decimals)
    return f"{whole:{'+' if sign else ''},.{_PLACES[symbol]}f}"


def _dollars(result: Result, units: int, *, sign: bool = False) -> str:
    return _amount(result, "USDC", units, sign=sign)


def _story(position: Position) -> str:
    """Return what happened to a position after its opening, in its order of first times."""
    counts = Counter(action.kind for action in position.actions[1:])
    return ", ".join(f"{kind}{f' x{n}' if n > 1 else ''}" for kind, n in counts.items()) or "-"


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def positions_table(result: Result) -> Table:
    """Return one row a position: what became of it, what was put in, got out, kept; in USDC."""
    table = _table(
        "Positions",
        ("account", "market", "what happened", "now"),
        ("leverage", "put in", "got out", "kept", "result"),
    )
    for one in result.positions:
        table.add_row(
            one.account,
            one.market,
            _story(one),
            one.status,
            f"{one.leverage:.1f}x",
            _dollars(result, one.put_in),
            _dollars(result, one.taken_out),
            _dollars(result, one.kept),
            _dollars(result, one.result, sign=True),
        )
    return table


def _market_row(result: Result, market: Market) -> tuple[str, ...]:
    def say(units: int) -> str:
        return _amount(result, market.asset, units)

    gain = sum(one.claim - one.deposited for one in market.lenders)
    return (
        market.name,
        market.asset,
        str(market.liquidations),
        say(market.before.reserve),
        say(market.after.reserve),
        say(market.to_reserve_lost),
        say(market.to_lenders_lost),
        say(sum(one.deposited for one in market.lenders)),
        _amount(result, market.asset, gain, sign=True),
    )


def markets_table(result: Result) -> Table:
    """Return one row a market: its reserve and its lenders, before and after."""
    table = _table(
        "Markets",
        ("market", "in"),
        (
            "liquidations",
            "reserve before",
            "reserve after",
            "reserve took",
            "lenders took",
            "lent",
            "lenders' gain",
        ),
    )
    for market in result.markets:
        table.add_row(*_market_row(result, market))
    return table


def checks_table(result: Result) -> Table:
    """Return one row a check."""
    table = _table("Checks", ("", "check", "decided by"), ())
    for check in result.checks:
        mark = "[green]ok[/]" if check.held else "[red]FAILED[/]"
        table.add_row(mark, check.name, check.detail)
    return table


def keeper_line(result: Result) -> str:
    """Return what the keeper earned, in a sentence."""
    keeper = result.keeper
    earned = " and ".join(
        f"{_amount(result, symbol, units)} {symbol}" for symbol, units in keeper.profits.items()
    )
    ether = Decimal(keeper.gas_cost).scaleb(-18)
    return (
        f"Keeper: {keeper.liquidations} liquidations earned {earned}, gas cost {ether:.4f} ether: "
        f"{_dollars(result, keeper.total, sign=True)} USDC in all"
    )
