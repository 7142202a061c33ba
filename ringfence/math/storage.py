"""Storage words as a dictionary, where a reverted call leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ringfence.math.errors import RevertError

Cell: TypeAlias = tuple[int | str, ...]
"""A contract's address, a variable as the compiler's layout names it ("module.name"), its keys."""


class Storage:
    """The words of any number of contracts; what was never written is zero."""

    __slots__ = ("_depth", "_journal", "words")

    def __init__(self) -> None:
        self.words: dict[Cell, int] = {}
        self._journal: list[tuple[Cell, int]] = []
        self._depth = 0

    def load(self, cell: Cell) -> int:
        """Return a word."""
        return self.words.get(cell, 0)

    def store(self, cell: Cell, word: int) -> None:
        """Write a word."""
        self._journal.append((cell, self.words.get(cell, 0)))
        self.words[cell] = word

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo what is written inside if it raises RevertError; the outermost one starts afresh."""
        if self._depth == 0:
            self._journal.clear()
        mark = len(self._journal)
        self._depth += 1
        try:
            yield
        except RevertError:
            while len(self._journal) > mark:
                cell, word = self._journal.pop()
                self.words[cell] = word
            raise
        finally:
            self._depth -= 1

    def changes(self) -> dict[Cell, tuple[int, int]]:
        """Return the words that the last outermost transaction changed: before and after."""
        before: dict[Cell, int] = {}
        for cell, word in self._journal:
            before.setdefault(cell, word)
        return {
            cell: (word, self.words[cell])
            for cell, word in before.items()
            if word != self.words[cell]
        }
