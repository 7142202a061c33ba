"""The page of a simulation: price, who was due when, liquidations, who gained, what held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

import numpy as np

from ringfence.report.page import render
from ringfence.report.panel import Panel, Row, along, bars, clean, figure, line, marks, thinned
from ringfence.report.style import EMPTY, ROW, rows
from ringfence.report.words import clock, percent
from ringfence.risk.report.losses import agreement
from ringfence.risk.report.positions import debt_at_drop, ladder
from ringfence.risk.rules.left_alone import LeftAlone
from ringfence.sim.history import DECIMALS
from ringfence.sim.outcome import Outcome
from ringfence.sim.plots.engine import in_rows, over
from ringfence.sim.plots.style import hours
from ringfence.sim.simulate_tables import amount, ends_of
from ringfence.sim.vectorised.from_scenario import differences
from ringfence.sim.wording import QUOTE

_TABLE = 13


def outcome_page(
    outcome: Outcome, facts: Mapping[str, str], alone: Mapping[str, LeftAlone] | None = None
) -> str:
    """Return a simulation as one HTML page of about 5 MB.

    `facts` are what it was made of; `alone` the markets as the risk engine has them, of a scenario
    that was left alone.
    """
    panels = [_price(outcome), _due(outcome), _sold(outcome), _gains(outcome), _markets(outcome)]
    for name, market in (alone or {}).items():
        panels += [
            replace(one, name=f"{one.name}-{name}", title=f"{one.title}: {name}")
            for one in _engine(market)
        ]
    if alone:
        errors = differences(outcome, alone)
        panels.append(agreement(errors, "verdicts, positions by steps", "verdicts"))
    panels.append(_checks(outcome))
    return render("report of a simulation", outcome.title, _lead(outcome), facts, panels)


def _hours(outcome: Outcome) -> list[float]:
    return [hours(moment.time) for moment in outcome.steps]


def _label(outcome: Outcome, position: str, market: str) -> str:
    """Return what a position is called: its account, and which of the account's it is."""
    own = [one for one in outcome.positions if (one.id, one.market) == (position, market)]
    return f"{own[0].account} #{int(position, 16) % 2**96}" if own else "attacker"


def _lead(outcome: Outcome) -> list[str]:
    first, last = outcome.steps[0].price, outcome.steps[-1].price
    prices = [moment.price for moment in outcome.steps]
    hit = {(one.market, one.position) for one in outcome.liquidations}
    own = hit & {(one.market, one.id) for one in outcome.positions}
    besides = f" and {len(hit - own)} of attackers" if hit - own else ""
    failed = [check.name for check in outcome.checks if not check.held]
    moved = f"{percent(last / first - 1, plus=True)}, from {first:,.2f} to {last:,.2f} {QUOTE}"
    ends = f"at lowest {min(prices):,.2f}, at highest {max(prices):,.2f}"
    sold = f"{len(outcome.positions)} positions {len(own)}{besides} were liquidated"
    return [
        f"WETH moved by {moved}, {ends}: of {sold}, in {len(outcome.liquidations)} liquidations.",
        f"failed: {', '.join(failed)}." if failed else f"all {len(outcome.checks)} checks held.",
    ]


def _price(outcome: Outcome) -> Panel:
    """Return the market's price and the feed's, with the liquidations on the latter."""
    times = _hours(outcome)
    places = {moment.time: index for index, moment in enumerate(outcome.steps)}
    feed = [moment.answer / 10**8 for moment in outcome.steps]
    market = [moment.price for moment in outcome.steps]
    hit = [places[one.time] for one in outcome.liquidations]
    drawn = [
        line("market", times, market, "$muted", width=1.5),
        line("feed", times, feed, "$blue", width=1.5, shape="hv"),
    ]
    if hit:
        found = [times[at] for at in hit], [feed[at] for at in hit]
        drawn.append(marks("liquidation", *found, "$red", "square", 8))
    return Panel(
        "price",
        "The price",
        "The market's price, the feed that follows it in steps, and each liquidation at the "
        "feed's price of its time.",
        figure(drawn, over(times), along(f"{QUOTE} per WETH")),
        ("h:min", "market", "feed", "positions due"),
        tuple(
            (clock(outcome.steps[at].time), *clean([market[at], feed[at]]),
             outcome.steps[at].liquidatable)
            for at in thinned(len(times), _TABLE).tolist()
        ),
    )  # fmt: skip


def _due(outcome: Outcome) -> Panel:
    """Return at which steps positions were due, and when they were liquidated."""
    times = _hours(outcome)
    due: list[tuple[float, str]] = []
    table: list[Row] = []
    names = []
    for one in outcome.positions:
        name = f"{_label(outcome, one.id, one.market)}, {one.market}"
        at = one.liquidatable_at
        if at:
            names.append(name)
            due += [(times[step], name) for step in at]
        held, owed, _end = ends_of(outcome, one.market)
        table.append(
            (name, one.status, clock(one.opened_at), clock(outcome.steps[at[0]].time) if at else
             "never", one.liquidations, f"{amount(held, one.collateral)} {held}",
             f"{amount(owed, one.debt)} {owed}")
        )  # fmt: skip
    sold = [
        (hours(one.time), f"{_label(outcome, one.position, one.market)}, {one.market}")
        for one in outcome.liquidations
    ]
    known = [one for one in sold if one[1] in names]
    traces = (
        ("due", due, "$near", "square", 15),
        ("liquidated", known, "$orange", "diamond", 8),
    )
    most = max(moment.liquidatable for moment in outcome.steps)
    return Panel(
        "due",
        "Which positions were due, and when",
        f"Each step at which the vault would have let a position be liquidated: {len(names)} of "
        f"{len(outcome.positions)} at some step, at most {most} at one.",
        in_rows(traces, names, times) if names else EMPTY,
        ("position", "now", "opened, h:min", "first due", "liquidations", "collateral", "debt"),
        tuple(table),
    )


