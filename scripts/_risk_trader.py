"""`ape run risk trader`: what a leveraged position of one market has before it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.random import SeedSequence, default_rng
from rich.console import Console
from rich.table import Table

from ringfence.deploy.units import show, to_units
from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.chances import Chance, Event
from ringfence.risk.answers.rebalance import Policy
from ringfence.risk.answers.trader import Holding, Outlook, Seen, look, opened, outlook
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import model_files
from ringfence.risk.prices.paths import DAY, YEAR, PriceModel
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.rules.market import FEED_DECIMALS, RiskMarket
from ringfence.risk.rules.trigger import trigger
from scripts._node import one_line_errors
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import (
    AMOUNT,
    COUNT,
    DAYS,
    LARGE,
    LEVERAGE,
    PART_BELOW,
    PRICE,
    SECONDS,
    SEED,
    Number,
    counting,
    law_of,
    read_market,
    steps_of,
)

if TYPE_CHECKING:
    from ringfence.report.panel import Panel

_PRICE = Number(Decimal, Decimal("1e-8"), Decimal(PRICE.high))
_MARGIN = Number(Decimal, Decimal(0), Decimal(LARGE), above=True)

BATCH = 500
"""Paths a task: the same ones whatever the number of them."""


def _seen(
    market: RiskMarket, holding: Holding, answer: int, policy: Policy, model: PriceModel,
    paths: int, steps: int, step: int, seed: int, *, quiet: bool,
) -> Seen:  # fmt: skip
    """Draw paths batch by batch, and look at each."""
    parts: list[Seen] = []
    with counting(paths, quiet=quiet) as told:
        for number, task in enumerate(SeedSequence(seed).spawn(-(-paths // BATCH))):
            count = min(BATCH, paths - number * BATCH)
            drawn = model.draw(default_rng(task), count, steps, step)
            parts.append(look(market, holding, answer, drawn, policy))
            told(number * BATCH + count)
    return Seen.join(parts)


def _time(seconds: int) -> str:
    days, left = divmod(seconds, DAY)
    return f"{days} d {left / 3_600:.1f} h" if days else f"{left / 3_600:.1f} h"


def _chance(chance: Chance) -> str:
    low, high = chance.interval()
    return f"{chance.value:.2%} ({low:.2%} to {high:.2%})"


def _times(event: Event) -> str:
    return ", ".join(map(_time, event.seconds)) or "never seen"


def _rows(found: Outlook, decimals: int, symbol: str) -> Iterable[tuple[str, str]]:
    """Yield what people read: a question, its answer."""
    yield "margin call (above the initial LTV)", _chance(found.call.chance)
    yield "time to it: a tenth, half, nine tenths", _times(found.call)
    yield "liquidation", _chance(found.liquidation.chance)
    yield "time to it: a tenth, half, nine tenths", _times(found.liquidation)
    for words, amounts in (
        ("no call", found.top_up_to_no_call),
        ("no liquidation", found.top_up_to_no_liquidation),
    ):
        for confidence, units in amounts.items():
            yield f"top-up for {words}, {confidence:.0%}", f"{show(units, decimals)} {symbol}"
    for confidence, leverage in found.leverage.items():
        yield f"leverage that survives, {confidence:.0%}", f"{leverage:.2f}x"
    for day, leverage in found.paths_leverage.items():
        yield f"leverage that survives {day}", f"{leverage:.2f}x"
    run = found.rebalanced
    if run is not None:
        yield "rebalanced: liquidation", _chance(run.liquidation)
        yield "rebalanced: trades, traded", f"{run.trades:.1f}, {run.traded:.1%} of the equity"
        yield "rebalanced: cost", f"{run.paid:.2%} of the equity"
        yield "rebalanced: equity left, mean", f"{run.equity:.1%}"


def _event(event: Event) -> dict[str, object]:
    return {**_part(event.chance), "seconds": event.seconds}


def _part(chance: Chance) -> dict[str, object]:
    low, high = chance.interval()
    return {
        "hits": chance.hits,
        "paths": chance.paths,
        "value": chance.value,
        "low": low,
        "high": high,
    }


def _data(found: Outlook) -> dict[str, object]:
    run = found.rebalanced
    return {
        "margin_call": _event(found.call),
        "liquidation": _event(found.liquidation),
        "top_up_to_no_call": found.top_up_to_no_call,
        "top_up_to_no_liquidation": found.top_up_to_no_liquidation,
        "leverage": found.leverage,
        "stress_leverage": found.paths_leverage,
        "rebalanced": run
        and {
            "liquidation": _part(run.liquidation),
            "trades": run.trades,
            "traded": run.traded,
            "paid": run.paid,
            "equity": run.equity,
        },
    }


def _panels(
    market: RiskMarket, leverage: float, trigger: float, paths: Floats, step: int, days: float,
    crashes: dict[str, Floats],
) -> list[Panel]:  # fmt: skip
    """Return the report's figures; the trigger and all paths relative to the first price."""
    from ringfence.risk.report.positions import passage
    from ringfence.risk.report.prices import fan, stress_replay

    volatility = float(np.diff(np.log(paths)).std()) * sqrt(YEAR / step)
    most = max(WAD / (WAD - market.initial_ltv), leverage)
    horizons = np.linspace(days / 30, days, 30)
    return [
        fan(paths, step, trigger),
        passage(market, most, volatility, horizons),
        stress_replay(crashes, 60, trigger),
    ]


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@click.option("--leverage", type=LEVERAGE, required=True, help="Collateral over equity.")
@click.option(
    "--price",
    type=_PRICE,
    required=True,
    help="Of the token that moves, in dollars; the other is at 1.",
)
@click.option(
    "--margin",
    type=_MARGIN,
    default=Decimal(1),
    show_default=True,
    help="What the trader puts in, whole tokens of collateral.",
)
@click.option("--short", is_flag=True, help="The asset's price moves, not the collateral's.")
@click.option(
    "--model",
    default="student-t",
    show_default=True,
    help="Prices' law, as gbm:volatility=0.9, csv:FILE or bootstrap:FILE.",
)
@click.option("--days", type=DAYS, default=30.0, show_default=True)
@click.option("--step", type=SECONDS, default=600, show_default=True, help="Seconds a step.")
@click.option("--paths", type=COUNT, default=20_000, show_default=True)
@click.option("--seed", type=SEED, default=1, show_default=True)
@click.option(
    "--band",
    type=AMOUNT,
    default=0.1,
    show_default=True,
    help="Rebalance when leverage is so far off, a part.",
)
@click.option(
    "--fee", type=PART_BELOW, default=0.0005, show_default=True, help="Of a trade, a part."
)
@click.option(
    "--slippage", type=PART_BELOW, default=0.001, show_default=True, help="Of a trade, a part."
)
@click.option(
    "--chain",
    type=click.Path(path_type=Path),
    default=Path("markets/chains/1.toml"),
    show_default=True,
    help="Chain file that knows the tokens.",
)
@report_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_line_errors
def trader(
    market_file: Path, leverage: float, price: Decimal, margin: Decimal, short: bool, model: str,
    days: float, step: int, paths: int, seed: int, band: float, fee: float, slippage: float,
    chain: Path, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Say what a position may meet: calls, liquidation, top-ups, leverage, rebalancing."""
    file, market = read_market(market_file, chain, short=short, price=price)
    (law, paths), steps = law_of(model, paths), steps_of(days, step)
    answer = int(price.scaleb(FEED_DECIMALS))
    try:
        units = to_units(margin, market.collateral_decimals)
    except ValueError as error:
        raise RiskError(f"--margin: {error}") from None
    holding = opened(market, leverage, units, answer)
    policy = Policy(leverage, band, fee, slippage)
    seen = _seen(market, holding, answer, policy, law, paths, steps, step, seed, quiet=as_json)
    crashes = {
        day: one.draw(default_rng(seed), 1, DAY // 60, 60) for day, one in stress_days().items()
    }
    found = outlook(market, holding, answer, seen, step, crashes)
    at = trigger(
        market,
        holding.collateral,
        holding.scaled_debt,
        holding.debt_index,
        market.risk.liquidation_ltv,
    )
    given = {
        "market": market.id, "model": model, "seed": seed, "steps": steps, "step_seconds": step,
        "trigger": at,
    }  # fmt: skip
    symbols = file.file.collateral, file.file.asset
    due = "never liquidatable"
    if holding.debt:
        due = f"liquidatable {'below' if market.falls else 'above'} {show(at, FEED_DECIMALS)}"
    position = (
        f"{market.id}: {show(holding.collateral, market.collateral_decimals)} {symbols[0]}, owing "
        f"{show(holding.debt, market.asset_decimals)} {symbols[1]}; "
        f"{symbols[short]} at {price.normalize():f}, {due}"
    )
    run = f"{model}, {paths:,} paths of {steps:,} steps, {step} s apart, seed {seed}"
    rows = list(_rows(found, market.collateral_decimals, symbols[0]))
    if report is not None:
        # The first task's paths, again.
        drawn = law.draw(
            default_rng(SeedSequence(seed).spawn(1)[0]), min(BATCH, paths), steps, step
        )
        days_of = {day: path[0] for day, path in crashes.items()}
        panels = _panels(market, leverage, at / answer, drawn, step, days, days_of)
        asked = {**given, "paths": paths, "leverage": leverage, "price": str(price),
                 "margin": str(margin), "band": band, "fee": fee, "slippage": slippage,
                 "short": short}  # fmt: skip
        words = f"Margin call {_chance(found.call.chance)}, liquidation "
        words += _chance(found.liquidation.chance)
        write_report(
            report, f"A {leverage:g}x position in {market.id}",
            (f"{words}.", f"In {position}", f"Drawn: {run}"), asked,
            (market_file, chain, *model_files(model)), panels,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({**given, **_data(found)}, indent=2))
        return
    console = Console(highlight=False)
    console.print(position, soft_wrap=True)
    console.print(run)
    table = Table("question", "answer")
    for question, answered in rows:
        table.add_row(question, answered)
    console.print(table)
