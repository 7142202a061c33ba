"""The heap gives rows back in order of risk."""

from __future__ import annotations

import numpy as np

from ringfence.risk.coupled.stack import COLUMNS, INDEX, KEY, pop, push


def test_push_and_pop__any_order__greatest_key_first_and_rows_whole() -> None:
    rng = np.random.default_rng(2)
    heap, row, size = np.empty((200, COLUMNS)), np.empty((1, COLUMNS)), 0
    held: dict[float, float] = {}
    for number in range(3_000):
        if size < 200 and (not held or rng.random() < 0.55):
            row[0] = rng.random(COLUMNS)
            row[0, INDEX] = number
            held[row[0, KEY]] = number
            size = push(heap, size, row)
        else:
            size = pop(heap, size, row)
            assert row[0, KEY] == max(held)
            assert row[0, INDEX] == held.pop(max(held))
    assert size == len(held) > 0


def test_pop__equal_keys__each_row_once() -> None:
    heap, row, size = np.empty((9, COLUMNS)), np.ones((1, COLUMNS)), 0
    for number in range(9):
        row[0, INDEX] = number
        size = push(heap, size, row)
    seen = set()
    while size:
        size = pop(heap, size, row)
        seen.add(int(row[0, INDEX]))
    assert seen == set(range(9))
