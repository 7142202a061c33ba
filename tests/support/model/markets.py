"""The markets that the model plays on."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math.fixed_point import WAD

YEAR = 31_536_000
PERCENT = WAD // 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What a market starts from: decimals, a price scaled 1e36, parameters, caps in asset units."""

    title: str
    collateral_decimals: int
    asset_decimals: int
    price: int
    min_debt: int
    initial_ltv: int = 80 * PERCENT
    target_ltv: int = 82 * PERCENT
    liquidation_ltv: int = 86 * PERCENT
    base_bonus: int = PERCENT
    beta_max: int = 10_778 * 10**14
    reserve_cut: int = 10 * PERCENT
    reserve_factor: int = 10 * PERCENT
    reserve_target: int = PERCENT // 10
    fallback_rate: int = WAD // 5 // YEAR
    supply_cap: int = 2**104 - 1
    debt_cap: int = 2**104 - 1


def price_of(assets_per_collateral: int, collateral_decimals: int, asset_decimals: int) -> int:
    return assets_per_collateral * 10 ** (36 + asset_decimals - collateral_decimals)


WETH_USDC = Setting("WETH/USDC", 18, 6, price_of(2_000, 18, 6), 100 * 10**6)
USDC_WETH = Setting("USDC/WETH", 6, 18, 5 * 10**44, 10**16)
WBTC_SHIB = Setting("WBTC/SHIB", 8, 18, 12 * 10**9 * 10**46, 10**24)
EURS_USDC = Setting(
    "EURS/USDC",
    2,
    6,
    price_of(1, 2, 6) * 108 // 100,
    10**4,
    initial_ltv=90 * PERCENT,
    target_ltv=91 * PERCENT + PERCENT // 2,
    liquidation_ltv=93 * PERCENT,
    beta_max=1_042 * 10**15,
    reserve_factor=25 * PERCENT,
)
WETH_EURS = Setting("WETH/EURS", 18, 2, price_of(2_000, 18, 2), 10**4)
WETH_WBTC = Setting("WETH/WBTC", 18, 8, price_of(1, 18, 8) // 20, 10**5)
SETTINGS = (WETH_USDC, USDC_WETH, WBTC_SHIB, EURS_USDC, WETH_EURS, WETH_WBTC)
"""Tokens of 2, 6, 8 and 18 decimals, each as an asset as well."""
