"""The command choose: what it prints, what it keeps, and the one line that it refuses with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scripts import _risk_choose
from scripts._risk_choose import choose
from tests.support.risk_tasks import THREAD

LONG = "markets/weth-usdc-conservative.toml"
SHORT = "markets/usdc-weth-short.toml"
QUICK = (
    "--paths",
    "2500",
    "--stress-paths",
    "2",
    "--step",
    "1800",
    "--delay",
    "0",
    "--refill",
    "1",
)
ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(_risk_choose, "workers_of", lambda _workers, _scheduler: THREAD)


def run(*words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(choose, list(words), env={"COLUMNS": "100"})


def data(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_choose__cache__second_run_is_the_first_without_its_work(tmp_path: Path) -> None:
    words = (LONG, *QUICK, "--budget", "0.05", "--bonus", "0.01", "--cache", str(tmp_path))
    first = data(*words)
    before = [one.stat().st_mtime_ns for one in sorted(tmp_path.iterdir())]
    assert data(*words) == first
    assert [one.stat().st_mtime_ns for one in sorted(tmp_path.iterdir())] == before
    assert len(before) >= 3 * 13
    best, own = first["best"], first["own"]
    assert best["passes"]
    assert best["used"] <= 0.05
    assert len(best["es_99"]) == 13
    assert best["binds"] in (*best["es_99"], "contract")
    assert best["target_ltv"] == pytest.approx(best["liquidation_ltv"] - 0.03)
    assert best["leverage"] == pytest.approx(1 / (1 - best["initial_ltv"]))
    assert (own["liquidation_ltv"], own["beta_max"]) == (0.86, 1.077)
    assert own["passes"] == (own["used"] <= 0.05)
    assert {one["budget"] for one in first["frontier"]} <= {0.0125, 0.025, 0.05, 0.1, 0.2}
    assert 0 < best["smart_ltv"] < best["one_whale"] < 1
    size = best["at_cap"]
    assert size["cap"] == best["cap"] > 0
    assert size["used"] <= 0.05
    assert len(size["coupled_es_99"]) == len(size["late_es_99"]) == 13
    assert first["gas"] == 20


def test_choose__people__are_told_what_to_write_into_the_file() -> None:
    result = run(SHORT, "--short", *QUICK, "--budget", "0.3", "--bonus", "0.02")
    assert result.exit_code == 0, result.stderr
    assert "choose liquidation_ltv 0." in result.stdout
    assert "the file's own parameters " in result.stdout
    for word in (
        "WETH",
        "base_bonus 0.02",
        "frontier",
        "SmartLTV",
        "one whale",
        "stress:2020-03-12",
        "the price; fresh paths",
        "up to; fresh paths",
        "gas 0.01,",
        "60.00%",
    ):
        assert word in result.stdout
    assert "120.00%" not in result.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--budget", "2"), "--budget is '2'"),
        (("--bonus", "-0.1"), "bonus is -0.1"),
        (("--bonus", "one"), "--bonus is 'one', not a number; write it as 0.01"),
        (("--depth", "0"), "--depth is '0'"),
        (("--impact", "2"), "--impact is '2'"),
    ],
)
def test_choose__impossible__one_line(words: tuple[str, ...], line: str) -> None:
    result = run(LONG, *QUICK, *words)
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 1
    assert line in result.stderr
