"""What a call holds while it runs: bytes and words that may be unknown, code, call data, a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import z3

from verification.proofs.bytecode.words import Word, known

Byte = int | tuple[z3.BitVecRef, int]
"""A byte: known, or the n-th from the left of an unknown word."""


class UnmodelledError(Exception):
    """The bytecode did what this executor does not follow."""


def bytes_of(word: Word) -> list[Byte]:
    """Return a word's 32 bytes."""
    if isinstance(word, int):
        return list(word.to_bytes(32, "big"))
    return [(word, place) for place in range(32)]


def word_of(data: Sequence[Byte]) -> Word:
    """Return the word that 32 bytes make."""
    if all(isinstance(byte, int) for byte in data):
        return int.from_bytes(bytes(data), "big")  # type: ignore[arg-type]
    first = data[0]
    if not isinstance(first, int) and all(
        not isinstance(byte, int) and byte[1] == place and byte[0].eq(first[0])
        for place, byte in enumerate(data)
    ):
        return first[0]
    return known(z3.Concat(*(_bits(byte) for byte in data)))


def _bits(byte: Byte) -> z3.BitVecRef:
    if isinstance(byte, int):
        return z3.BitVecVal(byte, 8)
    word, place = byte
    return z3.Extract(255 - 8 * place, 248 - 8 * place, word)


@dataclass(frozen=True, slots=True)
class Code:
    """A deployed contract: the compiled runtime, its immutables (unknown or not) behind it."""

    runtime: bytes
    immutables: tuple[Byte, ...] = ()

    def read(self, start: int, size: int) -> list[Byte]:
        """Return bytes of the code, zeros past its end."""
        whole: list[Byte] = [*self.runtime, *self.immutables]
        part = whole[start : start + size]
        return part + [0] * (size - len(part))


class CallData(Protocol):
    """What a call is given."""

    @property
    def size(self) -> Word:
        """Return the length, bytes."""

    def read(self, start: int, size: int) -> list[Byte]:
        """Return bytes, zeros past the end."""


@dataclass(frozen=True, slots=True)
class KnownLength:
    """Call data of known length."""

    data: tuple[Byte, ...]

    @property
    def size(self) -> Word:
        """Return the length, bytes."""
        return len(self.data)

    def read(self, start: int, size: int) -> list[Byte]:
        """Return bytes, zeros past the end."""
        part = list(self.data[start : start + size])
        return part + [0] * (size - len(part))


@dataclass(frozen=True, slots=True)
class AnyLength:
    """Call data of any length and layout behind a selector; `first` is its first word."""

    selector: bytes
    first: z3.BitVecRef
    size: z3.BitVecRef = field(default_factory=lambda: z3.BitVec("calldata_size", 256))

    def read(self, start: int, size: int) -> list[Byte]:
        """Return bytes: any, also past the end, where the EVM gives zeros."""
        return [self._byte(start + place) for place in range(size)]

    def _byte(self, place: int) -> Byte:
        if place < 4:
            return self.selector[place]
        number, part = divmod(place - 4, 32)
        return (z3.BitVec(f"word_{number}", 256) if number else self.first), part


@dataclass(slots=True)
class Path:
    """One way through the code: where it stands, what it holds and what it has taken for granted.

    `writes` are key and value in order, `conditions` stand by z3 id; `reason` is how it ended.
    """

    pc: int = 0
    stack: list[Word] = field(default_factory=list)
    memory: dict[int, Byte] = field(default_factory=dict)
    writes: list[tuple[Word, Word]] = field(default_factory=list)
    transient: dict[int, Word] = field(default_factory=dict)
    conditions: dict[int, z3.BoolRef] = field(default_factory=dict)
    returned: list[Byte] = field(default_factory=list)
    returned_size: Word = 0
    lost: bool = False
    reason: str = ""

    def copy(self) -> Path:
        """Return a path that goes on by itself."""
        return replace(
            self,
            stack=list(self.stack),
            memory=dict(self.memory),
            writes=list(self.writes),
            transient=dict(self.transient),
            conditions=dict(self.conditions),
        )

    def pop(self) -> Word:
        """Take the top of the stack."""
        return self.stack.pop()

    def take(self, condition: z3.BoolRef) -> None:
        """Take a condition for granted from here on."""
        self.conditions[condition.get_id()] = condition

    def place(self) -> int:
        """Take an offset, a length or a target, which must be known."""
        word = self.pop()
        if not isinstance(word, int):
            raise UnmodelledError(f"unknown place at {self.pc:#x}: {word}")
        return word

    def read(self, start: int, size: int) -> list[Byte]:
        """Return bytes of memory."""
        if self.lost:
            raise UnmodelledError(f"memory of unknown length read at {self.pc:#x}")
        return self.peek(start, size)

    def peek(self, start: int, size: int) -> list[Byte]:
        """Return bytes of memory as far as it is known."""
        return [self.memory.get(start + i, 0) for i in range(size)]

    def write(self, start: int, data: Sequence[Byte]) -> None:
        """Write bytes of memory."""
        self.memory.update(enumerate(data, start))
