"""Words of 256 bits, known (int) or not (a z3 term), and the EVM's arithmetic on them.

With `exact` unset, the product and the quotients of unknown words are uninterpreted functions:
whatever they return, so a claim that is proved holds for the true product too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import z3

Word: TypeAlias = "int | z3.BitVecRef"

MODULUS = 2**256
SORT = z3.BitVecSort(256)
ONE, ZERO = z3.BitVecVal(1, 256), z3.BitVecVal(0, 256)


def term(word: Word) -> z3.BitVecRef:
    """Return the word as a term."""
    return z3.BitVecVal(word, 256) if isinstance(word, int) else word


def known(word: z3.ExprRef) -> Word:
    """Return the term simplified, an int where nothing is unknown in it."""
    simple = z3.simplify(word)
    return simple.as_long() if z3.is_bv_value(simple) else simple


def truth(word: Word) -> z3.BoolRef:
    """Return the condition that the word is not zero."""
    if isinstance(word, int):
        return z3.BoolVal(word != 0)
    if z3.is_app_of(word, z3.Z3_OP_ITE) and word.arg(1).eq(ONE) and word.arg(2).eq(ZERO):
        return word.arg(0)
    if z3.is_app_of(word, z3.Z3_OP_ITE) and word.arg(1).eq(ZERO) and word.arg(2).eq(ONE):
        return z3.Not(word.arg(0))
    return word != ZERO


def flag(condition: z3.BoolRef) -> Word:
    """Return 1 where the condition holds, else 0."""
    simple = z3.simplify(condition)
    if z3.is_true(simple):
        return 1
    if z3.is_false(simple):
        return 0
    return z3.If(simple, ONE, ZERO)


def signed(word: int) -> int:
    """Return the word read as a signed number."""
    return word - MODULUS if word >> 255 else word


def _quotient(a: int, b: int) -> int:
    sign = -1 if (a < 0) != (b < 0) else 1
    return sign * (abs(a) // abs(b)) if b else 0


def _remainder(a: int, b: int) -> int:
    return a - b * _quotient(a, b) if b else 0


_FIGURES: dict[int, Callable[[int, int], int]] = {
    0x01: lambda a, b: a + b,
    0x02: lambda a, b: a * b,
    0x03: lambda a, b: a - b,
    0x04: lambda a, b: a // b if b else 0,
    0x05: lambda a, b: _quotient(signed(a), signed(b)),
    0x06: lambda a, b: a % b if b else 0,
    0x07: lambda a, b: _remainder(signed(a), signed(b)),
    0x0A: lambda a, b: pow(a, b, MODULUS),
    0x0B: lambda a, b: b if a > 30 else signed((b << (248 - 8 * a)) % MODULUS) >> (248 - 8 * a),
    0x10: lambda a, b: a < b,
    0x11: lambda a, b: a > b,
    0x12: lambda a, b: signed(a) < signed(b),
    0x13: lambda a, b: signed(a) > signed(b),
    0x14: lambda a, b: a == b,
    0x16: lambda a, b: a & b,
    0x17: lambda a, b: a | b,
    0x18: lambda a, b: a ^ b,
    0x1A: lambda a, b: (b >> (248 - 8 * a)) & 255 if a < 32 else 0,
    0x1B: lambda a, b: b << a if a < 256 else 0,
    0x1C: lambda a, b: b >> a if a < 256 else 0,
    0x1D: lambda a, b: signed(b) >> min(a, 255),
}
_TERMS: dict[int, Callable[[z3.BitVecRef, z3.BitVecRef], z3.BitVecRef]] = {
    0x01: lambda a, b: a + b,
    0x03: lambda a, b: a - b,
    0x16: lambda a, b: a & b,
    0x17: lambda a, b: a | b,
    0x18: lambda a, b: a ^ b,
    0x1B: lambda a, b: b << a,
    0x1C: lambda a, b: z3.LShR(b, a),
    0x1D: lambda a, b: b >> a,
}
_CONDITIONS: dict[int, Callable[[z3.BitVecRef, z3.BitVecRef], z3.BoolRef]] = {
    0x10: z3.ULT,
    0x11: z3.UGT,
    0x12: lambda a, b: a < b,
    0x13: lambda a, b: a > b,
    0x14: lambda a, b: a == b,
}
_HARD: dict[int, tuple[str, Callable[[z3.BitVecRef, z3.BitVecRef], z3.BitVecRef]]] = {
    0x02: ("mul", lambda a, b: a * b),
    0x04: ("div", lambda a, b: z3.If(b == 0, ZERO, z3.UDiv(a, b))),
    0x05: ("sdiv", lambda a, b: z3.If(b == 0, ZERO, a / b)),
    0x06: ("mod", lambda a, b: z3.If(b == 0, ZERO, z3.URem(a, b))),
    0x07: ("smod", lambda a, b: z3.If(b == 0, ZERO, z3.SRem(a, b))),
}
BINARY = frozenset(_FIGURES)


def _is_flag(word: Word) -> bool:
    return (
        not isinstance(word, int)
        and z3.is_app_of(word, z3.Z3_OP_ITE)
        and z3.is_bv_value(word.arg(1))
        and z3.is_bv_value(word.arg(2))
        and {word.arg(1).as_long(), word.arg(2).as_long()} == {0, 1}
    )


def _product_or_quotient(code: int, a: Word, b: Word, exact: bool) -> Word:
    if code == 0x02:
        for one, other in ((a, b), (b, a)):
            if one in (0, 1) and isinstance(one, int):
                return other if one else 0
            if _is_flag(one):
                return known(z3.If(truth(one), term(other), ZERO))
    if code == 0x04 and isinstance(b, int) and b == 1:
        return a
    name, formula = _HARD[code]
    if exact:
        return known(formula(term(a), term(b)))
    return z3.Function(name, SORT, SORT, SORT)(term(a), term(b))


def binary(code: int, a: Word, b: Word, *, exact: bool) -> Word:
    """Return what the opcode makes of its two operands, `a` from the top of the stack."""
    if isinstance(a, int) and isinstance(b, int):
        return int(_FIGURES[code](a, b)) % MODULUS
    if code in _HARD:
        return _product_or_quotient(code, a, b, exact)
    if code in _CONDITIONS:
        return flag(_CONDITIONS[code](term(a), term(b)))
    if code == 0x16 and _is_flag(a) and _is_flag(b):
        return flag(z3.And(truth(a), truth(b)))
    if code == 0x17 and _is_flag(a) and _is_flag(b):
        return flag(z3.Or(truth(a), truth(b)))
    if code not in _TERMS:
        raise NotImplementedError(f"opcode {code:#x} on unknown words")
    return known(_TERMS[code](term(a), term(b)))
