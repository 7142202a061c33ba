"""Rows of positions in order of risk, for jitted loops: a heap, in place.

Rows are float64 [row, column]; one by itself is the only row of such an array. A row is KEY (debt
over collateral, what orders risk in a vault), collateral units, debt in asset units, the position's
place in its book, and whether it was liquidated before (0 or 1).
"""

from __future__ import annotations

from numba import njit

from ringfence.risk.pool import Floats

KEY, COLLATERAL, DEBT, INDEX, AGAIN = range(5)
COLUMNS = 5


@njit(cache=True)
def copy(into: Floats, to: int, rows: Floats, at: int) -> None:
    """Copy row `at` of some rows to row `to` of others."""
    for column in range(COLUMNS):
        into[to, column] = rows[at, column]


@njit(cache=True)
def push(heap: Floats, size: int, row: Floats) -> int:
    """Add a row to a heap of `size` rows, the greatest key first; return the new size."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if heap[above, KEY] >= row[0, KEY]:
            break
        copy(heap, at, heap, above)
        at = above
    copy(heap, at, row, 0)
    return size + 1


@njit(cache=True)
def pop(heap: Floats, size: int, row: Floats) -> int:
    """Take the row of the greatest key out of a heap into `row`; return the new size."""
    copy(row, 0, heap, 0)
    size -= 1
    key, at = heap[size, KEY], 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1, KEY] > heap[below, KEY]:
            below += 1
        if heap[below, KEY] <= key:
            break
        copy(heap, at, heap, below)
        at = below
    copy(heap, at, heap, size)
    return size
