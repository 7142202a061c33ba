"""The events that a keeper follows: new vaults, and every write of a position's word.

Each position's event carries the absolute word (DESIGN.md section 7), so the last one stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeAlias

from ringfence.errors import RingfenceError
from ringfence.evm.abi import AbiEntry, event_topic
from ringfence.evm.decoding import make_decoder
from ringfence.evm.errors import EncodingError
from ringfence.keeper.chain.wire import LogEntry

Key: TypeAlias = tuple[bytes, int]
"""A vault's 20 bytes and a position's id."""


class EventError(RingfenceError):
    """A log carries an event's topic but not its shape."""


@dataclass(frozen=True, slots=True)
class Vault:
    """A registered vault: its 20 bytes, its place in the registry, when it came, `VaultParams`."""

    address: bytes
    index: int
    created_block: int
    parameters: Mapping[str, int | str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SlotWritten:
    """A position's word was written; 0 means closed."""

    vault: bytes
    position_id: int
    word: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step along the chain changed: vaults that went, vaults that came, words written.

    In this order: a vault that goes takes its positions with it.
    """

    gone: tuple[bytes, ...] = ()
    vaults: tuple[Vault, ...] = ()
    words: Mapping[Key, int] = field(default_factory=dict)


def _event(contract: str, name: str) -> AbiEntry:
    file = resources.files("ringfence") / "abi" / f"{contract}.json"
    abi: list[AbiEntry] = json.loads(file.read_text())
    return next(entry for entry in abi if (entry["type"], entry["name"]) == ("event", name))


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a position's event keeps what matters: numbers of topics, bytes of the data."""

    topics: int
    id_topic: int
    size: int
    word: slice


def _shape(entry: AbiEntry) -> _Shape:
    indexed = [part["name"] for part in entry["inputs"] if part["indexed"]]
    words = [part["name"] for part in entry["inputs"] if not part["indexed"]]
    start = 32 * words.index("slot")
    return _Shape(
        topics=1 + len(indexed),
        id_topic=1 + indexed.index("position_id"),
        size=32 * len(words),
        word=slice(start, start + 32),
    )


_SLOT_EVENTS = [_event("MarginVault", name) for name in ("Adjusted", "ToppedUp", "Liquidated")]
_SHAPES = {event_topic(entry): _shape(entry) for entry in _SLOT_EVENTS}
SLOT_TOPICS = tuple(_SHAPES)

_CREATED = _event("VaultFactory", "VaultCreated")
CREATED_TOPIC = event_topic(_CREATED)
_created_plain = [part for part in _CREATED["inputs"] if not part["indexed"]]
_created_names = [part["name"] for part in _created_plain]
# Up to the parameters and no further: the name and the symbol behind them are anyone's bytes, and
# need not be text.
_decode_created = make_decoder(_created_plain[: _created_names.index("params") + 1])


def decode(log: LogEntry) -> SlotWritten | Vault | None:
    """Return what a log says, None if it is another event; raise EventError."""
    topic = log.topics[0] if log.topics else b""
    if shape := _SHAPES.get(topic):
        if len(log.topics) != shape.topics or len(log.data) != shape.size:
            raise _malformed(log)
        position_id = int.from_bytes(log.topics[shape.id_topic])
        return SlotWritten(log.address, position_id, int.from_bytes(log.data[shape.word]))
    return _vault(log) if topic == CREATED_TOPIC else None


def _vault(log: LogEntry) -> Vault:
    try:
        values = dict(zip(_created_names, _decode_created(log.data), strict=False))
        _topic, vault, _collateral, _asset = log.topics
    except (EncodingError, ValueError) as error:
        raise _malformed(log) from error
    return Vault(vault[12:], values["index"], log.place[0], values["params"]._asdict())


def _malformed(log: LogEntry) -> EventError:
    return EventError(
        f"log {log.place} of 0x{log.address.hex()} has {len(log.topics)} topics and "
        f"{len(log.data)} bytes, which its event has not; is the factory's address right?"
    )
