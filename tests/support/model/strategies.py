"""Operands as wide as the words allow, and those that live on their edges."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from ringfence.evm import Contract, Reverted
from ringfence.math.balance_sheet import MAX_ASSETS, MAX_CASH, MAX_INDEX, MAX_SHARES, BalanceSheet
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_SCALED_DEBT, MAX_TIME, PositionSlot

YEAR = 31_536_000
USDC_WETH_PRICE = 5 * 10**44
USDC_DAI_PRICE = 10**48
WBTC_SHIB_PRICE = 12 * 10**55
"""Asset units per collateral unit scaled 1e36: 149, 160 and 186 bits."""


def wide(largest: int, least: int = 0) -> st.SearchStrategy[int]:
    """Integers of every width up to `largest`, its edges included."""
    return st.one_of(
        st.integers(least, largest),
        st.integers(0, largest.bit_length()).flatmap(
            lambda bits: st.integers(least, max(least, min(2**bits, largest)))
        ),
        st.sampled_from((least, min(least + 1, largest), max(largest - 1, least), largest)),
    )


scaled_debts = wide(MAX_SCALED_DEBT)
debt_indices = wide(MAX_INDEX, WAD)
collaterals = wide(MAX_COLLATERAL)
prices = st.one_of(
    wide(2**200, 1),
    st.sampled_from((USDC_WETH_PRICE, USDC_DAI_PRICE, WBTC_SHIB_PRICE)).flatmap(
        lambda price: st.integers(price // 3, price * 3)
    ),
)
ltvs = st.integers(5 * WAD // 1_000, WAD - 1)
times = wide(MAX_TIME)


@st.composite
def sheets(draw: st.DrawFn) -> BalanceSheet:
    """Books of any width that keep BOOK-3."""
    cash = draw(wide(MAX_CASH))
    scaled_debt = draw(scaled_debts)
    debt_index = draw(debt_indices)
    supply_index = draw(wide(MAX_INDEX))
    assets = cash * WAD + scaled_debt * debt_index
    most = min(MAX_SHARES, assets // supply_index) if supply_index else MAX_SHARES
    return BalanceSheet(draw(wide(most)), cash, 0, scaled_debt, debt_index, supply_index)


@st.composite
def risks(draw: st.DrawFn) -> RiskParams:
    """Risk parameters within the factory's bounds, min_debt aside."""
    liquidation_ltv = draw(st.integers(WAD // 10, 98 * WAD // 100))
    target_ltv = draw(st.integers(liquidation_ltv // 2, liquidation_ltv - 1))
    base_bonus = draw(st.integers(0, WAD // 20))
    slope = WAD + base_bonus - liquidation_ltv
    largest = (slope + isqrt(slope * slope + 4 * PRICE_SCALE)) // 2
    assume(largest > WAD + base_bonus + 1)
    beta_max = draw(st.integers(WAD + base_bonus + 1, largest))
    assume(beta_max * (liquidation_ltv + beta_max - WAD - base_bonus) <= PRICE_SCALE)
    reserve_cut = draw(st.sampled_from((0, WAD // 10, WAD - 1)))
    min_debt = draw(wide(2**60))
    return RiskParams(liquidation_ltv, target_ltv, base_bonus, beta_max, reserve_cut, min_debt)


@st.composite
def unhealthy(draw: st.DrawFn) -> tuple[PositionSlot, int, int, RiskParams]:
    """A position past its liquidation LTV: (slot, debt index, price, risk).

    From a hair above the threshold, over the edge of insolvency, to nearly worthless collateral.
    """
    risk = draw(risks())
    index = draw(st.one_of(st.just(WAD), st.integers(WAD, 10 * WAD), debt_indices))
    price = draw(prices)
    collateral = draw(wide(MAX_COLLATERAL, 1))
    value = collateral * price // PRICE_SCALE
    most = MAX_SCALED_DEBT * index // WAD
    assume(value * risk.liquidation_ltv // WAD < min(most, MAX_ASSETS))
    threshold = value * risk.liquidation_ltv // WAD + 1
    above = draw(
        st.one_of(
            st.integers(0, 5),
            st.integers(0, max(value // 3, 1)),
            st.integers(0, max(value * 2, 10**6)),
        )
    )
    scaled = -(-(threshold + above) * WAD // index)
    assume(0 < scaled <= MAX_SCALED_DEBT)
    return PositionSlot(collateral, scaled, 0), index, price, risk


def outcome_of(function: Callable[[], Any]) -> Any:
    """What a call of the contract or of the mirror comes to: a plain value or ("reverts", why)."""
    try:
        return plain(function())
    except (RevertError, Reverted) as error:
        return "reverts", error.reason


def plain(value: Any) -> Any:
    """A value to compare: structs of either side as tuples."""
    if hasattr(value, "__dataclass_fields__"):
        return tuple(getattr(value, name) for name in value.__dataclass_fields__)
    if isinstance(value, tuple | list):
        return tuple(plain(item) for item in value)
    return value


def agree(harness: Contract, name: str, args: tuple[Any, ...], mirrored: Callable[[], Any]) -> Any:
    """Assert that the contract's function and the mirror's come to the same; return it."""
    method = getattr(harness, name)
    expected = outcome_of(mirrored)
    actual = outcome_of(lambda: method.call(*[plain(arg) for arg in args]))
    assert actual == expected, f"{name}{args}: the contract says {actual}, the mirror {expected}"
    return expected
