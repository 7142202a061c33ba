# pragma version 0.4.3
"""
@title market
@license GNU Affero General Public License v3.0 only
@notice What never changes of a market beside its tokens and rates: the oracle and the bounds of risk.
"""

from ..interfaces import IMarginVault
from ..interfaces import IPriceOracle
from . import errors
from . import liquidation


ORACLE: immutable(address)
INITIAL_LTV: immutable(uint256)
RISK: immutable(liquidation.RiskParams)


@deploy
def __init__(params: IMarginVault.VaultParams):
    ORACLE = params.oracle
    INITIAL_LTV = params.initial_ltv
    RISK = liquidation.RiskParams(
        liquidation_ltv=params.liquidation_ltv,
        target_ltv=params.target_ltv,
        base_bonus=params.base_bonus,
        beta_max=params.beta_max,
        reserve_cut=params.reserve_cut,
        min_debt=params.min_debt,
    )


@internal
@view
def _quote() -> (uint256, uint256):
    """
    @notice The oracle's low and high, 1e36; its own reason when it has none.
    """
    low: uint256 = 0
    high: uint256 = 0
    low, high = staticcall IPriceOracle(ORACLE).quote()
    if low > high:
        errors._check_price(0)
    return low, high


@internal
@view
def _high() -> uint256:
    """
    @notice The price that decides whether a position may be liquidated, 1e36, not zero.
    """
    high: uint256 = self._quote()[1]
    errors._check_price(high)
    return high
