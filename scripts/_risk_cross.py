"""`ape run risk cross`: the same accounts with ring-fenced slots and with one common margin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from numpy.random import default_rng
from rich.console import Console
from rich.table import Table

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.cross import DRAW_CROSS, FIGURES, AccountLaw, random_accounts
from ringfence.risk.answers.tail import Estimate, expected_shortfall, mean
from ringfence.risk.arrays import Floats
from scripts._node import one_line_errors
from scripts._risk_joint import Asked, Joint, joint
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import AMOUNT, COUNT, PART_BELOW, figures, words

if TYPE_CHECKING:
    from ringfence.report.panel import Panel

KINDS = {
    "isolated": "isolated",
    "cross_leverage": "cross, equal leverage",
    "cross_capital": "cross, equal capital",
}
CROSSED = [kind for kind in KINDS if kind != "isolated"]


def _estimates(found: Mapping[str, Floats], kind: str) -> dict[str, Estimate]:
    """Return a kind of margin's figures: means over paths, and the ES of lenders' loss."""
    of = {name: mean(found[f"{kind}.{name}"]) for name in FIGURES}
    of["lender_loss_es_99"] = expected_shortfall(found[f"{kind}.lender_loss"], 0.99)
    return {name: one.at_least(0) for name, one in of.items()}


def _less_isolated(found: Mapping[str, Floats], kind: str) -> dict[str, Estimate]:
    """Return the means of cross less isolated over the same paths: negative, cross has less."""
    return {name: mean(found[f"{kind}.{name}"] - found[f"isolated.{name}"]) for name in FIGURES}


def _json(found: Mapping[str, Floats]) -> dict[str, object]:
    def of(estimates: dict[str, Estimate]) -> dict[str, object]:
        return {name: figures(one) for name, one in estimates.items()}

    return {
        **{kind: of(_estimates(found, kind)) for kind in KINDS},
        "less_isolated": {kind: of(_less_isolated(found, kind)) for kind in CROSSED},
    }


def _table(found: Mapping[str, Floats]) -> Table:
    table = Table("mean of a path", *KINDS.values())
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {
        "lost": "slots lost", "other_lost": "other slots lost", "lender_loss": "lender loss",
        "lender_loss_es_99": "lender loss, ES 99", "capital": "traders' capital at the end",
    }  # fmt: skip
    estimates = [_estimates(found, kind) for kind in KINDS]
    for name, title in rows.items():
        table.add_row(title, *(words(of[name]) for of in estimates))
    return table


def _lines(given: Mapping[str, object], found: Mapping[str, Floats]) -> Iterator[str]:
    """Yield in words what was compared, and how cross margin differs."""
    yield (
        f"{given['paths']:,} paths of {given['model']}; {given['accounts']:,} accounts, "
        f"{given['slots']:,} slots, worth {given['value']:,.0f}, debt {given['debt']:,.0f}, "
        f"spare {given['spare']:,.0f}"
    )
    for kind in CROSSED:
        of = _less_isolated(found, kind)
        yield (
            f"{KINDS[kind]}, less isolated: slots lost {words(of['lost'])}, lender loss "
            f"{words(of['lender_loss'])}, traders' capital {words(of['capital'])}"
        )


def _panels(of: Joint, found: Mapping[str, Floats]) -> list[Panel]:
    """Return the report's figures; the fan is of the first task's first market, drawn again."""
    from ringfence.risk.report.prices import fan
    from ringfence.risk.report.system import pairs

    shown = {
        "lost": "slots lost, number", "other_lost": "other slots lost, number",
        "lender_loss": "lender loss, in the one currency",
    }  # fmt: skip
    return [
        *(
            pairs(
                found[f"isolated.{name}"],
                {KINDS[kind]: found[f"{kind}.{name}"] for kind in CROSSED},
                what, name.replace("_", "-"),
            )
            for name, what in shown.items()
        ),
        fan(of.first_prices()[0], of.asked.step),
    ]  # fmt: skip


@click.command()
@joint
@click.option("--accounts", type=COUNT, default=200, show_default=True)
@click.option("--slots", type=COUNT, default=4, show_default=True, help="Of each account.")
@click.option(
    "--least-ltv",
    type=PART_BELOW,
    default=0.5,
    show_default=True,
    help="To the initial LTV, uniform.",
)
@click.option(
    "--spare",
    type=AMOUNT,
    default=0.5,
    show_default=True,
    help="Part of their equity that accounts have besides.",
)
@report_option
@one_line_errors
def cross(
    asked: Asked, accounts: int, slots: int, least_ltv: float, spare: float, report: Path | None
) -> None:
    """Compare margins on the same accounts and paths; a market file may be given twice."""
    of = asked.read()
    law = AccountLaw(accounts, slots, least_ltv=least_ltv, spare=spare)
    ltvs = [one.initial_ltv / WAD for one in of.markets]
    book = random_accounts(default_rng(asked.seed), ltvs, law)
    found = of.draw(DRAW_CROSS, {"accounts": book})
    given = {
        **of.asked.scenario(), "accounts": accounts, "slots": accounts * slots,
        "least_ltv": least_ltv, "spare_part": spare, "spare": float(book.spare.sum()),
        "debt": float(book.debt.sum()), "value": float(book.value.sum()),
    }  # fmt: skip
    head, *apart = _lines(given, found)
    if report is not None:
        write_report(
            report, "Isolated beside cross margin", (head, *apart), given, asked.files,
            _panels(of, found),
        )  # fmt: skip
    if asked.as_json:
        click.echo(json.dumps({**given, **_json(found)}))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(head)
    console.print(_table(found))
    for line in apart:
        console.print(line)
