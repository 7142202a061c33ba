"""Contracts' functions and events by name: the ABIs lie in the package, under ringfence/abi."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ringfence.evm.abi import AbiEntry, AbiValue, event_topic, make_encoder, selector
from ringfence.evm.decoding import make_decoder, make_result_decoder, make_word_reader
from ringfence.evm.engine import Log


def _function(
    name: str, inputs: str, outputs: str, mutability: str = "nonpayable"
) -> dict[str, object]:
    def parts(kinds: str) -> list[dict[str, str]]:
        return [{"name": "", "type": kind} for kind in kinds.split()]

    return {
        "type": "function",
        "name": name,
        "inputs": parts(inputs),
        "outputs": parts(outputs),
        "stateMutability": mutability,
    }


_FOREIGN: Mapping[str, Sequence[AbiEntry]] = {
    "ERC20": (
        _function("decimals", "", "uint8", "view"),
        _function("symbol", "", "string", "view"),
        _function("balanceOf", "address", "uint256", "view"),
        _function("allowance", "address address", "uint256", "view"),
        _function("approve", "address uint256", "bool"),
    ),
    "IPriceOracle": (_function("quote", "", "uint256 uint256", "view"),),
    "IRateModel": (_function("borrow_rate", "uint256 uint256", "uint256", "view"),),
    # Uniswap's QuoterV2 reverts and catches inside: a call, though it is no view.
    "QuoterV2": (
        _function("quoteExactInput", "bytes uint256", "uint256 uint160[] uint32[] uint256"),
        _function("quoteExactOutput", "bytes uint256", "uint256 uint160[] uint32[] uint256"),
        _function("factory", "", "address", "view"),
    ),
    "UniswapV3Pool": (
        _function("slot0", "", "uint160 int24 uint16 uint16 uint16 uint8 bool", "view"),
        _function("liquidity", "", "uint128", "view"),
    ),
    "AggregatorProxy": (_function("aggregator", "", "address", "view"),),
    "UniswapV3Factory": (_function("getPool", "address address uint24", "address", "view"),),
}


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event of a contract: name, address, fields, and the block it lies in."""

    name: str
    address: str
    fields: Mapping[str, AbiValue]


class Function:
    """One function with its codec."""

    __slots__ = ("_encode", "_outputs", "decode", "name", "selector")

    def __init__(self, entry: AbiEntry) -> None:
        self.name = str(entry["name"])
        self.selector = selector(entry)
        self._encode = make_encoder(entry["inputs"])
        self._outputs = entry["outputs"]
        self.decode = make_result_decoder(self._outputs)

    def encode(self, *arguments: AbiValue) -> bytes:
        """Return the calldata; raise EncodingError when a value does not fit its type."""
        return self.selector + self._encode(arguments)

    def word(self, *path: str) -> Callable[[bytes], int]:
        """Return what reads one number out of an answer, as `make_word_reader` does."""
        return make_word_reader(self._outputs, *path)


class _EventCodec:
    def __init__(self, entry: AbiEntry) -> None:
        self.name = str(entry["name"])
        self.topic = event_topic(entry)
        indexed = [part for part in entry["inputs"] if part["indexed"]]
        plain = [part for part in entry["inputs"] if not part["indexed"]]
        self._names = [part["name"] for part in (*indexed, *plain)]
        self._indexed, self._plain = make_decoder(indexed), make_decoder(plain)

    def decode(self, log: Log) -> Event:
        values = (*self._indexed(b"".join(log.topics[1:])), *self._plain(log.data))
        return Event(self.name, log.address, dict(zip(self._names, values, strict=True)))


class Interface:
    """What a contract understands and emits."""

    def __init__(self, abi: Sequence[AbiEntry]) -> None:
        self._functions = {
            (entry["name"], len(entry["inputs"])): entry
            for entry in abi
            if entry["type"] == "function"
        }
        self._events = {
            codec.name: codec
            for codec in (_EventCodec(entry) for entry in abi if entry["type"] == "event")
        }
        self._by_topic = {codec.topic: codec for codec in self._events.values()}
        self._made: dict[tuple[str, int], Function] = {}

    def function(self, name: str, count: int) -> Function:
        """Return a function by its name and its number of arguments."""
        key = name, count
        if key not in self._made:
            self._made[key] = Function(self._functions[key])
        return self._made[key]

    def encode(self, name: str, *arguments: AbiValue) -> bytes:
        """Return the calldata of a function; raise EncodingError when a value does not fit."""
        return self.function(name, len(arguments)).encode(*arguments)

    def topic(self, name: str) -> bytes:
        """Return the first topic of an event."""
        return self._events[name].topic

    def events(self, logs: Sequence[Log]) -> list[Event]:
        """Return the decoded events among some logs; what this contract does not emit is left."""
        return [
            self._by_topic[log.topics[0]].decode(log)
            for log in logs
            if log.topics and log.topics[0] in self._by_topic
        ]


@cache
def interface(name: str) -> Interface:
    """Return the interface of one of our contracts, or of one that they talk to."""
    if name in _FOREIGN:
        return Interface(_FOREIGN[name])
    file = resources.files("ringfence") / "abi" / f"{name}.json"
    return Interface(json.loads(file.read_text()))
