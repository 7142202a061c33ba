"""The risk engine beside the chain: who falls when, the cascade, what a fall makes due, the error.

`run` is the engine's replay of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import TypeAlias

import numpy as np

from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.math.health import debt_up
from ringfence.math.position_slot import unpack
from ringfence.report.panel import Panel, along, clean, figure, line, marks, thinned
from ringfence.report.style import ROW, Figure, rows
from ringfence.report.words import clock
from ringfence.risk.prices.waypoints import HOUR
from ringfence.risk.report.losses import agreement
from ringfence.risk.report.positions import debt_at_drop
from ringfence.risk.rules.liquidations import RELATIVE, UNITS, Terms, liquidate
from ringfence.sim import replay
from ringfence.sim.plots.style import hours
from ringfence.sim.replay import Fall, Replay
from ringfence.sim.result import Market, Result
from ringfence.sim.story import stories
from ringfence.sim.wording import QUOTE, Lexicon

_NEVER = "never"
_TABLE = 13


def engine_panels(result: Result) -> tuple[Panel, ...]:
    """Return the figures of the engine beside the chain; none where too little was recorded."""
    known = {market.name for market in result.markets}
    symbols = {token.symbol for token in result.tokens}
    whole = all(
        {one.collateral, one.asset} <= symbols and len(one.debt_indices) == len(result.steps)
        for one in result.markets
    )
    if not (result.steps and result.positions and whole) or not known >= {
        one.market for one in result.positions
    }:
        return ()
    run = replay.of(result)
    worst = worst_hour(result)
    drops = [drop(result, run, market, worst) for market in result.markets]
    return (
        falls(result, run),
        cascade(result, run),
        *(one for one in drops if one is not None),
        *agreements(result, run),
    )


def _chain(result: Result) -> list[Fall]:
    """Return what the chain's liquidations moved, by their steps."""
    places = {step.time: index for index, step in enumerate(result.steps)}
    return [
        Fall(one.market, one.position_id, places[one.time], one.seized, one.repaid, one.cut,
             one.loss)
        for one in result.liquidations
    ]  # fmt: skip


def falls(result: Result, run: Replay) -> Panel:
    """Return which positions fall when: by the engine, on the chain, and had nobody acted."""
    times = [hours(step.time) for step in result.steps]
    chain = _chain(result)
    labels: list[str] = []
    table: list[tuple[str, str, str, str, str, int, int]] = []
    alone: list[tuple[float, str]] = []
    found: dict[str, list[tuple[float, str]]] = {"due": [], "engine": [], "chain": []}
    for story, track in zip(stories(result), run.tracks, strict=True):
        key = (track.position.market, track.position.position_id)
        mine = {
            name: [one.step for one in of if (one.market, one.position_id) == key]
            for name, of in (("engine", run.falls), ("chain", chain))
        }
        if track.left_alone is None and not track.due:
            continue
        labels.append(story.label)
        if track.left_alone is not None:
            alone.append((times[track.left_alone], story.label))
        for name, steps in (("due", track.due), *mine.items()):
            found[name] += [(times[step], story.label) for step in steps]
        firsts = [track.left_alone, *(steps[0] if steps else None for steps in mine.values())]
        table.append(
            (story.label, track.position.market, _when(result, firsts[0]), _when(result, firsts[1]),
             _when(result, firsts[2]), len(mine["engine"]), len(mine["chain"]))
        )  # fmt: skip
    order = sorted(range(len(labels)), key=lambda at: (table[at][3], table[at][2], labels[at]))
    same = {(one.market, one.position_id, one.step) for one in run.falls} & {
        (one.market, one.position_id, one.step) for one in chain
    }
    saved = sum(not row[-1] for row in table)
    traces = (
        ("due had nobody acted", alone, "$muted", "circle", 6),
        ("engine: due", found["due"], "$near", "square", 15),
        ("engine: liquidated", found["engine"], "$blue", "circle", 12),
        ("chain: liquidated", found["chain"], "$orange", "diamond", 6),
    )
    names = [labels[at] for at in order]
    return Panel(
        "falls",
        "Which positions fall, and when",
        f"With a keeper that acts at once the engine has {_positions(run.falls)}, the chain had "
        f"{_positions(chain)}: {len(same)} are the same position at the same step. {saved} more "
        "would have fallen had nobody acted.",
        in_rows(traces, names, times),
        ("position", "market", "due had nobody acted", "engine: first liquidated", "chain: first",
         "engine: times", "chain: times"),
        tuple(table[at] for at in order),
    )  # fmt: skip


Marks: TypeAlias = tuple[str, Sequence[tuple[float, str]], str, str, int]
"""A trace: its name, (hour, row) of each mark, colour, symbol, size."""


def in_rows(traces: Sequence[Marks], names: Sequence[str], times: Sequence[float]) -> Figure:
    """Return marks over time, hours, in named rows, the first on top."""
    drawn = [
        marks(name, [x for x, _ in points], [y for _, y in points], colour, symbol, size)
        for name, points, colour, symbol, size in traces
        if points
    ]
    return figure(drawn, over(times), rows([*names]), 130 + ROW * len(names))


def over(times: Sequence[float]) -> Figure:
    """Return the axis of a run's time, hours, with room for a mark at either end."""
    room = (times[-1] - times[0]) / 100
    return along("hours since the start", range=[times[0] - room, times[-1] + room])


def _when(result: Result, step: int | None) -> str:
    return _NEVER if step is None else f"{clock(result.steps[step].time):>6} h"


def _positions(of: Sequence[Fall]) -> str:
    count = len({(one.market, one.position_id) for one in of})
    return f"{len(of)} liquidations of {count} positions"


