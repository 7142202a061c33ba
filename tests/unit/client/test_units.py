"""Amounts, leverages, shares, times, salts, addresses: as people write them, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.client.errors import InputError
from ringfence.client.units import (
    ZERO_ADDRESS,
    Token,
    number_text,
    parse_address,
    parse_amount,
    parse_duration,
    parse_leverage,
    parse_salt,
    parse_share,
    position_id,
)

USDC = Token("0x" + "11" * 20, "USDC", 6)
WETH = Token("0x" + "22" * 20, "WETH", 18)
BOTH = (WETH, USDC)


@pytest.mark.parametrize(
    ("text", "token", "units"),
    [
        ("1.5 WETH", WETH, 15 * 10**17),
        ("1.5weth", WETH, 15 * 10**17),
        (" .5 WETH ", WETH, 5 * 10**17),
        ("1,500.25 usdc", USDC, 1_500_250_000),
        ("1_500 USDC", USDC, 1_500_000_000),
        ("0.000001 USDC", USDC, 1),
        ("123456789012345678901234567890 WETH", WETH, 123456789012345678901234567890 * 10**18),
    ],
)
def test_parse_amount__well_written__exact_units(text: str, token: Token, units: int) -> None:
    assert parse_amount(text, BOTH) == (token, units)


def test_parse_amount__one_token__needs_no_symbol() -> None:
    assert parse_amount("7", [USDC]) == (USDC, 7_000_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not an amount"),
        ("WETH", "is not an amount"),
        ("1.5.2 WETH", "is not an amount"),
        ("1e18 WETH", "is not an amount"),
        ("12,34 USDC", "is not an amount"),
        ("nan USDC", "is not an amount"),
        ("1.5", "does not say of what"),
        ("1.5 DAI", "'1.5 DAI' is in DAI; this takes WETH or USDC"),
        ("0 USDC", "is nothing; pass an amount above zero"),
        ("0.0 WETH", "is nothing"),
        ("-1 USDC", "has a sign"),
        ("1.0000001 USDC", "1.0000001 USDC has more than 6 decimal places; round it"),
    ],
)
def test_parse_amount__badly_written__says_why(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace(".", r"\.")) as caught:
        parse_amount(text, BOTH)
    assert "\n" not in str(caught.value)


def test_parse_amount__signed__keeps_the_sign() -> None:
    assert parse_amount("-200 USDC", BOTH, signed=True) == (USDC, -200_000_000)
    assert parse_amount("+200 USDC", BOTH, signed=True) == (USDC, 200_000_000)
    assert parse_amount("0 USDC", BOTH, zero=True) == (USDC, 0)


@pytest.mark.parametrize(("text", "times"), [("4x", "4"), ("2.5X", "2.5"), ("1x", "1")])
def test_parse_leverage__well_written__a_decimal(text: str, times: str) -> None:
    assert parse_leverage(text) == Decimal(times)


@pytest.mark.parametrize("text", ["4", "x", "0.5x", "-2x", "4 times"])
def test_parse_leverage__badly_written__says_why(text: str) -> None:
    with pytest.raises(InputError):
        parse_leverage(text)


@pytest.mark.parametrize(
    ("text", "share"), [("80%", "0.8"), ("0.5 %", "0.005"), ("50bps", "0.005"), ("1", "1")]
)
def test_parse_share__well_written__of_one(text: str, share: str) -> None:
    assert parse_share(text) == Decimal(share)


@pytest.mark.parametrize("text", ["101%", "2", "-1%", "half"])
def test_parse_share__badly_written__says_why(text: str) -> None:
    with pytest.raises(InputError):
        parse_share(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30m", 1_800), ("7d", 604_800)])
def test_parse_duration__well_written__seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


def test_parse_duration__zero_where_it_means_something__is_zero() -> None:
    assert parse_duration("0", zero=True) == 0


@pytest.mark.parametrize("text", ["", "3 years", "-1h", "1.5h", "0", "5300w", "99999999999"])
def test_parse_duration__badly_written__says_why(text: str) -> None:
    with pytest.raises(InputError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["-1", "one", str(2**96), "1.0", ""])
def test_parse_salt__bad__says_why(text: str) -> None:
    with pytest.raises(InputError):
        parse_salt(text)


@pytest.mark.parametrize("text", ["", "0x12", "alice", ZERO_ADDRESS])
def test_parse_address__bad__says_why(text: str) -> None:
    with pytest.raises(InputError):
        parse_address(text)


def test_position_id__owner_and_salt__as_the_contracts_pack_it() -> None:
    assert position_id(USDC.address, 7) == int(USDC.address, 16) << 96 | 7


@pytest.mark.parametrize(
    ("number", "places", "text"),
    [
        ("1234.50", None, "1,234.5"),
        ("100", None, "100"),
        ("0", 2, "0"),
        ("0.000123456", 2, "0.00012"),
        ("-0.5", None, "-0.5"),
        ("1234.567", 2, "1,234.57"),
    ],
)
def test_number_text__for_people(number: str, places: int | None, text: str) -> None:
    assert number_text(Decimal(number), places) == text


def test_token__there_and_back__exact() -> None:
    units = 2**112 - 1
    assert WETH.units(WETH.whole(units)) == units
