"""Run EVM bytecode on unknown words, once for each way through it.

Nothing is bounded here: a branch is followed both ways unless the path has already decided that
very condition, which covers every possible path and some impossible ones. What is not modelled (a
copy of unknown length, a jump to an unknown place) is an error, never skipped. A call to another
contract may fail or succeed and return anything of any length. It leaves this contract's storage
as it is: that the lock refuses whoever comes back is tested (AUTH-3), not proved here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import z3
from eth_utils.crypto import keccak

from verification.proofs.bytecode import words
from verification.proofs.bytecode.words import SORT, Word, flag, known, term, truth

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


@dataclass(slots=True)
class Path:
    """One way through the code: where it stands, what it holds and what it has taken for granted.

    `writes` are key and value in order; `reason` is how it ended.
    """

    pc: int = 0
    stack: list[Word] = field(default_factory=list)
    memory: dict[int, Byte] = field(default_factory=dict)
    writes: list[tuple[Word, Word]] = field(default_factory=list)
    transient: dict[int, Word] = field(default_factory=dict)
    conditions: list[z3.BoolRef] = field(default_factory=list)
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
            conditions=list(self.conditions),
        )

    def pop(self) -> Word:
        """Take the top of the stack."""
        return self.stack.pop()

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
        return [self.memory.get(start + i, 0) for i in range(size)]

    def write(self, start: int, data: Sequence[Byte]) -> None:
        """Write bytes of memory."""
        self.memory.update(enumerate(data, start))


_HASH = z3.Function("keccak", SORT, SORT, SORT)
_LEFT = z3.Function("keccak_left", SORT, SORT)
_RIGHT = z3.Function("keccak_right", SORT, SORT)
STORED = z3.Function("stored", SORT, SORT)
"""The storage before the call, any function of the key."""


def hash_of(left: Word, right: Word) -> z3.BitVecRef:
    """Return the hash of two words, as the key of a mapping's entry."""
    return _HASH(term(left), term(right))


class Machine:
    """Follows every path of one call.

    `calldata` is of known length; `caller`, `address`, `timestamp`... are unknown words. `exact`
    gives products and quotients their meaning. After a run `paths` holds how many ended.
    """

    def __init__(
        self,
        code: Code,
        calldata: Sequence[Byte],
        given: Sequence[z3.BoolRef] = (),
        *,
        locked: bool = False,
        exact: bool = False,
        environment: dict[int, Word] | None = None,
    ) -> None:
        self.code, self.calldata, self.exact = code, calldata, exact
        self.solver = z3.SolverFor("QF_UFBV")
        self._facts: list[z3.BoolRef] = []
        self._fresh = 0
        self._start = Path(transient={0: int(locked)}, conditions=list(given))
        self._destinations = _destinations(code.runtime)
        self._environment = dict(environment or {})
        for condition in given:
            self.solver.add(condition)

    def fresh(self, name: str) -> z3.BitVecRef:
        """Return a word of which nothing is known."""
        self._fresh += 1
        return z3.BitVec(f"{name}!{self._fresh}", 256)

    def run(self) -> Iterator[Path]:
        """Yield each path as it ends; the solver then holds that path's conditions."""
        yield from self._follow(self._start)

    def _follow(self, path: Path) -> Iterator[Path]:
        while not path.reason:
            condition = self._step(path)
            if condition is None:
                continue
            target, test = condition
            yield from self._branch(path, target, test)
            return
        yield path

    def _branch(self, path: Path, target: int, test: z3.BoolRef) -> Iterator[Path]:
        for side, pc in ((test, target), (z3.Not(test), path.pc)):
            opposite = z3.simplify(z3.Not(side))
            if any(opposite.eq(condition) for condition in path.conditions):
                continue
            self.solver.push()
            self.solver.add(side)
            way = path.copy()
            way.pc = pc
            way.conditions.append(z3.simplify(side))
            yield from self._follow(way)
            self.solver.pop()

    def _step(self, path: Path) -> tuple[int, z3.BoolRef] | None:
        code = self.code.runtime[path.pc] if path.pc < len(self.code.runtime) else 0
        path.pc += 1
        if code in words.BINARY:
            path.stack.append(words.binary(code, path.pop(), path.pop(), exact=self.exact))
        elif 0x5F <= code <= 0x7F:
            size = code - 0x5F
            path.stack.append(int.from_bytes(self.code.runtime[path.pc : path.pc + size], "big"))
            path.pc += size
        elif 0x80 <= code <= 0x8F:
            path.stack.append(path.stack[0x7F - code])
        elif 0x90 <= code <= 0x9F:
            other = 0x8E - code
            path.stack[-1], path.stack[other] = path.stack[other], path.stack[-1]
        elif 0xA0 <= code <= 0xA4:
            del path.stack[-(code - 0xA0 + 2) :]
        elif code == 0x56:
            path.pc = self._target(path.place())
        elif code == 0x57:
            return self._jump_if(path)
        elif code in _STEPS:
            _STEPS[code](self, path)
        else:
            path.stack.append(self._ambient(code))
        return None

    def _target(self, place: int) -> int:
        if place not in self._destinations:
            raise UnmodelledError(f"jump to {place:#x}")
        return place

    def _jump_if(self, path: Path) -> tuple[int, z3.BoolRef] | None:
        target, word = path.place(), path.pop()
        if isinstance(word, int):
            path.pc = self._target(target) if word else path.pc
            return None
        return self._target(target), z3.simplify(truth(word))

    def _ambient(self, code: int) -> Word:
        """Return a word of the block or the transaction: one and the same throughout the call."""
        if code == 0x5A:
            return self.fresh("gas")
        if code not in _AMBIENT:
            raise UnmodelledError(f"opcode {code:#x}")
        return self._environment.setdefault(code, z3.BitVec(_AMBIENT[code], 256))

    def hash(self, data: Sequence[Byte]) -> Word:
        """Return the hash: computed if all is known, else injective and above every plain slot."""
        if all(isinstance(byte, int) for byte in data):
            return int.from_bytes(keccak(bytes(data)), "big")  # type: ignore[arg-type]
        if len(data) != 64:
            return self.fresh("hash")
        left, right = word_of(data[:32]), word_of(data[32:])
        digest = hash_of(left, right)
        self.solver.add(hash_facts(left, right))
        return digest

    def load(self, path: Path, key: Word) -> Word:
        """Return the stored word, the latest write first."""
        value: z3.BitVecRef = STORED(term(key))
        for written, new in path.writes:
            same = z3.simplify(term(written) == term(key))
            value = z3.If(same, term(new), value)
        return known(value)

    def call(self, path: Path, operands: int) -> None:
        """Let another contract answer what it likes, or fail."""
        taken = [path.pop() for _ in range(operands)]
        start, size = taken[-2], taken[-1]
        if not isinstance(start, int) or not isinstance(size, int):
            raise UnmodelledError("a call's answer to an unknown place")
        answer: list[Byte] = []
        while len(answer) < max(size, 64):
            answer += bytes_of(self.fresh("answer"))
        path.write(start, answer[:size])
        path.returned, path.returned_size = answer, self.fresh("answer_size")
        path.stack.append(flag(self.fresh("success") != 0))


