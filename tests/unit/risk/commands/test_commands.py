"""The commands loss and cross: what they print, and the one line that they refuse with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ringfence.risk.work.tasks import unpacked
from scripts import _risk_joint, _risk_loss
from scripts._risk_allocate import allocation
from scripts._risk_cross import cross
from scripts._risk_loss import loss
from tests.support.risk_tasks import THREAD

LONG = "markets/weth-usdc-conservative.toml"
SHORT = "markets/usdc-weth-short.toml"
QUICK = ("--paths", "200", "--batch", "100", "--step", "3600", "--model", "gbm:volatility=4")
ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def _thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_risk_loss, _risk_joint):
        monkeypatch.setattr(module, "workers_of", lambda _workers, _scheduler: THREAD)


def run(command: click.Command, *words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(command, list(words), env={"COLUMNS": "200"})


def data(command: click.Command, *words: str) -> dict[str, Any]:
    result = run(command, *words, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_loss__two_workers_or_none__same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        LONG,
        *QUICK,
        "--positions",
        "200",
        "--reserve",
        "0",
        "--share",
        "1e-9",
        "--floor",
        "0",
    )
    found = data(loss, *words, "--workers", "2")
    monkeypatch.setattr(_risk_loss, "workers_of", lambda _workers, _scheduler: THREAD)
    assert found == data(loss, *words)
    assert (found["paths"], found["narrow"]) == (200, False)
    assert 0 <= found["var_95"]["value"] < found["es_99"]["value"]
    assert found["es_99"]["low"] < found["es_99"]["value"]
    assert found["es_99"]["high"] is None  # two in the tail bound nothing
    assert found["loss"]["value"] + found["adequate"]["value"] == pytest.approx(1)
    assert found["loss"]["value"] > 0


@pytest.mark.usefixtures("_thread")
def test_loss__narrow_soon__stops_and_says_it_to_people() -> None:
    words = ("--paths", "5000", "--share", "9", "--reserve", "0", "--positions", "100")
    result = run(loss, LONG, *QUICK, *words)
    assert result.exit_code == 0, result.stderr
    assert "\n2,000 paths; debt " in result.stdout
    assert "not as narrow" not in result.stdout
    for word in ("VaR 95", "ES 99", "the reserve is enough on", "liquidations at risk"):
        assert word in result.stdout


@pytest.mark.usefixtures("_thread")
def test_loss__short__is_priced_in_its_asset() -> None:
    result = run(loss, SHORT, "--short", *QUICK, "--positions", "100", "--reserve", "0")
    assert result.exit_code == 0, result.stderr
    assert " WETH, reserve 0.00" in result.stdout


@pytest.mark.usefixtures("_thread")
def test_loss__cache__second_run_takes_all_from_it(tmp_path: Path) -> None:
    words = (LONG, *QUICK, "--positions", "100", "--cache", str(tmp_path))
    first, kept = data(loss, *words), sorted(tmp_path.iterdir())
    before = [one.stat().st_mtime_ns for one in kept]
    assert data(loss, *words) == first
    assert [one.stat().st_mtime_ns for one in sorted(tmp_path.iterdir())] == before


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Two days of hours, that end with a crash."""
    path = tmp_path / "prices.csv"
    write(path, 1_000)
    return path


def write(path: Path, last: float) -> None:
    rows = [f"{hour * 3_600},{2_000 + hour % 5}" for hour in range(48)]
    path.write_text("\n".join(["time,price", *rows, f"{48 * 3_600},{last}"]))


@pytest.mark.usefixtures("_thread")
@pytest.mark.parametrize("model", ["csv:{}", "bootstrap:{},block=12"])
def test_loss__prices_of_a_file__are_kept_by_what_is_in_it(
    prices: Path, tmp_path: Path, model: str
) -> None:
    words = (LONG, *QUICK, "--model", model.format(prices), "--days", "2", "--positions", "50",
             "--delay", "0", "--reserve", "0", "--cache", str(tmp_path / "cache"))  # fmt: skip
    crashed = data(loss, *words)
    assert crashed["es_99"]["value"] > 0
    assert crashed["es_99"]["low"] >= 0
    assert data(loss, *words) == crashed
    assert crashed["paths"] == (1 if model.startswith("csv") else 200)
    write(prices, 1_990)
    assert data(loss, *words)["es_99"]["value"] == 0


