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
from ringfence.risk.rules import trigger
from ringfence.sim.meter import Meter
from ringfence.sim.outcome import to_json
from ringfence.sim.scenario import fingerprint, load_scenario
from ringfence.sim.simulation import Simulation, prepare
from tests.support.risk_tasks import THREAD
from tests.support.simulated import DAY, edge, events_of, play, state_of, write

CRASH = DAY.with_name("crash-2020-03-12.toml")
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


def test_simulate__vectorised__prints_the_bytecodes_form_and_what_it_leaves_out(
    simulator: Any, tmp_path: Path
) -> None:
    told = run(simulator, DAY, "--engine", "vectorised", "--json", "--out", tmp_path)
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["sha256"] == fingerprint(DAY)
    assert found["left_out"][0] == "4 rules of traders"
    assert len(found["liquidations"]) == found["keepers"][0]["liquidations"] > 0
    assert {"reserve", "lender_loss"} <= found["markets"][0].keys()
    assert 0 < found["pool_low"] < 2_000
    assert json.loads((tmp_path / "summary.json").read_text())["left_out"] == found["left_out"]
    shown = run(simulator, DAY, "--engine", "vectorised").stdout
    assert "left out, as only the bytecode plays it: 4 rules of traders" in shown
    assert f"the pool's lowest price: {found['pool_low']:,.2f} USDC per WETH" in shown


def test_simulate__compare__exits_with_0_only_where_the_engines_agree(
    simulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, edge(tmp_path, LONG).prices)
    agreed = run(simulator, path, "--compare")
    assert agreed.exit_code == 0, agreed.stderr
    assert "integers_equal_at_every_step" in agreed.stdout
    assert "DIFFER" not in agreed.stdout
    monkeypatch.setattr(trigger, "div_up", lambda value, by: value // by)
    differing = run(simulator, path, "--compare")
    assert differing.exit_code == 1
    assert "DIFFER" in differing.stdout
    told = json.loads(run(simulator, path, "--compare", "--json").stdout)
    assert [one["held"] for one in told["checks"]][1:] == [False] * 3
    assert told["steps"][6]["due"] == [["long #1"], []]


def test_simulate__runs__prints_mean_and_worst_of_so_many_seeds(
    simulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts import _simulate_vectorised  # the command imports it when it is asked to

    monkeypatch.setattr(_simulate_vectorised, "workers_of", lambda _workers, _scheduler: THREAD)
    words = DAY, "--engine", "vectorised", "--runs", "3", "--out", tmp_path / "new"
    told = run(simulator, *words, "--json")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["runs"], found["first_seed"]) == (3, 136)
    assert found == json.loads((tmp_path / "new" / "runs.json").read_text())
    figures = {one["name"]: one for one in found["figures"]}
    assert figures["liquidations"]["worst"] == 15
    assert 15 / 3 <= figures["liquidations"]["mean"]["value"] < 15
    assert figures["pool's low"]["worst_seed"] == 136
    shown = run(simulator, *words).stdout
    assert "3 runs, seeds from 136 on" in shown
    assert "keeper's profit" in shown


def test_simulate__vectorised_position_that_opens_later__is_refused(simulator: Any) -> None:
    told = run(simulator, CRASH, "--engine", "vectorised")
    assert told.exit_code == 1
    assert "(limit: the first step)" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--engine", "vectorised", "--passive"), "leave --engine out"),
        (("--compare", "--passive"), "choose one"),
        (("--runs", "3"), "--runs is for --engine vectorised"),
        (("--compare", "--report", "out.html"), "bytecode alone; leave it or --compare out"),
        (("--engine", "vectorised", "--report", "out.html"), "it or --engine vectorised out"),
    ],
)
def test_simulate__options_that_exclude_each_other__are_refused(
    simulator: Any, words: tuple[str, ...], reason: str
) -> None:
    told = run(simulator, DAY, *words)
    assert told.exit_code == 2
    assert reason in told.stderr


def test_simulate__report__is_a_page_that_says_what_it_was_made_of(
    simulator: Any, tmp_path: Path
) -> None:
    path, to = write(tmp_path, [2_000.0, 1_700.0, 1_650.0]), tmp_path / "out.html"
    told = run(simulator, path, "--passive", "--seed", "5", "--report", to)
    assert told.exit_code == 0, told.stderr
    page = to.read_text(encoding="utf-8")
    for text in (fingerprint(path), '<th scope="row">seed</th><td><code>5</code>'):
        assert text in page
    for name in ("SHA-256 of the vault&#39;s bytecode", "numpy", "vyper", "command"):
        assert name in page
    assert "zero everywhere" in page
    told = run(simulator, path, "--report", path / "out.html")
    assert told.exit_code == 1
    assert "cannot be written" in told.stderr


def test_simulate__no_such_file__says_so_in_a_line(simulator: Any, tmp_path: Path) -> None:
    told = run(simulator, tmp_path / "none.toml")
    assert told.exit_code == 1
    assert "cannot be read" in told.stderr
    assert "Traceback" not in told.stderr
