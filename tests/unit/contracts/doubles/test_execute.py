"""Wallets and callback takers call as themselves."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from tests.support.doubles import DeployToken


def deploy_caller(engine: Engine, stem: str, token: Contract) -> Contract:
    arguments = {
        "ContractWallet": [engine.accounts[0]],
        "HonestCallback": [token, token],
    }
    return engine.deploy(load(stem), *arguments.get(stem, []))


CALLERS = ["ContractWallet", "RefusingWallet", "CallbackAttacker", "HonestCallback"]


@pytest.mark.parametrize("stem", CALLERS)
def test_execute__call_goes_through__as_the_contract_itself(
    engine: Engine, deploy_token: DeployToken, vault: Any, stem: str
) -> None:
    token = deploy_token("TestToken")
    caller = deploy_caller(engine, stem, token)
    token.mint(caller, 10)

    output = caller.execute(token, token.transfer.encode(vault, 4)).value

    assert output == (1).to_bytes(32, "big")
    assert token.balanceOf(vault) == 4
    assert token.balanceOf(caller) == 6


@pytest.mark.parametrize("stem", CALLERS)
def test_execute__call_reverts__with_its_reason(
    engine: Engine, deploy_token: DeployToken, vault: Any, stem: str
) -> None:
    token = deploy_token("TestToken")
    caller = deploy_caller(engine, stem, token)

    with pytest.raises(Reverted, match=r"^balance too low$"):
        caller.execute(token, token.transfer.encode(vault, 4))


@pytest.mark.parametrize("stem", CALLERS)
def test_execute__ether_sent_along__arrives(
    engine: Engine, deploy_token: DeployToken, stem: str
) -> None:
    caller = deploy_caller(engine, stem, deploy_token("TestToken"))
    wallet = deploy_caller(engine, "ContractWallet", caller)

    caller.execute(wallet, b"", 5, value=5)

    assert engine.balance(wallet) == 5


def test_default__ether_offered__refusing_wallet_alone_refuses(
    engine: Engine, deploy_token: DeployToken
) -> None:
    token = deploy_token("TestToken")
    for stem in CALLERS:
        caller = deploy_caller(engine, stem, token)
        receipt = engine.transact(caller, value=3, check=False)
        assert receipt.success is (stem != "RefusingWallet")
        assert engine.balance(caller) == (3 if receipt.success else 0)