def hash_facts(left: Word, right: Word) -> z3.BoolRef:
    """Return what is assumed of keccak: no two inputs share a hash, none hashes to a low slot."""
    digest = hash_of(left, right)
    return z3.And(_LEFT(digest) == term(left), _RIGHT(digest) == term(right), z3.UGE(digest, 2**64))


def _destinations(code: bytes) -> frozenset[int]:
    found, place = set(), 0
    while place < len(code):
        if code[place] == 0x5B:
            found.add(place)
        place += max(code[place] - 0x5F, 0) + 1 if 0x5F <= code[place] <= 0x7F else 1
    return frozenset(found)


_AMBIENT = {
    0x30: "address", 0x32: "origin", 0x33: "caller", 0x34: "value", 0x42: "timestamp",
    0x46: "chain_id", 0x47: "balance",
}  # fmt: skip


def _end(reason: str) -> Callable[[Machine, Path], None]:
    def step(_machine: Machine, path: Path) -> None:
        if reason == "return":
            start, size = path.place(), path.place()
            path.returned = path.read(start, size)
        path.reason = reason

    return step


def _copy(
    source: Callable[[Machine, Path, int, int], list[Byte]],
) -> Callable[[Machine, Path], None]:
    def step(machine: Machine, path: Path) -> None:
        target, start, size = path.place(), path.place(), path.place()
        path.write(target, source(machine, path, start, size))

    return step


def _calldata(machine: Machine, start: int, size: int) -> list[Byte]:
    part = list(machine.calldata[start : start + size])
    return part + [0] * (size - len(part))


def _copy_returned(_machine: Machine, path: Path) -> None:
    """Copy an answer; of unknown length it may only be passed on by a revert."""
    target, start, size = path.place(), path.place(), path.pop()
    if isinstance(size, int):
        path.write(target, path.returned[start : start + size])
    else:
        path.lost = True


def _store(_machine: Machine, path: Path) -> None:
    key, value = path.pop(), path.pop()
    path.writes.append((key, value))


def _store_transient(_machine: Machine, path: Path) -> None:
    key, value = path.place(), path.pop()
    path.transient[key] = value


def _store_byte(_machine: Machine, path: Path) -> None:
    place, value = path.place(), path.pop()
    path.write(place, bytes_of(value)[31:])


def _push(value: Callable[[Machine, Path], Word]) -> Callable[[Machine, Path], None]:
    return lambda machine, path: path.stack.append(value(machine, path))


_STEPS: dict[int, Callable[[Machine, Path], None]] = {
    0x00: _end("stop"),
    0x15: _push(lambda _m, p: flag(z3.Not(truth(p.pop())))),
    0x19: _push(lambda _m, p: known(~term(p.pop()))),
    0x20: _push(lambda m, p: m.hash(p.read(p.place(), p.place()))),
    0x35: _push(lambda m, p: word_of(_calldata(m, p.place(), 32))),
    0x36: _push(lambda m, _p: len(m.calldata)),
    0x37: _copy(lambda m, _p, start, size: _calldata(m, start, size)),
    0x38: _push(lambda m, _p: len(m.code.runtime) + len(m.code.immutables)),
    0x39: _copy(lambda m, _p, start, size: m.code.read(start, size)),
    0x3B: _push(lambda m, p: (p.pop(), m.fresh("code_size"))[1]),
    0x3D: _push(lambda _m, p: p.returned_size),
    0x3E: _copy_returned,
    0x50: lambda _m, p: (p.pop(), None)[1],
    0x51: _push(lambda _m, p: word_of(p.read(p.place(), 32))),
    0x52: lambda _m, p: p.write(p.place(), bytes_of(p.pop())),
    0x53: _store_byte,
    0x54: _push(lambda m, p: m.load(p, p.pop())),
    0x55: _store,
    0x5B: lambda _m, _p: None,
    0x5C: _push(lambda _m, p: p.transient.get(p.place(), 0)),
    0x5D: _store_transient,
    0x5E: _copy(lambda _m, p, start, size: p.read(start, size)),
    0xF1: lambda m, p: m.call(p, 7),
    0xFA: lambda m, p: m.call(p, 6),
    0xF3: _end("return"),
    0xFD: _end("revert"),
    0xFE: _end("revert"),
}
