"""`risk contagion`, as a program reads it and as people do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ringfence.risk.answers.contagion import absorption
from ringfence.risk.coupled.pool import Pool
from scripts._risk_contagion import contagion
from tests.support.coupling import LONG as UNITS

MARKETS = Path(__file__).parents[4] / "markets"
LONG = "markets/weth-usdc-conservative.toml"
SHORT = "markets/usdc-weth-short.toml"
FEW = ["--positions", "300", "--debt", "3_000_000", "--depth", "2_000", "--fall", "35"]


CURVES = ["oracle", "keepers", "both", "one keeper"]


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MARKETS.parent)


def data(*words: str) -> dict[str, Any]:
    told = CliRunner(mix_stderr=False).invoke(contagion, [*words, "--json"])
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    assert isinstance(found, dict)
    return found


def test_contagion__json__cascade_and_outages_grow() -> None:
    found = data(LONG, *FEW, "--begin", "20")
    assert found["market"] == "weth-usdc-conservative"
    counts = [one["liquidated"] for one in found["cascade"]]
    assert counts == sorted(counts)
    assert counts[0] > 50
    assert found["cascade"][0]["branching"] == 0
    assert list(found["outage"]) == CURVES
    for name in CURVES[:3]:
        costs = [one["loss"] for one in found["outage"][name]]
        assert costs == sorted(costs)
        assert costs[-1] > costs[0]
    assert found["depth"]["debt"] > 0
    assert 0 < found["depth"]["ltv"] <= 0.93
    own = found["eclipsed_keeper"]
    assert [one["blocks"] for one in own] == [one["blocks"] for one in found["outage"]["both"]]
    missed = [one["missed_profit"] for one in own]
    assert missed == sorted(missed)
    assert missed[0] == 0 < missed[-1]
    assert own[-1]["burned"] == pytest.approx(0.5 * own[-1]["failed"])
    assert own[-1]["burned_again"] == pytest.approx(60 * own[-1]["burned"])
    assert own[-1]["failed"] > 0


def test_contagion__keepers_at_their_capacity__one_eclipsed_costs_lenders() -> None:
    costs = data(LONG, *FEW, "--capacity", "1", "--keepers", "2")["outage"]["one keeper"]
    assert [one["blocks"] for one in costs] == [0, 4, 9, 18, 37, 75, 150, 300]
    assert costs[0]["loss"] < costs[-1]["loss"]


def test_contagion__no_sizes_given__book_owes_the_cap_and_the_pool_is_worth_five() -> None:
    found = data(LONG, "--positions", "200")
    assert found["debt"] == pytest.approx(18_000_000, rel=1e-12)
    held = Pool.around(2_000.0, 45_000.0, 0.0005)
    assert found["depth"]["debt"] == pytest.approx(absorption(held, UNITS, 1.0).debt, rel=1e-6)


def test_contagion__short__is_the_long_in_the_assets_own_units() -> None:
    """The same risk parameters, 18,000,000 USDC of debt cap against 9,000 WETH at 2,000."""
    words = ("--positions", "200", "--gas", "0", "--begin", "20")
    long, short = data(LONG, *words), data(SHORT, "--short", *words)
    assert short["debt"] == pytest.approx(9_000, rel=1e-12)
    assert short["depth"]["debt"] * 2_000 == pytest.approx(long["depth"]["debt"], rel=1e-6)
    for one, other in zip(long["cascade"], short["cascade"], strict=True):
        assert other["liquidated"] == pytest.approx(one["liquidated"], abs=2)
        assert other["repaid"] * 2_000 == pytest.approx(one["repaid"], rel=0.02)
        assert other["pool_low"] == pytest.approx(one["pool_low"] / 2_000**2, rel=0.02)
    assert short["cascade"][0]["pool_low"] < 0.71 / 2_000


def test_contagion__short_at_another_price__sizes_go_with_it() -> None:
    found = data(SHORT, "--short", "--positions", "100", "--price", "4000")
    assert found["debt"] == pytest.approx(9_000, rel=1e-12)
    assert found["depth"]["debt"] == pytest.approx(
        data(SHORT, "--short", "--positions", "100")["depth"]["debt"], rel=1e-6
    )


def test_contagion__other_chain_file__knows_its_own_tokens(tmp_path: Path) -> None:
    chain = tmp_path / "chain.toml"
    chain.write_text((MARKETS / "chains" / "1.toml").read_text().replace("tokens.WETH", "tokens.X"))
    told = CliRunner(mix_stderr=False).invoke(contagion, [LONG, *FEW, "--chain", str(chain)])
    assert told.exit_code == 1
    assert "has no token 'WETH'" in told.stderr


def test_contagion__for_people__three_tables_with_every_curve() -> None:
    told = CliRunner(mix_stderr=False).invoke(contagion, [LONG, *FEW], env={"COLUMNS": "160"})
    assert told.exit_code == 0, told.stderr
    for word in ("cascade", "branching", "cut off", "minutes", "The pool bears", *CURVES):
        assert word in told.stdout
    assert "300 positions owe 3,000,000 USDC, the pool holds 2,000 WETH" in told.stdout
    assert "the eclipsed one of 3 keepers" in told.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--fall", "100"], "--fall is '100' (limits: above 0 and below 100)"),
        (["--fee", "1"], "--fee is '1'"),
        (["--price", "0"], "--price is '0'"),
        (["--begin", "0"], "--begin is '0' (limits: 1 and 1,439)"),
        (["--positions", "30_001"], "30,001 positions owe 3,000,100 at least"),
    ],
)
def test_contagion__bad_input__one_clear_error(options: list[str], reason: str) -> None:
    told = CliRunner(mix_stderr=False).invoke(contagion, [LONG, *FEW, *options])
    assert told.exit_code == 1
    assert reason in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
