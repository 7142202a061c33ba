import numpy as np
import pytest

from ringfence.deploy.errors import FileError
from ringfence.deploy.files import parse
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import DAY
from ringfence.risk.prices.stress import DayTable, Stress, StressTable, stress_days, stress_table
from ringfence.risk.prices.waypoints import HOUR, PathError

# percent: what the day is known for, stated here once more so that the file cannot drift
FIGURES = {
    "2020-03-12": (-48.0, -25.6),
    "2021-05-19": (-44.1, -28.0),
    "2022-06-13": (-18.8, -6.1),
    "2022-11-08": (-21.4, -8.4),
    "2024-08-05": (-21.5, -16.5),
    "2025-02-03": (-25.9, -15.0),
    "2025-10-10": (-21.4, -11.3),
}
FILE = """
source = "somewhere"
noise = 0.01
[[days]]
date = 2020-01-01
open_to_low = -20.0
worst_hour = -10.0
waypoints = [[0, 0], [1, -10], [2, -19], [3, -20], [24, 0]]
"""


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_stress_days__shipped__are_those_known() -> None:
    assert list(stress_days()) == list(FIGURES)
    assert stress_table().source.startswith("ETH/USDT on Binance")


@pytest.mark.parametrize("step", [300, HOUR])
@pytest.mark.parametrize("day", FIGURES)
def test_stress_draw__every_path__has_the_days_low_and_worst_hour(day: str, step: int) -> None:
    low, worst = FIGURES[day]
    prices = stress_days()[day].draw(rng(), 20, DAY // step, step)
    hours = (prices[:, HOUR // step :] / prices[:, : -HOUR // step] - 1).min(axis=1)

    assert prices.shape == (20, DAY // step + 1)
    assert np.abs((prices.min(axis=1) - 1) * 100 - low).max() < 0.1
    assert np.abs(hours * 100 - worst).max() < 0.1


def test_stress_draw__february_2025__recovers_the_same_day() -> None:
    assert (stress_days()["2025-02-03"].draw(rng(), 3, 288, 300)[:, -1] > 1).all()


def test_stress_draw__way_between__is_drawn_from_the_seed() -> None:
    day = stress_days()["2020-03-12"]
    first, again, other = (day.draw(rng(seed), 2, 288, 300) for seed in (1, 1, 2))

    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other)
    assert not np.allclose(first[0], first[1])


def test_stress_draw__longer_than_the_day__stands_still_after_it() -> None:
    prices = stress_days()["2021-05-19"].draw(rng(), 2, 30, HOUR)

    assert prices.shape == (2, 31)
    assert (prices[:, 24:] == prices[:, 24:25]).all()
    assert np.unique(prices[0, :25]).size == 25


def test_stress_draw__shorter_than_the_day__is_refused() -> None:
    with pytest.raises(RiskError, match="23 steps of 3600 s are 82800 s; a stress day needs"):
        stress_days()["2021-05-19"].draw(rng(), 1, 23, HOUR)


def test_stress_draw__step_that_no_hour_holds__is_refused() -> None:
    with pytest.raises(PathError, match="step is 5400 s; an hour must be a whole number of steps"):
        stress_days()["2021-05-19"].draw(rng(), 1, 16, 5_400)


def test_stress__waypoints_that_end_early__are_refused() -> None:
    with pytest.raises(RiskError, match="the waypoints must end at 86400 s"):
        Stress(((0, 1.0), (HOUR, 0.9)), 0.01)


def test_stress__noise_below_zero__is_refused() -> None:
    with pytest.raises(RiskError, match=r"noise is -0\.1"):
        Stress(((0, 1.0), (DAY, 0.9)), -0.1)


def test_stress_table__figures_held_by_waypoints__is_read() -> None:
    (day,) = parse(FILE, StressTable, "s.toml").days

    assert isinstance(day, DayTable)
    assert day.model(0.01).waypoints[1] == (HOUR, 0.9)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-20.0", "-21.0", r"open_to_low of 2020-01-01 is -21\.0, its waypoints' is -20\.00"),
        ("-10.0", "-12.0", r"worst_hour of 2020-01-01 is -12\.0, its waypoints' is -10\.00"),
        ("noise = 0.01", "", "noise is missing"),
        ("noise = 0.01", "noise = -1", "noise is wrong"),
        ("worst_hour", "worst_day", "worst_day is not a known key"),
        ("-20]", "-100]", "waypoints.3.1 is wrong: input should be greater than -100"),
        ("-20.0", '"-20"', "open_to_low is '-20', not a number of percent"),
    ],
)
def test_stress_table__figure_or_key_that_is_wrong__is_refused(
    old: str, new: str, words: str
) -> None:
    with pytest.raises(FileError, match=words):
        parse(FILE.replace(old, new), StressTable, "s.toml")
