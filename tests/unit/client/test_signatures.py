"""Signed permissions: good once, before the deadline, by the owner alone."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ringfence.client import InputError, OperatorGrant, Plan, submit, typed_data
from ringfence.client.refusals.vault import SignatureExpiredError, SignatureInvalidError
from tests.support.client import NEWCOMER, Desk
from tests.support.market import DAY, OPERATOR, REDUCE, STRANGER


def signed(desk: Desk, *, signer: LocalAccount = NEWCOMER, deadline: int = DAY) -> Plan:
    grant = OperatorGrant(
        NEWCOMER.address, OPERATOR.address, REDUCE, 50, desk.stage.engine.timestamp + deadline
    )
    message = typed_data(desk.long, grant)
    signature = bytes(Account.sign_typed_data(signer.key, full_message=message).signature)
    return submit(desk.long, STRANGER.address, grant, signature)


def permissions(desk: Desk) -> tuple[int, int]:
    found: tuple[int, int] = desk.stage.long.vault.operator_permissions(NEWCOMER, OPERATOR)
    return found


def test_submit__by_anybody__sets_the_operator(desk: Desk) -> None:
    desk.send(signed(desk))
    assert permissions(desk) == (REDUCE, 50)


def test_submit__replayed__refused(desk: Desk) -> None:
    plan = signed(desk)
    desk.send(plan)
    with pytest.raises(SignatureInvalidError, match=f"not {NEWCOMER.address}'s"):
        desk.send(plan)


def test_submit__expired__refused(desk: Desk) -> None:
    plan = signed(desk, deadline=60)
    desk.stage.engine.advance(61)
    with pytest.raises(SignatureExpiredError, match=r"\(limit 20\d\d-.* UTC\); sign again"):
        desk.send(plan)
    assert permissions(desk) == (0, 0)


def test_submit__by_another_signer__refused(desk: Desk) -> None:
    with pytest.raises(SignatureInvalidError):
        desk.send(signed(desk, signer=STRANGER))
    assert permissions(desk) == (0, 0)


def test_submit__not_a_signature__says_why(desk: Desk) -> None:
    grant = OperatorGrant(NEWCOMER.address, OPERATOR.address, REDUCE, 0, 2**40)
    with pytest.raises(InputError, match="65 bytes, this has 3"):
        submit(desk.long, STRANGER.address, grant, b"abc")
