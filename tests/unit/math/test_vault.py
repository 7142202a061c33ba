"""The mirrored vault on its own: callbacks, the lock, what a refused call leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.liquidation import NOTHING
from ringfence.math.storage import Storage
from ringfence.math.vault import MarginVault
from ringfence.math.vault_state import Call, VaultParams

COLLATERAL, ASSET, VAULT = 1, 2, 3
LENDER, TRADER, LIQUIDATOR, CURATOR, GUARDIAN = 11, 12, 13, 14, 15
POSITION = TRADER << 96 | 1
PERCENT = WAD // 100
PRICE = 2_000 * 10**24
PARAMS = VaultParams(
    collateral_token=COLLATERAL,
    asset=ASSET,
    oracle=0,
    rate_model=0,
    initial_ltv=80 * PERCENT,
    target_ltv=80 * PERCENT,
    liquidation_ltv=86 * PERCENT,
    base_bonus=PERCENT,
    beta_max=10_778 * 10**14,
    reserve_cut=10 * PERCENT,
    reserve_factor=10 * PERCENT,
    reserve_target=PERCENT,
    fallback_rate=0,
    min_debt=10**8,
)


def call_by(caller: int, now: int = 1, price: int = PRICE) -> Call:
    return Call(caller, now, (price, price), lambda _cash, _debt: 0)


@pytest.fixture
def vault() -> MarginVault:
    vault = MarginVault(
        Storage(),
        VAULT,
        PARAMS,
        now=1,
        supply_cap=2**104 - 1,
        debt_cap=2**104 - 1,
        curator=CURATOR,
        guardian=GUARDIAN,
    )
    for account in (LENDER, TRADER, LIQUIDATOR):
        for token in (vault.collateral, vault.asset):
            token.mint(account, 10**24)
            token.approve(account, VAULT, MAX_UINT256)
    vault.deposit(call_by(LENDER), 10**12, LENDER)
    vault.adjust(call_by(TRADER), POSITION, WAD, 1_590 * 10**6, TRADER)
    return vault


def test_liquidate__the_worked_case__stops_at_the_target(vault: MarginVault) -> None:
    fallen = call_by(LIQUIDATOR, now=2, price=1_800 * 10**24)
    previewed = vault.preview_liquidation(fallen, POSITION, MAX_UINT256)
    seized, paid = vault.liquidate(fallen, POSITION, MAX_UINT256, 0, LIQUIDATOR)

    assert (seized, paid) == (previewed.seized, previewed.repaid + previewed.cut)
    assert round(seized / WAD, 4) == 0.4968
    assert vault.ltv(fallen, POSITION) / WAD == pytest.approx(0.80, abs=1e-6)
    assert vault.collateral.balance_of(LIQUIDATOR) == 10**24 + seized
    assert [event.name for event in vault.events] == ["Liquidated"]


def test_liquidate__in_the_block_of_the_last_risk__reverts(vault: MarginVault) -> None:
    fallen = call_by(LIQUIDATOR, now=1, price=1_800 * 10**24)
    assert vault.preview_liquidation(fallen, POSITION, MAX_UINT256) == NOTHING
    with pytest.raises(RevertError, match="risk rose in this block"):
        vault.liquidate(fallen, POSITION, MAX_UINT256, 0, LIQUIDATOR)


def test_adjust__refused__changes_nothing_and_logs_nothing(vault: MarginVault) -> None:
    before = dict(vault.storage.words)
    with pytest.raises(RevertError, match="LTV is above initial LTV"):
        vault.adjust(call_by(TRADER), POSITION, 0, 11 * 10**6, TRADER)
    assert vault.storage.words == before
    assert vault.events == []


def test_adjust__with_a_callback__is_called_between_push_and_pull(vault: MarginVault) -> None:
    seen: list[tuple[int, ...]] = []

    def callback(position: int, collateral: int, debt: int, data: bytes) -> None:
        held = vault.asset.balance_of(TRADER), vault.collateral.balance_of(TRADER)
        seen.append((position, collateral, debt, len(data), *held))

    call = replace(call_by(TRADER), callback=callback)
    before = vault.asset.balance_of(TRADER), vault.collateral.balance_of(TRADER)
    vault.adjust(call, POSITION, WAD, 10**9, TRADER, b"data")
    assert seen == [(POSITION, WAD, 10**9, 4, before[0] + 10**9, before[1])]
    assert vault.collateral.balance_of(TRADER) == before[1] - WAD


def test_adjust__data_from_an_account_without_code__reverts(vault: MarginVault) -> None:
    with pytest.raises(RevertError) as caught:
        vault.adjust(call_by(TRADER), POSITION, WAD, 0, TRADER, b"data")
    assert caught.value.reason == ""


def test_adjust__re_entered_from_its_callback__reverts(vault: MarginVault) -> None:
    def callback(_position: int, _collateral: int, _debt: int, _data: bytes) -> None:
        vault.accrue(call_by(TRADER))

    before = dict(vault.storage.words)
    with pytest.raises(RevertError) as caught:
        vault.adjust(replace(call_by(TRADER), callback=callback), POSITION, WAD, 0, TRADER, b"data")
    assert caught.value.reason == ""
    assert vault.storage.words == before
    vault.accrue(call_by(TRADER))


def test_accrue__failing_rate_model__takes_the_fallback_and_says_so(vault: MarginVault) -> None:
    call = Call(TRADER, 100, (PRICE, PRICE), lambda _cash, _debt: None)
    vault.accrue(call)
    assert [event.name for event in vault.events] == ["RateModelFailed", "Accrued"]
    assert vault.load_sheet().last_accrual == 100


@pytest.mark.parametrize("quote", ["no price", (PRICE + 1, PRICE), (0, 0)])
def test_adjust__unusable_oracle__refuses_risk_and_lets_out(
    vault: MarginVault, quote: tuple[int, int] | str
) -> None:
    call = replace(call_by(TRADER, now=2), quote=quote)
    reason = quote if isinstance(quote, str) else "price is unusable"
    with pytest.raises(RevertError, match=reason):
        vault.adjust(call, POSITION, 0, 1, TRADER)
    assert vault.adjust(call, POSITION, -WAD // 2, -795 * 10**6, TRADER) == (
        -WAD // 2,
        -795 * 10**6,
    )
    assert vault.close(call, POSITION, TRADER) == (-WAD // 2, -795 * 10**6)
