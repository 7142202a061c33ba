"""Two engines' plays of one scenario, and many plays of it, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from ringfence.sim.vectorised.compare import Compared, StepCompared
from ringfence.sim.vectorised.scenario_runs import Figure

_HOUR = 3_600


def compared_table(compared: Compared) -> Table:
    """Return one row for each step at which anything was due, done or different."""
    table = Table(title="Bytecode and vectorised engine, step by step", title_justify="left")
    for name in ("step", "h", "answer", "liquidatable", "liquidated, in this order", "integers"):
        table.add_column(name, justify="right" if name in ("step", "h", "answer") else "left")
    for name in ("amounts", "pool"):
        table.add_column(f"{name}, of the bound", justify="right")
    told = [one for one in compared.steps if not (one.quiet and one.equal and one.within)]
    for one in told:
        table.add_row(*_row(one))
    rest = len(compared.steps) - len(told)
    pool = max((one.pool for one in compared.steps if one not in told), default=0.0)
    table.add_row(f"{rest} more", "", "", "none", "none", "equal", "-", f"{pool:.1e}")
    return table


def runs_table(figures: Iterable[Figure]) -> Table:
    """Return one row a figure of many runs."""
    table = Table(title="Runs: counts; USDC, WETH at a run's last answer", title_justify="left")
    table.add_column("of a run")
    for name in ("mean", "95 % interval", "worst", "its seed"):
        table.add_column(name, justify="right")
    for one in figures:
        low, high = f"{one.mean.low:,.2f}", f"{one.mean.high:,.2f}"
        told = f"{one.mean.value:,.2f}", f"{low} to {high}", f"{one.worst:,.2f}"
        table.add_row(one.name, *told, str(one.worst_seed))
    return table


def _row(one: StepCompared) -> tuple[str, ...]:
    answer, other = (f"{each / 10**8:,.2f}" for each in one.answers)
    due, sold = (_both(*pair) for pair in (one.due, one.sold))
    return (
        str(one.step),
        f"{one.time / _HOUR:.2f}",
        answer if one.answers[0] == one.answers[1] else f"{answer} / {other}",
        due,
        sold,
        "equal" if one.equal else "[red]DIFFER[/]",
        _share(one.amounts),
        _share(one.pool),
    )


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> str:
    """Return what both say, or what either does."""
    told, others = (", ".join(each) or "none" for each in (one, other))
    return told if one == other else f"{told} / {others}"


def _share(off: float) -> str:
    return f"{off:.1e}" if off <= 1 else f"[red]{off:.1e}[/]"
