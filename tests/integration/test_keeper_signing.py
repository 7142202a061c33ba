"""One of Ape's accounts behind the keeper's policy: it signs, in a thread too, what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ape import accounts, networks
from eth_account import Account

from ringfence.client.abi import interface
from ringfence.client.signing import Signer
from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.anvil import ape_connection, launch
from ringfence.keeper.act.signing import PolicyError
from tests.support.lanes import GWEI, LIQUIDATOR, POLICY, VAULT


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with launch() as engine, ape_connection(engine):
        yield accounts.test_accounts[0]


def signer_of(account: Any) -> Signer:
    def sign(fields: Mapping[str, Any]) -> bytes:
        transaction = networks.provider.network.ecosystem.create_transaction(**fields)
        return bytes(account.sign_transaction(transaction).serialize_transaction())

    return sign


def test_guard__account_of_apes__signs_just_what_was_asked_for(account: Any) -> None:
    own = address_bytes(account.address)
    data = interface("Liquidator").encode("liquidate", VAULT, (1, 2, -3), b"\3" * 43, own)
    fields = {
        "type": 2,
        "chainId": 1,
        "from": account.address,
        "to": checksum(LIQUIDATOR),
        "data": data,
        "value": 0,
        "nonce": 0,
        "gas": 100_000,
        "maxFeePerGas": GWEI,
        "maxPriorityFeePerGas": 0,
    }
    signer = replace(POLICY, account=own).guard(signer_of(account), lambda _nonce: 0)
    raw = asyncio.run(asyncio.to_thread(signer, fields))
    assert Account.recover_transaction(raw) == account.address
    with pytest.raises(PolicyError, match="value is 1"):
        signer(fields | {"value": 1})
