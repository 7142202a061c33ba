"""What a node says about the chain, as JSON-RPC carries it: headers, logs, bloom filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Protocol, Self, TypeVar

from eth_utils.crypto import keccak

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json, Request, RpcError

_T = TypeVar("_T")


class WireError(RingfenceError):
    """A node said something that no node may say."""


class NoAnswerError(RpcError):
    """A node gave nothing that answers: it is gone, too slow, over a limit, or talks nonsense."""


class Rpc(Protocol):
    """A way to one node or to several."""

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return each request's result, or its error, in their order; raise nothing."""


@dataclass(slots=True)
class Riders:
    """Requests that ride in the batch of a head's logs; `answers` is None while they have not."""

    requests: Sequence[Request]
    answers: Sequence[Json | RpcError] | None = None


def parsed(what: str, parse: Callable[[], _T]) -> _T:
    """Return what `parse` returns; raise WireError where it stumbles over the node's `what`."""
    try:
        return parse()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise WireError(f"the node sent a {what} that cannot be read: {error!r}") from error


def quantity(text: str, bits: int = 63) -> int:
    """Return what "0x..." counts; raise ValueError when it is negative or has more `bits`.

    63 are what a database takes.
    """
    number = int(text, 16)
    if not 0 <= number < 2**bits:
        raise ValueError(f"a number that is not of {bits} bits: {text:.80}")
    return number


def unhex(text: str, size: int) -> bytes:
    """Return the bytes of "0x..." data; raise ValueError when they are not `size`."""
    raw = bytes.fromhex(text[2:])
    if len(raw) != size:
        raise ValueError(f"{len(raw)} bytes, not {size}")
    return raw


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header: hashes of 32 bytes, unix seconds, the bloom filter as one number.

    `base_fee` is what a unit of gas cost in it, wei; 0 on a chain without one.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    bloom: int = field(repr=False)
    base_fee: int = 0

    @classmethod
    def parse(cls, block: Json) -> Self:
        """Return the header of what eth_getBlockBy... answered; raise WireError."""
        return parsed(
            "block",
            lambda: cls(
                quantity(block["number"]),
                unhex(block["hash"], 32),
                unhex(block["parentHash"], 32),
                quantity(block["timestamp"]),
                int.from_bytes(unhex(block["logsBloom"], 256)),
                quantity(block.get("baseFeePerGas") or "0x0", 128),
            ),
        )

    def may_hold(self, address: bytes, topic: bytes) -> bool:
        """Return whether the block may hold a log of this address and topic; no means no."""
        mask = _bloom_mask(address) | _bloom_mask(topic)
        return self.bloom & mask == mask


@lru_cache(maxsize=65_536)
def _bloom_mask(entry: bytes) -> int:
    """Return the three bits of 2,048 that an address or a topic sets (yellow paper, 4.4.1)."""
    digest = keccak(entry)
    mask = 0
    for start in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[start : start + 2]) & 2_047)
    return mask


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event as the chain keeps it, and where: `place` is (block number, index in it)."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    place: tuple[int, int]
    block_hash: bytes


def parse_logs(answer: Json) -> list[LogEntry]:
    """Return what eth_getLogs answered; raise WireError when it is unreadable or out of order."""
    logs = parsed("log", lambda: [_parse_log(log) for log in answer])
    for one, following in pairwise(logs):
        if one.place >= following.place:
            raise WireError(f"the node sent log {following.place} after log {one.place}")
    return logs


def _parse_log(log: Json) -> LogEntry:
    return LogEntry(
        unhex(log["address"], 20),
        tuple([unhex(topic, 32) for topic in log["topics"]]),
        bytes.fromhex(log["data"][2:]),
        (quantity(log["blockNumber"]), quantity(log["logIndex"])),
        unhex(log["blockHash"], 32),
    )
