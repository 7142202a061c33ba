"""The signing policy: what it lets a key sign, and that it refuses everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from eth_account import Account

from ringfence.client.abi import interface
from ringfence.client.signing import key_signer
from ringfence.evm.abi import checksum
from ringfence.evm.engine import dev_accounts
from ringfence.keeper.act.signing import PolicyError, SigningPolicy, call_of
from tests.support.lanes import ACCOUNT, ETHER, GWEI, KEEPER, LIQUIDATOR, VAULT

STRANGER = dev_accounts()[7]
USDC, LIMIT = b"\x55" * 20, 10**9
POLICY = SigningPolicy(1, ACCOUNT, LIQUIDATOR, 10**6, 100 * GWEI, ETHER, {USDC: LIMIT})
PATH = b"\x33" * 43
TARGET = (7, 2**256 - 1, -5)

liquidator, token = interface("Liquidator"), interface("ERC20")
ONE = liquidator.encode("liquidate", VAULT, TARGET, PATH, ACCOUNT)
BATCH = liquidator.encode("liquidate_batch", VAULT, [TARGET, (8, 1, 0)], PATH, ACCOUNT, -5)


def fields(**changes: Any) -> dict[str, Any]:
    """A plain liquidation, as the lane would send it."""
    return {
        "type": 2,
        "chainId": 1,
        "from": KEEPER.address,
        "to": checksum(LIQUIDATOR),
        "data": ONE,
        "value": 0,
        "nonce": 3,
        "gas": 500_000,
        "maxFeePerGas": 50 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        **changes,
    }


def approval(amount: int = LIMIT, spender: bytes = LIQUIDATOR) -> dict[str, Any]:
    return {"to": checksum(USDC), "data": token.encode("approve", spender, amount)}


GUARDED = POLICY.guard(key_signer(KEEPER), lambda _nonce: 0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": BATCH},
        {"data": liquidator.encode("liquidate_batch", VAULT, [], b"", ACCOUNT, 0)},
        {"to": LIQUIDATOR, "from": ACCOUNT},
        {"gas": 10**6},
        {"maxFeePerGas": 100 * GWEI},
        {"maxPriorityFeePerGas": 50 * GWEI},
        approval(),
        approval(0),
    ],
)
def test_guard__a_call_of_the_keepers_own__signed(changes: dict[str, Any]) -> None:
    wanted = fields(**changes)
    raw = GUARDED(wanted)
    assert Account.recover_transaction(raw) == KEEPER.address
    to, data = call_of(raw)
    assert (checksum(to), data) == (
        checksum(wanted["to"]) if isinstance(wanted["to"], bytes) else wanted["to"],
        wanted["data"],
    )


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"chainId": 5}, r"chainId is 5 \(limit: 1\); check the network"),
    ({"type": 0}, r"type is 0 \(limit: 2\)"),
    ({"type": True}, "type is True"),
    ({"value": 1}, r"value is 1 \(limit: 0\)"),
    ({"value": False}, "value is False"),
    ({"nonce": -1}, "nonce is -1"),
    ({"nonce": "0x1"}, "nonce is '0x1'"),
    ({"gas": 1e5}, "gas is 100000.0"),
    ({"gas": 10**6 + 1}, r"gas limit is 1,000,001 \(limit 1,000,000\); wait, or raise .* max_gas"),
    ({"maxFeePerGas": 100 * GWEI + 1}, r"fee per gas is 100,000,000,001 \(limit 100,000,000,000"),
    ({"maxPriorityFeePerGas": 51 * GWEI}, r"tip per gas is 51,000,000,000 \(limit 50,"),
    ({"accessList": []}, r"the fields differ in accessList"),
    ({"gasPrice": GWEI}, r"the fields differ in gasPrice"),
    ({"authorizationList": []}, "differ in authorizationList"),
    ({"from": STRANGER.address}, "the sender is 0x.* keeper's"),
    ({"to": STRANGER.address}, r"recipient is 0x.*\(limit: the Liquidator 0x1111"),
    ({"to": None}, "not an address"),
    ({"to": "vitalik.eth"}, "not an address"),
    ({"data": b""}, r"function is 0x \(limit: liquidate, liquidate_batch\)"),
    ({"data": ONE[:4]}, "no plain call of liquidate"),
    ({"data": ONE + bytes(32)}, "no plain call of liquidate"),
    ({"data": ONE[:-1]}, "no plain call of liquidate"),
    ({"data": BATCH + b"\0"}, "no plain call of liquidate_batch"),
    ({"data": bytes(4) + ONE[4:]}, "the function is 0x00000000"),
    ({"data": liquidator.encode("attempt", VAULT, TARGET)}, "limit: liquidate, liquidate_batch"),
    (
        {"data": liquidator.encode("liquidate", VAULT, TARGET, PATH, STRANGER)},
        r"the receiver is 0x.*\(limit: the keeper's 0x",
    ),
    (
        {"data": liquidator.encode("liquidate_batch", VAULT, [TARGET], PATH, VAULT, 0)},
        "the receiver is 0x2222",
    ),
    (approval(LIMIT + 1), r"approval is 1,000,000,001 \(limit 1,000,000,000\)"),
    (approval(spender=VAULT), "the spender is 0x2222"),
    (approval() | {"to": checksum(VAULT)}, "the recipient is 0x2222"),
    (approval() | {"data": approval()["data"] + b"\0"}, "only approvals"),
    (approval() | {"data": ONE}, "only approvals of a token"),
    (approval() | {"data": b"\xa9\x05\x9c\xbb" + approval()["data"][4:]}, "is 0xa9059cbb"),
    (approval() | {"value": 1}, "value is 1"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_guard__anything_else__refused_and_the_signer_never_asked(
    changes: dict[str, Any], words: str
) -> None:
    asked: list[object] = []

    def signer(some: Mapping[str, Any]) -> bytes:
        asked.append(some)
        return b""

    with pytest.raises(PolicyError, match=words) as caught:
        POLICY.guard(signer, lambda _nonce: 0)(fields(**changes))
    assert asked == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(fields()))
def test_guard__a_field_missing__refused(name: str) -> None:
    left = {key: value for key, value in fields().items() if key != name}
    with pytest.raises(PolicyError, match=f"differ in {name}"):
        GUARDED(left)


def test_guard__receiver_moved_by_an_offset__refused() -> None:
    """The path's bytes begin 32 further on: the contract would read it, encoders never write it."""
    words = [ONE[4:][at : at + 32] for at in range(0, len(ONE) - 4, 32)]
    offset = 4
    moved = [*words]
    moved[offset] = (int.from_bytes(words[offset]) + 32).to_bytes(32)
    moved.insert(6, bytes(32))
    with pytest.raises(PolicyError, match="no plain call"):
        GUARDED(fields(data=ONE[:4] + b"".join(moved)))


