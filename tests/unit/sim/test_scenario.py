"""Scenario files: every problem named, with its place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.deploy import FileError
from ringfence.evm.artifacts import ROOT
from ringfence.sim.scenario import Close, Delever, Scenario, TopUp, load_scenario, seconds

CRASH = ROOT / "scenarios" / "crash-2020-03-12.toml"


def edited(tmp_path: Path, old: str, new: str) -> Scenario:
    text = CRASH.read_text()
    assert old in text
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new, 1))
    return load_scenario(path)


def test_load_scenario__crash__has_the_people_and_positions_asked_for() -> None:
    scenario = load_scenario(CRASH)
    accounts = [one.account for one in scenario.positions]
    assert len(set(accounts)) >= 12
    assert len(accounts) >= 24
    assert all(accounts.count(name) > 1 for name in accounts)
    assert {type(rule) for one in scenario.positions for rule in one.rules} == {
        TopUp,
        Delever,
        Close,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("noise =", "nois =", "nois is not a known key"),
        ('market = "usdc-weth-short"', 'market = "doge"', "names market doge"),
        ("leverage = 2\n", "leverage = 1\n", r"leverage is 1 \(limit: above 1\)"),
        ('do = "top up", above_ltv = 0.80', 'do = "pray", above_ltv = 0.80', "rules.0"),
        ("share = 0.35", "share = 1.35", "share"),
        ("at_or_below = 100", "at_or_below = 100, at_or_above = 1", "needs one of"),
        ("fee = 500", "fee = 501", "pool.fee"),
        ('"top_up_saved"', '"everybody_happy"', "expect"),
        ("margin = 10", "margin = -10", "zero or more"),
    ],
)
def test_load_scenario__wrong__says_what_and_where(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(FileError, match=message):
        edited(tmp_path, old, new)


def test_load_scenario__no_such_file__raises(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")


def test_seconds__half_an_hour__is_1800() -> None:
    assert seconds(Decimal("0.5")) == 1_800
