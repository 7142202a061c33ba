"""What every way of simulating a scenario shows, and where its bytecode runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ringfence.evm import Engine, InProcessEngine
from ringfence.evm.anvil import launch
from ringfence.report import made
from ringfence.sim.outcome import Outcome, Speed, to_json
from ringfence.sim.simulate_tables import (
    attacks_table,
    checks_table,
    keepers_table,
    lenders_table,
    markets_table,
    positions_table,
    speed_line,
)
from scripts._risk_report import write_page

if TYPE_CHECKING:
    from ringfence.risk.rules.left_alone import LeftAlone

WIDTH = 150


@contextmanager
def engine_of(name: str) -> Iterator[Engine]:
    """Yield where bytecode runs, by its name."""
    if name == "anvil":
        with launch() as engine:
            yield engine
    else:
        yield InProcessEngine(traced=False)


@contextmanager
def bar() -> Iterator[tuple[Callable[[str], None], Callable[[int, int, str], None]]]:
    """Show a bar on stderr; yield what says what is done, and what moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("starting", total=None, note="")
        yield (
            lambda what: progress.update(task, description=what),
            lambda done, total, note: progress.update(task, completed=done, total=total, note=note),
        )


def console() -> Console:
    """Return where tables go, wide enough for them in a file."""
    found = Console()
    if not found.is_terminal:
        found.width = WIDTH
    return found


def show(outcome: Outcome, speed: Speed) -> None:
    """Print a simulation."""
    out = console()
    tables = [positions_table(outcome), markets_table(outcome), lenders_table(outcome)]
    tables += [keepers_table(outcome)] if outcome.keepers else []
    tables += [attacks_table(outcome)] if outcome.attacks else []
    out.print(*tables, checks_table(outcome))
    out.print(
        f"{outcome.title}, seed {outcome.seed}, {len(outcome.steps)} steps; "
        f"scenario sha256 {outcome.sha256}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(speed_line(speed), highlight=False, soft_wrap=True)


def write(outcome: Outcome, told: object, out: Path) -> None:
    """Write a simulation, and what is told of it, to a directory."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(to_json(outcome), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def summary(outcome: Outcome, speed: Speed) -> dict[str, object]:
    """Return what is printed with --json."""
    return {**outcome.summary(), "speed": asdict(speed)}


def write_report(
    outcome: Outcome, speed: Speed, alone: Mapping[str, LeftAlone] | None, to: Path
) -> None:
    """Write the page of a play."""
    # Figures and the vectorised engine take seconds to import.
    from ringfence.sim.outcome_page import outcome_page

    facts = {
        "scenario": outcome.scenario,
        "seed": str(outcome.seed),
        "engine": speed.engine,
        "steps": str(len(outcome.steps)),
        **made.versions("vyper", "numpy"),
        "SHA-256 of the scenario": outcome.sha256,
        **made.vault_hash(),
        **made.command(),
    }
    write_page(to, outcome_page(outcome, facts, alone))
