"""The lemmas hold of the mirror, and the machinery that says so can say no."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("z3", reason="the proofs' requirements are not installed")

import z3
from vyper.ast import parse_to_ast

from ringfence.math import fixed_point
from ringfence.math.errors import RevertError
from verification.proofs.lemmas import (
    accrual,
    adjusting,
    books,
    borrowing,
    insolvent,
    liquidation,
    shares,
    solvency,
    widths,
)
from verification.proofs.lemmas.proof import (
    Inputs,
    Lemma,
    LemmaError,
    Program,
    Swap,
    Truth,
    decide,
    lemma,
    prove,
    refute,
    scaling,
)
from verification.proofs.lemmas.symbolic import DivisorError, Number, term_of_truth
from verification.proofs.lemmas.width_table import DIFFERENCES, FIELDS
from verification.proofs.lemmas.widths import WidthError

MODULES = (accrual, shares, borrowing, liquidation, solvency, insolvent, books, adjusting)
LEMMAS = tuple(claim for module in MODULES for claim in module.LEMMAS)
UNCHANGED = Swap(fixed_point, "WAD", fixed_point.WAD)
THIRD = Program("x", lambda v: (v.x >= 0,), lambda v: v.x // 3)


@pytest.mark.parametrize("claim", LEMMAS, ids=lambda claim: claim.name)
def test_decide__real_mirror__proved_and_its_mistake_refuted(claim: Lemma) -> None:
    verdict = decide(claim)
    assert verdict.status == "proved", f"{claim.id}: {verdict.detail}"


@lemma("X", THIRD, broken=UNCHANGED, example={"x": 1})
def _a_third_is_exact(v: Inputs, third: int) -> Truth:
    """False of 1."""
    return third * 3 == v.x


@lemma("X", THIRD, broken=UNCHANGED, example={"x": 1})
def _a_third_is_smaller(v: Inputs, third: int) -> Truth:
    """True, but never broken by a mistake that changes nothing."""
    return third <= v.x


def test_prove__false_claim__not_proved() -> None:
    with pytest.raises(LemmaError, match="not proved"):
        prove(_a_third_is_exact)


def test_refute__example_against_the_claim__said() -> None:
    with pytest.raises(LemmaError, match="false of"):
        refute(_a_third_is_exact)


def test_refute__mistake_that_changes_nothing__said() -> None:
    with pytest.raises(LemmaError, match="still true"):
        refute(_a_third_is_smaller)


def test_refute__example_that_reverts_under_the_mistake__said() -> None:
    def always_reverts(_v: Inputs) -> int:
        raise RevertError("no")

    nothing = Program("x", lambda _v: (), always_reverts)
    with pytest.raises(LemmaError, match="still true"):
        refute(replace(_a_third_is_exact, program=nothing))


def test_prove__divisor_not_known_positive__raises() -> None:
    @lemma("X", Program("x", lambda _v: (), lambda v: 1 // v.x), broken=UNCHANGED, example={})
    def inverse(_v: Inputs, _one: int) -> Truth:
        """Divides by what may be zero."""
        return True

    with pytest.raises(DivisorError, match="not proved positive"):
        prove(inverse)


def test_scaling__any_integers__holds() -> None:
    a, b, t = (Number(z3.Int(name)) for name in "abt")
    solver = z3.Solver()
    solver.add(z3.Not(term_of_truth(scaling(a, b, t))))
    assert solver.check() == z3.unsat, "the one law of products"


def test_decide_widths__real_sources__all_bounded_and_wider_indices_refuted() -> None:
    verdict = widths.decide()
    assert verdict.status == "proved", f"LIVE-5: {verdict.detail}"


def test_check_widths__wider_index__said() -> None:
    with pytest.raises(WidthError, match=r"accrual.vy:\d+: .* may take 257 bits; at most 256 fit"):
        widths.check({**FIELDS, "debt_index": 2**84 - 1})


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("unsafe_mul(price, 2)", "price: the table lacks a bound"),
        ("price * 2", "price: the table lacks a bound"),
        ("unsafe_sub(2, 1)", "unsafe_sub(2, 1): the table lacks the reason"),
        ("health._scaled_up(price, 2)", "price: the table lacks a bound"),
        ("health._is_healthy(1, 1, 2 * 10**18)", "2 * 10**18 exceeds _is_healthy(ltv)"),
    ],
)
def test_check_widths__operation_without_row__said(
    expression: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"@internal\ndef _new(price: uint256) -> uint256:\n    return {expression}\n"
    modules = {**widths.sources(), "tokens": parse_to_ast(source)}
    monkeypatch.setattr(widths, "sources", lambda: modules)
    with pytest.raises(WidthError, match=re.escape(f"tokens.vy:3: {fault}")):
        widths.check()


def test_check_widths__row_without_operation__said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIFFERENCES, "tokens", {"unsafe_sub(1, 1)": "equal"})
    with pytest.raises(WidthError, match=r"tokens.vy: no operation has unsafe_sub\(1, 1\)"):
        widths.check()
