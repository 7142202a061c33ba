"""Amounts, leverages, shares and times as people write them, and back.

The only place of the client that reads them: everything inside is an integer in token units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from eth_utils.address import is_address, to_checksum_address

from ringfence.client.errors import InputError

PRICE_PLACES = 36
MAX_SALT = 2**96 - 1
ZERO_ADDRESS = "0x" + "00" * 20

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)(?:\.\d+)?|\.\d+"
_AMOUNT = re.compile(rf"([+-]?)\s*({_NUMBER})\s*([A-Za-z][\w.-]*)?")
_LEVERAGE = re.compile(rf"({_NUMBER})\s*x", re.IGNORECASE)
_SHARE = re.compile(rf"({_NUMBER})\s*(%|bps)?")
_DURATION = re.compile(r"(\d{1,10})\s*([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_CENTURY = 36_525 * 86_400


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token: checksummed address, symbol, decimal places."""

    address: str
    symbol: str
    decimals: int

    def whole(self, units: int) -> Decimal:
        """Return token units as whole tokens, exactly.

        >>> Token(ZERO_ADDRESS, "USDC", 6).whole(1_500_000)
        Decimal('1.500000')
        """
        return scaled(units, self.decimals)

    def units(self, whole: Decimal) -> int:
        """Return whole tokens as token units; raise InputError for more places than it has.

        >>> Token(ZERO_ADDRESS, "USDC", 6).units(Decimal("1.5"))
        1500000
        """
        return _exact(whole, self.decimals, f"{whole:f} {self.symbol}")

    def text(self, units: int, places: int | None = None) -> str:
        """Return an amount for people to read; all places unless `places` says how many.

        >>> Token(ZERO_ADDRESS, "USDC", 6).text(1_234_500_000)
        '1,234.5 USDC'
        """
        return f"{number_text(self.whole(units), places)} {self.symbol}"


def scaled(units: int, places: int) -> Decimal:
    """Return an integer scaled by a power of ten as the number it stands for, exactly."""
    with localcontext(prec=100):
        return Decimal(units).scaleb(-places)


def number_text(number: Decimal, places: int | None = None) -> str:
    """Return a number with separators and without idle zeros, rounded to `places` if given.

    >>> number_text(Decimal("-1234.5670")), number_text(Decimal("0.12345"), 2)
    ('-1,234.567', '0.12')
    """
    with localcontext(prec=100):
        if places is not None and number:
            # Small numbers keep as many digits as they have places otherwise.
            places = max(places, -number.adjusted() + 1) if abs(number) < 1 else places
            number = round(number, places)
        text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("_", ""))


def _exact(number: Decimal, places: int, text: str) -> int:
    with localcontext(prec=200):
        units = number.scaleb(places)
        if units != units.to_integral_value():
            raise InputError(f"{text} has more than {places} decimal places; round it")
        return int(units)


def parse_amount(
    text: str, tokens: Sequence[Token], *, signed: bool = False, zero: bool = False
) -> tuple[Token, int]:
    """Return the token and the token units of an amount such as "1.5 WETH".

    The symbol, in upper or lower case, may be left out where there is one token only. A sign is
    taken if `signed`, zero if `zero`. Raises InputError for anything else.

    >>> usdc = Token(ZERO_ADDRESS, "USDC", 6)
    >>> parse_amount("1,500.25 usdc", [usdc])[1]
    1500250000
    """
    names = " or ".join(token.symbol for token in tokens)
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise InputError(f'{text!r} is not an amount; write "1.5 {tokens[0].symbol}"')
    sign, number, symbol = found.groups()
    if sign and not signed:
        raise InputError(f"{text!r} has a sign; write the amount without one")
    fitting = [one for one in tokens if symbol is None or one.symbol.lower() == symbol.lower()]
    if not fitting:
        raise InputError(f"{text!r} is in {symbol}; this takes {names}")
    if len(fitting) > 1:
        raise InputError(f'{text!r} does not say of what; write "{number} {tokens[0].symbol}"')
    token = fitting[0]
    units = _exact(_decimal(number), token.decimals, f"{number} {token.symbol}")
    if units == 0 and not zero:
        raise InputError(f"{text!r} is nothing; pass an amount above zero")
    return token, -units if sign == "-" else units


def parse_leverage(text: str) -> Decimal:
    """Return a leverage such as "4x", collateral over equity; raise InputError unless above 1.

    >>> parse_leverage("2.5x")
    Decimal('2.5')
    """
    found = _LEVERAGE.fullmatch(text.strip())
    if found is None:
        raise InputError(f'{text!r} is not a leverage; write "3x"')
    leverage = _decimal(found[1])
    if leverage < 1:
        raise InputError(f"{text!r} is below 1x, which borrows nothing; pass more than 1x")
    return leverage


def parse_share(text: str) -> Decimal:
    """Return a share of one such as "80%", "50bps" or "0.8"; raise InputError beyond 0 to 1.

    >>> parse_share("0.5%"), parse_share("0.8"), parse_share("25bps")
    (Decimal('0.005'), Decimal('0.8'), Decimal('0.0025'))
    """
    found = _SHARE.fullmatch(text.strip())
    if found is None:
        raise InputError(f'{text!r} is not a share; write "0.5%"')
    share = _decimal(found[1]) / {"%": 100, "bps": 10_000, None: 1}[found[2]]
    if share > 1:
        raise InputError(f'{text!r} is more than 100%; write "0.5%" for half of one per cent')
    return share


def parse_duration(text: str, *, zero: bool = False) -> int:
    """Return a duration such as "90", "30m", "12h" or "3d" in seconds, of a century at most.

    Zero is taken if `zero`. Raises InputError for anything else.

    >>> parse_duration("3d")
    259200
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise InputError(f'{text!r} is not a duration; write "30m", "12h" or "3d"')
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _CENTURY:
        raise InputError(f"{text!r} is more than a century; pass less")
    if seconds == 0 and not zero:
        raise InputError(f"{text!r} is no time at all; pass more")
    return seconds


def parse_salt(text: str) -> int:
    """Return a salt, decimal or hexadecimal; raise InputError unless it fits 96 bits.

    >>> parse_salt("7"), parse_salt("0xff")
    (7, 255)
    """
    try:
        salt = int(text, 0)
    except ValueError:
        raise InputError(f'{text!r} is not a salt; write a number such as "7"') from None
    return check_salt(salt)


def check_salt(salt: int) -> int:
    """Return a salt; raise InputError unless it fits 96 bits."""
    if not 0 <= salt <= MAX_SALT:
        raise InputError(f"salt {salt} does not fit 96 bits (limit {MAX_SALT}); pass a smaller one")
    return salt


def parse_address(text: str) -> str:
    """Return an address checksummed; raise InputError for the zero address and anything else."""
    if not is_address(text):
        raise InputError(f"{text!r} is not an address; pass 0x and 40 hex digits")
    address = str(to_checksum_address(text))
    if address == ZERO_ADDRESS:
        raise InputError("the zero address cannot act or receive; name an address of yours")
    return address


def position_id(owner: str, salt: int) -> int:
    """Return the id of an account's position: owner << 96 | salt.

    >>> hex(position_id("0x" + "11" * 20, 7))[-25:]
    '1000000000000000000000007'
    """
    return int(owner, 16) << 96 | check_salt(salt)
