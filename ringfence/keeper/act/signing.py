"""What the keeper's key may sign: calls of the Liquidator that pay the keeper, and nothing else.

It stands in front of any signer and refuses by default. Calldata counts only when encoding what it
decodes to gives the same bytes: then there is no second way for the contract to read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from ringfence.client.abi import interface
from ringfence.client.signing import Signer
from ringfence.errors import RingfenceError
from ringfence.evm.abi import AbiEntry, Addressable, address_bytes, selector
from ringfence.evm.decoding import Decoder, make_decoder
from ringfence.evm.errors import EncodingError

DAY = 86_400
"""Seconds over which the fees are counted."""

_CALLS = ("liquidate", "liquidate_batch")
_PRICES = ("gas", "maxFeePerGas", "maxPriorityFeePerGas")
_FIELDS = frozenset(("type", "chainId", "from", "to", "data", "value", "nonce", *_PRICES))


class PolicyError(RingfenceError):
    """A transaction that the policy does not let the key sign."""


def _decoders() -> Mapping[bytes, tuple[str, list[str], Decoder]]:
    file = resources.files("ringfence") / "abi" / "Liquidator.json"
    abi: list[AbiEntry] = json.loads(file.read_text())
    return {
        selector(entry): (
            entry["name"],
            [part["name"] for part in entry["inputs"]],
            make_decoder(entry["inputs"]),
        )
        for entry in abi
        if entry.get("name") in _CALLS
    }


_LIQUIDATIONS = _decoders()
_APPROVE = interface("ERC20").function("approve", 2).selector
_decode_approve = make_decoder([{"type": "address"}, {"type": "uint256"}])


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """What may be signed, for one chain and one account; addresses are 20 bytes.

    `max_gas` is of one transaction, `max_fee` wei a unit of gas, `max_spend` wei of fees a day.
    `approvals` are the tokens that the Liquidator may be approved for, and how much, token units.
    """

    chain_id: int
    account: bytes
    liquidator: bytes
    max_gas: int
    max_fee: int
    max_spend: int
    approvals: Mapping[bytes, int] = field(default_factory=dict)

    def check(self, fields: Mapping[str, Any], spent: int) -> None:
        """Raise PolicyError unless these fields, as eth_sendTransaction names them, may be signed.

        `spent` is what the other transactions of the last day cost, or may still cost, wei.
        """
        self._check_envelope(fields)
        gas, price = fields["gas"], fields["maxFeePerGas"]
        _at_most("gas limit", gas, self.max_gas, "max_gas")
        _at_most("fee per gas", price, self.max_fee, "max_fee")
        _at_most("tip per gas", fields["maxPriorityFeePerGas"], price, "max_fee")
        _at_most("total of a day's fees", spent + gas * price, self.max_spend, "max_spend")
        to, data = _address(fields["to"]), bytes(fields["data"])
        if to == self.liquidator:
            self._check_liquidation(data)
        elif to in self.approvals:
            self._check_approval(data, self.approvals[to])
        else:
            raise PolicyError(
                f"the recipient is {_hex(to)} (limit: the Liquidator {_hex(self.liquidator)}); "
                "let the policy name the right one"
            )

    def guard(self, signer: Signer, spent: Callable[[int], int]) -> Signer:
        """Return a signer that signs what the policy lets it; `spent` takes the nonce to leave out.

        It raises PolicyError for anything else, and when what was signed is not what was asked for.
        """

        def sign(fields: Mapping[str, Any]) -> bytes:
            self._check_envelope(fields)
            self.check(fields, spent(fields["nonce"]))
            raw = signer(fields)
            check_signed(raw, fields)
            return raw

        return sign

    def _check_envelope(self, fields: Mapping[str, Any]) -> None:
        odd = _FIELDS.symmetric_difference(fields)
        if odd:
            raise PolicyError(
                f"the fields differ in {', '.join(sorted(odd))} (limit: {len(_FIELDS)} fields of a "
                "type-2 transaction); name each of them and no other"
            )
        wanted = {"type": 2, "chainId": self.chain_id, "value": 0}
        numbers = _FIELDS - {"from", "to", "data"}
        for name in sorted(numbers):
            value = fields[name]
            if type(value) is not int or value < 0 or value != wanted.get(name, value):
                raise PolicyError(
                    f"{name} is {value!r} (limit: {wanted.get(name, 'a whole number')}); "
                    "check the network and what made this transaction"
                )
        self._check_account("sender", _address(fields["from"]))

    def _check_account(self, role: str, address: bytes) -> None:
        if address != self.account:
            raise PolicyError(
                f"the {role} is {_hex(address)} (limit: the keeper's {_hex(self.account)}); "
                "check what made this transaction"
            )

    def _check_liquidation(self, data: bytes) -> None:
        found = _LIQUIDATIONS.get(data[:4])
        if found is None:
            raise PolicyError(
                f"the function is 0x{data[:4].hex()} (limit: {', '.join(_CALLS)}); "
                "call one of these"
            )
        name, parts, decode = found
        try:
            values = decode(data[4:])
            same = interface("Liquidator").encode(name, *values) == data
        except EncodingError:
            same = False
        if not same:
            raise PolicyError(
                f"the {len(data)} bytes are no plain call of {name} (limit: its own encoding); "
                "encode it by the Liquidator's ABI"
            )
        self._check_account("receiver", _address(dict(zip(parts, values, strict=True))["receiver"]))

    def _check_approval(self, data: bytes, limit: int) -> None:
        try:
            spender, amount = _decode_approve(data[4:])
            plain = interface("ERC20").encode("approve", spender, amount) == data
        except EncodingError:
            plain = False
        if not plain:
            raise PolicyError(
                f"the token's function is 0x{data[:4].hex()} (limit: approve, 0x{_APPROVE.hex()}); "
                "only approvals of a token can be signed"
            )
        if _address(spender) != self.liquidator:
            raise PolicyError(
                f"the spender is {spender} (limit: the Liquidator {_hex(self.liquidator)}); "
                "approve no one else"
            )
        _at_most("approval", amount, limit, "approvals")


def check_signed(raw: bytes, fields: Mapping[str, Any]) -> None:
    """Raise PolicyError unless the raw bytes are these fields, signed by their sender."""
    try:
        found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        sender = Account.recover_transaction(raw)
    except Exception as error:
        # Four libraries take part, each with errors of its own.
        raise PolicyError(
            f"the signer returned {len(raw)} bytes that are no type-2 transaction; "
            "check the account and its plug-in"
        ) from error
    told: dict[str, Any] = {name: found.get(name) for name in _FIELDS} | {"from": sender}
    for name in sorted(_FIELDS):
        got, wanted = told[name], fields[name]
        if name in ("from", "to"):
            got, wanted = _address(got), _address(wanted)
        if got != wanted or found.get("accessList"):
            raise PolicyError(
                f"the signer changed {name}, or added an access list; it was {wanted!r} and is "
                f"{got!r}; check the account and its plug-in"
            )


def call_of(raw: bytes) -> tuple[bytes, bytes]:
    """Return the recipient's 20 bytes and the data of a signed type-2 transaction."""
    found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return bytes(found["to"]), bytes(found["data"])


def _at_most(what: str, value: int, limit: int, setting: str) -> None:
    if value > limit:
        raise PolicyError(
            f"{what} is {value:,} (limit {limit:,}); wait, or raise the policy's {setting}"
        )


def _address(value: Addressable) -> bytes:
    try:
        return address_bytes(value)
    except EncodingError as error:
        raise PolicyError(f"{error}; check what made this transaction") from error


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
