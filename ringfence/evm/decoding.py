"""ABI decoding, compiled once per function or event, and what a revert says; see `abi`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

from eth_abi.abi import default_codec
from eth_abi.exceptions import DecodingError as LibraryDecodingError

from ringfence.evm.abi import (
    ARRAY,
    BAD_VALUE,
    FIXED_BYTES,
    INTEGER,
    AbiEntry,
    AbiValue,
    address_bytes,
    checksum,
    type_name,
)
from ringfence.evm.errors import EncodingError

Decoder: TypeAlias = Callable[[bytes], tuple[AbiValue, ...]]


def _integer_decoder(signed: bool, bits: int) -> Callable[[bytes], AbiValue]:
    if (signed, bits) == (False, 256):
        return int.from_bytes  # Every word is one, and most are.
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)

    def decode(word: bytes) -> AbiValue:
        value = int.from_bytes(word, "big", signed=signed)
        if not low <= value < high:
            raise ValueError(f"{value} does not fit {'' if signed else 'u'}int{bits}")
        return value

    return decode


def _decode_bool(word: bytes) -> AbiValue:
    value = int.from_bytes(word, "big")
    if value > 1:
        raise ValueError(f"{value} is not a bool")
    return value == 1


def _decode_address(word: bytes) -> AbiValue:
    if any(word[:12]):
        raise ValueError(f"{word.hex()} is not an address")
    return checksum(word[12:])


def _word_decoder(kind: str) -> Callable[[bytes], AbiValue] | None:
    if match := INTEGER.match(kind):
        return _integer_decoder(match[1] == "", int(match[2]))
    if match := FIXED_BYTES.match(kind):
        size = int(match[1])
        return lambda word: word[:size]
    return {"bool": _decode_bool, "address": _decode_address}.get(kind)


@lru_cache(maxsize=4_096)
def _tuple_class(title: str, names: tuple[str, ...]) -> Callable[..., tuple[AbiValue, ...]]:
    return namedtuple(title, names, rename=True)


def _static_decoder(entry: AbiEntry) -> tuple[int, Callable[[bytes], AbiValue]] | None:
    """Return the size and the decoder of a word or of a struct of words, None for anything else."""
    if entry["type"] != "tuple":
        word = _word_decoder(entry["type"])
        return None if word is None else (32, word)
    parts = [_static_decoder(part) for part in entry["components"]]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    make = _tuple_class("Struct", tuple(part["name"] for part in entry["components"]))
    slices = _slices([size for size, _one in found])
    columns = [(where, one) for where, (_size, one) in zip(slices, found, strict=True)]
    return slices[-1].stop, lambda data: make(*[one(data[where]) for where, one in columns])


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def make_word_reader(outputs: Sequence[AbiEntry], *path: str) -> Callable[[bytes], int]:
    """Return what reads one unsigned number out of an answer, by the names of the structs it is in.

    The answer is one struct of words; nothing else of it is looked at but its size. Raises
    EncodingError for an answer of another size; KeyError, when made, for a name that is not there.
    """
    [entry] = outputs
    static = _static_decoder(entry)
    if static is None:
        raise KeyError(f"{type_name(entry)} is no struct of words")
    size, start = static[0], _start_of(entry, path)

    def read(data: bytes) -> int:
        if len(data) != size:
            raise EncodingError(f"an answer of {len(data)} bytes, not {size}")
        return int.from_bytes(data[start : start + 32])

    return read


def _start_of(entry: AbiEntry, path: Sequence[str]) -> int:
    """Return where a field of a struct of words begins, bytes."""
    start = 0
    for part in entry["components"] if path else ():
        if part["name"] == path[0]:
            return start + _start_of(part, path[1:])
        start += (_static_decoder(part) or (0,))[0]
    if path:
        raise KeyError(f"{type_name(entry)} has no {path[0]}")
    return start


def _decode_bytes(data: bytes, start: int) -> tuple[AbiValue, int]:
    size = int.from_bytes(data[start - 32 : start], "big")
    end = start + size + -size % 32
    if len(data) < end or any(data[start + size : end]):
        raise ValueError(f"{size} bytes that are not there, or with more behind them than zeros")
    return data[start : start + size], end


def _tail_decoder(entry: AbiEntry) -> Callable[[bytes, int], tuple[AbiValue, int]] | None:
    """Return what decodes bytes, or a list of words or structs, after its length; and its end."""
    kind = str(entry["type"])
    if kind == "bytes":
        return _decode_bytes
    match = ARRAY.match(kind)
    if match is None or match[2]:
        return None
    item = _static_decoder({**entry, "type": match[1]})
    if item is None:
        return None
    size, one = item

    def decode(data: bytes, start: int) -> tuple[AbiValue, int]:
        count = int.from_bytes(data[start - 32 : start], "big")
        end = start + count * size
        if len(data) < end:
            raise EncodingError(f"{count} items in {len(data) - start} bytes")
        places = range(start, end, size)
        return tuple([one(data[place : place + size]) for place in places]), end

    return decode


def _compact_decoder(outputs: Sequence[AbiEntry]) -> Decoder | None:
    """Return a decoder of parts that lie one after the other, None if some output needs eth_abi.

    It raises ValueError for any other layout, which may be right all the same.
    """
    parts = [(_static_decoder(entry), _tail_decoder(entry)) for entry in outputs]
    if any(static is None and tail is None for static, tail in parts):
        return None
    heads_size = sum(32 if static is None else static[0] for static, _tail in parts)

    def decode(data: bytes) -> tuple[AbiValue, ...]:
        values: list[AbiValue] = []
        place, end = 0, heads_size
        for static, tail in parts:
            if static is not None:
                size, one = static
                values.append(one(data[place : place + size]))
                place += size
            elif tail is not None:
                offset = int.from_bytes(data[place : place + 32], "big")
                if offset != end or len(data) < end + 32:
                    raise ValueError(f"a part at {offset}, not at {end}")
                value, end = tail(data, end + 32)
                values.append(value)
                place += 32
        if len(data) < end:
            raise ValueError(f"{len(data)} bytes, at least {end} expected")
        return tuple(values)

    return decode


def _either_decoder(outputs: Sequence[AbiEntry]) -> Decoder:
    """Return a decoder that leaves to eth_abi what does not lie one after the other."""
    library, compact = _library_decoder(outputs), _compact_decoder(outputs)
    if compact is None:
        return library

    def decode(data: bytes) -> tuple[AbiValue, ...]:
        try:
            return compact(data)
        except BAD_VALUE:
            return library(data)

    return decode


def _fast_decoder(outputs: Sequence[AbiEntry]) -> Decoder | None:
    """Return a decoder without eth_abi, None if some output needs it."""
    parts = [_static_decoder(entry) for entry in outputs]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    slices = _slices([size for size, _one in found])
    columns = [(where, one) for where, (_size, one) in zip(slices, found, strict=True)]
    total = slices[-1].stop if slices else 0

    def decode(data: bytes) -> tuple[AbiValue, ...]:
        if len(data) < total:
            raise ValueError(f"{len(data)} bytes, at least {total} expected")
        return tuple([one(data[where]) for where, one in columns])

    return decode


def _rich(entry: AbiEntry, value: AbiValue) -> AbiValue:
    """Checksum the addresses and name the structs in a value that eth_abi decoded."""
    kind = str(entry["type"])
    if match := ARRAY.match(kind):
        inner = {**entry, "type": match[1]}
        return tuple(_rich(inner, item) for item in value)
    if kind == "tuple":
        parts = entry["components"]
        names = tuple(part["name"] for part in parts)
        return _tuple_class("Struct", names)(
            *[_rich(part, item) for part, item in zip(parts, value, strict=True)]
        )
    return checksum(address_bytes(value)) if kind == "address" else value


def _library_decoder(outputs: Sequence[AbiEntry]) -> Decoder:
    kinds = [type_name(entry) for entry in outputs]

    def decode(data: bytes) -> tuple[AbiValue, ...]:
        values = default_codec.decode(kinds, data)
        return tuple([_rich(entry, value) for entry, value in zip(outputs, values, strict=True)])

    return decode


def make_decoder(outputs: Sequence[AbiEntry]) -> Decoder:
    """Return a function that decodes bytes into a tuple of as many values as `outputs`.

    The returned function raises EncodingError when the bytes are too short or out of range.
    """
    run = _fast_decoder(outputs) or _either_decoder(outputs)
    types = ", ".join(map(type_name, outputs))

    def decode(data: bytes) -> tuple[AbiValue, ...]:
        try:
            return run(data)
        except (*BAD_VALUE, LibraryDecodingError) as error:
            raise EncodingError(f"cannot decode ({types}): {error}") from error

    return decode


def make_result_decoder(outputs: Sequence[AbiEntry]) -> Callable[[bytes], AbiValue]:
    """Return a function that decodes a call's output the way Python code wants it.

    Nothing gives None, one value itself, several a tuple, named where the ABI names all of them.
    """
    decode = make_decoder(outputs)
    if not outputs:
        return lambda _data: None
    if len(outputs) == 1:
        return lambda data: decode(data)[0]
    names = tuple(entry.get("name", "") for entry in outputs)
    if all(names):
        make = _tuple_class("Result", names)
        return lambda data: make(*decode(data))
    return decode


# Reverts

_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_decode_message = make_decoder([{"type": "string"}])
_decode_code = make_decoder([{"type": "uint256"}])


def decode_revert(data: bytes) -> str:
    """Return what revert data says: the message, "panic 0x11", "" for none, otherwise its hex."""
    try:
        if data[:4] == _ERROR:
            return str(_decode_message(data[4:])[0])
        if data[:4] == _PANIC:
            return f"panic {_decode_code(data[4:])[0]:#04x}"
    except EncodingError:
        return "0x" + data.hex()
    return "0x" + data.hex() if data else ""
