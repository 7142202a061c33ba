"""`ape run risk calibrate`: price models fitted to the prices of a CSV, the best one first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from numpy.random import default_rng
from rich.console import Console
from rich.table import Table

from ringfence.risk.prices.csv_prices import Prices, read_prices
from ringfence.risk.prices.fit import Fit, fit
from ringfence.risk.prices.models import spell_model
from scripts._node import one_line_errors
from scripts._risk_report import report_option, write_report

_SEED = 1
_PATHS = 2_000
_AHEAD = 30
"""Steps of the fan chart."""


def _data(one: Fit) -> dict[str, object]:
    return {**asdict(one), "model": spell_model(one.model)}


def _table(fits: list[Fit]) -> Table:
    table = Table("model", "log-likelihood", "parameters", "BIC", "KS", "p")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in fits:
        table.add_row(
            one.name,
            f"{one.log_likelihood:,.1f}",
            str(one.parameters),
            f"{one.bic:,.1f}",
            f"{one.ks:.4f}",
            f"{one.p_value:.3f}",
        )
    return table


def _report(to: Path, csv: Path, prices: Prices, fits: list[Fit]) -> None:
    from ringfence.risk.report.prices import fan, tail_fit

    step, best = prices.step_seconds, fits[0]
    paths = best.model.draw(default_rng(_SEED), _PATHS, _AHEAD, step)
    words = ", ".join(f"{one.name} {one.bic:,.1f}" for one in fits)
    spelled = spell_model(best.model)
    count = len(prices.returns)
    lead = (
        f"Of {len(fits)} laws {best.name} fits the {count:,} log returns best: {spelled}.",
        f"BIC, the lower the better: {words}.",
    )
    given = {"seed": _SEED, "step_seconds": step, "best": spelled}
    panels = [
        tail_fit(prices.returns, fits, step, default_rng(_SEED)),
        fan(paths, step),
    ]
    write_report(to, f"Price models of {csv.name}", lead, given, [csv], panels)


@click.command()
@click.argument("csv", type=click.Path(path_type=Path))
@report_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_line_errors
def calibrate(csv: Path, report: Path | None, as_json: bool) -> None:
    """Fit price models to a CSV's prices (columns time and price), the lowest BIC first."""
    console = Console()
    prices = read_prices(csv)
    with Console(stderr=True).status("fitting"):
        fits = fit(prices.returns, prices.step_seconds)
    if report is not None:
        _report(report, csv, prices, fits)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "file": str(csv),
                    "returns": len(prices.returns),
                    "step_seconds": prices.step_seconds,
                    "fits": [_data(one) for one in fits],
                    "best": spell_model(fits[0].model),
                }
            )
        )
        return
    console.print(f"{len(prices.returns):,} log returns, {prices.step_seconds:,} s apart")
    console.print(_table(fits))
    console.print("KS tests the returns, garch-t's its residuals. The best, as a model is written:")
    click.echo(spell_model(fits[0].model))
