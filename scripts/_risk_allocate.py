"""`ape run risk allocate`: capital split over isolated positions under a budget of ES."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.console import Console
from rich.table import Table

from ringfence.risk.answers.allocate import (
    DRAW_SLOTS,
    Aim,
    Allocation,
    Scenarios,
    Slot,
    allocate,
    slots_of,
)
from ringfence.risk.answers.tail import expected_shortfall
from scripts._node import one_line_errors
from scripts._risk_joint import Asked, Joint, joint
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import LEVERAGE, PART_ABOVE, SIZE, Number, figures, words

if TYPE_CHECKING:
    from ringfence.report.panel import Panel

_LEVEL = Number(float, 0.5, 1.0, below=True)
BUDGETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""That a report tries, times the one asked for."""


@dataclass(frozen=True, slots=True)
class _Split:
    """What was asked and found: slots, and the split where it was chosen and where checked."""

    of: Joint
    slots: list[Slot]
    capital: float
    budget: float
    level: float
    aim: Aim
    chosen: Scenarios
    checked: Scenarios
    split: Allocation
    again: Allocation

    def name(self, slot: Slot) -> str:
        """Return the id of a slot's market."""
        return self.of.markets[slot.market].id


def _choose(
    of: Joint, slots: list[Slot], capital: float, budget: float, level: float, aim: Aim
) -> _Split:
    """Choose a split on the paths asked for, and check it on as many others."""
    found = of.draw(DRAW_SLOTS, {"slots": slots}, times=2)
    chosen, checked = (
        Scenarios(found["equity"][half], found["exposure"][half])
        for half in (slice(of.asked.paths), slice(of.asked.paths, None))
    )
    split = allocate(chosen, capital, budget, level, aim)
    again = Allocation.of(checked, split.margins, level)
    return _Split(of, slots, capital, budget, level, aim, chosen, checked, split, again)


def _table(found: _Split) -> Table:
    table = Table("market", "leverage", "margin", "exposure at the start", "mean return", "ES")
    for column in table.columns[1:]:
        column.justify = "right"
    for number, slot in enumerate(found.slots):
        margin, loss = found.split.margins[number], found.checked.loss[:, number]
        exposure = margin * (slot.leverage - (not found.of.markets[slot.market].falls))
        table.add_row(
            found.name(slot), f"{slot.leverage:g}x", f"{margin:,.2f}", f"{exposure:,.2f}",
            f"{-loss.mean():.2%}", f"{expected_shortfall(loss, found.level).value:.2%}",
        )  # fmt: skip
    return table


def _lines(found: _Split) -> Iterator[str]:
    """Yield the split in words."""
    asked, split, again = found.of.asked, found.split, found.again
    paths = f"{asked.paths:,} paths of {asked.model} over {asked.days:g} days"
    yield f"{paths} to choose, as many to check"
    cash = max(found.capital - split.margins.sum(), 0.0)
    yield f"in cash: {cash:,.2f} of {found.capital:,.2f}"
    yield (
        f"ES {found.level:.0%} of the account's loss, budget {found.capital * found.budget:,.2f}: "
        f"{split.shortfall.value:,.2f} where chosen, {words(again.shortfall)} where checked"
    )
    yield f"mean exposure at the end: {words(again.exposure)}; return: {words(again.gain)}"


def _json(found: _Split) -> dict[str, object]:
    def of(split: Allocation) -> dict[str, object]:
        return {name: figures(getattr(split, name)) for name in ("shortfall", "exposure", "gain")}

    return {
        "slots": [
            {"market": found.name(one), "leverage": one.leverage, "margin": margin}
            for one, margin in zip(found.slots, found.split.margins.tolist(), strict=True)
        ],
        "chosen": of(found.split), "checked": of(found.again),
    }  # fmt: skip


def _panels(found: _Split) -> list[Panel]:
    """Return the report's figures; the fan is of the first task's first market, drawn again."""
    from ringfence.risk.report.prices import fan
    from ringfence.risk.report.split import account_loss, margins, reach

    unit = "in the one currency"
    budgets = sorted({min(times * found.budget, 1.0) for times in BUDGETS})
    splits = [
        Allocation.of(
            found.checked,
            allocate(found.chosen, found.capital, budget, found.level, found.aim).margins,
            found.level,
        )
        for budget in budgets
    ]
    return [
        margins(
            [f"{found.name(one)} {one.leverage:g}x" for one in found.slots],
            found.split.margins, found.capital, unit,
        ),
        account_loss(
            found.checked.loss @ found.split.margins, found.again.shortfall, found.level,
            found.capital * found.budget, unit,
        ),
        reach(
            [found.capital * one for one in budgets], splits, found.capital * found.budget, unit
        ),
        fan(found.of.first_prices()[0], found.of.asked.step),
    ]  # fmt: skip


@click.command("allocate")
@joint
@click.option("--capital", type=SIZE, default=10_000.0, show_default=True, help="Of the account.")
@click.option(
    "--budget",
    type=PART_ABOVE,
    default=0.05,
    show_default=True,
    help="ES of its loss, a part of it.",
)
@click.option("--level", type=_LEVEL, default=0.95, show_default=True, help="Of the ES.")
@click.option(
    "--leverage", "leverages", type=LEVERAGE, multiple=True, default=(1.5, 2.0, 3.0, 4.0),
    show_default=True, help="Collateral over equity of a slot; again for more.",
)  # fmt: skip
@click.option(
    "--aim", type=click.Choice(["exposure", "return"]), default="exposure", show_default=True,
    help="Whose mean is to be largest.",
)  # fmt: skip
@report_option
@one_line_errors
def allocation(
    asked: Asked, capital: float, budget: float, level: float, leverages: tuple[float, ...],
    aim: str, report: Path | None,
) -> None:  # fmt: skip
    """Split capital over slots: the most exposure whose Expected Shortfall is in the budget.

    The paths choose the split, as many others check it.
    """
    of = asked.read()
    slots = slots_of(of.markets, leverages)
    found = _choose(of, slots, capital, budget, level, cast(Aim, aim))
    given = {
        **of.asked.scenario(), "capital": capital, "budget": budget, "level": level, "aim": aim,
        "leverages": leverages,
    }  # fmt: skip
    head, *lines = _lines(found)
    if report is not None:
        write_report(
            report, "Capital over isolated positions", (head, *lines), given, asked.files,
            _panels(found),
        )  # fmt: skip
    if asked.as_json:
        click.echo(json.dumps({**given, **_json(found)}))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(head)
    console.print(_table(found))
    for line in lines:
        console.print(line)
