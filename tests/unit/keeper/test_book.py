"""The book: vaults that come and go, lost events, the nearest position."""

from __future__ import annotations

import pytest

from ringfence.keeper.memory.book import Book
from ringfence.keeper.memory.events import Changes, Vault
from ringfence.math.fixed_point import WAD
from ringfence.math.position_slot import PositionSlot, pack

A, B = b"\xaa" * 20, b"\xbb" * 20
PARAMETERS = {"liquidation_ltv": 86 * WAD // 100}
PRICE = 2_000 * 10**24
"""2,000 USDC a WETH."""


def word(debt: int, last_risk_increase: int = 0) -> int:
    """One WETH that owes so many USDC at an index of one."""
    return pack(PositionSlot(WAD, debt * 10**6, last_risk_increase))


@pytest.fixture
def book() -> Book:
    made = Book()
    vaults = Vault(A, 0, 1, PARAMETERS), Vault(B, 1, 1, PARAMETERS)
    made.update(Changes(vaults=vaults, words={(A, 1): word(1_720), (A, 2): word(1_721)}))
    return made


def test_due__one_past_the_threshold__that_one_and_only_in_its_vault(book: Book) -> None:
    assert book.due(A, PRICE, WAD, now=1) == [2]
    assert book.due(B, PRICE, WAD, now=1) == []
    assert sorted(book.due(A, PRICE - 10**24, WAD, now=1)) == [1, 2]
    assert sorted(book.due(A, PRICE, WAD + 10**12, now=1)) == [1, 2]


def test_due__risk_taken_in_this_block__not_yet(book: Book) -> None:
    book.update(Changes(words={(A, 2): word(1_721, last_risk_increase=50)}))
    assert book.due(A, PRICE, WAD, now=50) == []
    assert book.due(A, PRICE, WAD, now=51) == [2]


def test_words__of_open_positions__in_the_order_asked_for(book: Book) -> None:
    # Ids and words that end in zero bytes are the ones that NumPy cuts short.
    short, whole = 1 << 8, word(5, last_risk_increase=1 << 8)
    book.update(Changes(words={(A, short): whole}))
    assert book.words(A, [2, short, 1]) == [word(1_721), whole, word(1_720)]
    assert book.words(A, []) == []


def test_update__vault_gone_and_back__without_its_positions(book: Book) -> None:
    book.update(Changes(gone=(A,), vaults=(Vault(A, 0, 2, PARAMETERS),), words={(A, 7): word(9)}))
    assert book.due(A, PRICE, WAD, now=1) == []
    assert book.columns[A].scaled_debt == 9 * 10**6
    book.update(Changes(gone=(A, B)))
    assert (book.vaults, book.columns) == ({}, {})


def test_missing_debt__an_event_was_lost__what_it_carried(book: Book) -> None:
    on_chain = (1_720 + 1_721) * 10**6
    assert book.missing_debt(A, on_chain) == 0
    assert book.missing_debt(A, on_chain + 5) == 5
    book.update(Changes(words={(A, 1): 0}))
    assert book.missing_debt(A, on_chain) == 1_720 * 10**6


def test_nearest__how_far_the_price_may_fall(book: Book) -> None:
    assert book.nearest(A, PRICE, WAD) == pytest.approx(1 - 1_721 / 1_720, abs=1e-8)
    book.update(Changes(words={(A, 2): 0, (A, 1): word(860)}))
    assert book.nearest(A, PRICE, WAD) == pytest.approx(0.5, abs=1e-8)
    assert book.nearest(B, PRICE, WAD) is None
    assert book.nearest(A, 0, WAD) is None
