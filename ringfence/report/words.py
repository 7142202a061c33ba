"""How reports say numbers, times and long words."""

from __future__ import annotations

from decimal import Decimal

MISSING = "not recorded"
MINUS = "\u2212"
TIMES = "\u00d7"


def clock(seconds: int) -> str:
    """Return a time of the path in hours and minutes.

    >>> clock(30 * 3600 + 25 * 60), clock(-60)
    ('30:25', '−0:01')
    """
    hours, rest = divmod(abs(seconds), 3_600)
    return f"{MINUS if seconds < 0 else ''}{hours}:{rest // 60:02d}"


def number(value: float | Decimal, digits: int = 2, plus: bool = False) -> str:
    """Return a number with grouped thousands and a true minus; a zero bears no sign.

    >>> number(-1234.5), number(3, 0, plus=True), number(-0.001)
    ('−1,234.50', '+3', '0.00')
    """
    exact = Decimal(value)  # an integer or a Decimal of any length keeps every digit
    text = f"{exact.copy_abs():,.{digits}f}"
    if not any(one in "123456789" for one in text):
        return text
    return (MINUS if value < 0 else "+" if plus else "") + text


def percent(part: float | None, digits: int = 1, plus: bool = False) -> str:
    r"""Return a part of one as a percentage.

    >>> percent(0.8612), percent(None)
    ('86.1\xa0%', 'not recorded')
    """
    return MISSING if part is None else f"{number(100 * part, digits, plus)}\u00a0%"


def shorten(text: str, head: int = 6, tail: int = 4) -> str:
    """Return a long hexadecimal word with its middle left out.

    >>> shorten("0x1234567890abcdef")
    '0x1234…cdef'
    """
    return text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"
