"""Run bytecode on unknown words in about linear time: paths that meet become one.

Two paths meet at a jump destination with a stack of the same height and the same return addresses.
What both hold stays; where they differ the joined path holds a word of which nothing is known, and
of their conditions only the common ones remain. So every concrete state that is reached is one of
those that a joined path stands for, under some value of its unknown words: what no joined path
writes is never written. A fault may be spurious.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TypeAlias

import z3
from typing_extensions import override

from verification.proofs.bytecode.evm import Machine
from verification.proofs.bytecode.state import Path, bytes_of, word_of
from verification.proofs.bytecode.words import Word, term

Key: TypeAlias = tuple[int, int, tuple[tuple[int, int], ...]]
"""Where paths meet: program counter, height of the stack, return addresses by their place."""

_JUMPDEST = 0x5B
_JOINED = "join_"


@dataclass(frozen=True, slots=True)
class Write:
    """A write to storage: its key, under the conditions of the path that made it."""

    key: Word
    conditions: tuple[z3.BoolRef, ...]


class MergingMachine(Machine):
    """Follows all paths of one call at once.

    After `explore`: `writes` holds every write that any path makes, also one that reverts later,
    `steps` how many instructions were run, `joined` how many places paths met at, `unlocked` the
    program counters of calls (not static ones) made while the lock may be open, `ends` how paths
    ended.
    """

    def explore(self) -> None:
        """Run until nothing new is reached."""
        self.writes: list[Write] = []
        self.ends: set[str] = set()
        self.unlocked: set[int] = set()
        self.steps = 0
        self._met: dict[Key, Path] = {}
        self._queue: list[tuple[int, Key]] = []
        self._advance(self._start)
        while self._queue:
            self._advance(self._met[heapq.heappop(self._queue)[1]].copy())

    @property
    def joined(self) -> int:
        """How many places paths met at."""
        return len(self._met)

    def _advance(self, path: Path) -> None:
        """Follow a path, and both sides of its branches, to the next places where paths meet."""
        todo = [path]
        while todo:
            for way in self._ways_on(todo.pop()):
                if self._meets(way):
                    self._arrive(way)
                else:
                    todo.append(way)

    def _meets(self, path: Path) -> bool:
        return not path.reason and self.code.runtime[path.pc : path.pc + 1] == bytes([_JUMPDEST])

    def _ways_on(self, path: Path) -> list[Path]:
        """Follow a path to its end, a branch or the next place where paths meet."""
        while not path.reason:
            branch = self._step(path)
            self.steps += 1
            if branch is not None:
                return [way for _side, way in self._ways(path, *branch)]
            if self._meets(path):
                return [path]
        self.ends.add(path.reason)
        return []

    def _arrive(self, path: Path) -> None:
        calls = tuple(
            (place, word)
            for place, word in enumerate(path.stack)
            if isinstance(word, int) and word in self._destinations
        )
        key = path.pc, len(path.stack), calls
        old = self._met.get(key)
        new = path if old is None else _Join(key, old, path).made
        if new is not None:
            self._met[key] = new
            entry = -len(calls), key
            if entry not in self._queue:
                heapq.heappush(self._queue, entry)

    @override
    def load(self, path: Path, key: Word) -> Word:
        return self.fresh("stored")

    @override
    def store(self, path: Path, key: Word, value: Word) -> None:
        self.writes.append(Write(key, tuple(path.conditions.values())))

    @override
    def call(self, path: Path, operands: int) -> None:
        if operands == 7 and path.transient[0] != 1:
            self.unlocked.add(path.pc - 1)
        super().call(path, operands)


class _Join:
    """The path that stands for both; `made` is None where the old one stands for the new already.

    An unknown word that was put here before may not go on standing elsewhere for its old value once
    it takes a new one: what mentions it is replaced as well.
    """

    def __init__(self, key: Key, old: Path, new: Path) -> None:
        self._name = _JOINED + "_".join(map(str, (key[0], key[1], *(at for _, at in key[2]))))
        self._stale: set[int] = set()
        self._old, self._new = old, new
        while True:
            size = len(self._stale)
            self.made = self._join()
            if len(self._stale) == size:
                return

    def _join(self) -> Path | None:
        old, new = self._old, self._new
        stack = self._words("s", dict(enumerate(old.stack)), dict(enumerate(new.stack)))
        transient = self._words("t", old.transient, new.transient)
        memory = dict(old.memory)
        changed = self._memory(memory)
        conditions = {
            name: one
            for name, one in old.conditions.items()
            if name in new.conditions and not self._mentions(one)
        }
        returned = old.returned if old.returned is new.returned else []
        size = self._words("r", {0: old.returned_size}, {0: new.returned_size})
        lost = old.lost or new.lost
        changed = changed or any((
            stack, transient, size, len(conditions) < len(old.conditions),
            len(returned) < len(old.returned), lost != old.lost,
        ))  # fmt: skip
        if not changed:
            return None
        return replace(
            old,
            stack=[stack.get(place, word) for place, word in enumerate(old.stack)],
            memory=memory,
            transient={**old.transient, **transient},
            conditions=conditions,
            returned=returned,
            returned_size=size.get(0, old.returned_size),
            lost=lost,
        )

    def _unknown(self, place: str) -> z3.BitVecRef:
        return z3.BitVec(f"{self._name}_{place}", 256)

    def _words(self, kind: str, old: dict[int, Word], new: dict[int, Word]) -> dict[int, Word]:
        """Return the words of the joined path that are not the old one's."""
        found: dict[int, Word] = {}
        for place in old.keys() | new.keys():
            unknown = self._unknown(f"{kind}{place}")
            before, after = old.get(place, 0), new.get(place, 0)
            if self._same(before, after):
                continue
            if _equal(before, unknown):
                self._stale.add(unknown.get_id())
            else:
                found[place] = unknown
        return found

    def _memory(self, memory: dict[int, int | tuple[z3.BitVecRef, int]]) -> bool:
        """Join memory by whole words at multiples of 32; return whether it is not the old one."""
        old, new = self._old.memory, self._new.memory
        places = {
            place & ~31
            for place in old.keys() | new.keys()
            if old.get(place, 0) is not new.get(place, 0)
        }
        words = self._words(
            "m",
            {at: word_of(self._old.peek(at, 32)) for at in places},
            {at: word_of(self._new.peek(at, 32)) for at in places},
        )
        for at, word in words.items():
            memory.update(enumerate(bytes_of(word), at))
        return bool(words)

    def _same(self, old: Word, new: Word) -> bool:
        return _equal(old, new) and not self._mentions(old)

    def _mentions(self, word: Word | z3.BoolRef) -> bool:
        return bool(self._stale) and not isinstance(word, int) and _mentions(word, self._stale)


def _equal(one: Word, other: Word) -> bool:
    return one is other or (
        one == other
        if isinstance(one, int) and isinstance(other, int)
        else term(one).eq(term(other))
    )


_SYMBOLS: dict[int, tuple[z3.ExprRef, frozenset[int]]] = {}
"""By z3 id: the expression (held, or its id would be given anew) and the joined words in it."""


def _mentions(expression: z3.ExprRef, unknowns: set[int]) -> bool:
    todo = [expression]
    while todo:
        one = todo[-1]
        children = one.children()
        missing = [child for child in children if child.get_id() not in _SYMBOLS]
        if one.get_id() not in _SYMBOLS and not missing:
            found = frozenset().union(*(_SYMBOLS[child.get_id()][1] for child in children))
            if not children and one.decl().name().startswith(_JOINED):
                found = frozenset([one.get_id()])
            _SYMBOLS[one.get_id()] = one, found
        if not missing:
            todo.pop()
        todo += missing
    return not unknowns.isdisjoint(_SYMBOLS[expression.get_id()][1])
