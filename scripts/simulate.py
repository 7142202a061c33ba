"""Play a scenario with everybody in it, in this process or on anvil: `ape run simulate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ringfence.evm import Engine, InProcessEngine
from ringfence.evm.anvil import launch
from ringfence.sim.outcome import Outcome, Speed, to_json
from ringfence.sim.scenario import Scenario, fingerprint, load_scenario
from ringfence.sim.simulate import simulate
from ringfence.sim.simulate_tables import (
    attacks_table,
    checks_table,
    keepers_table,
    lenders_table,
    markets_table,
    positions_table,
    speed_line,
)
from scripts._node import one_line_errors

WIDTH = 150


@contextmanager
def _engine(name: str) -> Iterator[Engine]:
    if name == "anvil":
        with launch() as engine:
            yield engine
    else:
        yield InProcessEngine(traced=False)


def _play(
    engine: Engine, scenario: Scenario, file: Path, seed: int, folder: Path, *, passive: bool
) -> tuple[Outcome, Speed]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None, note="")
        return simulate(
            engine,
            scenario,
            name=file.stem,
            sha256=fingerprint(file),
            seed=seed,
            folder=folder,
            passive=passive,
            say=lambda what: bar.update(task, description=what),
            tick=lambda done, total, note: bar.update(task, completed=done, total=total, note=note),
        )


def _show(outcome: Outcome, speed: Speed) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    tables = [positions_table(outcome), markets_table(outcome), lenders_table(outcome)]
    tables += [keepers_table(outcome)] if outcome.keepers else []
    tables += [attacks_table(outcome)] if outcome.attacks else []
    console.print(*tables, checks_table(outcome))
    console.print(
        f"{outcome.title}, seed {outcome.seed}, {len(outcome.steps)} steps; "
        f"scenario sha256 {outcome.sha256}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(speed_line(speed), highlight=False, soft_wrap=True)


def _write(outcome: Outcome, speed: Speed, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(to_json(outcome), encoding="utf-8")
    told = {**outcome.summary(), "speed": asdict(speed)}
    (out / "summary.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


@click.command()
@click.argument(
    "scenario_file", metavar="SCENARIO", type=click.Path(dir_okay=False, path_type=Path)
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["in-process", "anvil"]),
    default="in-process",
    show_default=True,
    help="Where the bytecode runs.",
)
@click.option("--seed", type=click.IntRange(0), help="In place of the scenario's own.")
@click.option(
    "--passive",
    is_flag=True,
    help="Let nobody act after the openings; compared with the vectorised engine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for result.json, summary.json and the deployment's record.",
)
@one_line_errors
def cli(
    scenario_file: Path,
    engine_name: str,
    seed: int | None,
    passive: bool,
    as_json: bool,
    out: Path | None,
) -> None:
    """Play a scenario on the real bytecode; exit with 0 only if every check held."""
    scenario = load_scenario(scenario_file)
    chosen = scenario.seed if seed is None else seed
    with TemporaryDirectory() as folder, _engine(engine_name) as engine:
        outcome, speed = _play(
            engine, scenario, scenario_file, chosen, out or Path(folder), passive=passive
        )
        if passive:
            # The vectorised engine takes seconds to import.
            from ringfence.risk.from_scenario import from_scenario, with_agreement

            outcome = with_agreement(outcome, from_scenario(scenario, chosen, Path(folder)))
    if out is not None:
        _write(outcome, speed, out)
    if as_json:
        click.echo(json.dumps({**outcome.summary(), "speed": asdict(speed)}, indent=2))
    else:
        _show(outcome, speed)
    sys.exit(0 if outcome.held else 1)
