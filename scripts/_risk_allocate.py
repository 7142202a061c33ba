"""`ape run risk allocate`: capital split over isolated positions under a budget of ES."""

from __future__ import annotations

import json
from itertools import repeat
from pathlib import Path
from typing import cast

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from ringfence.risk.allocate import (
    DRAW_SLOTS,
    Aim,
    AllocateLot,
    Allocation,
    Scenarios,
    allocate,
    slots_of,
)
from ringfence.risk.cross import CrossMarket
from ringfence.risk.errors import RiskError
from ringfence.risk.liquidations import Terms
from ringfence.risk.loss import LateKeepers
from ringfence.risk.models import parse_model
from ringfence.risk.tail import expected_shortfall
from ringfence.risk.work import run_tasks
from scripts._node import one_line_errors
from scripts._risk_setup import (
    cache_of,
    common,
    counting,
    figures,
    moves_of,
    read_market,
    say,
    steps_of,
    words,
    workers_of,
)

FIGURES = ("equity", "exposure")
"""Of Scenarios, in a task's result."""


def _scenarios(
    lot: AllocateLot, tasks: int, seed: int, workers: int, scheduler: str | None,
    cache: Path | None, *, quiet: bool,
) -> tuple[Scenarios, Scenarios]:  # fmt: skip
    """Return what slots become on the paths to choose by, and on as many to check by."""
    parts = []
    work = run_tasks(
        DRAW_SLOTS, repeat({"lot": lot}, 2 * tasks), seed, workers_of(workers, scheduler), say,
        cache_of(cache),
    )  # fmt: skip
    with counting(2 * tasks * lot.paths, quiet=quiet) as told:
        for part in work:
            parts.append(part)
            told(lot.paths * len(parts))
    chosen, checked = (
        Scenarios(*(np.concatenate([part[name] for part in half]) for name in FIGURES))
        for half in (parts[:tasks], parts[tasks:])
    )
    return chosen, checked


def _table(lot: AllocateLot, names: list[str], split: Allocation, checked: Scenarios,
           level: float) -> Table:  # fmt: skip
    table = Table("market", "leverage", "margin", "exposure at the start", "mean return", "ES")
    for column in table.columns[1:]:
        column.justify = "right"
    for number, slot in enumerate(lot.slots):
        margin, loss = split.margins[number], checked.loss[:, number]
        exposure = margin * (slot.leverage - (not lot.venues[slot.market].falls))
        table.add_row(
            names[slot.market], f"{slot.leverage:g}x", f"{margin:,.2f}", f"{exposure:,.2f}",
            f"{-loss.mean():.2%}", f"{expected_shortfall(loss, level).value:.2%}",
        )  # fmt: skip
    return table


@click.command("allocate")
@click.argument("market_files", type=click.Path(path_type=Path), nargs=-1, required=True)
@common
@click.option("--capital", type=float, default=10_000.0, show_default=True, help="Of the account.")
@click.option(
    "--budget", type=float, default=0.05, show_default=True, help="ES of its loss, a part of it."
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Of the ES.")
@click.option(
    "--leverage", "leverages", type=float, multiple=True, default=(1.5, 2.0, 3.0, 4.0),
    show_default=True, help="Collateral over equity of a slot; again for more.",
)  # fmt: skip
@click.option(
    "--aim", type=click.Choice(["exposure", "return"]), default="exposure", show_default=True,
    help="Whose mean is to be largest.",
)  # fmt: skip
@click.option(
    "--short", "shorts", multiple=True, help="Id of a market whose asset moves; again for more."
)
@click.option(
    "--correlation", type=float, default=0.6, show_default=True, help="Of the tokens' returns."
)
@one_line_errors
def allocation(
    market_files: tuple[Path, ...], model: str, days: float, step: int, paths: int, batch: int,
    seed: int, delay: int, discount: float, workers: int, scheduler: str | None,
    cache: Path | None, chain: Path, as_json: bool, capital: float, budget: float, level: float,
    leverages: tuple[float, ...], aim: str, shorts: tuple[str, ...], correlation: float,
) -> None:  # fmt: skip
    """Split capital over slots: the most exposure whose Expected Shortfall is in the budget.

    Half of the paths choose the split, as many others check it.
    """
    unknown = set(shorts) - {path.stem for path in market_files}
    if unknown:
        raise RiskError(f"--short {min(unknown)} is none of the markets; name one of the files")
    read = [read_market(path, chain, short=path.stem in shorts) for path in market_files]
    markets = [market for _file, market in read]
    names = [market.id for market in markets]
    # Amounts are in one currency, in which a market's least debt matters little: it is left out.
    venues = [CrossMarket(Terms.of(one.risk)._replace(min_debt=0.0), one.falls) for one in markets]
    size = min(batch, paths)
    lot = AllocateLot(
        slots_of(markets, leverages), venues, moves_of(read),
        parse_model(model), correlation, LateKeepers(delay, discount), size,
        steps_of(days, step), step,
    )  # fmt: skip
    chosen, checked = _scenarios(lot, paths // size, seed, workers, scheduler, cache, quiet=as_json)
    split = allocate(chosen, capital, budget, level, cast(Aim, aim))
    again = Allocation.of(checked, split.margins, level)
    if as_json:
        data = {
            "markets": names, "model": model, "seed": seed, "days": days,
            "paths": chosen.loss.shape[0], "capital": capital, "budget": budget, "level": level,
            "aim": aim,
            "slots": [
                {"market": names[one.market], "leverage": one.leverage, "margin": margin}
                for one, margin in zip(lot.slots, split.margins.tolist(), strict=True)
            ],
            "chosen": _figures(split), "checked": _figures(again),
        }  # fmt: skip
        click.echo(json.dumps(data))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{chosen.loss.shape[0]:,} paths of {model} over {days:g} days to choose, as many to check"
    )
    console.print(_table(lot, names, split, checked, level))
    console.print(f"in cash: {capital - split.margins.sum():,.2f} of {capital:,.2f}")
    console.print(
        f"ES {level:.0%} of the account's loss, budget {capital * budget:,.2f}: "
        f"{split.shortfall.value:,.2f} where chosen, {words(again.shortfall)} where checked"
    )
    console.print(f"mean exposure at the end: {words(again.exposure)}; return: {words(again.gain)}")


def _figures(of: Allocation) -> dict[str, dict[str, float | None]]:
    return {name: figures(getattr(of, name)) for name in ("shortfall", "exposure", "gain")}
