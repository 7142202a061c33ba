"""`--report` of the risk commands: a whole page, with what it takes to run it again."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ringfence.risk.prices.paths import DAY
from scripts import _risk_choose, _risk_joint, _risk_loss
from scripts._risk_allocate import allocation
from scripts._risk_calibrate import calibrate
from scripts._risk_choose import choose
from scripts._risk_contagion import contagion
from scripts._risk_cross import cross
from scripts._risk_loss import loss
from scripts._risk_trader import trader
from tests.support.risk_panels import MADE_RETURNS
from tests.support.risk_tasks import THREAD

ROOT = Path(__file__).parents[4]
MARKET = "markets/weth-usdc-conservative.toml"
QUICK = ("--paths", "200", "--batch", "100", "--step", "3600", "--model", "gbm:volatility=4")
LOSS = (MARKET, *QUICK, "--positions", "60", "--reserve", "0", "--share", "1e-9", "--floor", "0")
CROSS = (MARKET, MARKET, *QUICK, "--accounts", "10")
ALLOCATE = (MARKET, *QUICK, "--level", "0.8", "--budget", "0.5", "--delay", "0")
CONTAGION = (MARKET, "--positions", "300", "--blocks", "40", "--depth", "2000")
TRADER = (MARKET, "--leverage", "3", "--price", "2000", "--paths", "100", "--step", "14400")

CHOOSE = (
    MARKET, "--paths", "2500", "--stress-paths", "2", "--step", "3600", "--delay", "0",
    "--refill", "1", "--budget", "0.1", "--bonus", "0.01", "--positions", "8",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for module in (_risk_choose, _risk_loss, _risk_joint):
        monkeypatch.setattr(module, "workers_of", lambda _workers, _scheduler: THREAD)


def run(command: click.Command, to: Path, *words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(command, [*words, "--report", str(to)])


def shown(page: str) -> set[str]:
    found = re.search(r'id="figures">(.*?)</script>', page, re.S)
    assert found
    return set(json.loads(found[1]))


@pytest.mark.parametrize(
    ("command", "words", "figures"),
    [
        (loss, LOSS, {"losses", "tornado", "ladder", "drop", "fan", "agreement"}),
        (allocation, ALLOCATE, {"margins", "account", "reach", "fan"}),
        (cross, CROSS, {"lost", "other-lost", "lender-loss", "fan"}),
        (trader, TRADER, {"fan", "passage", "stress"}),
        (contagion, CONTAGION, {"cascade", "outage", "eclipse", "depth", "keepers"}),
        (choose, CHOOSE, {"heat", "frontier"}),
    ],
    ids=["loss", "allocate", "cross", "trader", "contagion", "choose"],
)
def test_report__a_market__has_figures_hashes_versions_and_the_seed(
    tmp_path: Path, command: click.Command, words: tuple[str, ...], figures: set[str]
) -> None:
    to = tmp_path / "out.html"
    result = run(command, to, *words, "--seed", "5")
    assert result.exit_code == 0, result.stderr or result.exception
    page = to.read_text(encoding="utf-8")
    assert shown(page) == figures
    assert hashlib.sha256((ROOT / MARKET).read_bytes()).hexdigest() in page
    compiled = json.loads((ROOT / "verification" / "compiled.json").read_text(encoding="utf-8"))
    assert compiled["MarginVault"]["creation"]["sha256"] in page
    assert '<th scope="row">seed</th><td><code>5</code>' in page
    assert f'<th scope="row">numpy</th><td><code>{np.__version__}</code>' in page
    assert str(to) in result.stderr


def test_report__loss__holds_the_model_to_the_contract(tmp_path: Path) -> None:
    to = tmp_path / "out.html"
    run(loss, to, *LOSS)
    assert "Model less contract on 60 positions" in to.read_text(encoding="utf-8")
    assert "zero everywhere" in to.read_text(encoding="utf-8")


def test_report__another_seed__is_another_scenario_and_the_same_one_the_same_page(
    tmp_path: Path,
) -> None:
    def page(name: str, seed: str) -> str:
        run(trader, tmp_path / name, *TRADER, "--seed", seed)
        return (tmp_path / name).read_text(encoding="utf-8")

    def scenario(text: str) -> str:
        found = re.search(r"SHA-256 of the scenario</th><td><code>(\w{64})", text)
        assert found
        return found[1]

    first = page("a.html", "5")
    assert first == page("b.html", "5")
    assert scenario(first) != scenario(page("c.html", "6"))


def test_report__calibrate__draws_the_tails(tmp_path: Path) -> None:
    csv, to = tmp_path / "prices.csv", tmp_path / "out.html"
    prices = 2_000 * np.exp(np.cumsum(MADE_RETURNS[:150]))
    rows = "".join(f"{DAY * day},{price}\n" for day, price in enumerate(prices))
    csv.write_text("time,price\n" + rows, encoding="utf-8")
    result = run(calibrate, to, str(csv))
    assert result.exit_code == 0, result.stderr
    page = to.read_text(encoding="utf-8")
    assert shown(page) == {"tail", "fan"}
    assert hashlib.sha256(csv.read_bytes()).hexdigest() in page


def test_report__place_that_takes_no_files__one_line_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(trader, tmp_path / "file" / "out.html", *TRADER)
    assert result.exit_code == 1
    assert "takes no files; pass another file" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not result.stdout


def test_report__folder_that_is_not_there_yet__is_made(tmp_path: Path) -> None:
    to = tmp_path / "new" / "out.html"
    assert run(trader, to, *TRADER).exit_code == 0
    assert shown(to.read_text(encoding="utf-8"))
