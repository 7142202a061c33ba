import doctest

import numpy as np
import pytest
from scipy import stats

from ringfence.risk import models
from ringfence.risk.clusters import GarchT, StudentT
from ringfence.risk.errors import RiskError
from ringfence.risk.fit import fit
from ringfence.risk.models import DEFAULT_MODELS, parse_model, spell_model
from ringfence.risk.paths import DAY, Gbm, Kou, Merton
from ringfence.risk.stress import stress_days


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
        ("GBM", "'GBM' is not a model"),
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


def test_docstrings__their_examples__come_out_as_written() -> None:
    results = doctest.testmod(models)
    assert (results.failed, results.attempted) == (0, 2)
