from pathlib import Path

import numpy as np
import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.csv_prices import parse_prices, read_prices

GOOD = ["time,price", "1584000000,100", "1584003600,110.5", "1584007200,99"]


def test_parse_prices__unix_seconds__gives_prices_and_their_step() -> None:
    found = parse_prices(GOOD, "p.csv")

    assert (found.start, found.step_seconds) == (1_584_000_000, 3_600)
    assert found.prices.tolist() == [100, 110.5, 99]
    assert np.allclose(found.returns, np.diff(np.log([100, 110.5, 99])))


@pytest.mark.parametrize(
    "times",
    [
        ["2020-03-12T00:00:00Z", "2020-03-12T01:00:00Z"],
        ["2020-03-12 00:00:00", "2020-03-12 01:00"],
        ["2020-03-12T02:00:00+02:00", "2020-03-12T01:00:00+00:00"],
        ["2020-03-12", "2020-03-12T01:00"],
    ],
)
def test_parse_prices__iso_8601__is_utc_unless_it_says(times: list[str]) -> None:
    found = parse_prices(["time,price", *(f"{time},1" for time in times)], "p.csv")

    assert (found.start, found.step_seconds) == (1_583_971_200, 3_600)


def test_parse_prices__other_columns_and_order__are_left_aside() -> None:
    lines = ["volume, Price ,TIME", "7,1.5,0", "8,2.5,60", ""]

    assert parse_prices(lines, "p.csv").prices.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], r"line 1: no column time and price \(it has none\); name the columns"),
        (["time,close", "0,1"], r"line 1: no column price \(it has time, close\)"),
        (["price", "1"], r"line 1: no column time \(it has price\)"),
        ([*GOOD, "1584010800"], "line 5: 1 cells, the header has 2; fill it in"),
        ([*GOOD, "1584010800,"], "line 5: price is '', not a number; write it as"),
        ([*GOOD, "1584010800,abc"], "line 5: price is 'abc', not a number"),
        ([*GOOD, "1584010800,nan"], "line 5: price is nan; it must be finite and above 0"),
        ([*GOOD, "1584010800,inf"], "line 5: price is inf; it must be finite and above 0"),
        ([*GOOD, "1584010800,0"], "line 5: price is 0; it must be finite and above 0"),
        ([*GOOD, "1584010800,-3"], "line 5: price is -3; it must be finite and above 0"),
        ([*GOOD, "nan,1"], "line 5: time is nan; it must be in whole seconds"),
        ([*GOOD, "1584010800.5,1"], "line 5: time is 1584010800.5; it must be in whole"),
        ([*GOOD, "yesterday,1"], "line 5: time is 'yesterday'; write unix seconds, or"),
        (["time,price", "1584000000000,1"], "line 2: time is 1584000000000, in millisec.*by 1000"),
        ([*GOOD, "1584007200,1"], "line 5: time 1584007200 does not come after 1584007200; sort"),
        ([*GOOD, "1584000000,1"], "line 5: time 1584000000 does not come after 1584007200; sort"),
        ([*GOOD, "1584014400,1"], "line 5: 7200 s after the row before, the first two are 3600 s"),
        (GOOD[:2], "p.csv: 1 prices; give two or more"),
        ([*GOOD, '1584010800,"1', "1584014400,1"], "line 5: no CSV from here on .*; close or"),
        ([*GOOD, '1584010800,"1"2'], "line 5: no CSV from here on .*; close or remove the quotes"),
        (['"time,price', *GOOD], "line 1: no CSV from here on .*; close or remove the quotes"),
        ([*GOOD, f'"{"x" * 200_000}",1'], "line 5: no CSV from here on .field larger than"),
    ],
)
def test_parse_prices__bad_line__is_refused_with_its_number(lines: list[str], words: str) -> None:
    with pytest.raises(RiskError, match=f"p.csv.*{words.removeprefix('p.csv')}"):
        parse_prices(lines, "p.csv")


def test_read_prices__file_of_a_spreadsheet__is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(GOOD).encode())

    assert len(read_prices(path).prices) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.csv", "No such file or directory; pass another file"),
        (".", "Is a directory; pass another file"),
    ],
)
def test_read_prices__no_file__is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(RiskError, match=f" cannot be read: {words}$"):
        read_prices(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe\x00", "cannot be read: invalid start byte; save it as UTF-8 text$"),
        ("time,price\n0,1 \u20ac".encode("cp1252"), "cannot be read: .*; save it as UTF-8 text$"),
        (b"", r"line 1: no column time and price \(it has none\); name the columns"),
        (b"\n\n", r"line 1: no column time and price \(it has none\); name the columns"),
    ],
)
def test_read_prices__no_csv__is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(data)

    with pytest.raises(RiskError, match=rf"p\.csv(, )?( )?{words}"):
        read_prices(path)
