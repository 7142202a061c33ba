"""The packed words: contract and mirror pack alike, unpack what they packed, and refuse alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.evm import Contract
from ringfence.math import balance_sheet, limits, position_slot
from ringfence.math.balance_sheet import MAX_CASH, MAX_INDEX, MAX_SHARES, BalanceSheet
from ringfence.math.errors import RevertError
from ringfence.math.limits import MAX_CAP, Limits
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_SCALED_DEBT, MAX_TIME, PositionSlot
from tests.support.model.strategies import agree, wide


def over(largest: int) -> st.SearchStrategy[int]:
    """A field's values, and now and then one that is too wide."""
    return st.one_of(
        wide(largest), wide(largest), st.sampled_from((largest + 1, 2**255, 2**256 - 1))
    )


slots = st.builds(PositionSlot, over(MAX_COLLATERAL), over(MAX_SCALED_DEBT), over(MAX_TIME))


@given(fields=slots)
def test_store_position__any_fields__packs_as_the_mirror_and_unpacks_the_same(
    maths: Contract, fields: PositionSlot
) -> None:
    word = agree(maths, "store_position", (fields,), lambda: position_slot.stored_word(fields))
    if isinstance(word, int) and fields.collateral:
        assert position_slot.unpack(word) == fields


@given(fields=slots, amount=over(MAX_COLLATERAL))
def test_add_collateral__any_position__changes_the_collateral_alone(
    maths: Contract, fields: PositionSlot, amount: int
) -> None:
    def mirrored() -> int:
        return position_slot.add_collateral(position_slot.stored_word(fields), amount)

    word = agree(maths, "add_collateral", (fields, amount), mirrored)
    if isinstance(word, int):
        expected = PositionSlot(
            fields.collateral + amount, fields.scaled_debt, fields.last_risk_increase
        )
        assert position_slot.unpack(word) == expected


@given(
    sheet=st.builds(
        BalanceSheet,
        over(MAX_SHARES),
        over(MAX_CASH),
        over(MAX_TIME),
        over(MAX_SHARES),
        over(MAX_INDEX),
        over(MAX_INDEX),
    )
)
def test_store_books__any_fields__packs_as_the_mirror_and_unpacks_the_same(
    maths: Contract, sheet: BalanceSheet
) -> None:
    words = agree(maths, "store_books", (sheet,), lambda: balance_sheet.pack(sheet))
    if words[0] != "reverts":
        assert balance_sheet.unpack(*words) == sheet


@given(fields=st.builds(Limits, over(MAX_CAP), over(MAX_CAP), over(MAX_TIME)))
def test_store_limits__any_fields__packs_as_the_mirror_and_unpacks_the_same(
    maths: Contract, fields: Limits
) -> None:
    word = agree(maths, "store_limits", (fields,), lambda: limits.pack(fields))
    if isinstance(word, int):
        assert limits.unpack(word) == fields


@given(word=wide(2**256 - 1))
def test_unpack__any_word__loses_no_bit(word: int) -> None:
    assert position_slot.pack(position_slot.unpack(word)) == word
    assert balance_sheet.pack(balance_sheet.unpack(word, word)) == (word, word)


@given(word=wide(2**248 - 1))
def test_unpack__any_word_of_the_limits__loses_no_bit(word: int) -> None:
    assert limits.pack(limits.unpack(word)) == word


def test_unpack__limits_above_their_bits__are_refused_when_stored() -> None:
    fields = limits.unpack(2**248)
    with pytest.raises(RevertError, match="limits exceed their width"):
        limits.pack(fields)
