"""Callback takers: the one that pays, and the one that attacks."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.doubles import DeployToken

CALLBACKS = {"on_adjust": (7, 10, -20, b"data"), "on_liquidate": (7, 10, 20, b"data")}


@pytest.fixture
def tokens(deploy_token: DeployToken) -> tuple[Contract, Contract]:
    return deploy_token("TestToken"), deploy_token("NoReturnToken", 6)


@pytest.fixture
def honest(engine: Engine, tokens: tuple[Contract, Contract]) -> Contract:
    return engine.deploy(load("HonestCallback"), *tokens)


def test_on_adjust__collateral_in_and_debt_down__mints_and_approves_both(
    tokens: tuple[Contract, Contract], honest: Contract, vault: Any
) -> None:
    honest.on_adjust(7, 10, -20, b"data", sender=vault)

    collateral, asset = tokens
    assert collateral.balanceOf(honest) == collateral.allowance(honest, vault) == 10
    assert asset.balanceOf(honest) == asset.allowance(honest, vault) == 20
    assert honest.position_id() == 7
    assert honest.collateral_delta() == 10
    assert honest.debt_delta() == -20
    assert honest.data() == b"data"
    assert honest.callback_count() == 1


def test_on_adjust__collateral_out_and_debt_up__pays_nothing(
    tokens: tuple[Contract, Contract], honest: Contract, vault: Any
) -> None:
    honest.on_adjust(7, -10, 20, b"", sender=vault)

    for token in tokens:
        assert token.balanceOf(honest) == token.allowance(honest, vault) == 0
    assert (honest.collateral_delta(), honest.debt_delta()) == (-10, 20)


def test_on_liquidate__payment_due__mints_and_approves_it(
    tokens: tuple[Contract, Contract], honest: Contract, vault: Any
) -> None:
    honest.on_liquidate(7, 10, 20, b"data", sender=vault)

    collateral, asset = tokens
    assert collateral.allowance(honest, vault) == 0
    assert asset.balanceOf(honest) == asset.allowance(honest, vault) == 20
    assert (honest.seized(), honest.paid(), honest.data()) == (10, 20, b"data")


@pytest.mark.parametrize("callback", CALLBACKS)
def test_callback__attacker_armed__makes_every_call_and_remembers_each_end(
    engine: Engine, tokens: tuple[Contract, Contract], vault: Any, callback: str
) -> None:
    attacker, token = engine.deploy(load("CallbackAttacker")), tokens[0]
    transfer = token.transfer.encode(vault, 4)
    attacker.arm([(token, token.mint.encode(attacker, 5)), (token, transfer), (token, transfer)])
    assert attacker.outcomes() == ()

    getattr(attacker, callback)(*CALLBACKS[callback], sender=vault)

    minted, moved, failed = attacker.outcomes()
    assert minted == (True, b"")
    assert moved == (True, (1).to_bytes(32, "big"))
    assert not failed.succeeded
    assert b"balance too low" in failed.output
    assert token.balanceOf(vault) == 4


def test_callback__attacker_called_again__is_no_longer_armed(
    engine: Engine, tokens: tuple[Contract, Contract]
) -> None:
    attacker, token = engine.deploy(load("CallbackAttacker")), tokens[0]
    inner = attacker.on_liquidate.encode(1, 2, 3, b"")
    attacker.arm([(attacker, inner), (token, token.mint.encode(attacker, 5))])

    attacker.on_adjust(*CALLBACKS["on_adjust"])
    attacker.on_adjust(*CALLBACKS["on_adjust"])

    assert [outcome.succeeded for outcome in attacker.outcomes()] == [True, True]
    assert token.balanceOf(attacker) == 5
