import doctest
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ringfence.risk.errors import RiskError
from ringfence.risk.prices import models
from ringfence.risk.prices.clusters import GarchT, StudentT
from ringfence.risk.prices.fit import fit
from ringfence.risk.prices.models import DEFAULT_MODELS, model_files, parse_model, spell_model
from ringfence.risk.prices.paths import DAY, YEAR, Gbm, Kou, Merton
from ringfence.risk.prices.resample import Bootstrap
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.work.tasks import canonical


def test_defaults__daily_fits__are_those_shipped() -> None:
    assert DEFAULT_MODELS["student-t"] == StudentT(2.86, 0.0282)
    assert DEFAULT_MODELS["garch-t"] == GarchT(0.5175, 0.107, 0.890, 3.33, variance=26.4)


def test_defaults__gbm_and_garch__begin_with_the_student_ts_variance() -> None:
    daily = stats.t(2.86, scale=0.0282).var()

    assert Gbm(round((365 * daily) ** 0.5, 3)) == DEFAULT_MODELS["gbm"]
    assert round(daily * 1e4, 1) == 26.4


def test_defaults__merton_and_kou__are_the_likeliest_for_the_student_t() -> None:
    middles = (np.arange(3_000) + 0.5) / 3_000
    returns = stats.t(2.86, scale=0.0282).ppf(np.random.default_rng(1).permutation(middles))
    found = {one.name: one.model for one in fit(returns, DAY)}
    merton, kou = found["merton"], found["kou"]

    assert isinstance(merton, Merton)
    assert isinstance(kou, Kou)
    shipped = [DEFAULT_MODELS["merton"], DEFAULT_MODELS["kou"]]
    assert [merton.volatility, merton.jumps, merton.jump_sd] == pytest.approx(
        [shipped[0].volatility, shipped[0].jumps, shipped[0].jump_sd], rel=0.01
    )
    assert [kou.volatility, kou.jumps, kou.up_mean, kou.down_mean, kou.up] == pytest.approx(
        [shipped[1].volatility, shipped[1].jumps, 0.0462, 0.0462, 0.5], rel=0.01
    )


@pytest.mark.parametrize(("name", "median"), [("gbm", 0.611), ("merton", 0.664), ("kou", 0.657)])
def test_defaults__gbm_merton_kou__keep_the_expected_price(name: str, median: float) -> None:
    found = DEFAULT_MODELS[name].draw(np.random.default_rng(1), 40_000, 1, YEAR)[:, -1]

    assert abs(found.mean() - 1) < 4 * found.std() / 200
    assert np.median(found) == pytest.approx(median, rel=0.02)


@pytest.mark.parametrize("name", ["student-t", "garch-t", "hawkes"])
def test_defaults__the_other_three__keep_the_middle_of_the_log(name: str) -> None:
    drawn = DEFAULT_MODELS[name].draw(np.random.default_rng(1), 10_000, 60, DAY)
    logs = np.log(drawn[:, -1])

    assert abs(logs.mean()) < 4 * logs.std() / 100
    assert np.median(logs) == pytest.approx(0, abs=5 * logs.std() / 100)


def test_defaults__hawkes__expected_price_rises_by_half_in_a_year() -> None:
    found = DEFAULT_MODELS["hawkes"].draw(np.random.default_rng(1), 40_000, 1, YEAR)[:, -1]

    assert found.mean() == pytest.approx(1.507, abs=4 * found.std() / 200)
    assert found.mean() > 1 + 20 * found.std() / 200


@pytest.mark.parametrize("name", DEFAULT_MODELS)
def test_parse_model__name_alone__is_the_default(name: str) -> None:
    assert parse_model(name) == DEFAULT_MODELS[name]


@pytest.mark.parametrize("name", DEFAULT_MODELS)
def test_spell_model__any_default__is_parsed_back(name: str) -> None:
    assert parse_model(spell_model(DEFAULT_MODELS[name])) == DEFAULT_MODELS[name]


def test_parse_model__some_parameters__leaves_the_others_at_the_default() -> None:
    assert parse_model(" student-t:nu=4 ") == StudentT(4.0, 0.0282)
    assert parse_model("gbm: volatility = 0.5, drift=-0.1") == Gbm(0.5, -0.1)


def test_parse_model__stress_day__is_the_days_model() -> None:
    assert parse_model("stress:2020-03-12") == stress_days()["2020-03-12"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not a model; those known are gbm, student-t"),
        ("GBM", "'GBM' is not a model; .*, hawkes, stress:DAY, csv:FILE, bootstrap:FILE$"),
        ("stress", "'' is not a stress day; those known are 2020-03-12, 2021-05-19"),
        ("stress:2020-03-13", "'2020-03-13' is not a stress day"),
        ("gbm:vol=1", "'vol' is not a parameter of gbm; it has volatility, drift"),
        ("gbm:volatility", "'volatility' of 'gbm:volatility' is not a parameter; write it as"),
        ("gbm:volatility=x", "volatility is 'x', not a number"),
        ("gbm:drift=1,drift=2", "drift is given twice"),
        ("gbm:volatility=-1", "volatility is -1.0; it must be 0 or more"),
        ("garch-t:alpha=0.2,variance=0", r"alpha \+ beta is 1.0900; .* pass variance"),
    ],
)
def test_parse_model__not_a_model__is_refused(text: str, words: str) -> None:
    with pytest.raises(RiskError, match=words):
        parse_model(text)


