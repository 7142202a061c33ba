"""The wallets' ERC-1271 answers."""

from __future__ import annotations

import pytest
from eth_account import Account

from ringfence.evm import Engine, Reverted, load
from tests.support.feeds import NOBODY

VALID = bytes.fromhex("1626ba7e")
INVALID = bytes.fromhex("ffffffff")
DIGEST = b"\x07" * 32


def test_is_valid_signature__contract_wallet__its_owner_alone(engine: Engine) -> None:
    owner, stranger = engine.accounts[:2]
    wallet = engine.deploy(load("ContractWallet"), owner)
    good = Account.unsafe_sign_hash(DIGEST, owner.key).signature
    bad = Account.unsafe_sign_hash(DIGEST, stranger.key).signature

    assert wallet.owner() == owner.address
    assert wallet.isValidSignature(DIGEST, good) == VALID
    assert wallet.isValidSignature(DIGEST, bad) == INVALID
    assert wallet.isValidSignature(b"\x08" * 32, good) == INVALID
    assert wallet.isValidSignature(DIGEST, good[:64]) == INVALID
    assert wallet.isValidSignature(DIGEST, b"") == INVALID


def test_is_valid_signature__refusing_wallet__never(engine: Engine) -> None:
    owner = engine.accounts[0]
    wallet = engine.deploy(load("RefusingWallet"))

    signature = Account.unsafe_sign_hash(DIGEST, owner.key).signature
    assert wallet.isValidSignature(DIGEST, signature) == INVALID


def test_init__contract_wallet_without_owner__reverts(engine: Engine) -> None:
    with pytest.raises(Reverted, match=r"^owner is missing$"):
        engine.deploy(load("ContractWallet"), NOBODY)
