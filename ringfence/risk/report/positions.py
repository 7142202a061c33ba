"""Figures of positions: their room, what a fall makes due, first passage, what keepers earn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ringfence.report.panel import (
    Panel,
    Row,
    along,
    bars,
    clean,
    figure,
    heat,
    line,
    thinned,
)
from ringfence.risk.arrays import Floats
from ringfence.risk.prices.passage import gbm_hit
from ringfence.risk.prices.paths import DAY, YEAR
from ringfence.risk.rules.book import Book
from ringfence.risk.rules.liquidations import Terms, liquidate
from ringfence.risk.rules.market import RiskMarket

_PERCENT = 100.0
_BARS = 40
_DEEPEST, _MOVE, _THOUSAND = 600, 5, 1_000
"""How far a move goes, and from one to the next, in thousandths."""
_TABLE = 13
_DEEP = 10.0
"""Percent of the debt from which on a keeper's colour stays the same."""
_CHANCES = ((0.05, "$green", "dot"), (0.25, "$orange", "dash"), (0.5, "$red", "solid"))
_HALVINGS = 40


def _way(market: RiskMarket) -> str:
    return "fall" if market.falls else "rise"


def room(market: RiskMarket, book: Book, answer: int) -> Floats:
    """Return by which part the price may still move before each position is liquidatable."""
    part = book.triggers / answer
    return np.asarray(1 - part if market.falls else part - 1)


def ladder(market: RiskMarket, book: Book, answer: int, unit: str) -> Panel:
    """Return the debt of a book by its room to liquidation at an answer; unit of the asset."""
    rooms = _PERCENT * room(market, book, answer)
    owing = book.debt > 0
    if not owing.any():
        owing = np.ones_like(owing)
    ends = np.linspace(min(rooms[owing].min(), 0.0), rooms[owing].max(), _BARS + 1)
    debts, _ = np.histogram(rooms[owing], ends, weights=book.debt[owing])
    counts, _ = np.histogram(rooms[owing], ends)
    middles = (ends[:-1] + ends[1:]) / 2
    rungs = bars("debt", debts, middles, "$blue", orientation="h", showlegend=False)
    return Panel(
        "ladder",
        "How near positions are to liquidation",
        f"The debt of {int(owing.sum()):,} positions on the rung that says by how much the price "
        f"may {_way(market)} before they are liquidatable; the nearest "
        f"{'falls' if market.falls else 'is hit'} at {rooms[owing].min():.2f} %.",
        figure([rungs], along(f"debt, {unit}"), along(f"room: price may {_way(market)}, %"), 480),
        ("room from, %", "to, %", "positions", f"debt, {unit}"),
        tuple(
            (*clean([low, high]), int(number), *clean([debt]))
            for low, high, number, debt in zip(ends, ends[1:], counts, debts, strict=False)
        ),
    )


