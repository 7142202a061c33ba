"""The tables of a scenario that only simulations play, and paths that are drawn or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.deploy import FileError
from ringfence.evm import InProcessEngine
from ringfence.evm.artifacts import ROOT
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.waypoints import PathError
from ringfence.sim.demo import run
from ringfence.sim.scenario import Scenario, fingerprint, load_scenario
from ringfence.sim.stage import SimError
from tests.support.simulated import DAY, write

CRASH = ROOT / "scenarios" / "crash-2020-03-12.toml"


def edited(folder: Path, old: str, new: str) -> Scenario:
    text = DAY.read_text()
    assert old in text
    path = folder / "edited.toml"
    path.write_text(text.replace(old, new, 1))
    return load_scenario(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latency = 2", "latncy = 2", "latncy is not a known key"),
        ("latency = 2", "latency = -1", "latency"),
        ("at = 8, share = 0.4", "share = 0.4", "withdraw needs one of at and above_utilisation"),
        ("at = 8, share", "at = 8, above_utilisation = 0.9, share", "needs one of at and"),
        ("at = 8, share", "at = 8, times = 2, share", r"times = 2 \(limit 1\)"),
        ("share = 0.4", "share = 1.4", "share"),
        ('attack = "share inflation"', 'attack = "magic"', "attack"),
        ('account = "inflator"\nmarket = "weth', 'account = "inflator"\nmarket = "doge', "names"),
        ("margin = 5\n", "margin = 5\nleverage = 1\n", r"leverage is 1 \(limit: above 1\)"),
        ("hours = 24", "", "path.first and path.hours go with a model"),
        ("hours = 24", "hours = 24\nwaypoints = [[0, 1], [1, 1]]", "one of waypoints, model"),
        ('model = "student-t"', "", "one of waypoints, model and csv"),
    ],
)
def test_load_scenario__wrong__says_what_and_where(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(FileError, match=message):
        edited(tmp_path, old, new)


def test_draw__model__has_a_price_a_step_and_the_seed_decides() -> None:
    path = load_scenario(DAY).path
    one, again, other = (path.draw(seed).prices for seed in (136, 136, 3))
    assert len(one) == 24 * 12 + 1
    assert one[0] == other[0] == 2_000.0
    assert one == again
    assert one[1:] != other[1:]


def test_draw__unknown_model__raises(tmp_path: Path) -> None:
    scenario = edited(tmp_path, 'model = "student-t"', 'model = "crystal ball"')
    with pytest.raises(RiskError, match="crystal ball"):
        scenario.path.draw(1)


@pytest.mark.parametrize("model", ["csv:prices.csv", "bootstrap:prices.csv"])
def test_load__model_of_a_file__is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(FileError, match=r"a scenario's hash leaves out; .* as path\.csv"):
        edited(tmp_path, 'model = "student-t"', f'model = "{model}"')


def test_draw__csv__is_the_file_beside_the_scenario(tmp_path: Path) -> None:
    path = load_scenario(write(tmp_path, [2_000.0, 1_999.5, 2_001.25])).path
    assert path.draw(1).prices == (2_000.0, 1_999.5, 2_001.25)
    assert path.first_price() == 2_000


def test_draw__csv_of_another_step__raises(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, [2_000.0] * 3))
    (tmp_path / "prices.csv").write_text("time,price\n0,1\n60,1\n")
    with pytest.raises(PathError, match=r"a price every 60 s.*every 300"):
        scenario.path.draw(1)


def test_fingerprint__csv_changes__is_another(tmp_path: Path) -> None:
    first = fingerprint(write(tmp_path, [2_000.0, 1_999.0]))
    assert len(first) == 64
    assert fingerprint(write(tmp_path, [2_000.0, 1_999.0])) == first
    assert fingerprint(write(tmp_path, [2_000.0, 1_998.0])) != first


def test_fingerprint__no_csv__says_which(tmp_path: Path) -> None:
    path = write(tmp_path, [2_000.0, 1_999.0])
    (tmp_path / "prices.csv").unlink()
    with pytest.raises(FileError, match=r"prices.csv.*cannot be read"):
        fingerprint(path)


def test_run__people_whom_the_demo_does_not_play__is_refused(tmp_path: Path) -> None:
    engine = InProcessEngine()
    with pytest.raises(SimError, match="ape run simulate"):
        run(engine, load_scenario(DAY), "day", 1, tmp_path, print, print)  # type: ignore[arg-type]


def test_only_simulated__crash__is_for_the_demo_too() -> None:
    assert not load_scenario(CRASH).only_simulated
    assert load_scenario(DAY).only_simulated


def test_passive__day__has_positions_and_nobody_who_acts() -> None:
    scenario = load_scenario(DAY)
    quiet = scenario.passive()
    assert not quiet.only_simulated
    assert [one.account for one in quiet.positions] == [one.account for one in scenario.positions]
    assert not any(one.rules for one in quiet.positions)
