"""ISO-1 on many paths: under isolation no slot's fate depends on any other slot's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from ringfence.risk.answers.cross import Accounts, CrossMarket, Margin, compare, isolated
from ringfence.risk.answers.loss import LateKeepers
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.prices.paths import Gbm
from ringfence.risk.rules.liquidations import Terms

VENUES = [
    CrossMarket(Terms(0.86, 0.80, 0.01, 1.077, 0.10, 100.0)),
    CrossMarket(Terms(0.80, 0.70, 0.02, 1.10, 0.05, 50.0), falls=False),
    CrossMarket(Terms(0.91, 0.88, 0.005, 1.04, 0.0, 10.0)),
]
PRICES = JointPrices([0, 1, 2], Gbm(4.0), 0.5, 25, 48, 3_600).draw(default_rng(7))
seeds = st.integers(0, 2**32)
keepers = st.builds(LateKeepers, st.integers(0, 4), st.sampled_from([0.0, 0.01]))


def drawn(seed: int, slots: int) -> Accounts:
    """Return accounts of up to `slots` slots each."""
    rng = default_rng(seed)
    account = np.repeat(np.arange(6), rng.integers(1, slots, 6, endpoint=True))
    value = rng.lognormal(7, 1, account.size)
    debt = value * rng.uniform(0, 0.79, account.size)
    market = rng.integers(0, 3, account.size)
    return Accounts(account, market, value, debt, rng.lognormal(5, 1, 6))


def fates(margin: Margin, slots: np.ndarray) -> list[bytes]:
    """Return all that became of some slots."""
    return [of[:, slots].tobytes() for of in (margin.state, margin.held, margin.owed)]


@given(seed=seeds, keepers=keepers)
def test_isolated__other_slots_deleted_or_permuted__same_fate(
    seed: int, keepers: LateKeepers
) -> None:
    book, rng = drawn(seed, 4), default_rng(seed)
    whole = isolated(book, VENUES, PRICES, keepers)
    assert not whole.other_lost.any(), "ISO-1: a slot was lost to another"
    order = rng.permutation(book.account.size)[: rng.integers(1, book.account.size, endpoint=True)]
    part = Accounts(
        np.arange(order.size), book.market[order], book.value[order], book.debt[order],
        np.zeros(order.size),
    )  # fmt: skip
    alone = isolated(part, VENUES, PRICES, keepers)
    assert fates(alone, np.arange(order.size)) == fates(whole, order), "ISO-1"


@given(seed=seeds, keepers=keepers)
def test_compare__one_slot_an_account__cross_is_isolated(seed: int, keepers: LateKeepers) -> None:
    found = compare(drawn(seed, 1), VENUES, PRICES, keepers)
    assert fates(found.isolated, np.arange(6)) == fates(found.cross_leverage, np.arange(6))
    assert np.array_equal(found.isolated.lender_loss, found.cross_leverage.lender_loss)
    assert np.array_equal(found.isolated.capital, found.cross_leverage.capital)


def test_compare__cross__other_slots_do_matter() -> None:
    """What isolation rules out does happen to slots that back each other, on the same paths."""
    book = drawn(0, 4)
    cross = compare(book, VENUES, PRICES, LateKeepers()).cross_leverage
    assert cross.other_lost.any()
    first = np.unique(book.account, return_index=True)[1]
    part = Accounts(
        *(of[first] for of in (book.account, book.market, book.value, book.debt)), book.spare
    )
    alone = compare(part, VENUES, PRICES, LateKeepers()).cross_leverage
    assert fates(alone, np.arange(6)) != fates(cross, first)


@given(seed=seeds, keepers=keepers)
def test_compare__any_book__value_is_conserved(seed: int, keepers: LateKeepers) -> None:
    """Nobody ends with more than the collateral that is left, and no slot grows."""
    book = drawn(seed, 4)
    for margin in margins(book, keepers):
        assert (margin.held <= book.value * (1 + 1e-12)).all()
        assert (margin.owed <= book.debt * (1 + 1e-12)).all()
        assert (margin.held >= -1e-9).all()
        assert (margin.owed >= -1e-9).all()
        untouched = margin.state == 0
        assert np.array_equal(
            margin.held[untouched], np.broadcast_to(book.value, untouched.shape)[untouched]
        )


def margins(book: Accounts, keepers: LateKeepers) -> list[Margin]:
    found = compare(book, VENUES, PRICES, keepers)
    return [found.isolated, found.cross_leverage, found.cross_capital]
