"""Every reason that a contract reverts with has an exception of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringfence.client import REFUSALS, RefusedError, refusal
from ringfence.client.refusals import UnknownRefusalError
from ringfence.client.refusals.vault import DebtCapError

CONTRACTS = Path(__file__).parents[3] / "contracts"
PATTERNS = (
    r"^[A-Z_]+: constant\(bytes32\) = 0x\w{64}  # (.+)$",
    r'(?:_raise\(|raise )"([^"]+)"',
    r'assert [^#\n]*?, "([^"]+)"$',
)
"""The table of the vault's modules, and the words elsewhere."""


def reasons() -> dict[str, str]:
    """Reason -> a contract that has it, doubles left out."""
    found: dict[str, str] = {}
    for path in sorted(CONTRACTS.rglob("*.vy")):
        if "testing" not in path.parts:
            for pattern in PATTERNS:
                for reason in re.findall(pattern, path.read_text(), re.M):
                    found[reason] = path.name
    return found


def test_reasons__of_every_contract__are_found() -> None:
    assert len(reasons()) > 90
    assert {"debt cap is full", "tokens are the same", "price is stale"} < reasons().keys()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_refusal__reason_of_a_contract__has_an_exception(reason: str) -> None:
    assert reason in REFUSALS, f"{reasons()[reason]} says {reason!r}, no exception does"
    assert type(refusal(reason)) is REFUSALS[reason]


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_refusal__every_exception__mirrors_a_reason_and_says_what_to_do(reason: str) -> None:
    assert reason in reasons(), f"no contract says {reason!r} any more"
    assert REFUSALS[reason].__doc__
    text = str(refusal(reason))
    assert text.startswith(f"{reason}; ")
    assert "\n" not in text
    assert not text.endswith(".")


def test_refusal__value_and_limit__are_told() -> None:
    error = refusal("debt cap is full", "1,200 USDC", "1,000 USDC")
    assert isinstance(error, DebtCapError)
    assert str(error) == (
        "debt cap is full: 1,200 USDC (limit 1,000 USDC); borrow less, or wait for repayments"
    )
    assert (error.value, error.limit) == ("1,200 USDC", "1,000 USDC")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "the call reverts and says nothing"),
        ("ERC20: paused", "the call reverts: ERC20: paused"),
    ],
)
def test_refusal__another_contracts_word__is_passed_on(said: str, words: str) -> None:
    error = refusal(said)
    assert isinstance(error, UnknownRefusalError)
    assert str(error).startswith(words)


def test_refused_error__a_second_class_for_a_reason__is_refused() -> None:
    with pytest.raises(TypeError, match="has an exception already: DebtCapError"):

        class Again(RefusedError, reason="debt cap is full"):  # noqa: N818
            """Never made."""
