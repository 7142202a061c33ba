# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title VaultLens
@license GNU Affero General Public License v3.0 only
@notice Reads vaults in bulk, for screens, keepers and monitors. Holds nothing and changes nothing; anyone may deploy one.
@dev Formulas are the vault's own modules. The vault is trusted to be one; its oracle and its rate model are not: they are
     asked with limited gas, and an answer that the vault would not take counts as none (LIVE-2).
"""

from ..interfaces import IMarginVault
from ..interfaces import IVaultLens
from ..modules import accrual
from ..modules import balance_sheet
from ..modules import errors
from ..modules import fixed_point
from ..modules import health
from ..modules import liquidation
from ..modules import position_slot

implements: IVaultLens


# Memory is laid out for the largest batch: twice this would cost every further position 300 gas, and each call 350,000.
MAX_POSITIONS: constant(uint256) = 1_000
# Several times what an oracle over many feeds takes; one that burns it is no oracle.
ORACLE_GAS: constant(uint256) = 1_000_000
# With this much left, 63/64 of it are ORACLE_GAS at least.
_ORACLE_GAS_FLOOR: constant(uint256) = 1_030_000
_RATE_GAS_FLOOR: constant(uint256) = 110_000


@external
@view
def market(vault: address) -> IVaultLens.MarketView:
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    sheet: IMarginVault.BalanceSheet = staticcall IMarginVault(vault).current_balance_sheet()
    view: IVaultLens.MarketView = empty(IVaultLens.MarketView)
    view.params = params
    view.sheet = sheet
    view.total_debt = balance_sheet._total_debt_up(sheet)
    view.claims = balance_sheet._scaled_claims(sheet) // fixed_point.WAD
    view.reserve = balance_sheet._reserve_down(sheet)
    view.excess = self._excess(view.reserve, view.total_debt, params.reserve_target)
    view.utilisation = self._utilisation(sheet)
    view.borrow_rate, view.rate_is_fallback = self._borrow_rate(params, sheet.cash, view.total_debt)
    # A rate is below 2**37; utilisation and the lenders' share are at most 1e18.
    view.supply_rate = (
        view.borrow_rate * view.utilisation * (fixed_point.WAD - params.reserve_factor) // fixed_point.PRICE_SCALE
    )
    view.index_is_full = max(sheet.debt_index, sheet.supply_index) == balance_sheet.MAX_INDEX
    view.price_low, view.price_high = self._quote(params.oracle)
    view.supply_cap, view.debt_cap, view.paused_until = staticcall IMarginVault(vault).current_limits()
    view.curator = staticcall IMarginVault(vault).curator()
    view.guardian = staticcall IMarginVault(vault).guardian()
    view.pending_curator = staticcall IMarginVault(vault).pending_curator()
    view.pending_collection, view.announced_at = staticcall IMarginVault(vault).pending_collection()
    return view


@external
@view
def positions(
    vault: address, position_ids: DynArray[uint256, MAX_POSITIONS]
) -> DynArray[IVaultLens.PositionView, MAX_POSITIONS]:
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    debt_index: uint256 = (staticcall IMarginVault(vault).current_balance_sheet()).debt_index
    high: uint256 = self._quote(params.oracle)[1]
    views: DynArray[IVaultLens.PositionView, MAX_POSITIONS] = []
    # No helper around the body: it would cost 300 gas a position, to copy what it takes and gives.
    for position_id: uint256 in position_ids:
        # The calls above have shown that there is a contract.
        fields: position_slot.PositionSlot = position_slot._unpack(
            staticcall IMarginVault(vault).slot(position_id, skip_contract_check=True)
        )
        debt: uint256 = health._debt_up(fields.scaled_debt, debt_index)
        collateral_value: uint256 = health._value_down(fields.collateral, high)
        health_down: uint256 = max_value(uint256)
        liquidation_price: uint256 = 0
        if debt != 0:
            # value < 2**137, LTV < 2**60; at least one exactly when healthy.
            health_down = unsafe_div(unsafe_mul(collateral_value, params.liquidation_ltv), debt)
            liquidation_price = health._backing_needed_up(debt, fields.collateral, params.liquidation_ltv)
        views.append(
            IVaultLens.PositionView(
                collateral=fields.collateral,
                debt=debt,
                ltv=health._ltv_up(debt, collateral_value),
                health=health_down,
                liquidation_price=liquidation_price,
                liquidatable=high != 0
                and health_down < fixed_point.WAD
                and fields.last_risk_increase < block.timestamp,
            )
        )
    return views


@external
@view
def preview_liquidations(
    vault: address, position_ids: DynArray[uint256, MAX_POSITIONS]
) -> DynArray[IMarginVault.Liquidation, MAX_POSITIONS]:
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    risk: liquidation.RiskParams = self._risk(params)
    debt_index: uint256 = (staticcall IMarginVault(vault).current_balance_sheet()).debt_index
    high: uint256 = self._quote(params.oracle)[1]
    outcomes: DynArray[IMarginVault.Liquidation, MAX_POSITIONS] = []
    for position_id: uint256 in position_ids:
        fields: position_slot.PositionSlot = self._load(vault, position_id)
        if fields.last_risk_increase < block.timestamp and self._is_unhealthy(fields, debt_index, high, risk):
            outcomes.append(liquidation._liquidate(fields, debt_index, high, max_value(uint256), risk))
        else:
            outcomes.append(empty(IMarginVault.Liquidation))
    return outcomes


@external
@view
def pending_loss(vault: address, position_ids: DynArray[uint256, MAX_POSITIONS]) -> IVaultLens.PendingLoss:
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    risk: liquidation.RiskParams = self._risk(params)
    sheet: IMarginVault.BalanceSheet = staticcall IMarginVault(vault).current_balance_sheet()
    pending: IVaultLens.PendingLoss = empty(IVaultLens.PendingLoss)
    pending.price = self._quote(params.oracle)[1]
    for position_id: uint256 in position_ids:
        fields: position_slot.PositionSlot = self._load(vault, position_id)
        # A risk that rose in this block shields from liquidation for this block only: the loss is there all the same.
        if self._is_unhealthy(fields, sheet.debt_index, pending.price, risk):
            outcome: IMarginVault.Liquidation = liquidation._liquidate(
                fields, sheet.debt_index, pending.price, max_value(uint256), risk
            )
            if outcome.loss != 0:
                pending.insolvent += 1
                pending.loss += outcome.loss
                pending.cut += outcome.cut
    pending.from_reserve = min(pending.loss, balance_sheet._reserve_down(sheet) + pending.cut)
    pending.from_lenders = pending.loss - pending.from_reserve
    return pending


# ---- positions -------------------------------------------------------------------------------------------------------

@internal
@view
def _load(vault: address, position_id: uint256) -> position_slot.PositionSlot:
    # The calls before this one have shown that there is a contract.
    return position_slot._unpack(staticcall IMarginVault(vault).slot(position_id, skip_contract_check=True))


@internal
@pure
def _is_unhealthy(
    fields: position_slot.PositionSlot, debt_index: uint256, high: uint256, risk: liquidation.RiskParams
) -> bool:
    if high == 0 or fields.scaled_debt == 0:
        return False
    return not health._is_healthy(
        health._debt_up(fields.scaled_debt, debt_index),
        health._value_down(fields.collateral, high),
        risk.liquidation_ltv,
    )


@internal
@pure
def _risk(params: IMarginVault.VaultParams) -> liquidation.RiskParams:
    return liquidation.RiskParams(
        liquidation_ltv=params.liquidation_ltv,
        target_ltv=params.target_ltv,
        base_bonus=params.base_bonus,
        beta_max=params.beta_max,
        reserve_cut=params.reserve_cut,
        min_debt=params.min_debt,
    )


# ---- the market ------------------------------------------------------------------------------------------------------

@internal
@pure
def _excess(reserve: uint256, total_debt: uint256, reserve_target: uint256) -> uint256:
    """
    @notice The reserve above `ceil(total_debt * reserve_target)`, asset units.
    """
    kept: uint256 = fixed_point._div_up(total_debt * reserve_target, fixed_point.WAD)
    return max(reserve, kept) - kept


@internal
@pure
def _utilisation(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice Total debt over cash and total debt, 1e18, rounded down; 0 for an empty vault.
    """
    assets: uint256 = balance_sheet._scaled_assets(sheet)
    if assets == 0:
        return 0
    # Each below 2**180, see balance_sheet; with 1e18 below 2**240.
    return fixed_point.WAD * sheet.total_scaled_debt * sheet.debt_index // assets


