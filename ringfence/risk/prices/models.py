"""The price models that are shipped, by name, and the words for one on a command line.

The Student-t and the GARCH are fits to daily returns of ether. The other models are what they say
of the same days: `gbm` has that Student-t's variance; `merton` and `kou` are the likeliest of their
kind for its 3,000 middle quantiles, eight years of days; `hawkes` has Merton's jumps, half of them
brought by others with a half-life of 6 hours, which is an assumption.

Their drifts are 0, which is not the same of all. `gbm`, `merton` and `kou` keep the expected price
where it is, so that the middle one falls, by 34 to 39 % in a year. `student-t`, `garch-t` and
`hawkes` keep the middle of the log price: the expected price of `hawkes`, whose jumps nothing
compensates, rises by 51 % in a year, that of the other two is infinite.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from math import sqrt
from pathlib import Path
from typing import TypeVar

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.clusters import GarchT, Hawkes, StudentT
from ringfence.risk.prices.csv_prices import read_prices
from ringfence.risk.prices.paths import DAY, YEAR, Gbm, Kou, Merton, PriceModel
from ringfence.risk.prices.resample import Bootstrap, Given
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.prices.waypoints import HOUR

Parametric = Gbm | StudentT | GarchT | Merton | Kou | Hawkes

_NU, _SCALE = 2.86, 0.0282
_DAY_VARIANCE = _SCALE**2 * _NU / (_NU - 2)
DAY_VOLATILITY = sqrt(_DAY_VARIANCE)
"""Standard deviation of a day's return, of the Student-t and all that follow it."""

DEFAULT_MODELS: dict[str, Parametric] = {
    "gbm": Gbm(volatility=round(sqrt(_DAY_VARIANCE * YEAR / DAY), 3)),
    "student-t": StudentT(_NU, _SCALE),
    "garch-t": GarchT(0.5175, 0.107, 0.890, 3.33, variance=round(_DAY_VARIANCE * 1e4, 1)),
    "merton": Merton(0.562, 66.7, 0, 0.0869),
    "kou": Kou(0.522, 127, 0.5, 0.0462, 0.0462),
    "hawkes": Hawkes(0.562, 33.35, 0.5, 6, 0, 0.0869),
}

STRESS = "stress"
REPLAY, BOOTSTRAP = FROM_FILES = ("csv", "bootstrap")

T = TypeVar("T")


def parse_model(text: str) -> PriceModel:
    """Return the model that a text names; raise RiskError where it names none.

    "gbm", "gbm:volatility=0.9,drift=0.1" (what is left out is the default model's),
    "stress:2020-03-12"; "csv:FILE", the prices of a file as they were, and "bootstrap:FILE" or
    "bootstrap:FILE,block=12", blocks of its returns, each so many hours long (a day; a step where
    that is longer).

    >>> parse_model("gbm:volatility=0.9")
    Gbm(volatility=0.9, drift=0.0)
    """
    name, _colon, rest = text.strip().partition(":")
    if name == STRESS:
        return _known("stress day", rest, stress_days())
    if name in FROM_FILES:
        return _from_file(name, *_named(rest))
    default = _known("model", name, DEFAULT_MODELS)
    names = [field.name for field in fields(default)]
    given: dict[str, float] = {}
    for part in rest.split(",") if rest else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise RiskError(f"{part!r} of {text!r} is not a parameter; write it as name=number")
        if key not in names:
            raise RiskError(f"{key!r} is not a parameter of {name}; it has {', '.join(names)}")
        if key in given:
            raise RiskError(f"{key} is given twice in {text!r}; leave one of them")
        given[key] = _number(key, value)
    return type(default)(**{**asdict(default), **given})


def model_files(text: str) -> list[Path]:
    """Return the files that the model of a text is read from, to be told beside it.

    >>> model_files("bootstrap:prices.csv,block=12")
    [PosixPath('prices.csv')]
    """
    name, _colon, rest = text.strip().partition(":")
    return [_named(rest)[0]] if name in FROM_FILES else []


def _named(rest: str) -> tuple[Path, str]:
    file, _comma, block = rest.partition(",block=")
    return Path(file), block


def _from_file(name: str, file: Path, block: str) -> PriceModel:
    read = read_prices(file)
    if name == REPLAY:
        if block:
            raise RiskError(f"{REPLAY} has no block; leave it out or write {BOOTSTRAP}:{file}")
        return Given(read.prices, read.step_seconds)
    own = read.step_seconds
    steps = _number("block", block) * HOUR / own if block else max(DAY // own, 1)
    if steps < 1 or steps % 1:
        raise RiskError(
            f"block is {block} hours, the prices of {file} are {own / HOUR:g} hours apart; pass a "
            "multiple of that"
        )
    return Bootstrap(read.returns, int(steps), own)


def _number(key: str, value: str) -> float:
    try:
        return float(value) + 0.0  # numpy has no normal of a deviation of -0.0
    except ValueError:
        raise RiskError(f"{key} is {value!r}, not a number; write it as 0.9") from None


def spell_model(model: Parametric) -> str:
    """Return the text from which `parse_model` makes the model, to six digits.

    >>> spell_model(Gbm(0.9))
    'gbm:volatility=0.9,drift=0'
    """
    name = next(name for name, default in DEFAULT_MODELS.items() if type(default) is type(model))
    return f"{name}:" + ",".join(f"{key}={value:.6g}" for key, value in asdict(model).items())


def _known(kind: str, name: str, of: dict[str, T]) -> T:
    if name not in of:
        given = (f"{STRESS}:DAY", *(f"{one}:FILE" for one in FROM_FILES)) if kind == "model" else ()
        raise RiskError(f"{name!r} is not a {kind}; those known are {', '.join((*of, *given))}")
    return of[name]