def _worth(outcome: Outcome, symbol: str, units: int, at: int = -1) -> float:
    """Return an amount in USDC, at the feed's answer of a step."""
    whole = units / float(10 ** DECIMALS[symbol])
    return whole if symbol == QUOTE else whole * outcome.steps[at].answer / 10**8


def _sold(outcome: Outcome) -> Panel:
    """Return what liquidations repaid and lost so far, over time, and each of them."""
    times = _hours(outcome)
    places = {moment.time: index for index, moment in enumerate(outcome.steps)}
    moved = np.zeros((2, len(times)))
    table: list[Row] = []
    for one in outcome.liquidations:
        held, owed, _end = ends_of(outcome, one.market)
        at = places[one.time]
        moved[:, at] += [_worth(outcome, owed, units, at) for units in (one.repaid, one.loss)]
        asset = [amount(owed, units) for units in (one.repaid, one.cut, one.loss, one.profit)]
        table.append(
            (clock(one.time), _label(outcome, one.position, one.market), one.market, one.keeper,
             f"{amount(held, one.seized)} {held}", *(f"{text} {owed}" for text in asset), one.gas)
        )  # fmt: skip
    repaid, lost = ([*accumulate(row.tolist())] for row in moved)
    words = "there was none."
    if table:
        words = f"{repaid[-1]:,.2f} {QUOTE} repaid, {lost[-1]:,.2f} {QUOTE} lost."
    return Panel(
        "liquidations",
        "What liquidations moved",
        f"Debt that liquidations have taken so far, at the prices of their times: {words}",
        figure(
            [line("repaid", times, repaid, "$blue", shape="hv"),
             line("written off", times, lost, "$red", shape="hv")],
            over(times), along(QUOTE, rangemode="tozero"),
        ) if table else EMPTY,
        ("h:min", "position", "market", "keeper", "seized", "repaid", "cut", "written off",
         "profit", "gas"),
        tuple(table),
    )  # fmt: skip


def _gains(outcome: Outcome) -> Panel:
    """Return what lenders, reserves, keepers and attackers have more than before, USDC."""
    gains: dict[str, float] = defaultdict(float)
    for lender in outcome.lenders:
        asset = ends_of(outcome, lender.market)[1]
        gains[f"{lender.account}, lender"] += _worth(outcome, asset, lender.gain)
    for market in outcome.markets:
        gains[f"reserve of {market.id}: cuts"] += _worth(outcome, market.asset, market.cut)
    for keeper in outcome.keepers:
        ether = _worth(outcome, "WETH", keeper.weth - keeper.gas_cost)
        gains[f"{keeper.account}, after gas"] += _worth(outcome, QUOTE, keeper.usdc) + ether
    for attack in outcome.attacks:
        gains[f"{attack.account}: {attack.attack}"] += _worth(outcome, QUOTE, attack.gain)
    order = sorted(gains.items(), key=lambda one: -one[1])
    names = [name for name, _ in order]
    best = f"most by {order[0][0]}" if order and order[0][1] > 0 else "nobody did"
    return Panel(
        "gains",
        "Who gained",
        f"What each has more than it brought, {QUOTE} at the feed's last price, keepers after gas: "
        f"{best}.",
        figure(
            [bars(side, [gain for _, gain in part], [name for name, _ in part], colour,
                  orientation="h", showlegend=False)
             for side, part, colour in (
                 ("gained", [one for one in order if one[1] >= 0], "$green"),
                 ("lost", [one for one in order if one[1] < 0], "$red"),
             ) if part],
            along(f"gain, {QUOTE}"), rows(names), 130 + ROW * len(names),
        ),
        ("who", f"gain, {QUOTE}"),
        tuple((name, *clean([gain])) for name, gain in order),
    )  # fmt: skip


def _markets(outcome: Outcome) -> Panel:
    """Return the vaults' books at the end."""
    table: list[Row] = [
        (one.id, one.asset,
         *(amount(one.asset, units) for units in (one.cash, one.debt, one.repaid, one.cut,
                                                   one.loss)),
         one.liquidations)
        for one in outcome.markets
    ]  # fmt: skip
    return Panel(
        "markets",
        "The vaults at the end",
        "Their books, and what liquidations moved, in units of the asset.",
        EMPTY,
        ("market", "in", "cash", "debt", "repaid", "cut to the reserve", "lost", "liquidations"),
        tuple(table),
    )


def _engine(alone: LeftAlone) -> list[Panel]:
    """Return how a market's book stood at its opening, by the risk engine."""
    book, answer = alone.book(), int(alone.answers[0])
    if not book.debt.any():
        return []
    unit = "USDC" if alone.market.falls else "WETH"
    return [draw(alone.market, book, answer, unit) for draw in (ladder, debt_at_drop)]


def _checks(outcome: Outcome) -> Panel:
    return Panel(
        "checks",
        "Every check",
        f"{sum(check.held for check in outcome.checks)} of {len(outcome.checks)} held.",
        EMPTY,
        ("check", "held", "decided by"),
        tuple((one.name, "yes" if one.held else "NO", one.detail) for one in outcome.checks),
    )
