"""A simulation's outcome as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from rich.table import Table

from ringfence.deploy.local import TOKENS
from ringfence.sim.outcome import MarketEnd, Outcome, Speed

_PLACES = {"WETH": 4, "USDC": 2}
_HOUR = 3_600


def amount(symbol: str, units: int, *, sign: bool = False) -> str:
    """Return an amount in whole tokens, as its symbol asks for."""
    whole = Decimal(units).scaleb(-TOKENS[symbol].decimals)
    return f"{whole:{'+' if sign else ''},.{_PLACES[symbol]}f}"


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def ends_of(outcome: Outcome, market: str) -> tuple[str, str, MarketEnd]:
    """Return a market's collateral and asset symbols, and what it ended with."""
    end = next(one for one in outcome.markets if one.id == market)
    return ("WETH" if end.asset == "USDC" else "USDC"), end.asset, end


def positions_table(outcome: Outcome) -> Table:
    """Return one row a position: when it could be liquidated, how often it was, what is left."""
    table = _table(
        "Positions",
        ("account", "market", "now"),
        ("opened, h", "liquidatable, h", "liquidations", "collateral", "debt"),
    )
    for one in outcome.positions:
        held, owed, _end = ends_of(outcome, one.market)
        at = one.liquidatable_at
        table.add_row(
            one.account,
            one.market,
            one.status,
            f"{one.opened_at / _HOUR:.2f}",
            f"{outcome.steps[at[0]].time / _HOUR:.2f}" if at else "-",
            str(one.liquidations),
            f"{amount(held, one.collateral)} {held}",
            f"{amount(owed, one.debt)} {owed}",
        )
    return table


def markets_table(outcome: Outcome) -> Table:
    """Return one row a market: its books at the end, and what liquidations moved."""
    table = _table(
        "Markets",
        ("market", "in"),
        ("cash", "debt", "reserve", "liquidations", "repaid", "loss", "of it lenders'"),
    )
    for one in outcome.markets:
        amounts = [one.cash, one.debt, one.reserve, one.repaid, one.loss, one.lender_loss]
        *books, repaid, loss, borne = (amount(one.asset, units) for units in amounts)
        table.add_row(one.id, one.asset, *books, str(one.liquidations), repaid, loss, borne)
    return table


def lenders_table(outcome: Outcome) -> Table:
    """Return one row a lender of a vault."""
    table = _table("Lenders", ("account", "market", "in"), ("lent", "withdrawn", "claim", "gain"))
    for one in outcome.lenders:
        _held, asset, _end = ends_of(outcome, one.market)
        amounts = (amount(asset, units) for units in (one.lent, one.withdrawn, one.claim))
        table.add_row(one.account, one.market, asset, *amounts, amount(asset, one.gain, sign=True))
    return table


def keepers_table(outcome: Outcome) -> Table:
    """Return one row a keeper: what it earned, what that cost."""
    table = _table(
        "Keepers",
        ("account",),
        ("latency, steps", "liquidations", "failed", "USDC", "WETH", "gas, ether"),
    )
    for one in outcome.keepers:
        table.add_row(
            one.account,
            str(one.latency),
            str(one.liquidations),
            str(one.failed),
            amount("USDC", one.usdc, sign=True),
            amount("WETH", one.weth, sign=True),
            amount("WETH", one.gas_cost),
        )
    return table


def attacks_table(outcome: Outcome) -> Table:
    """Return one row an attacker: what its attacks earned, USDC."""
    table = _table(
        "Attacks",
        ("account", "attack", "market"),
        ("tried", "done", "gain", "bonus when insolvent", "result with the market"),
    )
    for one in outcome.attacks:
        earned = (amount("USDC", units, sign=True) for units in (one.gain, one.bonus, one.result))
        table.add_row(one.account, one.attack, one.market, str(one.tried), str(one.done), *earned)
    return table


def checks_table(outcome: Outcome) -> Table:
    """Return one row a check, and how many deeds the contracts refused."""
    table = _table("Checks", ("", "check", "decided by"))
    for check in outcome.checks:
        mark = "[green]ok[/]" if check.held else "[red]FAILED[/]"
        table.add_row(mark, check.name, check.detail)
    refused = Counter(f"{one.what}: {one.refused}" for one in outcome.deeds if one.refused)
    for what, count in refused.items():
        table.add_row("note", f"refused x{count}", what)
    return table


def speed_line(speed: Speed) -> str:
    """Return how fast it went and where the time went, in a sentence."""
    if not speed.transactions:
        return f"{speed.engine}: {speed.playing:.2f} s; opened in {speed.staging:.1f} s"
    rest = speed.playing - speed.in_transactions - speed.in_calls
    return (
        f"{speed.engine}: {speed.transactions:,} transactions and {speed.calls:,} calls in "
        f"{speed.playing:.1f} s, {speed.per_second:,.0f} transactions a second; "
        f"{speed.in_transactions / speed.playing:.0%} of it in transactions, "
        f"{speed.in_calls / speed.playing:.0%} in calls, {rest / speed.playing:.0%} in Python; "
        f"staged in {speed.staging:.1f} s"
    )
