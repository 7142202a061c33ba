"""`ape run risk loss`: what lenders of a market may lose, and whether its reserve is enough."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.random import SeedSequence, default_rng
from rich.console import Console

from ringfence.risk.answers.loss import DRAW_LOSSES, LateKeepers, LossReport, Lot, price_losses
from ringfence.risk.answers.sensitivity import swings
from ringfence.risk.answers.tail import Estimate, Precision
from ringfence.risk.prices.models import model_files
from ringfence.risk.rules.agreement import disagreements
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_positions
from ringfence.risk.rules.stepper import answers_of
from ringfence.risk.work.tasks import run_tasks, sizes
from scripts._node import one_line_errors
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import (
    AMOUNT,
    COUNT,
    MOVING,
    PART,
    PART_BELOW,
    PRICE,
    SIZE,
    answer_of,
    cache_of,
    common,
    counting,
    figures,
    law_of,
    read_market,
    say,
    steps_of,
    words,
    workers_of,
)  # fmt: skip

if TYPE_CHECKING:
    from ringfence.report.panel import Panel

_AGAIN = 2_000
"""Paths that a report looks at again, at most, in whole tasks."""
_CHECKED = 200
"""Positions that a report holds against the contract's rules."""


def _lines(found: LossReport, asset: str) -> Iterable[str]:
    """Yield what people read; every interval holds the figure 95 times in 100."""
    paths = found.outcome.lender_loss.size
    yield f"{paths:,} paths; debt {found.debt:,.2f} {asset}, reserve {found.reserve:,.2f}"
    yield f"lender loss, VaR 95: {words(found.var_95)} {asset}"
    more = "pass more --paths" if paths > 1 else "one path bounds nothing: pass bootstrap:FILE"
    yield f"lender loss, ES 99: {words(found.es_99)} {asset}" + (
        "" if found.narrow else f"; not as narrow as asked, {more}"
    )
    yield f"paths on which lenders lose: {words(found.loss, '.3%')}"
    yield f"the reserve is enough on: {words(found.adequate, '.3%')}"
    yield f"reserve needed at the start, VaR 99: {words(found.reserve_needed_99)} {asset}"
    yield (
        f"liquidations at risk, VaR 95: {words(found.repaid_95)} {asset} repaid in "
        f"{words(found.liquidated_95, ',.0f')}"
    )


def _data(found: LossReport) -> dict[str, object]:
    of = {one.name: getattr(found, one.name) for one in fields(found) if one.name != "outcome"}
    return {
        "paths": found.outcome.lender_loss.size,
        **{name: figures(one) if isinstance(one, Estimate) else one for name, one in of.items()},
    }


def _panels(lot: Lot, exact: Positions, found: LossReport, seed: int, asset: str) -> list[Panel]:
    """Return the report's figures; what is drawn again are the first tasks' paths."""
    from ringfence.risk.report.losses import agreement, distribution, tornado
    from ringfence.risk.report.positions import debt_at_drop, ladder
    from ringfence.risk.report.prices import fan

    tasks = max(min(found.outcome.lender_loss.size, _AGAIN) // lot.paths, 1)
    streams = SeedSequence(seed).spawn(tasks)
    shape = lot.paths, lot.steps, lot.step_seconds
    paths = np.concatenate([lot.model.draw(default_rng(one), *shape) for one in streams])
    lows = paths.min(axis=1) if lot.market.falls else -paths.max(axis=1)
    worst = answers_of(paths[lows.argmin()], lot.first)
    some = Positions(exact.collateral[:_CHECKED], exact.scaled_debt[:_CHECKED], exact.debt_index)
    base, moved = swings(lot, paths)
    return [
        distribution(found.outcome.lender_loss, found.var_95, found.es_99, asset),
        tornado(base, moved, f"ES 99 of {len(paths):,} paths, {asset}"),
        ladder(lot.market, lot.book, lot.first, asset),
        debt_at_drop(lot.market, lot.book, lot.first, asset),
        fan(paths, lot.step_seconds),
        agreement(disagreements(lot.market, some, worst), "positions on the worst path", "steps"),
    ]


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@common
@click.option("--short", is_flag=True, help="The asset's price moves, not the collateral's.")
@click.option("--positions", type=COUNT, default=10_000, show_default=True)
@click.option(
    "--size",
    type=SIZE,
    help="Median collateral, whole; worth 1 / positions of the cap by default.",
)
@click.option(
    "--least-ltv",
    type=PART_BELOW,
    default=0.5,
    show_default=True,
    help="To the initial LTV, uniform.",
)
@click.option(
    "--price",
    type=PRICE,
    default=MOVING,
    show_default=True,
    help="What moves, at the start.",
)
@click.option("--reserve", type=AMOUNT, help="Whole assets; by default the file's target.")
@click.option(
    "--share",
    type=SIZE,
    default=0.1,
    show_default=True,
    help="Half the ES's interval over the ES, at most,",
)
@click.option("--floor", type=PART, default=1e-5, show_default=True, help="or over the debt.")
@report_option
@one_line_errors
def loss(
    market_file: Path, model: str, days: float, step: int, paths: int, batch: int, seed: int,
    delay: int, discount: float, workers: int, scheduler: str | None, cache: Path | None,
    chain: Path, as_json: bool, short: bool, positions: int, size: float | None, least_ltv: float,
    price: float, reserve: float | None, share: float, floor: float,
    report: Path | None,
) -> None:  # fmt: skip
    """Draw paths until lenders' ES 99 is known well enough; liquidations do not move the price."""
    file, market = read_market(market_file, chain, short=short, price=price)
    (law, paths), first = law_of(model, paths), answer_of(price)
    if size is None:
        unit = market.worth(10**market.collateral_decimals, first)
        size = float(file.file.caps.debt) / positions / unit
    drawn = BookLaw(size, least_ltv=least_ltv)
    exact = random_positions(default_rng(seed), market, positions, first, drawn)
    book = Book.of(market, exact).sorted()
    debt = float(book.debt.sum())
    held = float(file.file.reserve.target) * debt if reserve is None else reserve
    lot = Lot(
        market,
        book,
        law,
        first,
        LateKeepers(delay, discount),
        held,
        min(batch, paths),
        steps_of(days, step),
        step,
    )
    work = run_tasks(
        DRAW_LOSSES,
        ({"lot": replace(lot, paths=count)} for count in sizes(paths, batch)),
        seed,
        workers_of(workers, scheduler),
        say,
        cache_of(cache),
    )
    precision = Precision(share, floor * debt, min(1_000, paths), paths)
    with counting(paths, quiet=as_json) as told:
        found = price_losses(lot, precision, work, told)
    given = {
        "market": market.id,
        "model": model,
        "seed": seed,
        "days": days,
        "step": step,
        "positions": positions,
        "delay": delay,
        "discount": discount,
    }
    lines = list(_lines(found, file.file.asset))
    if report is not None:
        asked = {**given, "size": size, "least_ltv": least_ltv, "price": price, "reserve": held,
                 "paths": paths, "batch": batch, "share": share, "floor": floor,
                 "short": short}  # fmt: skip
        panels = _panels(lot, exact, found, seed, file.file.asset)
        write_report(
            report, f"What lenders of {market.id} may lose", lines, asked,
            (market_file, chain, *model_files(model)), panels,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({**given, **_data(found)}))
        return
    console = Console()
    console.print(f"{market.id}, {model}, {days:g} days, seed {seed}", highlight=False)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
