"""Branches of the vault's bytecode that no run can reach, and why.

Named by what does not move with each change: file, source line, what the jump looks at, whether it
is taken. A rule that fits no branch, or several, is an error, and so is a branch that a rule
excludes and a run reaches.
"""

from __future__ import annotations

from typing import NamedTuple

from ringfence.evm.engine import Branch
from verification.fuzz.branches import Jump


class Rule(NamedTuple):
    """Fits one way of one jump; `looks_at` as in Jump, `file` is within contracts/."""

    file: str
    text: str
    looks_at: str
    taken: bool


UNREACHABLE = {
    "the compiler's check of a conversion whose operand fits: an account is 160 of 256 bits, three "
    "flags are three bits, a sign was looked at, every amount that goes is below 2**255": (
        Rule("MarginVault.vy", "return convert(position_id >> 96, address)", "SHR, reverts", True),
        Rule("MarginVault.vy", "return convert(delta, uint256), 0", "SLT, reverts", True),
        Rule(
            "MarginVault.vy",
            "return 0, unsafe_add(convert(unsafe_sub(-1, delta), uint256), 1)",
            "SLT, reverts",
            True,
        ),
        Rule(
            "MarginVault.vy", "return unsafe_sub(0, convert(amount, int256))", "SHR, reverts", True
        ),
        Rule(
            "modules/operators.vy",
            "return convert(word & _ALL_PERMISSIONS, IMarginVault.Permission), "
            "word >> _PERMISSION_BITS",
            "SHR, reverts",
            True,
        ),
    ),
    "the compiler's check of arithmetic that cannot fail: 8 times at most 31, a number less a "
    "minimum of it, a division after the divisor was found not to be zero": (
        Rule(
            "modules/errors.vy",
            "if convert(reason, uint256) << (8 * i) == 0:",
            "XOR, reverts",
            True,
        ),
        Rule(
            "modules/liquidation.vy",
            "loss=retired_debt - min(retired_debt, repaid),",
            "GT, reverts",
            True,
        ),
        Rule(
            "modules/lender_shares.vy",
            "return assets * fixed_point.WAD // supply_index",
            "DUP1 ISZERO, reverts",
            True,
        ),
    ),
    "both callers come with a debt: one has found scaled debt, the other that the position is "
    "unhealthy": (Rule("modules/health.vy", "if debt == 0:", "MLOAD", False),),
    "a debt is 0 or at least min_debt: borrowing, repaying and liquidating see to it, and the debt "
    "index never falls (LIQ-6, BOOK-4)": (
        Rule(
            "modules/health.vy",
            "if debt >= min_debt and unsafe_sub(debt, amount) < min_debt:",
            "LT ISZERO",
            False,
        ),
        Rule(
            "modules/position_views.vy",
            "if low == 0 or debt < market.RISK.min_debt or limits._is_paused(caps):",
            "LT",
            True,
        ),
    ),
    "the precompile that recovers a signer fails only for lack of gas, and these runs give a "
    "signed call gas without limit": (
        Rule(
            "modules/signatures.vy",
            "valid = signer != empty(address) and ecrecover(digest, v, r, s) == signer",
            "STATICCALL ISZERO, reverts",
            True,
        ),
    ),
}
"""By reason."""


def unreachable(jumps: dict[int, Jump]) -> dict[Branch, str]:
    """Return the branches that the rules exclude, and why; raise ValueError for a stale rule."""
    found: dict[Branch, str] = {}
    for reason, rules in UNREACHABLE.items():
        for rule in rules:
            fits = [at for at, jump in jumps.items() if jump[1:] == rule[:3]]
            if len(fits) != 1:
                raise ValueError(f"{rule} fits {len(fits)} branches of the vault instead of one")
            found[fits[0], rule.taken] = reason
    return found