def test_guard__the_days_fees__counted_without_the_nonce_being_replaced() -> None:
    spent = {3: ETHER, 4: ETHER - 500_000 * 50 * GWEI}
    signer = POLICY.guard(
        key_signer(KEEPER), lambda nonce: sum(s for n, s in spent.items() if n != nonce)
    )
    assert signer(fields())
    spent[4] += 1
    with pytest.raises(PolicyError, match=r"day's fees is 1(,000){5},001 \(limit 1(,000){6}\)"):
        signer(fields())


SIGNERS: list[tuple[Callable[[Mapping[str, Any]], bytes], str]] = [
    (key_signer(STRANGER), "signer changed from"),
    (lambda some: key_signer(KEEPER)({**some, "gas": some["gas"] + 1}), "signer changed gas"),
    (lambda some: key_signer(KEEPER)({**some, "to": STRANGER.address}), "signer changed to"),
    (lambda some: key_signer(KEEPER)({**some, "nonce": 4}), "signer changed nonce"),
    (lambda some: key_signer(KEEPER)({**some, "data": b"\1"}), "signer changed data"),
    (
        lambda some: key_signer(KEEPER)(
            {**some, "accessList": [{"address": STRANGER.address, "storageKeys": []}]}
        ),
        "added an access list",
    ),
    (lambda _some: b"", "0 bytes that are no type-2 transaction"),
    (lambda _some: b"\x02\xc0", "no type-2 transaction"),
]


@pytest.mark.parametrize(("signer", "words"), SIGNERS)
def test_guard__signer_that_signs_something_else__refused(
    signer: Callable[[Mapping[str, Any]], bytes], words: str
) -> None:
    with pytest.raises(PolicyError, match=words):
        POLICY.guard(signer, lambda _nonce: 0)(fields())