def cascade(result: Result, run: Replay) -> Panel:
    """Return debt owed, and debt liquidated so far by the engine and on the chain, by step."""
    prices = [step.answer / 10**8 for step in result.steps]
    owed = replay.owed(run, result.markets, prices)
    asset = {market.name: market.asset for market in result.markets}
    lexicon = Lexicon.of(result)

    def so_far(of: Sequence[Fall]) -> list[float]:
        moved = np.zeros(len(prices))
        for one in of:
            gone = lexicon.in_quote(one.repaid + one.loss, asset[one.market], prices[one.step])
            moved[one.step] += gone
        return [*map(float, np.cumsum(moved))]

    times = [hours(step.time) for step in result.steps]
    by_engine, on_chain = so_far(run.falls), so_far(_chain(result))
    apart = float(np.abs(np.subtract(by_engine, on_chain)).max())
    moving = [0, *(at for at in range(1, len(times)) if on_chain[at] != on_chain[at - 1])]
    shown = sorted({*thinned(len(times)).tolist(), *moving, *(at - 1 for at in moving if at)})

    def drawn(name: str, values: Sequence[float], colour: str, dash: str, width: float) -> Figure:
        points = [values[at] for at in shown]
        return line(name, [times[at] for at in shown], points, colour, dash, width, "hv")

    picked = [moving[at] for at in thinned(len(moving), _TABLE)]
    return Panel(
        "cascade",
        "The cascade, step by step",
        f"Debt owed by all positions, and debt that liquidations have taken so far: "
        f"{on_chain[-1]:,.0f} {QUOTE} on the chain, each at the price of its time; the engine is "
        f"at most {apart:,.2f} {QUOTE} from it.",
        figure(
            [
                drawn("owed", owed.tolist(), "$muted", "solid", 1.5),
                drawn("liquidated: engine", by_engine, "$blue", "solid", 5),
                drawn("liquidated: chain", on_chain, "$orange", "solid", 1.8),
            ],
            over(times),
            along(f"debt, {QUOTE}", rangemode="tozero"),
        ),
        ("h:min", f"owed, {QUOTE}", f"engine, {QUOTE}", f"chain, {QUOTE}"),
        tuple(
            (clock(result.steps[at].time), *clean([owed[at], by_engine[at], on_chain[at]]))
            for at in picked
        ),
    )


def worst_hour(result: Result) -> int:
    """Return the step from which the feed's answer fell most within an hour."""
    answers = [step.answer for step in result.steps]
    first, last = result.steps[0].time, result.steps[-1].time
    apart = max(1, HOUR * (len(answers) - 1) // max(1, last - first))
    ends = range(max(1, len(answers) - apart))
    return min(ends, key=lambda at: answers[min(at + apart, len(answers) - 1)] / answers[at])


def drop(result: Result, run: Replay, market: Market, step: int) -> Panel | None:
    """Return what a sudden move makes due in a market at a step; None where nobody owes."""
    book = replay.book_at(run, market, step)
    if not book.debt.size:
        return None
    answer = result.steps[step].answer
    panel = debt_at_drop(run.markets[market.name], book, answer, market.asset)
    return replace(
        panel,
        name=f"drop-{market.name}",
        title=f"{panel.title}: {market.name}",
        caption=f"{clock(result.steps[step].time)} h, before the worst hour, at a price of "
        f"{answer / 10**8:,.2f}, {book.debt.size} positions. {panel.caption}",
    )


def agreements(result: Result, run: Replay) -> tuple[Panel, ...]:
    """Return the engine less the contract: who is due at each step, and what liquidations move."""
    verdicts = np.concatenate([track.differs for track in run.tracks])
    first = agreement(verdicts, "verdicts, positions by steps", "verdicts")
    by_engine = {(one.market, one.position_id, one.step): one for one in run.falls}
    pairs = [
        (by_engine[one.market, one.position_id, one.step], one)
        for one in _chain(result)
        if (one.market, one.position_id, one.step) in by_engine
    ]
    if not pairs:
        return (first,)
    parts = ("seized", "repaid", "cut", "loss")
    errors = [getattr(a, part) - getattr(b, part) for a, b in pairs for part in parts]
    amounts = agreement(
        np.array([max(-(2**62), min(one, 2**62)) for one in errors], np.int64),
        "amounts (seized, repaid, cut, lost)", "units",
    )  # fmt: skip
    off = [*_in_floats(result, run)]
    if not off:
        return (first, amounts)
    return (
        first,
        replace(
            amounts,
            name="amounts",
            title="What liquidations move",
            caption=f"{amounts.caption} In the engine's floats {sum(one <= 1 for one in off)} of "
            f"{len(off)} repayments are within their bound ({RELATIVE:.0e} of the debt, and a few "
            "units).",
        ),
    )


def _in_floats(result: Result, run: Replay) -> Iterator[float]:
    """Yield how far the engine's floats are from what each liquidation repaid, part of the bound.

    The bound is that of `ringfence.risk.rules.liquidations`.
    """
    places = {step.time: index for index, step in enumerate(result.steps)}
    indices = {market.name: market.debt_indices for market in result.markets}
    for one in result.liquidations:
        for word in (word for word in one.words if word.name == "position"):
            market, step, slot = run.markets[one.market], places[one.time], unpack(word.before)
            debt = debt_up(slot.scaled_debt, indices[one.market][step])
            price = market.price(result.steps[step].answer) / PRICE_SCALE
            terms = Terms.of(market.risk)
            moved = liquidate(float(slot.collateral), float(debt), price, inf, terms)
            bound = RELATIVE * debt + UNITS / (1 - terms.beta_max * terms.target_ltv)
            yield abs(moved.repaid - one.repaid) / bound
