"""A contract as a Python object: functions as methods, events decoded by its ABI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ringfence.evm.abi import (
    AbiEntry,
    AbiValue,
    Addressable,
    event_topic,
    make_encoder,
    selector,
    signature,
    type_name,
)
from ringfence.evm.decoding import make_decoder, make_result_decoder
from ringfence.evm.errors import EncodingError, Reverted, UnknownFunctionError

if TYPE_CHECKING:
    from ringfence.evm.engine import Engine, Log, Receipt


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event; `event["amount"]` reads one field."""

    name: str
    address: str
    args: Mapping[str, AbiValue]

    def __getitem__(self, field: str) -> AbiValue:
        return self.args[field]


class Overload:
    """One function of an ABI with its codec, compiled when it is first needed."""

    __slots__ = ("decode", "encode_arguments", "selector", "signature", "view")

    def __init__(self, entry: AbiEntry) -> None:
        self.signature = signature(entry)
        self.selector = selector(entry)
        self.view = entry.get("stateMutability") in ("view", "pure") or bool(entry.get("constant"))
        self.encode_arguments = make_encoder(entry["inputs"])
        self.decode: Callable[[bytes], AbiValue] = make_result_decoder(entry["outputs"])


@lru_cache(maxsize=1_024)
def _overload(entry: str) -> Overload:
    """Return the function of an ABI's entry in JSON: contracts of one kind share it."""
    return Overload(json.loads(entry))


class Method:
    """A contract's function, all its overloads; which one runs the number of arguments decides.

    Calling it runs a view as a call that returns its value, anything else as a transaction that
    returns its Receipt.
    """

    __slots__ = ("_contract", "_engine", "_overloads", "name")

    def __init__(self, contract: Contract, name: str, entries: Sequence[AbiEntry]) -> None:
        self._contract = contract
        self._engine = contract.engine
        self.name = name
        self._overloads: dict[int, list[Overload]] = {}
        for entry in entries:
            one = _overload(json.dumps(entry))
            self._overloads.setdefault(len(entry["inputs"]), []).append(one)

    def _pick(self, count: int) -> Overload:
        found = self._overloads.get(count, [])
        if len(found) == 1:
            return found[0]
        known = ", ".join(one.signature for each in self._overloads.values() for one in each)
        problem = "several overloads with" if found else "no overload with"
        raise UnknownFunctionError(
            f"{self._contract.title}.{self.name} has {problem} {count} arguments; it has {known}"
        )

    def encode(self, *args: AbiValue) -> bytes:
        """Return the calldata of this function with these arguments."""
        overload = self._pick(len(args))
        return overload.selector + overload.encode_arguments(args)

    def __call__(
        self,
        *args: AbiValue,
        sender: Addressable | None = None,
        value: int = 0,
        check: bool = True,
        gas_limit: int | None = None,
    ) -> AbiValue:
        """Run the function: a view's value, or the Receipt of a transaction.

        Raises Reverted when it fails (a transaction only if `check`), UnknownFunctionError when no
        overload takes so many arguments, EncodingError when a value does not fit its type.
        """
        overload = self._pick(len(args))
        if overload.view:
            return self._call(overload, args, sender, value)
        return self._transact(overload, args, sender, value, check, gas_limit)

    def transact(
        self,
        *args: AbiValue,
        sender: Addressable | None = None,
        value: int = 0,
        check: bool = True,
        gas_limit: int | None = None,
    ) -> Receipt:
        """Run the function as a transaction, a view too, and return its Receipt."""
        return self._transact(self._pick(len(args)), args, sender, value, check, gas_limit)

    def call(self, *args: AbiValue, sender: Addressable | None = None, value: int = 0) -> AbiValue:
        """Run the function without changing anything and return its decoded value."""
        return self._call(self._pick(len(args)), args, sender, value)

    def _transact(
        self,
        overload: Overload,
        args: Sequence[AbiValue],
        sender: Addressable | None,
        value: int,
        check: bool,
        gas_limit: int | None,
    ) -> Receipt:
        receipt = self._engine.send(
            sender or self._engine.accounts[0],
            self._contract.address,
            overload.selector + overload.encode_arguments(args),
            value=value,
            gas_limit=gas_limit,
            decode=overload.decode,
        )
        if check and not receipt.success:
            raise Reverted(receipt.revert_reason or "", receipt)
        return receipt

    def _call(
        self,
        overload: Overload,
        args: Sequence[AbiValue],
        sender: Addressable | None,
        value: int,
    ) -> AbiValue:
        output = self._engine.call_raw(
            self._contract.address,
            overload.selector + overload.encode_arguments(args),
            sender=sender,
            value=value,
        )
        return overload.decode(output)


class _EventDecoder:
    """One event of an ABI: topics and data back into named values.

    An indexed string, byte string, array or struct is a hash on chain and stays 32 bytes.
    """

    def __init__(self, entry: AbiEntry) -> None:
        self.name = str(entry["name"])
        self._names = [part["name"] for part in entry["inputs"]]
        self._indexed = [part for part in entry["inputs"] if part["indexed"]]
        self._plain = [part for part in entry["inputs"] if not part["indexed"]]
        self._decode_data = make_decoder(self._plain)
        self._decode_topics = [
            make_decoder([part if _is_word(part) else {"type": "bytes32"}])
            for part in self._indexed
        ]

    def decode(self, log: Log) -> Event:
        if len(log.topics) != len(self._indexed) + 1:
            raise EncodingError(
                f"{self.name} has {len(self._indexed) + 1} topics, the log {len(log.topics)}"
            )
        values = dict(
            zip([part["name"] for part in self._plain], self._decode_data(log.data), strict=True)
        )
        for part, decode, topic in zip(
            self._indexed, self._decode_topics, log.topics[1:], strict=True
        ):
            values[part["name"]] = decode(topic)[0]
        return Event(self.name, log.address, {name: values[name] for name in self._names})


def _is_word(part: AbiEntry) -> bool:
    kind = type_name(part)
    return kind not in ("bytes", "string") and not kind.endswith((")", "]"))


class Contract:
    """A deployed contract: `vault.deposit(assets, receiver, sender=lender)`."""

    def __init__(
        self,
        engine: Engine,
        address: str,
        abi: Sequence[AbiEntry],
        title: str,
        deployment: Receipt | None = None,
    ) -> None:
        self.engine = engine
        self.address = address
        self.abi = abi
        self.title = title
        self.deployment = deployment

    def __getattr__(self, name: str) -> Method:
        entries = [e for e in self.abi if e["type"] == "function" and e["name"] == name]
        if name.startswith("__") or not entries:
            raise UnknownFunctionError(f"{self.title} has no function {name!r}")
        method = Method(self, name, entries)
        self.__dict__[name] = method
        return method

    def __repr__(self) -> str:
        return f"<{self.title} {self.address}>"

    @cached_property
    def _event_decoders(self) -> dict[bytes, _EventDecoder]:
        entries = [e for e in self.abi if e["type"] == "event" and not e.get("anonymous")]
        return {event_topic(entry): _EventDecoder(entry) for entry in entries}

    def decode_log(self, log: Log) -> Event:
        """Decode one of this contract's logs; raise EncodingError for an event not in its ABI."""
        decoder = self._event_decoders.get(log.topics[0]) if log.topics else None
        if decoder is None:
            raise EncodingError(f"{self.title} emitted an event that its ABI does not know")
        return decoder.decode(log)
