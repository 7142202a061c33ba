"""The price path: through every waypoint, its extremes the data's, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.evm.artifacts import ROOT
from ringfence.risk.prices.waypoints import HOUR, PathError, PricePath, draw_path, worst_fall
from ringfence.sim.scenario import load_scenario, seconds

CRASH = ROOT / "scenarios" / "crash-2020-03-12.toml"
WAYPOINTS = [(0, 200.0), (2 * HOUR, 190.0), (3 * HOUR, 140.0), (6 * HOUR, 150.0)]


def crash(seed: int) -> PricePath:
    return load_scenario(CRASH).path.draw(seed)


@pytest.mark.parametrize("seed", [0, 1, 20200312])
def test_draw_path__crash__ends_worst_hour_and_steps_are_the_days(seed: int) -> None:
    path = crash(seed)
    assert path.step == 300
    assert path.prices[0] == 195.55
    assert path.prices[576] == 86.00
    assert min(path.prices) == 86.00
    assert path.worst_fall() == pytest.approx(0.256, abs=0.0005)


def test_draw_path__crash__goes_through_every_waypoint() -> None:
    scenario = load_scenario(CRASH)
    path = scenario.path.draw(scenario.seed)
    for hour, price in scenario.path.waypoints:
        assert path.prices[seconds(hour) // path.step] == float(price)


def test_draw_path__same_seed__same_path() -> None:
    assert crash(7) == crash(7)


def test_draw_path__other_seed__other_path() -> None:
    assert crash(7) != crash(8)


def test_draw_path__noise__moves_what_lies_between() -> None:
    calm = draw_path(WAYPOINTS, step=300, noise=0.0, seed=1)
    rough = draw_path(WAYPOINTS, step=300, noise=0.003, seed=1)
    moved = sum(one != other for one, other in zip(calm.prices, rough.prices, strict=True))
    assert moved > len(calm.prices) / 2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), noise=st.floats(0, 0.02))
def test_draw_path__any_seed_and_noise__no_hour_worse_and_no_price_outside(
    seed: int, noise: float
) -> None:
    calm = draw_path(WAYPOINTS, step=300, noise=0.0, seed=seed)
    path = draw_path(WAYPOINTS, step=300, noise=noise, seed=seed)
    assert path.worst_fall() <= calm.worst_fall() + 1e-9
    assert min(path.prices) >= 140.0
    assert max(path.prices) <= 200.0


@pytest.mark.parametrize(
    ("waypoints", "step", "message"),
    [
        ([(0, 1.0)], 300, "two waypoints"),
        ([(300, 1.0), (600, 2.0)], 300, "the first at 0 s"),
        ([(0, 1.0), (600, 2.0), (600, 3.0)], 300, "does not come after"),
        ([(0, 1.0), (601, 2.0)], 300, "not on a step"),
        ([(0, 1.0), (600, 0.0)], 300, "must be above 0"),
        ([(0, 1.0), (600, 2.0)], 7, "whole number of steps"),
        ([(0, 1.0), (600, 2.0)], 0, "whole number of steps"),
    ],
)
def test_draw_path__bad_waypoints__raises(
    waypoints: list[tuple[int, float]], step: int, message: str
) -> None:
    with pytest.raises(PathError, match=message):
        draw_path(waypoints, step=step, noise=0.0, seed=0)


def test_worst_fall__rising__is_zero() -> None:
    assert worst_fall([1.0, 2.0, 3.0], 1) == 0


def test_worst_fall__several_spans__takes_the_greatest() -> None:
    assert worst_fall([10.0, 8.0, 9.0, 4.5], 1) == 0.5


def test_load_scenario__shipped_files__are_sound() -> None:
    for file in sorted(Path(ROOT, "scenarios").glob("*.toml")):
        scenario = load_scenario(file)
        scenario.path.draw(scenario.seed)
