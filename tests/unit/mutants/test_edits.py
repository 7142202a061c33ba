"""Mutants as they are drawn up: the edits that must be among them, and their compiling."""

from __future__ import annotations

import pytest

from verification.mutants.build import InvalidMutantError, compile_mutant, digest
from verification.mutants.edits import MODULE_LEVEL, Mutant, mutants_of
from verification.mutants.run import originals_of
from verification.mutants.targets import CONTRACTS, TARGET_OF

CURVE = "rates/kinked_curve.vy"


def edits(file: str) -> set[tuple[str, str, str]]:
    """Function and changed lines of each mutant of a source."""
    return {(one.function, *one.lines()) for one in mutants_of(file)}


def compiled(mutant: Mutant) -> str:
    stem = TARGET_OF[mutant.file].stem
    return digest(compile_mutant(stem, CONTRACTS / mutant.file, mutant.apply()))


def test_mutants_of__vault_modules__hold_the_faults_that_matter() -> None:
    health, lender_shares = edits("modules/health.vy"), edits("modules/lender_shares.vy")
    rounding = "unsafe_mul(debt, fixed_point.WAD) <= unsafe_mul(collateral_value, ltv)"
    assert ("_is_healthy", f"return {rounding}", f"return {rounding.replace('<=', '<')}") in health
    line = "shares = self._to_shares_up(assets, sheet.supply_index)"
    assert ("_leave", line, line.replace("shares_up", "shares_down")) in lender_shares
    line = "errors._check_receiver(receiver)"
    assert ("_transfer", line, "pass") in lender_shares
    line = "self._transfer(msg.sender, receiver, amount)"
    exchanged = "self._transfer(receiver, msg.sender, amount)"
    assert ("transfer", line, exchanged) in lender_shares
    pragma = "# pragma nonreentrancy on"
    assert any(
        function == MODULE_LEVEL and before.startswith(pragma) and pragma not in after
        for function, before, after in lender_shares
    )


@pytest.mark.parametrize("file", [CURVE, "modules/position_slot.vy", "oracles/price_math.vy"])
def test_mutants_of__source__are_single_and_change_it(file: str) -> None:
    texts = {one.apply() for one in mutants_of(file)}
    assert len(texts) == len(mutants_of(file)) > 0
    assert (CONTRACTS / file).read_text() not in texts


def test_compile_mutant__fault__has_code_of_its_own() -> None:
    original = originals_of([TARGET_OF[CURVE]])["KinkedRate"]
    fault = next(one for one in mutants_of(CURVE) if one.operator == "arithmetic")
    assert compiled(fault) != original


def test_compile_mutant__same_meaning__has_the_originals_code() -> None:
    original = originals_of([TARGET_OF[CURVE]])["KinkedRate"]
    source = (CONTRACTS / CURVE).read_text()
    start = source.index("debt * WAD")
    same = Mutant(CURVE, "_utilisation_down", start, start + 10, "(debt * WAD)", "none")
    assert compiled(same) == original


def test_compile_mutant__no_vyper__is_invalid() -> None:
    broken = Mutant(CURVE, "_utilisation_down", 0, 0, "if", "none")
    with pytest.raises(InvalidMutantError):
        compiled(broken)
