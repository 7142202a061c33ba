"""Run EVM bytecode on unknown words, once for each way through it.

Nothing is bounded here: a branch is followed both ways unless the path has already decided that
very condition, which covers every possible path and some impossible ones. A write of unknown place
or length leaves unknown bytes wherever it may have reached; what is not modelled (a jump to an
unknown place, an unknown opcode) is an error, never skipped. A call to another contract may fail or
succeed and return anything of any length. It leaves this contract's storage as it is: the lock,
held at each such call, is proved by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import z3
from eth_utils.crypto import keccak

from verification.proofs.bytecode import words
from verification.proofs.bytecode.state import (
    Byte,
    CallData,
    Code,
    Path,
    UnmodelledError,
    bytes_of,
    word_of,
)
from verification.proofs.bytecode.words import SORT, Word, flag, known, term, truth

_HASH = z3.Function("keccak", SORT, SORT, SORT)
_LEFT = z3.Function("keccak_left", SORT, SORT)
_RIGHT = z3.Function("keccak_right", SORT, SORT)
_GIVEN = z3.Function("calldata", SORT, SORT)
_MEMORY = 2**16
"""No place or length in memory is followed beyond, bytes."""
STORED = z3.Function("stored", SORT, SORT)
"""The storage before the call, any function of the key."""


def hash_of(left: Word, right: Word) -> z3.BitVecRef:
    """Return the hash of two words, as the key of a mapping's entry."""
    return _HASH(term(left), term(right))


class Machine:
    """Follows every path of one call.

    `caller`, `address`, `timestamp`... are unknown words unless `environment` has them by opcode.
    `exact` gives products and quotients their meaning. `stored` tells the storage before the call;
    without it, it is any.
    """

    def __init__(
        self,
        code: Code,
        calldata: CallData,
        given: Sequence[z3.BoolRef] = (),
        *,
        locked: bool = False,
        exact: bool = False,
        environment: dict[int, Word] | None = None,
        stored: Callable[[int], Word] | None = None,
    ) -> None:
        self.code, self.calldata, self.exact = code, calldata, exact
        self.solver = z3.SolverFor("QF_UFBV")
        self._fresh = 0
        self._stored = stored
        self._start = Path(transient={0: int(locked)})
        self._destinations = _destinations(code.runtime)
        self._environment = dict(environment or {})
        for condition in given:
            self._start.take(condition)
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
        for side, way in self._ways(path, target, test):
            self.solver.push()
            self.solver.add(side)
            yield from self._follow(way)
            self.solver.pop()

    def _ways(self, path: Path, target: int, test: z3.BoolRef) -> Iterator[tuple[z3.BoolRef, Path]]:
        """Yield the sides of a branch that the path has not ruled out."""
        for side, pc in ((test, target), (z3.simplify(z3.Not(test)), path.pc)):
            if z3.simplify(z3.Not(side)).get_id() in path.conditions:
                continue
            way = path.copy()
            way.pc = pc
            way.take(side)
            yield side, way

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
        if self._stored is not None and isinstance(key, int):
            value = term(self._stored(key))
        else:
            value = STORED(term(key))
        for written, new in path.writes:
            value = z3.If(z3.simplify(term(written) == term(key)), term(new), value)
        return known(value)

    def store(self, path: Path, key: Word, value: Word) -> None:
        """Note a write to storage."""
        path.writes.append((key, value))

    def call(self, path: Path, operands: int) -> None:
        """Let another contract answer what it likes, or fail."""
        taken = [path.pop() for _ in range(operands)]
        start, size = taken[-2], taken[-1]
        answer: list[Byte] = []
        while len(answer) < max(size if isinstance(size, int) else 0, 64):
            answer += bytes_of(self.fresh("answer"))
        if isinstance(start, int) and isinstance(size, int):
            path.write(start, answer[:size])
        else:
            self.blur(path, start, size)
        path.returned, path.returned_size = answer, self.fresh("answer_size")
        path.stack.append(flag(self.fresh("success") != 0))

    def blur(self, path: Path, start: Word, size: Word) -> None:
        """Forget what memory holds wherever a write of unknown place or length may reach."""
        low = self.bound(path, start, lowest=True)
        high = self.bound(path, start) + self.bound(path, size)
        data: list[Byte] = []
        while len(data) < high - low:
            data += bytes_of(self.fresh("blurred"))
        path.write(low, data[: high - low])

    def bound(self, path: Path, word: Word, *, lowest: bool = False) -> int:
        """Return the least (or the greatest) that the path's conditions let the word be."""
        if isinstance(word, int):
            return word
        solver = z3.SolverFor("QF_UFBV")
        solver.add(*path.conditions.values())
        if solver.check(z3.UGT(word, _MEMORY)) != z3.unsat:
            raise UnmodelledError(f"unbounded place or length at {path.pc:#x}: {word}")
        low, high = 0, _MEMORY
        while low < high:
            middle = (low + high + (not lowest)) // 2
            beyond = z3.UGT(word, middle) if lowest else z3.UGE(word, middle)
            ruled_out = solver.check(z3.Not(beyond) if lowest else beyond) == z3.unsat
            if lowest:
                low, high = (middle + 1, high) if ruled_out else (low, middle)
            else:
                low, high = (low, middle - 1) if ruled_out else (middle, high)
        return low


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


