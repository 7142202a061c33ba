"""Hostile neighbours and garbled calldata: what the vault makes of them, and what a broken one."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from ringfence.evm.engine import dev_accounts
from tests.support.broken import Break, load_broken
from tests.support.model.actions import Action
from tests.support.model.hostile import (
    REENTERED,
    STARVED,
    UNLOCKED,
    entries,
    garbled_arguments,
)
from tests.support.model.pair import account_number
from tests.support.model.play import Ground, Stage, cast_of, failure
from verification.fuzz.branches import jumps

SEED = 1
KNOWN = jumps("MarginVault")
WEALTHY = account_number(dev_accounts()[0])
PERMIT = keccak(b"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)")[:4] + bytes(224)
REENTRANT = Break(
    "modules/lender_shares.vy",
    "@external\n@view\ndef totalSupply(",
    "@external\n@view\n@reentrant\ndef totalSupply(",
)
PAYABLE = Break(
    "modules/lender_shares.vy", "@external\ndef permit(", "@external\n@payable\ndef permit("
)


@pytest.fixture
def stage() -> Stage:
    """A market with deposits and a reserve."""
    setting, mood = cast_of(SEED)
    stage = Stage(setting, SEED, mood, Ground(notes_branches=True))
    for action in stage.generator.opening():
        stage.step(action)
    return stage


def _refusals(stage: Stage) -> set[int]:
    """The compiler's checks that have refused a call."""
    return {at for at, taken in stage.branches if taken and "reverts" in KNOWN[at].looks_at}


def _lender(stage: Stage) -> int:
    return stage.generator.cast.lenders[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("gone", ""),
        ("reverts", ""),
        ("false", "transfer failed"),
        ("short", ""),
        ("wide", ""),
        ("nothing", None),
    ],
)
def test_step__an_asset_that_answers_oddly__is_refused_unless_it_says_nothing(
    stage: Stage, answer: str, reason: str | None
) -> None:
    lender = _lender(stage)
    for name, args in (("deposit", (10**6, lender)), ("withdraw", (1, lender, lender))):
        assert stage.step(Action(name, lender, args, odd=("asset", answer))).reason == reason
        assert stage.step(Action(name, lender, args)).succeeded


def test_step__every_garbled_argument__is_refused_by_a_check_of_its_own(stage: Stage) -> None:
    before = _refusals(stage)
    for data in garbled_arguments():
        assert stage.step(Action("garble", _lender(stage), (data, 0))).reason == ""
    assert len(_refusals(stage) - before) == len(garbled_arguments())


def test_step__little_gas__is_refused(stage: Stage) -> None:
    outcome = stage.step(Action("accrue", _lender(stage), (), odd=STARVED))
    assert outcome.reason == "not enough gas"


def test_step__a_rate_model_that_reenters__meets_every_lock(stage: Stage) -> None:
    stage.step(Action("warp", 0, (1,)))
    assert stage.step(Action("accrue", _lender(stage), (), odd=REENTERED)).succeeded
    locks = {at for at, jump in KNOWN.items() if jump.looks_at == "EQ, reverts"}
    assert len(locks) == len(entries()) - len(UNLOCKED)
    assert locks <= _refusals(stage)


@pytest.mark.parametrize(
    ("guard", "actions"),
    [
        (REENTRANT, [Action("warp", 0, (1,)), Action("accrue", WEALTHY, (), odd=REENTERED)]),
        (PAYABLE, [Action("garble", WEALTHY, (PERMIT, 1))]),
    ],
    ids=["reentrant", "payable"],
)
def test_failure__a_vault_without_the_guard__is_found(guard: Break, actions: list[Action]) -> None:
    assert failure(SEED, actions) is None
    assert failure(SEED, actions, Ground(code=load_broken("MarginVault", guard))) is not None