@pytest.mark.usefixtures("_thread")
def test_loss__one_path_of_a_file__says_what_has_more(prices: Path) -> None:
    words = (*QUICK, "--model", f"csv:{prices}", "--days", "2", "--positions", "50")
    told = run(loss, LONG, *words).stdout
    assert "not as narrow as asked, one path bounds nothing: pass bootstrap:FILE" in told
    assert "--paths" not in told


@pytest.mark.usefixtures("_thread")
@pytest.mark.parametrize(
    ("command", "words"),
    [(loss, ("--positions", "50")), (cross, (SHORT, "--short", "usdc-weth-short"))],
)
@pytest.mark.parametrize(
    ("step", "days", "line"),
    [
        ("1800", "1", "the data's is 3600 s; ask for 3600 s or a multiple of it"),
        ("3600", "3", "the data has 48; ask for fewer or give more"),
    ],
)
def test_commands__steps_that_a_file_lacks__one_line(
    prices: Path, command: click.Command, words: tuple[str, ...], step: str, days: str, line: str
) -> None:
    told = run(command, LONG, *words, *QUICK, "--model", f"csv:{prices}", "--step", step, "--days",
               days)  # fmt: skip
    assert told.exit_code == 1
    assert line in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("_thread")
def test_cross__three_markets__isolated_loses_no_other_slot() -> None:
    words = (LONG, LONG, SHORT, "--short", "usdc-weth-short", *QUICK, "--accounts", "20")
    found = data(cross, *words, "--correlation", "0.2")
    assert found["slots"] == 80
    assert found["isolated"]["other_lost"]["value"] == 0
    assert found["cross_leverage"]["other_lost"]["value"] > 0
    for kind in ("cross_leverage", "cross_capital"):
        for name in ("lost", "lender_loss", "capital"):
            difference = found[kind][name]["value"] - found["isolated"][name]["value"]
            assert found["less_isolated"][kind][name]["value"] == pytest.approx(difference)
    result = run(cross, *words, "--correlation", "0.2")
    assert "other slots lost" in result.stdout
    assert "cross, equal capital, less isolated: slots lost" in result.stdout


@pytest.mark.usefixtures("_thread")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (loss, (LONG, *QUICK, "--share", "1e-9", "--floor", "0")),
        (cross, (LONG, *QUICK, "--accounts", "2")),
        (allocation, (LONG, *QUICK, "--budget", "1", "--level", "0.5", "--delay", "0")),
    ],
    ids=["loss", "cross", "allocate"],
)
@pytest.mark.parametrize(("paths", "batch"), [(75, 50), (40, 50), (100, 50)])
def test_commands__any_paths_and_batch__as_many_paths_as_asked(
    tmp_path: Path, command: click.Command, words: tuple[str, ...], paths: int, batch: int
) -> None:
    cache = str(tmp_path / "cache")
    found = data(command, *words, "--paths", str(paths), "--batch", str(batch), "--cache", cache)
    assert found["paths"] == paths
    drawn = 0
    for one in Path(cache).iterdir():
        digest_and_body = one.read_bytes()
        drawn += len(next(iter(unpacked(digest_and_body[32:]).values())))
    assert drawn == paths * (2 if command is allocation else 1)


@pytest.mark.parametrize(
    ("command", "words", "line"),
    [
        (loss, (LONG, "--model", "gmb"), "'gmb' is not a model"),
        (loss, (LONG, "--discount", "1"), "--discount is '1' (limits: 0 and below 1)"),
        (loss, (LONG, "--least-ltv", "0.9"), "LTVs are drawn from 0.9"),
        (loss, (LONG, "--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers at"),
        (loss, ("markets/none.toml",), "none.toml"),
        (loss, (LONG, "--price", "1e-9"), "--price is '1e-9' (limits: 1e-08 and 9e+10)"),
        (loss, (LONG, "--price", "inf"), "--price is 'inf'"),
        (
            loss,
            (LONG, "--days", "0.0001"),
            "0.0001 days hold 0 steps of 60 s (limits: 1 and 1,000,000); pass more",
        ),
        (loss, (LONG, "--days", "nan"), "--days is 'nan' (limits: above 0 and 3650)"),
        (
            cross,
            (LONG, "--correlation", "2", "--paths", "1"),
            "--correlation is '2' (limits: 0 and 1)",
        ),
        (cross, (LONG, "--least-ltv", "0.9"), "LTVs are drawn from 0.9"),
        (cross, (LONG, "--short", "nothing"), "--short nothing is none of the markets"),
    ],
)
def test_commands__unusable__one_line(
    command: click.Command, words: tuple[str, ...], line: str
) -> None:
    result = run(command, *words)
    assert result.exit_code == 1
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
