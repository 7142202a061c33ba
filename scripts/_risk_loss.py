"""`ape run risk loss`: what lenders of a market may lose, and whether its reserve is enough."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from itertools import repeat
from pathlib import Path

import click
from numpy.random import default_rng
from rich.console import Console

from ringfence.risk.book import BookLaw, random_book
from ringfence.risk.loss import DRAW_LOSSES, Keepers, LossReport, Lot, price_losses
from ringfence.risk.market import FEED_DECIMALS
from ringfence.risk.models import parse_model
from ringfence.risk.paths import DAY
from ringfence.risk.tail import Estimate, Precision
from ringfence.risk.work import run_tasks
from scripts._node import one_line_errors
from scripts._risk_setup import (
    MOVING,
    cache_of,
    common,
    counting,
    figures,
    pool_of,
    read_market,
    say,
    words,
)  # fmt: skip


def _lines(found: LossReport, asset: str) -> Iterable[str]:
    """Yield what people read; every interval holds the figure 95 times in 100."""
    paths = found.outcome.lender_loss.size
    yield f"{paths:,} paths; debt {found.debt:,.2f} {asset}, reserve {found.reserve:,.2f}"
    yield f"lender loss, VaR 95: {words(found.var_95)} {asset}"
    yield f"lender loss, ES 99: {words(found.es_99)} {asset}" + (
        "" if found.narrow else "; not as narrow as asked, pass more --paths"
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


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@common
@click.option("--short", is_flag=True, help="The asset's price moves, not the collateral's.")
@click.option("--positions", type=click.IntRange(1), default=10_000, show_default=True)
@click.option(
    "--size",
    type=float,
    help="Median collateral, whole; worth 1 / positions of the cap by default.",
)
@click.option(
    "--least-ltv", type=float, default=0.5, show_default=True, help="To the initial LTV, uniform."
)
@click.option(
    "--price",
    type=click.FloatRange(0, min_open=True),
    default=MOVING,
    show_default=True,
    help="What moves, at the start.",
)
@click.option(
    "--reserve", type=click.FloatRange(0), help="Whole assets; by default the file's target."
)
@click.option(
    "--share",
    type=float,
    default=0.1,
    show_default=True,
    help="Half the ES's interval over the ES, at most,",
)
@click.option("--floor", type=float, default=1e-5, show_default=True, help="or over the debt.")
@one_line_errors
def loss(
    market_file: Path, model: str, days: float, step: int, paths: int, batch: int, seed: int,
    delay: int, discount: float, workers: int, scheduler: str | None, cache: Path | None,
    chain: Path, as_json: bool, short: bool, positions: int, size: float | None, least_ltv: float,
    price: float, reserve: float | None, share: float, floor: float,
) -> None:  # fmt: skip
    """Draw paths until lenders' ES 99 is known well enough; liquidations do not move the price."""
    file, market = read_market(market_file, chain, short=short)
    first = round(price * 10**FEED_DECIMALS)
    if size is None:
        unit = market.worth(10**market.collateral_decimals, first)
        size = float(file.file.caps.debt) / positions / unit
    book = random_book(
        default_rng(seed), market, positions, first, BookLaw(size, least_ltv=least_ltv)
    )
    debt = float(book.debt.sum())
    held = float(file.file.reserve.target) * debt if reserve is None else reserve
    lot = Lot(
        market,
        book,
        parse_model(model),
        first,
        Keepers(delay, discount),
        held,
        min(batch, paths),
        round(days * DAY / step),
        step,
    )
    work = run_tasks(
        DRAW_LOSSES, repeat({"lot": lot}), seed, pool_of(workers, scheduler), say, cache_of(cache)
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
    if as_json:
        click.echo(json.dumps({**given, **_data(found)}))
        return
    console = Console()
    console.print(f"{market.id}, {model}, {days:g} days, seed {seed}", highlight=False)
    for line in _lines(found, file.file.asset):
        console.print(line, highlight=False, soft_wrap=True)
