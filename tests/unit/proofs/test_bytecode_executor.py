"""The executor does what revm does, a merged run keeps what a path may write, flaws are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("z3", reason="the proofs' requirements are not installed")

import z3

from ringfence.evm.artifacts import Artifact
from verification.proofs.__main__ import discover
from verification.proofs.bytecode import isolation
from verification.proofs.bytecode.flaws import FLAWS
from verification.proofs.bytecode.merging import MergingMachine
from verification.proofs.bytecode.replay import replay
from verification.proofs.bytecode.state import AnyLength, Code
from verification.proofs.property import Verdict


def _written(code: str) -> set[str]:
    machine = MergingMachine(Code(bytes.fromhex(code)), AnyLength(bytes(4), z3.BitVec("i", 256)))
    machine.explore()
    return {str(write.key) for write in machine.writes}


def test_replay__random_calls__alike_on_revm() -> None:
    verdict = replay(60)
    assert verdict.status == "proved", verdict.detail


def test_explore__key_that_differs_where_paths_meet__unknown() -> None:
    # key 1, or 2 unless calldataload(4) jumps over it; jumpdest; sstore(key, 0)
    keys = _written("6001600435600b575060025b5f905500")
    assert len(keys) == 1
    assert next(iter(keys)).startswith("join_")


def test_explore__key_that_both_paths_hold__kept() -> None:
    assert _written("6001600435600a575f505b5f905500") == {"1"}


def test_explore__loop_that_counts__ends() -> None:
    # jumpdest; sstore(n, 0); n + 1; loop while calldataload(4)
    keys = _written("5f5b5f815560010160043560015700")
    assert any(key.startswith("join_") for key in keys)


def test_properties__proof_on_bytecode__has_one_to_refute() -> None:
    claims = {name: claim for name, (_, claim) in discover().items() if claim.on == "bytecode"}
    proofs = {name for name, claim in claims.items() if claim.expect == "proved"}
    assert {f"{name}.broken" for name in proofs} == claims.keys() - proofs
    assert all(claims[f"{name}.broken"].expect == "refuted" for name in proofs)
    assert FLAWS.keys() == isolation.MAY.keys()


@pytest.mark.parametrize(
    ("detail", "status"), [("writes slot j where", "refuted"), ("writes 5", "unfinished")]
)
def test_refute__reason__is_the_flaws_own(detail: str, status: str) -> None:
    def run(source: Callable[[], Artifact]) -> Verdict:
        assert source is isolation.broken_vault
        return Verdict("refuted", detail)

    assert isolation._refute(run, "writes slot j").status == status
