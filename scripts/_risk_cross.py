"""`ape run risk cross`: the same accounts with ring-fenced slots and with one common margin."""

from __future__ import annotations

import json
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.random import SeedSequence, default_rng
from rich.console import Console
from rich.table import Table

from ringfence.math.fixed_point import WAD
from ringfence.risk.arrays import Floats
from ringfence.risk.cross import (
    DRAW_CROSS,
    FIGURES,
    AccountLaw,
    CrossLot,
    CrossMarket,
    market_prices,
    random_accounts,
)  # fmt: skip
from ringfence.risk.errors import RiskError
from ringfence.risk.liquidations import Terms
from ringfence.risk.loss import LateKeepers
from ringfence.risk.models import parse_model
from ringfence.risk.tail import Estimate, expected_shortfall, mean
from ringfence.risk.work import run_tasks
from scripts._node import one_line_errors
from scripts._risk_report import report_option, write_report
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

if TYPE_CHECKING:
    from ringfence.risk.report.panel import Panel

KINDS = {
    "isolated": "isolated",
    "cross_leverage": "cross, equal leverage",
    "cross_capital": "cross, equal capital",
}


def _estimates(found: dict[str, Floats], kind: str) -> dict[str, Estimate]:
    """Return a kind of margin's figures: means over paths, and the ES of lenders' loss."""
    of = {name: mean(found[f"{kind}.{name}"]) for name in FIGURES}
    return {**of, "lender_loss_es_99": expected_shortfall(found[f"{kind}.lender_loss"], 0.99)}


def _json(of: dict[str, Estimate]) -> dict[str, object]:
    return {name: figures(one) for name, one in of.items()}


def _table(found: dict[str, dict[str, Estimate]]) -> Table:
    table = Table("mean of a path", *KINDS.values())
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {
        "lost": "slots lost", "other_lost": "other slots lost", "lender_loss": "lender loss",
        "lender_loss_es_99": "lender loss, ES 99", "capital": "traders' capital at the end",
    }  # fmt: skip
    for name, title in rows.items():
        table.add_row(title, *(words(found[kind][name]) for kind in KINDS))
    return table


def _better(found: dict[str, Floats], kind: str, name: str) -> Estimate:
    """Return the mean of cross less isolated over the same paths: negative, cross has less."""
    return mean(found[f"{kind}.{name}"] - found[f"isolated.{name}"])


def _panels(lot: CrossLot, found: dict[str, Floats], seed: int) -> list[Panel]:
    """Return the report's figures; the fan is of the first task's first market, drawn again."""
    from ringfence.risk.report.prices import fan
    from ringfence.risk.report.system import pairs

    shown = {
        "lost": "slots lost, number", "other_lost": "other slots lost, number",
        "lender_loss": "lender loss, in the one currency",
    }  # fmt: skip
    crossed = [kind for kind in KINDS if kind != "isolated"]
    shape = (lot.paths, lot.steps, lot.step_seconds)
    rng = default_rng(SeedSequence(seed).spawn(1)[0])
    drawn = market_prices(rng, lot.model, lot.moves, lot.correlation, shape)
    return [
        *(
            pairs(
                found[f"isolated.{name}"],
                {KINDS[kind]: found[f"{kind}.{name}"] for kind in crossed},
                what, name.replace("_", "-"),
            )
            for name, what in shown.items()
        ),
        fan(drawn[0], lot.step_seconds),
    ]  # fmt: skip


