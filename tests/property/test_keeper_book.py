"""What the keeper's book calls due: what the contract calls liquidatable, no more and no less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.evm import Contract, Engine, load
from ringfence.evm.abi import address_bytes
from ringfence.keeper.memory.book import Book, Column
from ringfence.keeper.memory.events import Changes, Vault
from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.health import backing_needed_up, debt_up, is_healthy, value_down
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_TIME, PositionSlot, pack, unpack
from tests.support.market import Market, standing_market
from tests.support.model.strategies import (
    debt_indices,
    ltvs,
    prices,
    scaled_debts,
    times,
    wide,
)

__all__ = ["standing_market"]

VAULT = b"\xaa" * 20
ids = st.one_of(st.integers(0, 5), wide(MAX_UINT256), wide(255).map(lambda top: top << 248))
slots = st.builds(PositionSlot, wide(MAX_COLLATERAL, 1), st.one_of(scaled_debts, wide(4)), times)
words = slots.map(pack)
books = st.dictionaries(ids, words, min_size=1, max_size=12)


def column(held: Mapping[int, int]) -> Column:
    """A column as it comes from a store."""
    rising = sorted(held.items())
    parts = zip(*rising, strict=True) if rising else ((), ())
    return Column(*(bytearray(b"".join(one.to_bytes(32) for one in part)) for part in parts))


def due_by_the_mirror(
    held: Mapping[int, int], price: int, index: int, ltv: int, now: int
) -> set[int]:
    slots = {position_id: unpack(word) for position_id, word in held.items()}
    return {
        position_id
        for position_id, slot in slots.items()
        if not is_healthy(debt_up(slot.scaled_debt, index), value_down(slot.collateral, price), ltv)
        and slot.last_risk_increase < now
    }


def edges(held: Mapping[int, int], index: int, ltv: int) -> list[int]:
    """Each position's last price in health, and the prices a unit to both sides of it."""
    found = []
    for word in held.values():
        slot = unpack(word)
        edge = backing_needed_up(debt_up(slot.scaled_debt, index), slot.collateral, ltv)
        found += [price for price in (edge - 1, edge, edge + 1) if 0 < price <= MAX_UINT256]
    return found


@given(held=books, index=debt_indices, ltv=ltvs, price=prices, now=times)
def test_due__any_positions__the_same_as_the_mirror_s_at_every_edge(
    held: dict[int, int], index: int, ltv: int, price: int, now: int
) -> None:
    book = column(held)
    for each in (price, 1, MAX_UINT256, *edges(held, index, ltv)):
        expected = due_by_the_mirror(held, each, index, ltv, now)
        found = book.due(each, index, ltv, now)
        assert len(found) == len(set(found))
        assert set(found) == expected
    assert book.due(0, index, ltv, now) == []


@given(
    debts=st.lists(wide(10**6, 1), min_size=1, max_size=50),
    index=st.integers(WAD, 3 * WAD),
    ltv=ltvs,
)
def test_due__many_alike_at_the_threshold__none_missed(
    debts: list[int], index: int, ltv: int
) -> None:
    held = {
        number: pack(PositionSlot(debt_up(debt, index) * 10**12, debt, 0))
        for number, debt in enumerate(debts)
    }
    book = column(held)
    for price in edges(held, index, ltv):
        expected = due_by_the_mirror(held, price, index, ltv, 1)
        assert set(book.due(price, index, ltv, 1)) == expected


changes = st.lists(
    st.dictionaries(ids, st.one_of(st.just(0), words), min_size=1, max_size=6), max_size=8
)


@given(start=st.one_of(st.just({}), books), steps=changes, price=prices)
def test_update__any_changes__the_same_as_loaded_anew(
    start: dict[int, int], steps: Sequence[dict[int, int]], price: int
) -> None:
    book, held = column(start), dict(start)
    for step in steps:
        book.update(step.items())
        held = {key: word for key, word in (held | step).items() if word}
        debts = {key: unpack(word).scaled_debt for key, word in held.items()}
        assert book.scaled_debt == sum(debts.values())
        assert len(book) == len(held)
        # At the smallest price and the largest index about everything is due.
        for each in (1, price):
            expected = due_by_the_mirror(held, each, 2**76 - 1, WAD // 2, MAX_TIME)
            assert set(book.due(each, 2**76 - 1, WAD // 2, MAX_TIME)) == expected


@given(held=books, index=debt_indices, ltv=ltvs, price=prices)
def test_nearest__any_positions__no_farther_than_the_first_that_is_due(
    held: dict[int, int], index: int, ltv: int, price: int
) -> None:
    near = column(held).nearest(price, index, ltv)
    indebted = {key: word for key, word in held.items() if unpack(word).scaled_debt}
    assert (near is None) == (not indebted)
    if near is None:
        return
    first = max(
        backing_needed_up(debt_up(slot.scaled_debt, index), slot.collateral, ltv)
        for slot in map(unpack, indebted.values())
    )
    # The rounding of a price to whole units is the position's, not the book's.
    assert near <= 1 - (first - 1) / price + 1e-9 * max(1, first / price)
    smallest = min(unpack(word).scaled_debt for word in indebted.values())
    if smallest > 10**7 and price > 10**12 and first > 10**12 and first / price < 10:
        assert near == pytest.approx(1 - first / price, abs=1e-5)


@pytest.fixture(scope="module")
def lens(chain: Engine) -> Contract:
    return chain.deploy(load("VaultLens"))


@given(
    held=st.dictionaries(wide(MAX_UINT256), words, min_size=1, max_size=4),
    index=debt_indices,
    price=prices,
    data=st.data(),
)
def test_due__positions_in_a_vault__those_that_the_lens_calls_liquidatable(
    standing_market: Market,
    lens: Contract,
    held: dict[int, int],
    index: int,
    price: int,
    data: st.DataObject,
) -> None:
    market, engine = standing_market, standing_market.engine
    mark = engine.snapshot()
    now = engine.timestamp
    ltv = market.params.liquidation_ltv
    young = data.draw(st.sampled_from([now - 1, now, now + 1]))
    held = {
        position_id: word >> 40 << 40 | young if position_id % 2 else word
        for position_id, word in held.items()
    }
    market.set_books(debt_index=index, last_accrual=now)
    for position_id, word in held.items():
        engine.set_storage(market.vault, market.slot_key(position_id), word)

    address = address_bytes(market.vault)
    book = Book()
    book.update(
        Changes(
            vaults=(Vault(address, 0, 0, {"liquidation_ltv": ltv}),),
            words={(address, position_id): word for position_id, word in held.items()},
        )
    )
    chosen = data.draw(st.sampled_from([price, *edges(held, index, ltv)]))
    for each in (chosen, 0):
        market.set_price(each)
        views = lens.positions(market.vault, list(held))
        expected = {one for one, view in zip(held, views, strict=True) if view.liquidatable}
        assert set(book.due(address, each, index, now)) == expected
    engine.restore(mark)
