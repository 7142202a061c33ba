"""Play a scenario on the bytecode, here or on anvil, or without it: `ape run simulate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ringfence.evm import Engine
from ringfence.sim.outcome import Outcome, Speed
from ringfence.sim.scenario import Scenario, fingerprint, load_scenario
from ringfence.sim.simulate import simulate
from scripts._node import one_line_errors
from scripts._risk_report import report_option
from scripts._simulate_show import bar, engine_of, show, summary, write, write_report


def _play(
    engine: Engine, scenario: Scenario, file: Path, seed: int, folder: Path, *, passive: bool
) -> tuple[Outcome, Speed]:
    with bar() as (say, tick):
        return simulate(
            engine,
            scenario,
            name=file.stem,
            sha256=fingerprint(file),
            seed=seed,
            folder=folder,
            passive=passive,
            say=say,
            tick=tick,
        )


def _check(
    engine_name: str, runs: int | None, *, passive: bool, compare: bool, report: Path | None
) -> None:
    """Raise where options exclude each other."""
    if passive + compare + (runs is not None) > 1:
        raise click.UsageError("--passive, --compare and --runs are three things; choose one")
    if engine_name == "vectorised" and passive:
        raise click.UsageError("--passive plays the bytecode and compares; leave --engine out")
    if runs is not None and engine_name != "vectorised":
        raise click.UsageError("--runs is for --engine vectorised; add that")
    if report is not None and (compare or engine_name == "vectorised"):
        other = "--compare" if compare else "--engine vectorised"
        raise click.UsageError(
            f"--report is for a play on the bytecode alone; leave it or {other} out"
        )


@click.command()
@click.argument(
    "scenario_file", metavar="SCENARIO", type=click.Path(dir_okay=False, path_type=Path)
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["in-process", "anvil", "vectorised"]),
    default="in-process",
    show_default=True,
    help="Where the bytecode runs, or without it.",
)
@click.option("--seed", type=click.IntRange(0), help="In place of the scenario's own.")
@click.option(
    "--passive",
    is_flag=True,
    help="Let nobody act after the openings; compared with the vectorised engine.",
)
@click.option("--compare", is_flag=True, help="Play it on the bytecode and vectorised; compare.")
@click.option("--runs", type=click.IntRange(2), help="Play so many seeds, vectorised.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Processes for --runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for result.json, summary.json and the deployment's record.",
)
@report_option
@one_line_errors
def cli(
    scenario_file: Path,
    engine_name: str,
    seed: int | None,
    passive: bool,
    compare: bool,
    runs: int | None,
    workers: int,
    as_json: bool,
    out: Path | None,
    report: Path | None,
) -> None:
    """Play a scenario on the bytecode or vectorised; exit with 0 only if every check held."""
    scenario = load_scenario(scenario_file)
    chosen = scenario.seed if seed is None else seed
    _check(engine_name, runs, passive=passive, compare=compare, report=report)
    if compare or engine_name == "vectorised":
        # The vectorised engine takes seconds to import.
        from scripts import _simulate_vectorised as vectorised

        asked = vectorised.Asked(scenario_file, scenario, chosen, as_json, out)
        if runs is not None:
            vectorised.play_runs(asked, runs, workers)
        elif compare:
            vectorised.compare(asked, engine_name)
        else:
            vectorised.play(asked)
        return
    with TemporaryDirectory() as folder, engine_of(engine_name) as engine:
        outcome, speed = _play(
            engine, scenario, scenario_file, chosen, out or Path(folder), passive=passive
        )
        alone = None
        if passive:
            from ringfence.sim.vectorised.from_scenario import from_scenario, with_agreement

            alone = from_scenario(scenario, chosen, Path(folder))
            outcome = with_agreement(outcome, alone)
    if out is not None:
        write(outcome, summary(outcome, speed), out)
    if report is not None:
        write_report(outcome, speed, alone, report)
    if as_json:
        click.echo(json.dumps(summary(outcome, speed), indent=2))
    else:
        show(outcome, speed)
    sys.exit(0 if outcome.held else 1)
