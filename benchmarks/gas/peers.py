"""What the peers cost: recorded figures, not measured here.

Every figure is the gas of one receipt under the conditions of `CONDITIONS`, refunds taken off;
the health view's is its execution alone. The operations have the names of `gas.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = (
    "the project's own study of its peers, one receipt an operation; "
    "recorded figures, which `make bench` does not measure again"
)
CONDITIONS = (
    "receipts under Osaka rules; steady state: totals above zero, 600 s since the last accrual, "
    "allowances without limit; constant one-slot oracle; stateless rate model; solmate's ERC-20"
)

TRANSFER_FROM = 14_883
"""Gas of `transferFrom` in the peers' token: what the callee used, its cold access (2,600) apart.

So the hard floor of a deposit adds up: 21,000 + 228 calldata + three words rewritten at 5,000
+ 2,600 + 14,883 = 53,711. Debited and credited balance stay above zero, so do they here.
"""

TRANSFER = 12_524
"""The same of `transfer`; of a withdrawal: 21,000 + 228 + 15,000 + 2,600 + 12,524 = 51,352."""

COLD_CALL = 2_600
COLD_WORD = 2_100
ORACLE_CALL = 4_881
"""The oracle call in the hard floors, its cold access included: borrow's 56,233 - repay's other
parts, that is 21,000 + 228 + 15,000 + 2,600 + 12,524 + 4,881."""
RATE_CALL = 3_650
"""A call of a stateless rate model, its cold access included."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What an operation costs at least, in gas: no log, no computing, two books words, one slot.

    `calldata` is the part of `hard` that is calldata; `limits` and `rate` say whether the operation
    reads the limits word and calls the rate model, which the hard floor knows nothing of.
    """

    hard: int
    calldata: int
    limits: bool = False
    rate: bool = True


FLOORS: Mapping[str, Floor] = {
    "deposit": Floor(53_711, 228, limits=True),
    "withdraw": Floor(51_352, 228),
    "open": Floor(91_028, 440, limits=True),
    "top_up": Floor(43_747, 264, rate=False),
    "withdraw_collateral": Floor(50_469, 264, limits=True),
    "borrow": Floor(56_233, 228, limits=True),
    "repay": Floor(53_711, 228),
    "close": Floor(63_871, 64),
    "liquidate_partial": Floor(74_096, 608),
    "liquidate_full": Floor(74_060, 572),
    "liquidate_bad_debt": Floor(69_260, 572),
    # No floor was recorded: three cold words and the oracle.
    "health_view": Floor(3 * COLD_WORD + ORACLE_CALL, 0),
}

MORPHO = "Morpho Blue"
NAMES = (
    MORPHO,
    "Fraxlend",
    "Euler v2",
    "Unstoppable",
    "Aave 3.0.2",
    "LlamaLend v2 (N=4)",
    "Liquity v2",
)

_GAS: Mapping[str, tuple[int | None, ...]] = {
    "deposit": (86_809, 93_585, 122_165, 103_675, 147_494, 135_402, None),
    "withdraw": (85_327, 91_340, 126_881, 93_964, 160_721, 135_942, None),
    "open": (142_795, 175_205, 291_345, 451_345, 349_144, 434_048, 548_449),
    "top_up": (53_722, 88_842, 107_310, 202_868, 136_859, 263_294, 247_483),
    "withdraw_collateral": (90_049, 113_085, 156_248, 208_340, 202_405, 416_414, 247_396),
    "borrow": (92_645, 112_419, 167_197, 299_735, 209_904, 266_136, 232_075),
    "repay": (86_784, 84_410, 134_061, 249_233, 164_026, 276_765, 228_804),
    "close": (114_569, 127_233, 223_791, 241_672, 283_106, 240_879, 304_390),
    "liquidate_partial": (112_978, 160_335, 352_265, 317_914, 300_197, 400_699, None),
    "liquidate_full": (112_990, 155_535, 345_040, 237_876, 303_828, 265_810, 386_270),
    "liquidate_bad_debt": (111_577, 149_493, 354_428, 281_857, 305_271, 376_014, 340_245),
    "health_view": (35_321, 44_812, 55_961, 89_398, 92_396, 101_680, 26_228),
}

RUNTIME_BYTES: Mapping[str, str] = dict(
    zip(
        NAMES,
        (
            "15,582",
            "23,438",
            "23,147 + 8 modules",
            "24,237",
            "21,673 + libraries",
            "21,297 + 23,247",
            "24,559",
        ),
        strict=True,
    )
)
"""Code on chain of each peer's core."""


def gas_of(operation: str) -> dict[str, int]:
    """Return each peer's gas of an operation; a peer that has no such operation is left out."""
    pairs = zip(NAMES, _GAS[operation], strict=True)
    return {name: gas for name, gas in pairs if gas is not None}
