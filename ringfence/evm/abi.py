"""Addresses, signatures and ABI encoding, compiled once per function; `decoding` has the way back.

Words (integers, booleans, addresses, fixed bytes), structs of words, and top-level byte strings and
lists of these, of which the hot calls are made, go through closures of our own: 2 us for five
arguments where eth_abi, which verbs' helpers call too, takes 26. A signature that holds another
array or a struct of anything else goes through eth_abi; so do results whose parts do not lie one
after the other, as every compiler lays them. Both give the same bytes and the same values:
integers, bools, bytes, str, checksummed addresses, tuples; structs, and several named results, are
named tuples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias, runtime_checkable

from eth_abi.abi import default_codec
from eth_abi.exceptions import EncodingError as LibraryEncodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ringfence.evm.errors import EncodingError

AbiValue: TypeAlias = Any
"""A Python value of some ABI type: int, bool, bytes, str, or a tuple or list of them."""

AbiEntry: TypeAlias = Mapping[str, Any]
"""One entry of a contract's ABI, or one of its inputs, as the compiler prints it."""

Encoder: TypeAlias = Callable[[Sequence[AbiValue]], bytes]

BAD_VALUE = (ValueError, TypeError, OverflowError, KeyError)
INTEGER = re.compile(r"^(u?)int(\d+)$")
FIXED_BYTES = re.compile(r"^bytes(\d+)$")
ARRAY = re.compile(r"^(.*)\[(\d*)\]$")


@runtime_checkable
class HasAddress(Protocol):
    """An account or a contract: whatever says its address."""

    @property
    def address(self) -> str:
        """The checksummed address."""


Addressable: TypeAlias = str | bytes | HasAddress
"""An address in any form: hex string, 20 bytes, an account, a contract."""


@lru_cache(maxsize=65_536)
def checksum(address: bytes) -> str:
    """Return the checksummed form of 20 address bytes."""
    return str(to_checksum_address(address))


@lru_cache(maxsize=65_536)
def _parse_address(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise EncodingError(f"{text!r} is not an address; pass 0x and 40 hex digits")
    return raw


def address_bytes(address: Addressable) -> bytes:
    """Return the 20 bytes of an address in any form; raise EncodingError for anything else."""
    if isinstance(address, str):
        return _parse_address(address)
    if isinstance(address, bytes | bytearray):
        if len(address) != 20:
            raise EncodingError(f"an address has 20 bytes, not {len(address)}")
        return bytes(address)
    text = getattr(address, "address", None)
    if not isinstance(text, str):
        raise EncodingError(f"{address!r} is not an address, an account or a contract")
    return _parse_address(text)


def type_name(entry: AbiEntry) -> str:
    """Return the canonical type of an ABI input or output, structs written out as tuples."""
    kind = str(entry["type"])
    if kind.startswith("tuple"):
        inner = ",".join(type_name(part) for part in entry["components"])
        return f"({inner}){kind.removeprefix('tuple')}"
    return kind


def signature(entry: AbiEntry) -> str:
    """Return `name(type,...)` of a function or an event."""
    return f"{entry['name']}({','.join(type_name(part) for part in entry['inputs'])})"


def selector(entry: AbiEntry) -> bytes:
    """Return the first 4 bytes of the hash of a function's signature."""
    return keccak(text=signature(entry))[:4]


def event_topic(entry: AbiEntry) -> bytes:
    """Return the 32 bytes that open an event's topics."""
    return keccak(text=signature(entry))


# Words


def _integer_encoder(signed: bool, bits: int) -> Callable[[AbiValue], bytes]:
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)

    def encode(value: AbiValue) -> bytes:
        if not low <= value < high:
            raise ValueError(f"{value} does not fit {'' if signed else 'u'}int{bits}")
        return int.to_bytes(value, 32, "big", signed=signed)

    return encode


def _fixed_bytes_encoder(size: int) -> Callable[[AbiValue], bytes]:
    def encode(value: AbiValue) -> bytes:
        raw = bytes(value)
        if isinstance(value, int) or len(raw) > size:
            raise ValueError(f"{value!r} does not fit bytes{size}")
        return raw.ljust(32, b"\0")

    return encode


def _encode_bool(value: AbiValue) -> bytes:
    if value is not True and value is not False:
        raise TypeError(f"{value!r} is not a bool")
    return b"\0" * 31 + (b"\1" if value else b"\0")


def _encode_address(value: AbiValue) -> bytes:
    return b"\0" * 12 + address_bytes(value)