_Source: TypeAlias = Callable[[Machine, Path, Word, int], list[Byte]]
"""Reads bytes at a place, fewer where the place is unknown."""


def _end(reason: str) -> Callable[[Machine, Path], None]:
    def step(_machine: Machine, path: Path) -> None:
        if reason == "return":
            start, size = path.pop(), path.pop()
            known_place = isinstance(start, int) and isinstance(size, int)
            path.returned = path.read(start, size) if known_place else []
        path.reason = reason

    return step


def _copy(source: _Source) -> Callable[[Machine, Path], None]:
    """Copy to memory; of an unknown length what is sure to be copied, and unknown bytes behind."""

    def step(machine: Machine, path: Path) -> None:
        target, start, size = path.pop(), path.pop(), path.pop()
        sure = machine.bound(path, size, lowest=True)
        data = source(machine, path, start, sure)
        if not isinstance(target, int) or not isinstance(size, int) or len(data) < sure:
            machine.blur(path, target, size)
        if isinstance(target, int):
            path.write(target, data)

    return step


def _given(machine: Machine, _path: Path, start: Word, size: int) -> list[Byte]:
    """Return call data; of an unknown place the first word, any but the same each time."""
    if isinstance(start, int):
        return machine.calldata.read(start, size)
    if start is machine.calldata.size:
        return [0] * size
    return bytes_of(_GIVEN(start)) if size >= 32 else []


def _code(machine: Machine, _path: Path, start: Word, size: int) -> list[Byte]:
    return machine.code.read(start, size) if isinstance(start, int) else []


def _memory(_machine: Machine, path: Path, start: Word, size: int) -> list[Byte]:
    return path.read(start, size) if isinstance(start, int) else []


def _copy_returned(machine: Machine, path: Path) -> None:
    """Copy an answer; of unknown length it may only be passed on by a revert."""
    target, start, size = path.place(), path.place(), path.pop()
    if not isinstance(size, int):
        path.lost = True
        return
    part = path.returned[start : start + size]
    while len(part) < size:
        part = part + bytes_of(machine.fresh("answer"))
    path.write(target, part[:size])


def _write(width: int) -> Callable[[Machine, Path], None]:
    def step(machine: Machine, path: Path) -> None:
        place, value = path.pop(), path.pop()
        if isinstance(place, int):
            path.write(place, bytes_of(value)[32 - width :])
        else:
            machine.blur(path, place, width)

    return step


def _load(machine: Machine, path: Path) -> None:
    """Push a word of memory; at an unknown place it is unknown."""
    place = path.pop()
    known_place = isinstance(place, int)
    path.stack.append(word_of(path.read(place, 32)) if known_place else machine.fresh("read"))


def _hash(machine: Machine, path: Path) -> None:
    start, size = path.pop(), path.pop()
    known_place = isinstance(start, int) and isinstance(size, int)
    path.stack.append(
        machine.hash(path.read(start, size)) if known_place else machine.fresh("hash")
    )


def _store_transient(_machine: Machine, path: Path) -> None:
    key, value = path.place(), path.pop()
    path.transient[key] = value


def _push(value: Callable[[Machine, Path], Word]) -> Callable[[Machine, Path], None]:
    return lambda machine, path: path.stack.append(value(machine, path))


_STEPS: dict[int, Callable[[Machine, Path], None]] = {
    0x00: _end("stop"),
    0x15: _push(lambda _m, p: flag(z3.Not(truth(p.pop())))),
    0x19: _push(lambda _m, p: known(~term(p.pop()))),
    0x20: _hash,
    0x35: _push(lambda m, p: word_of(_given(m, p, p.pop(), 32))),
    0x36: _push(lambda m, _p: m.calldata.size),
    0x37: _copy(_given),
    0x38: _push(lambda m, _p: len(m.code.runtime) + len(m.code.immutables)),
    0x39: _copy(_code),
    0x3B: _push(lambda m, p: (p.pop(), m.fresh("code_size"))[1]),
    0x3D: _push(lambda _m, p: p.returned_size),
    0x3E: _copy_returned,
    0x50: lambda _m, p: (p.pop(), None)[1],
    0x51: _load,
    0x52: _write(32),
    0x53: _write(1),
    0x54: _push(lambda m, p: m.load(p, p.pop())),
    0x55: lambda m, p: m.store(p, p.pop(), p.pop()),
    0x5B: lambda _m, _p: None,
    0x5C: _push(lambda _m, p: p.transient.get(p.place(), 0)),
    0x5D: _store_transient,
    0x5E: _copy(_memory),
    0xF1: lambda m, p: m.call(p, 7),
    0xFA: lambda m, p: m.call(p, 6),
    0xF3: _end("return"),
    0xFD: _end("revert"),
    0xFE: _end("revert"),
}
