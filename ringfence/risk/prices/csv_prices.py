"""A user's prices out of a CSV: columns `time` and `price`, evenly spaced, or a clear refusal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

import numpy as np

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError

COLUMNS = ("time", "price")
_MILLISECONDS_FROM = 10**11
"""Seconds since 1970 reach it in the year 5138; milliseconds did in 1973."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Prices float64 [price] that were `step_seconds` apart, the first at `start` unix seconds."""

    start: int
    step_seconds: int
    prices: Floats

    @property
    def returns(self) -> Floats:
        """Log returns, float64 [price - 1]."""
        return np.diff(np.log(self.prices))


def read_prices(path: Path) -> Prices:
    """Return the prices of a CSV file; raise RiskError where it cannot be used."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_prices(file, str(path))
    except OSError as error:
        raise RiskError(f"{path} cannot be read: {error.strerror}; pass another file") from None
    except UnicodeDecodeError as error:
        raise RiskError(f"{path} cannot be read: {error.reason}; save it as UTF-8 text") from None


def parse_prices(lines: Iterable[str], name: str) -> Prices:
    """Return the prices of CSV lines; raise RiskError, with `name` and the line, for bad ones.

    `time` is in unix seconds or ISO 8601 (UTC where it names no zone); `price` above 0. Other
    columns are left aside.
    """
    rows = _rows(lines, name)
    _line, first = next(rows, (1, []))
    header = [column.strip().lower() for column in first]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise RiskError(
            f"{name}, line 1: no column {' and '.join(missing)} (it has "
            f"{', '.join(header) or 'none'}); name the columns time and price"
        )
    at_time, at_price = (header.index(column) for column in COLUMNS)
    times: list[int] = []
    prices: list[float] = []
    for line, row in rows:
        if not row:
            continue
        where = f"{name}, line {line}"
        if len(row) <= max(at_time, at_price):
            raise RiskError(f"{where}: {len(row)} cells, the header has {len(header)}; fill it in")
        times.append(_time(row[at_time].strip(), where))
        prices.append(_price(row[at_price].strip(), where))
        _spaced(times, where)
    if len(times) < 2:
        raise RiskError(f"{name}: {len(times)} prices; give two or more")
    return Prices(times[0], times[1] - times[0], np.array(prices))


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows and the line that each begins at; raise RiskError for what is no CSV."""
    rows = csv.reader(lines, strict=True)
    line = 1
    try:
        for row in rows:
            yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        raise RiskError(
            f"{name}, line {line}: no CSV from here on ({error}); close or remove the quotes"
        ) from None


def _time(text: str, where: str) -> int:
    try:
        time = float(text)
    except ValueError:
        time = _iso(text, where)
    if not isfinite(time) or time != int(time):
        raise RiskError(f"{where}: time is {text}; it must be in whole seconds")
    if abs(time) >= _MILLISECONDS_FROM:
        raise RiskError(f"{where}: time is {text}, in milliseconds it seems; divide it by 1000")
    return int(time)


def _iso(text: str, where: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RiskError(
            f"{where}: time is {text!r}; write unix seconds, or 2020-03-12T00:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _price(text: str, where: str) -> float:
    try:
        price = float(text)
    except ValueError:
        raise RiskError(f"{where}: price is {text!r}, not a number; write it as 1234.5") from None
    if not 0 < price < float("inf"):
        raise RiskError(
            f"{where}: price is {text}; it must be finite and above 0, correct or remove the row"
        )
    return price


def _spaced(times: list[int], where: str) -> None:
    """Raise RiskError unless the last time comes after the one before, as far as the second did."""
    if len(times) < 2:
        return
    gap, step = times[-1] - times[-2], times[1] - times[0]
    if gap <= 0:
        raise RiskError(
            f"{where}: time {times[-1]} does not come after {times[-2]}; sort the rows by time, "
            "each once"
        )
    if gap != step:
        raise RiskError(
            f"{where}: {gap} s after the row before, the first two are {step} s apart; fill the "
            "gap or resample to equal steps"
        )