def _word_encoder(kind: str) -> Callable[[AbiValue], bytes] | None:
    if match := INTEGER.match(kind):
        return _integer_encoder(match[1] == "", int(match[2]))
    if match := FIXED_BYTES.match(kind):
        return _fixed_bytes_encoder(int(match[1]))
    return {"bool": _encode_bool, "address": _encode_address}.get(kind)


def _static_encoder(entry: AbiEntry) -> tuple[int, Callable[[AbiValue], bytes]] | None:
    """Return the size and the encoder of a word or of a struct of words, None for anything else."""
    if entry["type"] != "tuple":
        word = _word_encoder(entry["type"])
        return None if word is None else (32, word)
    parts = [_static_encoder(part) for part in entry["components"]]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    names = [part["name"] for part in entry["components"]]

    def encode(value: AbiValue) -> bytes:
        if isinstance(value, Mapping):
            value = [value[name] for name in names]
        return b"".join([one(item) for (_size, one), item in zip(found, value, strict=True)])

    return sum(size for size, _one in found), encode


def _encode_tail(raw: bytes) -> bytes:
    return len(raw).to_bytes(32, "big") + raw + b"\0" * (-len(raw) % 32)


def _encode_bytes(value: AbiValue) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{value!r} is not bytes")
    return _encode_tail(bytes(value))


def _encode_string(value: AbiValue) -> bytes:
    return _encode_tail(str.encode(value))


_TAILS: Mapping[str, Callable[[AbiValue], bytes]] = {
    "bytes": _encode_bytes,
    "string": _encode_string,
}


def _tail_encoder(entry: AbiEntry) -> Callable[[AbiValue], bytes] | None:
    """Return the encoder of a byte string or of a list of words or structs, None for others."""
    kind = str(entry["type"])
    match = ARRAY.match(kind)
    if match is None or match[2]:
        return _TAILS.get(kind)
    item = _static_encoder({**entry, "type": match[1]})
    if item is None:
        return None
    one = item[1]

    def encode(values: AbiValue) -> bytes:
        if not isinstance(values, list | tuple):
            raise TypeError(f"{values!r} is not a list")
        return len(values).to_bytes(32, "big") + b"".join([one(value) for value in values])

    return encode


def _plain(entry: AbiEntry, value: AbiValue) -> AbiValue:
    """Turn accounts and contracts into addresses and named structs into tuples, for eth_abi."""
    kind = str(entry["type"])
    if match := ARRAY.match(kind):
        inner = {**entry, "type": match[1]}
        return [_plain(inner, item) for item in value]
    if kind == "tuple":
        parts = entry["components"]
        if isinstance(value, Mapping):
            value = [value[part["name"]] for part in parts]
        return tuple(_plain(part, item) for part, item in zip(parts, value, strict=True))
    return address_bytes(value) if kind == "address" else value


def _library_encoder(inputs: Sequence[AbiEntry]) -> Encoder:
    kinds = [type_name(entry) for entry in inputs]

    def encode(values: Sequence[AbiValue]) -> bytes:
        plain = [_plain(entry, value) for entry, value in zip(inputs, values, strict=True)]
        return default_codec.encode(kinds, plain)

    return encode


def _fast_encoder(inputs: Sequence[AbiEntry]) -> Encoder | None:
    """Return an encoder without eth_abi, None if some input needs it."""
    statics = [_static_encoder(entry) for entry in inputs]
    tails = [_tail_encoder(entry) for entry in inputs]
    parts = [
        (32, None, tail) if static is None else (*static, None)
        for static, tail in zip(statics, tails, strict=True)
    ]
    if any(head is None and tail is None for _size, head, tail in parts):
        return None
    heads_size = sum(size for size, _head, _tail in parts)

    def encode(values: Sequence[AbiValue]) -> bytes:
        heads: list[bytes] = []
        rest: list[bytes] = []
        offset = heads_size
        for (_size, head, tail), value in zip(parts, values, strict=True):
            if head is not None:
                heads.append(head(value))
            elif tail is not None:
                encoded = tail(value)
                heads.append(offset.to_bytes(32, "big"))
                rest.append(encoded)
                offset += len(encoded)
        return b"".join(heads + rest)

    return encode


def make_encoder(inputs: Sequence[AbiEntry]) -> Encoder:
    """Return a function that encodes a sequence of as many values as there are `inputs`.

    The returned function raises EncodingError when a value does not fit its type.
    """
    run = _fast_encoder(inputs) or _library_encoder(inputs)
    types = ", ".join(map(type_name, inputs))

    def encode(values: Sequence[AbiValue]) -> bytes:
        try:
            return run(values)
        except (*BAD_VALUE, LibraryEncodingError) as error:
            raise EncodingError(f"cannot encode ({types}): {error}") from error

    return encode
