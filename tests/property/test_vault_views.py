"""The vault's views on books and positions of any width: equal to the mirror's, and usable."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.math import balance_sheet, lender_shares, limits, position_slot
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.limits import MAX_CAP, Limits
from ringfence.math.position_slot import PositionSlot
from ringfence.math.vault_state import LIMITS, POSITIONS, WORD_1, WORD_2
from tests.support.model.actions import Action
from tests.support.model.cast import Cast
from tests.support.model.markets import EURS_USDC, USDC_WETH, WBTC_SHIB, WETH_USDC, Setting
from tests.support.model.strategies import YEAR, collaterals, scaled_debts, sheets, wide
from tests.support.model.twin import Twin
from tests.support.model.views import Views
from tests.support.model.what_if import WhatIf


@pytest.fixture(
    scope="module",
    params=[WETH_USDC, USDC_WETH, WBTC_SHIB, EURS_USDC],
    ids=lambda setting: setting.title,
)
def twin(request: pytest.FixtureRequest) -> Twin:
    setting: Setting = request.param
    twin = Twin(setting)
    twin.engine.advance(200 * YEAR)
    for token in (0, 1):  # whatever words are written below, the vault can pay
        twin.run(Action("donate", 0, (token, 2**150)))
    return twin


@settings(max_examples=250)
@given(
    sheet=sheets(),
    elapsed=st.one_of(st.just(0), st.integers(0, YEAR), st.just(100 * YEAR)),
    collateral=collaterals,
    scaled=scaled_debts,
    aged=st.booleans(),
    caps=st.builds(Limits, wide(MAX_CAP), wide(MAX_CAP), st.just(0)),
    drift=st.fractions(min_value="1/1000", max_value=1000),
    spread=st.integers(0, 3),
    rate=wide(10**12),
    shares=wide(2**104 - 1),
    seed=st.integers(0, 2**32),
)
def test_views__any_words__equal_the_mirror_and_limits_are_usable(
    twin: Twin,
    sheet: BalanceSheet,
    elapsed: int,
    collateral: int,
    scaled: int,
    aged: bool,
    caps: Limits,
    drift: object,
    spread: int,
    rate: int,
    shares: int,
    seed: int,
) -> None:
    cast = Cast.of(twin)
    position = cast.owners[0] << 96 | 7
    dated = twin.now - (1 if aged else 0)
    slot = PositionSlot(collateral, min(scaled, sheet.total_scaled_debt), dated)
    sheet = replace(sheet, last_accrual=twin.now - elapsed)
    for cell, word in zip(
        ((WORD_1,), (WORD_2,), (LIMITS,), (POSITIONS, position)),
        (*balance_sheet.pack(sheet), limits.pack(caps), position_slot.stored_word(slot)),
        strict=True,
    ):
        twin.poke(cell, word)
    for lender in cast.lenders:
        word = min(shares, sheet.total_shares)
        twin.poke((lender_shares.BALANCE, lender), word)
    high = min(int(twin.setting.price * drift), MAX_UINT256)  # type: ignore[operator]
    twin.run(Action("set_quote", 0, (max(high - spread, 0), high)))
    twin.run(Action("set_rate", 0, (rate,)))

    rng = Random(seed)
    views = Views(twin, cast, [position], rng)
    views.compare_all()
    for _ in range(12):
        views.compare_one()
    call = twin.call_by(0)
    _compare_around_the_threshold(twin, position)
    if slot.collateral * high > MAX_UINT256 or collateral == 0:
        return
    questions = WhatIf(twin, cast, [position], rng)
    questions.lender_limits()
    questions.trader_limits()
    assert twin.mirror.max_deposit(call) <= caps.supply_cap


def _compare_around_the_threshold(twin: Twin, position: int) -> None:
    """At its liquidation price a position is healthy, one unit of price below it is not."""
    mirror = twin.mirror
    threshold = mirror.liquidation_price(twin.call_by(0), position)
    if not 1 < threshold < 2**200:
        return
    for price, expected in ((threshold, True), (threshold - 1, False)):
        twin.run(Action("set_quote", 0, (price, price)))
        call = twin.call_by(0)
        twin.view("is_healthy", (position,), lambda call=call: mirror.is_healthy(call, position))
        assert mirror.is_healthy(call, position) is expected
        try:
            seized = mirror.preview_liquidation(call, position, MAX_UINT256).seized
        except RevertError:
            continue
        assert not (seized and expected), "LIQ-3: a healthy position is previewed as liquidatable"


def test_max_deposit__after_a_near_total_loss__is_zero_and_views_answer() -> None:
    twin = Twin(WETH_USDC)
    cast = Cast.of(twin)
    for supply_index in (0, 1, 10**12 - 1, 10**12):
        sheet = BalanceSheet(10**18, 10**19, twin.now, 0, WAD, supply_index)
        for cell, word in zip((WORD_1, WORD_2), balance_sheet.pack(sheet), strict=True):
            twin.poke((cell,), word)
        Views(twin, cast, [1], Random(1)).compare_all()
        most = twin.mirror.max_deposit(twin.call_by(0))
        assert (most > 0) == (supply_index >= 10**12)
        assert twin.vault.maxDeposit(twin.signers[0]) == most


def test_max_borrow__what_is_there_makes_up_min_debt__is_lent_and_not_a_unit_less() -> None:
    twin = Twin(WETH_USDC)
    position = Cast.of(twin).owners[0] << 96
    min_debt = twin.params.min_debt
    twin.poke((POSITIONS, position), position_slot.stored_word(PositionSlot(WAD, 0, 0)))
    for cash, expected in ((min_debt, min_debt), (min_debt - 1, 0)):
        sheet = BalanceSheet(0, cash, twin.now, 0, WAD, WAD)
        for cell, word in zip((WORD_1, WORD_2), balance_sheet.pack(sheet), strict=True):
            twin.poke((cell,), word)
        call = twin.call_by(0)
        twin.view(
            "max_borrow", (position,), lambda call=call: twin.mirror.max_borrow(call, position)
        )
        assert twin.vault.max_borrow(position) == expected


def test_max_withdraw_collateral__debt_of_min_debt__frees_and_not_a_unit_less() -> None:
    twin = Twin(WETH_USDC)
    position = Cast.of(twin).owners[0] << 96
    for debt, is_free in ((twin.params.min_debt, True), (twin.params.min_debt - 1, False)):
        slot = PositionSlot(WAD, debt, 0)
        twin.poke((POSITIONS, position), position_slot.stored_word(slot))
        sheet = BalanceSheet(0, 0, twin.now, debt, WAD, WAD)
        for cell, word in zip((WORD_1, WORD_2), balance_sheet.pack(sheet), strict=True):
            twin.poke((cell,), word)
        expected = twin.mirror.max_withdraw_collateral(twin.call_by(0), position)
        assert twin.vault.max_withdraw_collateral(position) == expected
        assert (expected > 0) is is_free
