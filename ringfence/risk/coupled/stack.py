"""Rows of positions in order of risk, for jitted loops: a heap, in place.

Rows are float64 [row, column]; one by itself is the only row of such an array. A row is KEY (debt
over collateral, what orders risk in a vault), collateral units, debt in asset units, the position's
place in its book, and whether it was liquidated before (0 or 1).
"""

from __future__ import annotations

from ringfence.risk.arrays import Floats
from ringfence.risk.work.jit import njit

KEY, COLLATERAL, DEBT, INDEX, AGAIN = range(5)
COLUMNS = 5


@njit
def copy(into: Floats, to: int, rows: Floats, at: int) -> None:
    """Copy row `at` of some rows to row `to` of others."""
    for column in range(COLUMNS):
        into[to, column] = rows[at, column]


@njit
def is_before(rows: Floats, at: int, others: Floats, other: int) -> bool:
    """Return whether a row goes before another: the greater key, of equal ones the lower place."""
    if rows[at, KEY] == others[other, KEY]:
        return bool(rows[at, INDEX] < others[other, INDEX])
    return bool(rows[at, KEY] > others[other, KEY])


@njit
def push(heap: Floats, size: int, row: Floats) -> int:
    """Add a row to a heap of `size` rows, the first on top; return the new size."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if not is_before(row, 0, heap, above):
            break
        copy(heap, at, heap, above)
        at = above
    copy(heap, at, row, 0)
    return size + 1


@njit
def pop(heap: Floats, size: int, row: Floats) -> int:
    """Take the first row out of a heap into `row`; return the new size."""
    copy(row, 0, heap, 0)
    size -= 1
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and is_before(heap, below + 1, heap, below):
            below += 1
        if not is_before(heap, below, heap, size):
            break
        copy(heap, at, heap, below)
        at = below
    copy(heap, at, heap, size)
    return size
