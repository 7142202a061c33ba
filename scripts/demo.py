"""Play a scenario on a local chain and prove what happened: `ape run demo`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ringfence.deploy import RecordStore
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import JsonRpc
from ringfence.report import made
from ringfence.sim.build import build_of
from ringfence.sim.demo import CHAIN_ID, HISTORY, run
from ringfence.sim.result import Result, to_json
from ringfence.sim.scenario import Scenario, fingerprint, load_scenario
from ringfence.sim.tables import checks_table, keeper_line, markets_table, positions_table
from scripts._node import LOCAL_CHAIN_IDS, ROOT, fail, one_line_errors

DEFAULT = ROOT / "scenarios" / "crash-2020-03-12.toml"
WIDTH = 170


@contextmanager
def _engine(network: str | None) -> Iterator[AnvilEngine]:
    """Start a node of our own, or attach to the local one that Ape connects to."""
    if network is None:
        with launch(chain_id=CHAIN_ID, history=HISTORY) as engine:
            yield engine
        return
    from ape import networks

    with networks.parse_network_choice(network) as provider:
        if provider.chain_id not in LOCAL_CHAIN_IDS:
            fail(f"the demo moves prices: {network} is not a local chain; leave --network out")
        yield AnvilEngine.from_ape(provider)


def _play(engine: AnvilEngine, scenario: Scenario, name: str, seed: int, out: Path) -> Result:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None, note="")

        def tick(done: int, total: int, note: str) -> None:
            bar.update(task, completed=done, total=total, note=note)

        def say(what: str) -> None:
            bar.update(task, description=what)

        return run(engine, scenario, name, seed, out, say, tick)


def _node(engine: AnvilEngine) -> str:
    rpc = JsonRpc(engine.url)
    try:
        return str(rpc.call("web3_clientVersion"))
    finally:
        rpc.close()


def _write(result: Result, scenario_file: Path, node: str, out: Path) -> None:
    # Figures and the risk engine take seconds to import, and `ape run` reads every script.
    from ringfence.sim.report import render

    (out / "result.json").write_text(to_json(result), encoding="utf-8")
    summary = json.dumps(result.summary(), indent=2) + "\n"
    (out / "summary.json").write_text(summary, encoding="utf-8")
    record = RecordStore(out / "deployment.json").load(result.chain_id)
    build = {
        **build_of(record, node),
        "SHA-256 of the scenario": fingerprint(scenario_file),
        **made.vault_hash(),
        **made.command(),
    }
    (out / "report.html").write_text(render(result, build), encoding="utf-8")


def _show(result: Result, out: Path) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(positions_table(result), markets_table(result), checks_table(result))
    console.print(keeper_line(result), highlight=False)
    console.print(
        f"{result.title}, seed {result.seed}: {result.accounts} accounts, "
        f"{len(result.positions)} positions, {len(result.liquidations)} liquidations, "
        f"{result.transactions} transactions in {result.seconds:.0f} s",
        highlight=False,
    )
    console.print(f"Summary: {out / 'summary.json'}", highlight=False, soft_wrap=True)
    console.print(f"Report:  {out / 'report.html'}", highlight=False, soft_wrap=True)


@click.command()
@click.option(
    "--scenario",
    "scenario_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT,
    help="A scenario file; the crash of 12 March 2020 unless given.",
)
@click.option("--seed", type=int, help="In place of the scenario's own.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/demo"))
@click.option("--network", help="A local network of Ape's; a node of the demo's own unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@one_line_errors
def cli(
    scenario_file: Path, seed: int | None, out: Path, network: str | None, as_json: bool
) -> None:
    """Play a scenario on a local chain; exit with 0 only if every check held."""
    scenario = load_scenario(scenario_file)
    out.mkdir(parents=True, exist_ok=True)
    with _engine(network) as engine:
        chosen = scenario.seed if seed is None else seed
        result = _play(engine, scenario, scenario_file.stem, chosen, out)
        _write(result, scenario_file, _node(engine), out)
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
    else:
        _show(result, out)
    sys.exit(0 if result.held else 1)
