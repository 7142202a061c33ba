"""Who may be due: a book in order of risk, and what was taken out of it, for jitted loops."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.stack import (
    AGAIN,
    COLLATERAL,
    COLUMNS,
    DEBT,
    INDEX,
    KEY,
    is_before,
    pop,
    push,
)
from ringfence.risk.rules.liquidations import Terms, is_insolvent, liquidate
from ringfence.risk.work.jit import njit

NEXT, HEAP, WAITING, EVENTS = range(4)
"""Of a queue's marks."""


class Queue(NamedTuple):
    """Who may be due: the book in order of risk, and rows of what was taken out of it.

    `heap` holds what was taken out and is to be looked at, `waiting` what did not pay, its key less
    the pool's price at which it may. `marks`: the book's next, the rows in either, and
    the events that were recorded.
    """

    collateral: Floats
    debt: Floats
    key: Floats
    heap: Floats
    waiting: Floats
    marks: NDArray[np.int64]


@njit
def queue_of(collateral: Floats, debt: Floats, key: Floats) -> Queue:
    """Return a book, in order of risk, of which nothing was taken out yet."""
    size = len(collateral)
    heap, waiting = np.empty((size, COLUMNS)), np.empty((size, COLUMNS))
    return Queue(collateral, debt, key, heap, waiting, np.zeros(4, np.int64))


@njit
def riskiest(queue: Queue) -> float:
    """Return debt over collateral of the riskiest: due iff above liquidation LTV times price."""
    key = queue.heap[0, KEY] if queue.marks[HEAP] else 0.0
    at = queue.marks[NEXT]
    if at < len(queue.debt):
        key = max(key, queue.key[at])
    return key


@njit
def take(queue: Queue, row: Floats) -> None:
    """Take the riskiest out of the queue into `row`."""
    at = queue.marks[NEXT]
    if at < len(queue.debt):
        row[0, COLLATERAL], row[0, DEBT] = queue.collateral[at], queue.debt[at]
        row[0, KEY] = queue.key[at]
    else:
        row[0, KEY] = -inf
    row[0, INDEX], row[0, AGAIN] = at, 0.0
    if queue.marks[HEAP] and is_before(queue.heap, 0, row, 0):
        queue.marks[HEAP] = pop(queue.heap, queue.marks[HEAP], row)
        return
    queue.marks[NEXT] += 1


@njit
def wait(queue: Queue, row: Floats, price: float) -> None:
    """Have a row wait until the pool stands at `price`, or for the next answer."""
    row[0, KEY] = -price
    queue.marks[WAITING] = push(queue.waiting, queue.marks[WAITING], row)


@njit
def wake(queue: Queue, price: float) -> None:
    """Have what waits for the pool to stand at `price`, or lower, be looked at again."""
    row = np.empty((1, COLUMNS))
    while queue.marks[WAITING] and -queue.waiting[0, KEY] <= price:
        queue.marks[WAITING] = pop(queue.waiting, queue.marks[WAITING], row)
        if row[0, AGAIN] == 0.0:
            row[0, KEY] = queue.key[int(row[0, INDEX])]
        else:
            row[0, KEY] = row[0, DEBT] / row[0, COLLATERAL]
        queue.marks[HEAP] = push(queue.heap, queue.marks[HEAP], row)


@njit
def bad_debt(queue: Queue, terms: Terms, price: float) -> float:
    """Return what would be written off if all that is left and insolvent were liquidated."""
    found = 0.0
    for i in range(queue.marks[HEAP]):
        found += _loss(queue.heap[i, COLLATERAL], queue.heap[i, DEBT], price, terms)
    for i in range(queue.marks[WAITING]):
        found += _loss(queue.waiting[i, COLLATERAL], queue.waiting[i, DEBT], price, terms)
    for i in range(queue.marks[NEXT], len(queue.debt)):
        loss = _loss(queue.collateral[i], queue.debt[i], price, terms)
        if loss == 0.0:
            break
        found += loss
    return found


@njit
def _loss(collateral: float, debt: float, price: float, terms: Terms) -> float:
    if not is_insolvent(collateral, debt, price, terms):
        return 0.0
    return liquidate(collateral, debt, price, inf, terms).loss