@internal
@view
def _borrow_rate(params: IMarginVault.VaultParams, cash: uint256, debt: uint256) -> (uint256, bool):
    """
    @notice What accrual will use from now on, and whether it is the fallback: asked just as accrual asks.
    """
    if msg.gas < _RATE_GAS_FLOOR:
        errors._raise(errors.NOT_ENOUGH_GAS)
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        params.rate_model,
        abi_encode(cash, debt, method_id=method_id("borrow_rate(uint256,uint256)")),
        max_outsize=32,
        gas=accrual.RATE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 32:
        return params.fallback_rate, True
    return min(convert(response, uint256), accrual.MAX_RATE), False


@internal
@view
def _quote(oracle: address) -> (uint256, uint256):
    """
    @notice Low and high, 1e36; zeros when the oracle reverts, burns its gas or answers nonsense.
    """
    if msg.gas < _ORACLE_GAS_FLOOR:
        errors._raise(errors.NOT_ENOUGH_GAS)
    success: bool = False
    response: Bytes[64] = b""
    success, response = raw_call(
        oracle,
        method_id("quote()"),
        max_outsize=64,
        gas=ORACLE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 64:
        return 0, 0
    low: uint256 = 0
    high: uint256 = 0
    low, high = abi_decode(response, (uint256, uint256))
    if low > high:
        return 0, 0
    return low, high