def debt_at_drop(market: RiskMarket, book: Book, answer: int, unit: str) -> Panel:
    """Return the debt that is liquidatable once the price has moved at once, by how far.

    Exact at every point: triggers against the answers that a feed would give.
    """
    moves = np.arange(0, _DEEPEST + 1, _MOVE)
    order = np.argsort(book.triggers)
    triggers = book.triggers[order]
    sums = np.concatenate(([0.0], np.cumsum(book.debt[order])))
    # In Python's integers: answers may be near the largest int64.
    if market.falls:
        answers = [answer * (_THOUSAND - move) // _THOUSAND for move in moves.tolist()]
        due = sums[-1] - sums[np.searchsorted(triggers, answers, side="right")]
    else:
        answers = [-(-answer * (_THOUSAND + move) // _THOUSAND) for move in moves.tolist()]
        due = sums[np.searchsorted(triggers, answers, side="left")]
    parts = moves / _THOUSAND
    share = _PERCENT * due / (sums[-1] or 1.0)
    half = next((f"{_PERCENT * move:.1f} %" for move, one in zip(parts, share, strict=True)
                 if one >= _PERCENT / 2), None)  # fmt: skip
    words = f"half of it at {half}" if half else "never half of it"
    rows = thinned(moves.size, _TABLE)
    return Panel(
        "drop",
        "What a sudden move makes due",
        f"How much of the debt is liquidatable if the price {_way(market)}s at once: {words}.",
        figure(
            [line("debt liquidatable", _PERCENT * parts, due, "$red", showlegend=False)],
            along(f"{_way(market)} of the price, %"),
            along(f"debt liquidatable, {unit}", rangemode="tozero"),
        ),
        (f"{_way(market)}, %", f"liquidatable, {unit}", "of the debt, %"),
        tuple(tuple(clean([_PERCENT * parts[at], due[at], share[at]])) for at in rows),
    )


def hit_chance(
    liquidation_ltv: float, leverage: float, days: float, volatility: float, *, falls: bool
) -> float:
    """Return the chance of liquidation within some days under geometric Brownian motion.

    Leverage is collateral over equity, above 1; 1 where it is beyond the liquidation LTV already.
    """
    part = (1 - 1 / leverage) / liquidation_ltv
    if part >= 1:
        return 1.0
    return gbm_hit(part if falls else 1 / part, days * DAY / YEAR, volatility)


def passage(market: RiskMarket, most: float, volatility: float, days: Floats) -> Panel:
    """Return the chance of liquidation by leverage, up to `most`, and horizon [day]; closed form.

    `volatility` is a square root of a year.
    """
    leverages = np.linspace(1.0, most, 33)[1:]

    def chance(leverage: float, horizon: float) -> float:
        ltv = market.liquidation_ltv
        return hit_chance(ltv, leverage, horizon, volatility, falls=market.falls)

    cells = np.array([[chance(one, day) for day in days] for one in leverages])
    data = [
        heat("chance, %", days, leverages, _PERCENT * cells, ("$card", "$blue")),
    ]
    for share, colour, dash in _CHANCES:
        reached = [day for day in days.tolist() if chance(most, day) >= share]
        levels = [_level(chance, share, day, most) for day in reached]
        if reached:
            data.append(line(f"chance {share:.0%}", reached, levels, colour, dash))
    rows = thinned(leverages.size, 9)
    columns = thinned(days.size, 6)
    return Panel(
        "passage",
        "How likely liquidation is",
        "The chance of liquidation, from none (pale) to certain (blue), by leverage and horizon at "
        f"a volatility of {volatility:.0%} a year, in closed form; lines join equal chances.",
        figure(
            data,
            along("horizon, days", range=[float(days[0]), float(days[-1])]),
            along("leverage, collateral / equity", range=[float(leverages[0]), most]),
            440,
        ),
        ("leverage", *(f"{days[at]:g} days, %" for at in columns)),
        tuple(
            tuple(clean([leverages[row], *(_PERCENT * cells[row, at] for at in columns)]))
            for row in rows
        ),
    )


def _level(chance: Callable[[float, float], float], share: float, day: float, most: float) -> float:
    """Return the leverage at which the chance is a share, below the one where it is more."""
    low, high = 1.0 + 1e-9, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle, day) < share else (low, middle)
    return low


def keeper_profits(
    terms: Terms, debts: Floats, moves: Floats, sell: Callable[[float], float], gas: float
) -> npt.NDArray[np.float64]:
    """Return what a keeper earns [debt, move]: sale of the seized less repayment, cut and gas.

    A position of each debt was due at a price of 1 (asset per collateral unit); the price has since
    fallen by each part. `sell` gives the asset units for collateral units AT A PRICE OF 1 in
    the pool; at another price it gives so much less, which in a pool without bounds is a little too
    little. Amounts in asset units.
    """
    found = np.empty((debts.size, moves.size))
    for row, debt in enumerate(debts.tolist()):
        held = debt / terms.liquidation_ltv * (1 - 1e-9)
        for column, move in enumerate(moves.tolist()):
            moved = liquidate(held, debt, 1 - move, np.inf, terms)
            got = sell(moved.seized) * (1 - move)
            found[row, column] = got - moved.repaid - moved.cut - gas
    return found


def keeper_zone(debts: Floats, moves: Floats, profits: Floats, unit: str) -> Panel:
    """Return where a liquidation pays: profits [debt, move], asset units of that name.

    Drawn as a part of the debt, up to a tenth: red is a loss, green a profit.
    """
    part = _PERCENT * profits / debts[:, None]
    drawn = np.clip(part, -_DEEP, _DEEP)
    paid = profits > 0
    data = [
        heat("profit, % of the debt", _PERCENT * moves, debts, drawn, ("$red", "$card", "$green")),
    ]
    rows: list[Row] = []
    for at in thinned(moves.size, _TABLE):
        pays = debts[paid[:, at]]
        least, most = (
            (f"{pays.min():,.0f}", f"{pays.max():,.0f}") if pays.size else ("never", "never")
        )
        rows.append((*clean([_PERCENT * moves[at]]), least, most, *clean([profits[:, at].max()])))
    return Panel(
        "keepers",
        "Where a keeper earns",
        "Which liquidations pay after gas and slippage (green) and which cost (red), by the size "
        f"of the debt and how far the price fell past the trigger: {paid.mean():.0%} of them pay.",
        figure(
            data,
            along("fall past the trigger, %"),
            along(f"debt, {unit}", type="log", dtick=1),
            440,
        ),
        ("fall, %", f"pays from, {unit}", f"up to, {unit}", f"most earned, {unit}"),
        tuple(rows),
    )
