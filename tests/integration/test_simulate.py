"""One scenario on both engines, equal to the wei step by step; and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ape.utils import use_temp_sys_path
from click.testing import CliRunner, Result

from ringfence.evm import Engine, InProcessEngine
from ringfence.evm.anvil import launch
from ringfence.sim.meter import Meter
from ringfence.sim.outcome import to_json
from ringfence.sim.scenario import fingerprint, load_scenario
from ringfence.sim.simulation import Simulation, prepare
from tests.support.simulated import DAY, edge, events_of, play, state_of, write

LONG, SHORT = "weth-usdc-conservative", "usdc-weth-short"

EVERYBODY = {
    "keepers": """
[[keepers]]
account = "late"
latency = 1
gas_price_gwei = 30
min_profit = 0
max_loss = 0
""",
    "rules": ', rules = [{ do = "withdraw", at = 0.1, share = 0.5 }]',
    "attackers": """
[[attackers]]
attack = "share inflation"
account = "inflator"
market = "weth-usdc-conservative"
gift = 1

[[attackers]]
attack = "self-liquidation"
account = "self-liquidator"
market = "weth-usdc-conservative"
margin = 2

[[attackers]]
attack = "oracle lag"
account = "laggard"
market = "weth-usdc-conservative"
stake = 1_000
lag = 0.05
then = "self-liquidation"
""",
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Any]:
    """The command as `ape run` imports it."""
    with use_temp_sys_path(Path(__file__).parents[2]):
        from scripts import simulate as script

        yield script.cli


def run(simulator: Any, *words: str | Path) -> Result:
    return CliRunner(mix_stderr=False).invoke(simulator, [str(word) for word in words])


def begin(engine: Engine, path: Path, folder: Path) -> Simulation:
    folder.mkdir()
    meter = Meter(engine)
    scenario = load_scenario(path)
    simulation = prepare(meter, scenario, scenario.seed, folder)
    meter.receipts = []
    return simulation


def test_simulation__on_both_engines__is_equal_to_the_wei_at_every_step(tmp_path: Path) -> None:
    # Nobody else is in the short's vault, so that its interest is known beforehand.
    there = edge(tmp_path, SHORT)
    prices = [*there.prices, 1_800.0, 1_700.0, 1_690.0, 1_400.0, 1_350.0, 1_900.0]
    path = write(tmp_path, prices, **EVERYBODY)
    with launch() as node:
        engines = InProcessEngine(traced=True), node
        here, other = (begin(one, path, tmp_path / one.name) for one in engines)
        seen: set[str] = set()
        for index in range(len(prices)):
            here.play_step(index)
            other.play_step(index)
            assert state_of(here) == state_of(other), index
            events = events_of(here)
            assert events == events_of(other), index
            seen |= {name for _address, name, _args in events}
        assert here.moments == other.moments
        assert (here.deeds, here.sold) == (other.deeds, other.sold)
        assert here.positions() == other.positions()
    assert {"Liquidated", "FlashLiquidated", "Withdraw", "Adjusted", "Swap"} <= seen
    assert [one.liquidatable > 0 for one in here.moments[: there.at + 2]] == [
        *[False] * (there.at + 1),
        True,
    ]
    assert (here.sold[0].market, here.sold[0].time) == (SHORT, here.moments[there.at + 1].time)
    assert {one.market for one in here.sold} == {LONG, SHORT}
    [inflator, liquidator, laggard] = here.attacks()
    assert laggard.done > 1
    assert inflator.gain < 0
    assert liquidator.done == liquidator.tried > 0
    assert liquidator.gain < 0 < liquidator.bonus < -liquidator.result


def test_outcome__same_seed__is_the_same_bytes_on_either_engine(tmp_path: Path) -> None:
    path = write(tmp_path, [2_000.0, 1_900.0, 1_800.0, 1_700.0, 2_200.0], **EVERYBODY)
    with launch() as node:
        texts = {
            to_json(play(engine, path, tmp_path))
            for engine in (InProcessEngine(traced=False), InProcessEngine(traced=True), node)
        }
    [text] = texts
    assert json.loads(text)["liquidations"]


def test_simulate__day__writes_the_same_bytes_twice_and_says_which_file(
    simulator: Any, tmp_path: Path
) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    first, second = (run(simulator, DAY, "--out", folder) for folder in folders)
    assert first.exit_code == second.exit_code == 0, first.stderr
    results = [(folder / "result.json").read_bytes() for folder in folders]
    assert results[0] == results[1]
    assert json.loads(results[0])["sha256"] == fingerprint(DAY)
    assert fingerprint(DAY) in first.stdout
    assert "slow-keeper" in first.stdout
    assert "transactions a second" in first.stdout


def test_simulate__passive__agrees_with_the_vectorised_engine(simulator: Any) -> None:
    told = json.loads(run(simulator, DAY, "--json", "--passive", "--seed", "3").stdout)
    checks = {check["name"]: check["held"] for check in told["checks"]}
    assert told["seed"] == 3
    assert checks["vectorised_engine_agrees"]
    assert all(checks.values())
    assert not told["keepers"]


def test_simulate__no_such_file__says_so_in_a_line(simulator: Any, tmp_path: Path) -> None:
    told = run(simulator, tmp_path / "none.toml")
    assert told.exit_code == 1
    assert "cannot be read" in told.stderr
    assert "Traceback" not in told.stderr
