"""`risk contagion`, as a program reads it and as people do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts._risk_contagion import contagion

MARKETS = Path(__file__).parents[3] / "markets"
FEW = ["--positions", "300", "--debt", "3_000_000", "--depth", "2_000", "--fall", "35"]


@pytest.mark.parametrize("name", ["weth-usdc-conservative", "usdc-weth-short"])
def test_contagion__json__cascade_and_outage_grow(name: str) -> None:
    options = FEW if name.startswith("weth") else [*FEW, "--short", "--depth", "4_000_000"]
    if "--short" in options:
        options += ["--debt", "1_500"]
    told = CliRunner().invoke(contagion, [str(MARKETS / f"{name}.toml"), *options, "--json"])
    assert told.exit_code == 0, told.output
    data = json.loads(told.stdout)
    assert data["market"] == name
    counts = [one["liquidated"] for one in data["cascade"]]
    assert counts == sorted(counts)
    assert counts[0] > 50
    assert data["cascade"][0]["branching"] == 0
    costs = [one["loss"] for one in data["outage"]]
    assert costs == sorted(costs)
    assert costs[-1] > costs[0]
    assert data["depth"]["debt"] > 0
    assert 0 < data["depth"]["ltv"] <= 0.93


def test_contagion__for_people__two_tables() -> None:
    told = CliRunner().invoke(contagion, [str(MARKETS / "weth-usdc-conservative.toml"), *FEW])
    assert told.exit_code == 0, told.output
    for word in ("cascade", "branching", "cut off", "minutes", "the pool bears"):
        assert word in told.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--fall", "100"], "a fall of 1"),
        (["--fee", "1"], "a fee that is a part of one"),
        (["--price", "0"], "pass one above 0"),
    ],
)
def test_contagion__bad_input__one_clear_error(options: list[str], reason: str) -> None:
    told = CliRunner().invoke(
        contagion, [str(MARKETS / "weth-usdc-conservative.toml"), *FEW, *options]
    )
    assert told.exit_code == 1
    assert reason in told.output
    assert "Traceback" not in told.output
