"""A scenario without the bytecode, against it, and for many seeds: `ape run simulate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from ringfence.risk.arrays import Floats
from ringfence.sim.scenario import Scenario, fingerprint
from ringfence.sim.simulate_tables import checks_table
from ringfence.sim.vectorised.compare_tables import compared_table, runs_table
from ringfence.sim.vectorised.engine import Vectorised, compare_engines, simulate_vectorised
from ringfence.sim.vectorised.from_scenario import left_out, open_scenario
from ringfence.sim.vectorised.scenario_runs import run_seeds
from ringfence.sim.vectorised.scenario_runs import summary as summary_of
from scripts._risk_setup import say as note
from scripts._risk_setup import workers_of
from scripts._simulate_show import bar, console, engine_of, show, summary, write


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    file: Path
    scenario: Scenario
    seed: int
    as_json: bool
    out: Path | None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield where the deployment's record goes."""
        with TemporaryDirectory() as folder:
            yield self.out or Path(folder)

    def opened_and_played(self, folder: Path) -> Vectorised:
        """Play it."""
        return simulate_vectorised(
            self.scenario,
            name=self.file.stem,
            sha256=fingerprint(self.file),
            seed=self.seed,
            folder=folder,
        )


def play(asked: Asked) -> None:
    """Play a scenario vectorised, print it, and exit."""
    with asked.folder() as folder:
        found = asked.opened_and_played(folder)
    told = {
        **summary(found.outcome, found.speed),
        "left_out": found.left_out,
        "pool_low": found.pool_low,
    }
    if asked.out is not None:
        write(found.outcome, told, asked.out)
    if asked.as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        show(found.outcome, found.speed)
        click.echo(f"the pool's lowest price: {found.pool_low:,.2f} USDC per WETH")
        _tell_left_out(found.left_out)
    sys.exit(0 if found.outcome.held else 1)


def compare(asked: Asked, engine_name: str) -> None:
    """Play a scenario on both engines, print where they differ, and exit."""
    bytecode = "in-process" if engine_name == "vectorised" else engine_name
    with asked.folder() as folder, engine_of(bytecode) as engine, bar() as (say, tick):
        say("vectorised")
        found = asked.opened_and_played(folder)
        say("bytecode")
        compared = compare_engines(found, engine, asked.scenario, folder, tick)
    outcome = replace(found.outcome, checks=(*found.outcome.checks, *compared.checks()))
    told = {
        **{name: getattr(outcome, name) for name in ("scenario", "title", "sha256", "seed")},
        "left_out": found.left_out,
        "steps": [asdict(one) for one in compared.steps],
        "ends": compared.ends,
        "checks": [asdict(one) for one in outcome.checks],
    }
    if asked.out is not None:
        write(outcome, told, asked.out)
    if asked.as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        console().print(compared_table(compared), checks_table(outcome))
        click.echo(f"{outcome.title}, seed {outcome.seed}; scenario sha256 {outcome.sha256}")
        _tell_left_out(found.left_out)
    sys.exit(0 if outcome.held else 1)


def _tell_left_out(names: Sequence[str]) -> None:
    if names:
        click.echo(f"left out, as only the bytecode plays it: {', '.join(names)}")


def play_runs(asked: Asked, runs: int, workers: int) -> None:
    """Play some seeds from the one that was asked for on, and print what they come to."""
    seeds = range(asked.seed, asked.seed + runs)
    found: list[Floats] = []
    with asked.folder() as folder, bar() as (say, tick):
        say("opening")
        opened = open_scenario(asked.scenario, asked.seed, folder)
        say("playing")
        for some in run_seeds(opened, asked.scenario, seeds, workers_of(workers, None), note):
            found.append(some)
            tick(sum(map(len, found)), runs, "")
    figures = summary_of(np.concatenate(found), seeds)
    told = {
        "scenario": asked.file.stem,
        "title": asked.scenario.title,
        "sha256": fingerprint(asked.file),
        "first_seed": asked.seed,
        "runs": runs,
        "left_out": left_out(asked.scenario),
        "figures": [asdict(one) for one in figures],
    }
    if asked.out is not None:
        (asked.out / "runs.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if asked.as_json:
        click.echo(json.dumps(told, indent=2))
        return
    console().print(runs_table(figures))
    click.echo(
        f"{asked.scenario.title}, {runs} runs, seeds from {asked.seed} on; "
        f"scenario sha256 {told['sha256']}"
    )
    _tell_left_out(left_out(asked.scenario))