@click.command()
@click.argument("market_files", type=click.Path(path_type=Path), nargs=-1, required=True)
@common
@click.option(
    "--short", "shorts", multiple=True, help="Id of a market whose asset moves; again for more."
)
@click.option("--accounts", type=click.IntRange(1), default=200, show_default=True)
@click.option(
    "--slots", type=click.IntRange(1), default=4, show_default=True, help="Of each account."
)
@click.option(
    "--least-ltv", type=float, default=0.5, show_default=True, help="To the initial LTV, uniform."
)
@click.option(
    "--spare",
    type=float,
    default=0.5,
    show_default=True,
    help="Part of their equity that accounts have besides.",
)
@click.option(
    "--correlation", type=float, default=0.6, show_default=True, help="Of the tokens' returns."
)
@report_option
@one_line_errors
def cross(
    market_files: tuple[Path, ...], model: str, days: float, step: int, paths: int, batch: int,
    seed: int, delay: int, discount: float, workers: int, scheduler: str | None,
    cache: Path | None, chain: Path, as_json: bool, shorts: tuple[str, ...], accounts: int,
    slots: int, least_ltv: float, spare: float, correlation: float, report: Path | None,
) -> None:  # fmt: skip
    """Compare margins on the same accounts and paths; a market file may be given twice."""
    unknown = set(shorts) - {path.stem for path in market_files}
    if unknown:
        raise RiskError(f"--short {min(unknown)} is none of the markets; name one of the files")
    read = [read_market(path, chain, short=path.stem in shorts) for path in market_files]
    markets = [market for _file, market in read]
    # Amounts are in one currency, in which a market's least debt matters little: it is left out.
    venues = [CrossMarket(Terms.of(one.risk)._replace(min_debt=0.0), one.falls) for one in markets]
    law = AccountLaw(accounts, slots, least_ltv=least_ltv, spare=spare)
    book = random_accounts(default_rng(seed), [one.initial_ltv / WAD for one in markets], law)
    size = min(batch, paths)
    lot = CrossLot(
        book, venues, moves_of(read), parse_model(model), correlation, LateKeepers(delay, discount),
        size, steps_of(days, step), step,
    )  # fmt: skip
    tasks = run_tasks(
        DRAW_CROSS, repeat({"lot": lot}, paths // size), seed, workers_of(workers, scheduler), say,
        cache_of(cache),
    )  # fmt: skip
    parts = []
    with counting(paths, quiet=as_json) as told:
        for part in tasks:
            parts.append(part)
            told(size * len(parts))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    estimates = {kind: _estimates(found, kind) for kind in KINDS}
    differences = {
        kind: {name: _better(found, kind, name) for name in FIGURES}
        for kind in KINDS if kind != "isolated"
    }  # fmt: skip
    given = {
        "markets": [one.id for one in markets], "model": model, "seed": seed, "days": days,
        "paths": size * len(parts), "accounts": accounts, "slots": accounts * slots,
        "correlation": correlation, "spare": float(book.spare.sum()),
        "debt": float(book.debt.sum()), "value": float(book.value.sum()),
    }  # fmt: skip
    head = (
        f"{given['paths']:,} paths of {model}; {accounts:,} accounts, {given['slots']:,} slots, "
        f"worth {given['value']:,.0f}, debt {given['debt']:,.0f}, spare {given['spare']:,.0f}"
    )
    apart = [
        f"{KINDS[kind]}, less isolated: slots lost {words(of['lost'])}, lender loss "
        f"{words(of['lender_loss'])}, traders' capital {words(of['capital'])}"
        for kind, of in differences.items()
    ]
    if report is not None:
        asked = {**given, "step": step, "batch": batch, "delay": delay, "discount": discount,
                 "least_ltv": least_ltv, "spare_part": spare, "shorts": sorted(shorts)}  # fmt: skip
        write_report(
            report, "Isolated beside cross margin", (head, *apart), asked, (*market_files, chain),
            _panels(lot, found, seed),
        )  # fmt: skip
    if as_json:
        less = {kind: _json(of) for kind, of in differences.items()}
        data = {kind: _json(of) for kind, of in estimates.items()}
        click.echo(json.dumps({**given, **data, "less_isolated": less}))
        return
    console = Console()
    console.print(head, highlight=False, soft_wrap=True)
    console.print(_table(estimates))
    for line in apart:
        console.print(line, highlight=False, soft_wrap=True)
