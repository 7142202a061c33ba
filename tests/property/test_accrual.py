"""Interest: contract and mirror agree at every width; BOOK-3, BOOK-4 and BOOK-6 hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ringfence.evm import Contract
from ringfence.math import balance_sheet
from ringfence.math.accrual import grow
from ringfence.math.balance_sheet import MAX_INDEX, BalanceSheet, scaled_assets, scaled_claims
from ringfence.math.fixed_point import WAD
from ringfence.math.rates import MAX_RATE
from tests.support.model.strategies import YEAR, agree, sheets, wide

CENTURY = 100 * YEAR
rates = st.one_of(wide(MAX_RATE), st.integers(0, MAX_RATE // 30))
spans = st.one_of(wide(2**40), st.integers(1, YEAR), st.just(CENTURY))
factors = st.one_of(st.integers(0, WAD // 4), st.sampled_from((0, WAD // 10, WAD // 4)))


@given(sheet=sheets())
def test_figures__any_books__agree(maths: Contract, sheet: BalanceSheet) -> None:
    def mirrored() -> tuple[int, int, int, int]:
        return (
            scaled_assets(sheet),
            scaled_claims(sheet),
            balance_sheet.total_debt_up(sheet),
            balance_sheet.socialise(sheet),
        )

    assets, claims, _debt, supply_index = agree(maths, "books_figures", (sheet,), mirrored)
    agree(maths, "reserve_down", (sheet,), lambda: balance_sheet.reserve_down(sheet))
    assert claims <= assets
    assert supply_index == sheet.supply_index, "BOOK-4: lenders pay while there is a reserve"


@given(sheet=sheets(), lost=wide(2**76))
def test_socialise__after_any_loss__lenders_bear_what_the_reserve_cannot(
    maths: Contract, sheet: BalanceSheet, lost: int
) -> None:
    left = replace(sheet, cash=max(sheet.cash - lost, 0), total_scaled_debt=0)
    figures = agree(
        maths,
        "books_figures",
        (left,),
        lambda: (
            scaled_assets(left),
            scaled_claims(left),
            balance_sheet.total_debt_up(left),
            balance_sheet.socialise(left),
        ),
    )
    borne = replace(left, supply_index=figures[3])
    assert scaled_claims(borne) <= scaled_assets(borne), "BOOK-3: claims exceed assets"
    if figures[3] != left.supply_index:
        rest = scaled_assets(borne) - scaled_claims(borne)
        assert rest < left.total_shares, "BOOK-4: lenders bear what the reserve could"
        args = (left, figures[3])
        lost_claims = agree(
            maths, "claims_lost_up", args, lambda: balance_sheet.claims_lost_up(*args)
        )
        assert lost_claims * WAD >= scaled_claims(left) - scaled_claims(borne)


@settings(max_examples=300)
@given(sheet=sheets(), rate=rates, span=spans, factor=factors)
def test_grow__any_books__agrees_and_keeps_the_books(
    maths: Contract, sheet: BalanceSheet, rate: int, span: int, factor: int
) -> None:
    args = (sheet, rate, span, factor)
    grown = BalanceSheet(*agree(maths, "grow", args, lambda: grow(*args)))
    assert scaled_claims(grown) <= scaled_assets(grown), "BOOK-3: claims exceed assets"
    assert sheet.debt_index <= grown.debt_index <= MAX_INDEX, "BOOK-4: the debt index fell"
    assert sheet.supply_index <= grown.supply_index <= MAX_INDEX, "BOOK-4: the supply index fell"
    assert (grown.total_shares, grown.cash, grown.total_scaled_debt) == (
        sheet.total_shares,
        sheet.cash,
        sheet.total_scaled_debt,
    )


@given(sheet=sheets(), factor=factors)
def test_grow__a_century_at_the_maximum__saturates_and_goes_on(
    maths: Contract, sheet: BalanceSheet, factor: int
) -> None:
    args = (sheet, MAX_RATE, CENTURY, factor)
    grown = BalanceSheet(*agree(maths, "grow", args, lambda: grow(*args)))
    assert grown.debt_index == MAX_INDEX, "LIVE-5: the index did not saturate"
    again = (grown, MAX_RATE, 2 * CENTURY, factor)
    later = BalanceSheet(*agree(maths, "grow", again, lambda: grow(*again)))
    assert replace(later, last_accrual=0) == replace(grown, last_accrual=0)


@settings(max_examples=60)
@given(
    decimals=st.sampled_from((2, 6, 8, 18)),
    units=st.integers(10**6, 10**10),
    utilisation=st.integers(1, 100),
    rate=st.integers(MAX_RATE // 1_000, MAX_RATE),
    factor=factors,
    gaps=st.lists(st.sampled_from((1, 12, 3_600, 86_400)), min_size=20, max_size=60),
    index=st.integers(WAD, 3 * WAD),
)
def test_grow__poked_often__costs_and_pays_what_poking_rarely_does(
    decimals: int,
    units: int,
    utilisation: int,
    rate: int,
    factor: int,
    gaps: list[int],
    index: int,
) -> None:
    """BOOK-6: rate * dt is at most 0.01 a gap; the totals at least 1e6 units."""
    total = units * 10 ** max(decimals - 6, 0)
    debt = total * utilisation // 100
    gaps = [min(gap, WAD // 100 // rate) for gap in gaps]
    elapsed = sum(gaps)
    longest = min(elapsed, WAD // 100 // rate)
    start = BalanceSheet((total * WAD) // index, total - debt, 0, debt * WAD // index, index, index)
    often = start
    for gap in gaps:
        often = grow(often, rate, often.last_accrual + gap, factor)
    rarely = start
    while rarely.last_accrual < elapsed:
        rarely = grow(rarely, rate, min(rarely.last_accrual + longest, elapsed), factor)

    paid_often, paid_rarely = often.debt_index - index, rarely.debt_index - index
    pokes = len(gaps) + elapsed // longest + 1
    assume(paid_rarely > 0)
    off = abs(paid_often - paid_rarely)
    assert off <= Fraction(paid_rarely, 10**6) + pokes, "BOOK-6: pokes change what borrowers pay"

    got_often, got_rarely = often.supply_index - index, rarely.supply_index - index
    share = Fraction(debt * rate * longest * factor, total * WAD * WAD)
    allowed = got_rarely * (Fraction(1, 10**6) + share) + 4 * pokes
    off = abs(got_often - got_rarely)
    assert off <= allowed, "BOOK-6: pokes change what lenders get"


@given(sheet=sheets(), rate=rates, span=spans, factor=factors)
def test_grow__no_time__changes_nothing(
    sheet: BalanceSheet, rate: int, span: int, factor: int
) -> None:
    grown = grow(sheet, rate, span, factor)
    assert grow(grown, rate, span, factor) == grown, "BOOK-6: accruing twice is not once"
