"""`ape run risk calibrate`: price models fitted to the prices of a CSV, the best one first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ringfence.risk.csv_prices import read_prices
from ringfence.risk.errors import RiskError
from ringfence.risk.fit import Fit, fit
from ringfence.risk.models import spell_model


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


@click.command()
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def calibrate(csv: Path, as_json: bool) -> None:
    """Fit price models to a CSV's prices (columns time and price), the lowest BIC first."""
    console = Console()
    try:
        prices = read_prices(csv)
        with Console(stderr=True).status("fitting"):
            fits = fit(prices.returns, prices.step_seconds)
    except RiskError as error:
        raise click.ClickException(str(error)) from None
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
