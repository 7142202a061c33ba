"""The command trader: its answers are the engine's, its refusals one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringfence.risk.answers.chances import Chance
from ringfence.risk.prices.passage import gbm_hit_monitored
from scripts._risk_trader import trader

LONG = ("markets/weth-usdc-high-leverage.toml", "--leverage", "7", "--price", "2000")
BARE = ("markets/usdc-weth-short.toml", "--leverage", "4", "--price", "2000", "--margin", "1000")
SHORT = (*BARE, "--short")
QUICK = ("--model", "gbm:volatility=0.9", "--days", "30", "--step", "14400", "--paths", "3000")


def run(*words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(trader, words, env={"COLUMNS": "200"})


def told(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("words", [LONG, SHORT], ids=["long", "short"])
def test_trader__gbm__meets_the_shifted_barrier(words: tuple[str, ...]) -> None:
    found = told(*words, *QUICK)
    barrier = found["trigger"] / (2_000 * 10**8)
    assert (barrier < 1) == (words == LONG)
    seen = found["liquidation"]
    low, high = Chance(seen["hits"], seen["paths"]).interval(0.9999)
    assert low < gbm_hit_monitored(barrier, 30 / 365, 180, 0.9) < high
    assert seen["low"] < seen["value"] < seen["high"]
    assert found["margin_call"]["value"] > seen["value"]
    assert found["rebalanced"]["liquidation"]["value"] < seen["value"]


def test_trader__same_seed__prints_the_same_bytes() -> None:
    one, two, other = (run(*LONG, *QUICK, "--json", "--seed", seed) for seed in ("7", "7", "8"))
    assert one.stdout == two.stdout != other.stdout


def test_trader__for_people__answers_every_question() -> None:
    result = run(*LONG, *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "7 WETH, owing 12000 USDC; WETH at 2000, liquidatable below 1843.3" in result.stdout
    for question in (
        "margin call",
        "liquidation",
        "top-up for no liquidation, 99%",
        "leverage that survives, 95%",
        "leverage that survives 2020-03-12",
        "rebalanced: cost",
    ):
        assert f"│ {question}" in result.stdout


def test_trader__without_debt__is_never_liquidatable() -> None:
    result = run(*LONG, *QUICK, "--leverage", "1")
    assert "owing 0 USDC; WETH at 2000, never liquidatable\n" in result.stdout


def test_trader__prices_of_a_file__are_one_path(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    rows = [f"{day * 86_400},{price}" for day, price in enumerate((3_000, 2_990, 2_500, 2_900))]
    file.write_text("\n".join(["time,price", *rows]))
    words = (*LONG, "--days", "3", "--step", "86400")
    found = told(*words, "--model", f"csv:{file}")
    assert (found["liquidation"]["hits"], found["liquidation"]["paths"]) == (1, 1)
    assert found["liquidation"]["low"] < 0.3
    assert found["liquidation"]["seconds"] == [2 * 86_400] * 3
    found = told(*words, "--model", f"bootstrap:{file},block=24", "--paths", "400")
    assert 0 < found["liquidation"]["hits"] < found["liquidation"]["paths"] == 400


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((*SHORT, "--leverage", "7"), "a leverage of 7 cannot be opened (limits 1 and 5"),
        (BARE, "a price of 2000 is one of ETH/USD, but USDC/USD is what moves (limits 0.5"),
        ((*LONG, "--short"), "but USDC/USD is what moves (limits 0.50 and 2); leave out --short"),
        ((*SHORT, "--margin", "33"), "owe 0.0495 (limit 0.05, the market's least debt); pass a "),
        ((*LONG, "--model", "gmb"), "'gmb' is not a model"),
        ((*LONG, "--price", "0"), "--price is '0'"),
        ((*LONG, "--days", "0.001"), "hold 0 steps of 600 s"),
        ((*LONG, "--fee", "0.5"), "fee 0.5"),
    ],
)
def test_trader__impossible_input__is_one_line(words: tuple[str, ...], problem: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    [line] = [line for line in result.stderr.splitlines() if "error" in line]
    assert problem in line
    assert "Traceback" not in result.output