EXTREMES = (0.0, 1e-300, 1e-9, 0.5, 1.0, 1e2, 1e4, 1e7, 1e100, 1e300)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, of in DEFAULT_MODELS.items() for key in asdict(of)]
)
def test_parse_model__parameter_at_its_limits__paths_are_prices_or_it_is_refused(
    name: str, key: str
) -> None:
    drawn = 0
    for value in (*EXTREMES, *(-one for one in EXTREMES)):
        try:
            model = parse_model(f"{name}:{key}={value}")
            paths = model.draw(np.random.default_rng(1), 4, 24, 3_600)
        except RiskError:
            continue
        drawn += 1
        assert paths.shape == (4, 25)
        assert ((paths > 0) & np.isfinite(paths)).all()
    assert drawn


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "1e300", "-1e300"])
@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, of in DEFAULT_MODELS.items() for key in asdict(of)]
)
def test_parse_model__parameter_of_no_size__is_refused_by_its_name(
    name: str, key: str, value: str
) -> None:
    with pytest.raises(RiskError, match=rf"{key} is {float(value)}".replace("+", r"\+")):
        parse_model(f"{name}:{key}={value}")


def test_draw__more_jumps_than_memory_holds__is_refused() -> None:
    for text in ("merton:jumps=1e12", "kou:jumps=1e12", "hawkes:base=1e12"):
        with pytest.raises(RiskError, match=r"jumps in one draw \(limit 50,000,000\); lower"):
            parse_model(text).draw(np.random.default_rng(1), 500, 24, 3_600)


def test_docstrings__their_examples__come_out_as_written() -> None:
    results = doctest.testmod(models)
    assert (results.failed, results.attempted) == (0, 3)


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    """Five prices, an hour apart."""
    path = tmp_path / "eth, hourly.csv"
    rows = [f"{hour * 3_600},{price}" for hour, price in enumerate((100, 110, 99, 120, 90))]
    path.write_text("\n".join(["time,price", *rows]))
    return path


def test_parse_model__csv__replays_the_file(hourly: Path) -> None:
    paths = parse_model(f"csv:{hourly}").draw(np.random.default_rng(1), 2, 2, 7_200)

    assert paths.tolist() == [[1.0, 0.99, 0.9]] * 2


@pytest.mark.parametrize(("words", "block"), [(",block=2", 2), (",block=4", 4), (",block=1.0", 1)])
def test_parse_model__bootstrap__has_blocks_of_the_files_returns(
    hourly: Path, words: str, block: int
) -> None:
    found = parse_model(f"bootstrap:{hourly}{words}")

    assert isinstance(found, Bootstrap)
    assert (found.block, found.step_seconds) == (block, 3_600)
    assert np.exp(found.returns) == pytest.approx([1.1, 0.9, 120 / 99, 0.75])


@pytest.mark.parametrize(("step", "block"), [(3_600, 24), (43_200, 2), (DAY, 1), (2 * DAY, 1)])
def test_parse_model__bootstrap_alone__has_blocks_of_a_day(
    tmp_path: Path, step: int, block: int
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["time,price", *(f"{at * step},{at + 1}" for at in range(30))]))
    found = parse_model(f"bootstrap:{path}")

    assert isinstance(found, Bootstrap)
    assert found.block == block


@pytest.mark.parametrize(
    ("kind", "words", "line"),
    [
        ("csv", ",block=2", "csv has no block; leave it out or write bootstrap:"),
        ("csv", ".gz", "cannot be read: No such file or directory; pass another file"),
        ("bootstrap", "", r"block is 24; it must be from 1 to the 4 returns given"),
        ("bootstrap", ",block=0", "block is 0 hours, the prices of .* are 1 hours apart; pass a m"),
        ("bootstrap", ",block=1.5", "block is 1.5 hours, .* are 1 hours apart; pass a multiple"),
        ("bootstrap", ",block=nan", "block is nan hours, .* are 1 hours apart; pass a multiple"),
        ("bootstrap", ",block=inf", "block is inf hours, .* are 1 hours apart; pass a multiple"),
        ("bootstrap", ",block=-1", "block is -1 hours, .* are 1 hours apart; pass a multiple"),
        ("bootstrap", ",block=", "block is 24; it must be from 1 to the 4 returns given"),
        ("bootstrap", ",block=long", "block is 'long', not a number; write it as 0.9"),
    ],
)
def test_parse_model__file_of_no_use__is_refused(
    hourly: Path, kind: str, words: str, line: str
) -> None:
    with pytest.raises(RiskError, match=line):
        parse_model(f"{kind}:{hourly}{words}")


@pytest.mark.parametrize("text", ["csv:{}", "bootstrap:{},block=1"])
def test_canonical__model_of_a_file__is_what_is_in_it(hourly: Path, text: str) -> None:
    copy = hourly.with_name("copy.csv")
    copy.write_text(hourly.read_text())
    assert canonical(parse_model(text.format(copy))) == canonical(parse_model(text.format(hourly)))
    copy.write_text(hourly.read_text().replace(",120", ",121"))
    assert canonical(parse_model(text.format(copy))) != canonical(parse_model(text.format(hourly)))


@pytest.mark.parametrize("kind", ["csv", "bootstrap"])
def test_model_files__model_of_a_file__is_told_apart_from_its_block(kind: str) -> None:
    assert model_files(f" {kind}:a,b.csv,block=3") == [Path("a,b.csv")]
    assert model_files("gbm:volatility=0.9") == []
