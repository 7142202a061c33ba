"""The demo from end to end: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ape.utils import use_temp_sys_path
from click.testing import CliRunner, Result

from ringfence.evm import InProcessEngine
from ringfence.evm.artifacts import ROOT
from ringfence.sim.always import ALWAYS
from ringfence.sim.result import from_json
from ringfence.sim.scenario import load_scenario
from ringfence.sim.shown import OUTCOMES
from tests.support.simulated import play

CRASH = ROOT / "scenarios" / "crash-2020-03-12.toml"
SECONDS = 120

CALM = """
title = "Two quiet hours"
seed = 1
expect = [{expect}]

[path]
step_seconds = 300
noise = 0.001
crash_end = 1
waypoints = [[0, 200], [1, 182], [2, 200]]

[feed]
deviation = 0.005
heartbeat = 3600

[pool]
fee = 500
weth = 10_000

[keeper]
gas_price_gwei = 20
min_profit = 0
max_loss = 0

[[markets]]
id = "weth-usdc-conservative"
lenders = [{{ account = "lender", amount = 10_000 }}]

[[positions]]
account = "trader"
market = "weth-usdc-conservative"
at = 0
margin = 1
leverage = {leverage}
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Any]:
    """The command as `ape run` imports it."""
    with use_temp_sys_path(ROOT):
        from scripts import demo as script

        yield script.cli


def run(demo: Any, *words: str | Path) -> Result:
    return CliRunner(mix_stderr=False).invoke(demo, [str(word) for word in words])


def calm(folder: Path, *, expect: str = "", leverage: str = "4.9") -> Path:
    path = folder / "calm.toml"
    path.write_text(CALM.format(expect=expect, leverage=leverage))
    return path


@pytest.fixture(scope="module")
def crash(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One run of the crash, and where it wrote."""
    out = tmp_path_factory.mktemp("demo")
    return run(demo, "--out", out), out


def test_demo__default_seed__every_check_holds(crash: tuple[Result, Path]) -> None:
    done, out = crash
    summary = json.loads((out / "summary.json").read_text())
    assert [name for name, held in summary["checks"].items() if not held] == []
    assert done.exit_code == 0, done.stderr
    assert list(summary["checks"]) == [*ALWAYS, *OUTCOMES]
    assert set(load_scenario(CRASH).expect) == set(OUTCOMES)
    assert summary["accounts"] >= 12
    assert summary["positions"] >= 24
    assert summary["liquidations"] > 0
    assert summary["steps"] == 721
    assert summary["seconds"] < SECONDS


def test_demo__result__tells_every_liquidation_with_its_three_words(
    crash: tuple[Result, Path],
) -> None:
    result = from_json((crash[1] / "result.json").read_text())
    assert len(result.liquidations) == result.summary()["liquidations"]
    for one in result.liquidations:
        assert [word.name for word in sorted(one.words, key=lambda word: word.name)] == [
            "books 1",
            "books 2",
            "position",
        ], f"ISO-1: {one.tx_hash} changed other words"
        assert one.other_vaults == 0, f"ISO-6: {one.tx_hash} changed another vault"
        assert all(word.before != word.after for word in one.words)
    assert {one.kind for one in result.liquidations} == {"partial", "full", "insolvent"}
    assert all(one.balances == one.supply for one in result.conservation)


def test_demo__table__names_every_position_and_check(crash: tuple[Result, Path]) -> None:
    done, out = crash
    result = from_json((out / "result.json").read_text())
    for account in {one.account for one in result.positions}:
        assert account in done.stdout
    for check in result.checks:
        assert check.name in done.stdout
    assert str(out / "summary.json") in done.stdout


def test_demo__calm__nobody_is_liquidated_so_isolation_shows_nothing(
    demo: Any, tmp_path: Path
) -> None:
    done = run(demo, "--scenario", calm(tmp_path, leverage="2"), "--out", tmp_path, "--json")
    summary = json.loads(done.stdout)
    assert summary["liquidations"] == 0
    failed = [name for name, held in summary["checks"].items() if not held]
    assert failed == ["liquidations_isolated"]
    assert done.exit_code == 1


def test_demo__expectation_not_met__ends_with_1(demo: Any, tmp_path: Path) -> None:
    scenario = calm(tmp_path, expect='"partial_liquidation", "short_closed_in_profit"')
    done = run(demo, "--scenario", scenario, "--out", tmp_path, "--json")
    checks = json.loads(done.stdout)["checks"]
    assert checks["liquidations_isolated"]
    assert checks["partial_liquidation"]
    assert not checks["short_closed_in_profit"]
    assert done.exit_code == 1


def test_demo__same_seed__same_story(demo: Any, tmp_path: Path) -> None:
    told = []
    for seed in (3, 3, 4):
        run(demo, "--scenario", calm(tmp_path), "--out", tmp_path, "--seed", str(seed))
        text = (tmp_path / "result.json").read_text()
        told.append(re.sub(r'"seconds":[0-9.e-]+', "", text))
    assert told[0] == told[1]
    assert told[0] != told[2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("noise =", "nois = 1\nnoise =", "nois is not a known key"),
        ("[2, 200]]", "[2.01, 200]]", "not on a step"),
        ('"weth-usdc-conservative"', '"unheard-of"', "unheard-of"),
        ("amount = 10_000 }", "amount = 100 }", "not enough cash"),
    ],
)
def test_demo__bad_scenario__one_line_and_1(
    demo: Any, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = calm(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = run(demo, "--scenario", path, "--out", tmp_path)
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr + done.stdout
    [line] = [one for one in done.stderr.splitlines() if one.startswith("error: ")]
    assert message in line


def test_demo__no_such_scenario__one_line_and_1(demo: Any, tmp_path: Path) -> None:
    done = run(demo, "--scenario", tmp_path / "none.toml", "--out", tmp_path)
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr


def test_simulate__the_same_scenario_in_process__liquidates_as_the_demo_did(
    crash: tuple[Result, Path], tmp_path: Path
) -> None:
    demo = from_json((crash[1] / "result.json").read_text())
    outcome = play(InProcessEngine(traced=False), CRASH, tmp_path)
    wanted = [
        (one.time, one.market, hex(one.position_id), one.seized, one.repaid, one.cut, one.loss,
         one.profit, one.gas_used)
        for one in demo.liquidations
    ]  # fmt: skip
    assert len(wanted) > 50
    assert [
        (one.time, one.market, one.position, one.seized, one.repaid, one.cut, one.loss,
         one.profit, one.gas)
        for one in outcome.liquidations
    ] == wanted  # fmt: skip
