# pragma version 0.4.3
# pragma optimize codesize
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title MarginVault
@license GNU Affero General Public License v3.0 only
@notice One market of isolated margin: traders borrow the asset against collateral that is ring-fenced position by
        position; lenders fund it through ERC-4626 shares.
@dev Composes the modules and holds no formula and no mask. Each call walks in the same order: authorise, accrue,
     effects, push tokens, call back, pull tokens, check against the oracle, log. Keeps ISO-1..6, BOOK-1..7, LIQ-1..7.
     Compiled for size, which differs from gas only in how the selector is found, about 120 gas a call.
@custom:security Locked against re-entry (transient storage) during every external call; state is final before each.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626

from .interfaces import IAdjustCallback
from .interfaces import ILiquidateCallback
from .interfaces import IMarginVault
from .modules import errors
from .modules import accrual
from .modules import authority
from .modules import balance_sheet
from .modules import health
from .modules import lender_shares
from .modules import limits
from .modules import liquidation
from .modules import market
from .modules import operators
from .modules import position_slot
from .modules import position_views
from .modules import signatures
from .modules import tokens

implements: IERC20
implements: IERC4626
implements: IMarginVault

initializes: accrual[balance_sheet := balance_sheet]
initializes: authority[accrual := accrual, limits := limits, tokens := tokens]
initializes: balance_sheet
initializes: lender_shares[
    accrual := accrual,
    balance_sheet := balance_sheet,
    limits := limits,
    signatures := signatures,
    tokens := tokens,
]
initializes: limits
initializes: market
initializes: operators[signatures := signatures]
initializes: position_slot
initializes: position_views[
    accrual := accrual, limits := limits, market := market, position_slot := position_slot
]
initializes: signatures
initializes: tokens

exports: authority.__interface__
exports: lender_shares.__interface__
exports: operators.__interface__
exports: position_views.__interface__
exports: signatures.__interface__


# More than any debt, asset units.
_REPAY_ALL: constant(uint256) = 2**127



@deploy
def __init__(
    params: IMarginVault.VaultParams,
    supply_cap: uint256,
    debt_cap: uint256,
    curator: address,
    guardian: address,
    name: String[50],
    symbol: String[32],
):
    """
    @notice The factory checks every bound of the parameters; this constructor takes them as they are.
    """
    accrual.__init__(params.rate_model, params.fallback_rate, params.reserve_factor)
    authority.__init__(params.reserve_target, curator, guardian)
    balance_sheet.__init__()
    lender_shares.__init__(name, symbol, staticcall IERC20Detailed(params.asset).decimals())
    limits.__init__(supply_cap, debt_cap)
    log IMarginVault.CapsSet(supply_cap=supply_cap, debt_cap=debt_cap)
    market.__init__(params)
    signatures.__init__(name)
    tokens.__init__(params.asset, params.collateral_token)


# ---- open, adjust, close ---------------------------------------------------------------------------------------------

@external
def adjust(
    position_id: uint256, collateral_delta: int256, debt_delta: int256, receiver: address, data: Bytes[1024]
) -> (int256, int256):
    owner: address = self._owner(position_id)
    max_value_out: uint256 = operators._authorise(owner, debt_delta > 0, collateral_delta < 0, debt_delta < 0)
    return self._adjust(position_id, collateral_delta, debt_delta, receiver, data, max_value_out)


@external
def close(position_id: uint256, receiver: address, data: Bytes[1024]) -> (int256, int256):
    operators._authorise_close(self._owner(position_id))
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    all_collateral: int256 = self._negative(fields.collateral)
    all_debt: int256 = self._negative(_REPAY_ALL)
    return self._adjust(position_id, all_collateral, all_debt, receiver, data, operators.NO_BOUND)


@external
def top_up(position_id: uint256, amount: uint256):
    errors._check_not_zero(amount)
    word: uint256 = position_slot._add_collateral(position_id, amount)
    tokens._pull(tokens.COLLATERAL, amount)
    log IMarginVault.ToppedUp(position_id=position_id, amount=amount, slot=word)


@external
def repay(position_id: uint256, amount: uint256) -> uint256:
    most: int256 = self._negative(min(amount, _REPAY_ALL))
    moved: int256 = self._adjust(position_id, 0, most, empty(address), b"", operators.NO_BOUND)[1]
    return self._split(moved)[1]


@internal
def _adjust(
    position_id: uint256,
    collateral_delta: int256,
    debt_delta: int256,
    receiver: address,
    data: Bytes[1024],
    max_value_out: uint256,
) -> (int256, int256):
    """
    @notice The one primitive behind `adjust`, `close` and `repay`.
    @param max_value_out value of collateral that may leave, in 1e4 of what is repaid
    """
    before: position_slot.PositionSlot = position_slot._load(position_id)
    after: position_slot.PositionSlot = before
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    added: uint256 = 0
    removed: uint256 = 0
    added, removed = self._split(collateral_delta)
    borrowed: uint256 = 0
    repaid: uint256 = 0
    borrowed, repaid = self._split(debt_delta)
    errors._check_not_zero(added | removed | borrowed | repaid)
    moved_debt: int256 = debt_delta

    if removed > before.collateral:
        errors._raise(errors.NOT_ENOUGH_COLLATERAL)
    # At most 2**255 + 2**112; the store refuses what is too wide.
    after.collateral = unsafe_add(unsafe_sub(before.collateral, removed), added)
    if borrowed != 0:
        if after.collateral == 0:
            errors._raise(errors.POSITION_IS_NOT_OPEN)
        errors._check_cash(borrowed, sheet.cash)
        scaled: uint256 = health._scaled_up(borrowed, sheet.debt_index)
        # Each below 2**113; the stores refuse sums above 2**104.
        after.scaled_debt = unsafe_add(before.scaled_debt, scaled)
        sheet.total_scaled_debt = unsafe_add(sheet.total_scaled_debt, scaled)
        sheet.cash = unsafe_sub(sheet.cash, borrowed)
    elif repaid != 0:
        retired: uint256 = 0
        retired, repaid = health._repay_amounts(before.scaled_debt, sheet.debt_index, repaid, market.RISK.min_debt)
        moved_debt = self._negative(repaid)
        # retired <= scaled debt <= total scaled debt (BOOK-2); cash stays below 2**140, and
        # the store refuses what is too wide.
        after.scaled_debt = unsafe_sub(before.scaled_debt, retired)
        sheet.total_scaled_debt = unsafe_sub(sheet.total_scaled_debt, retired)
        sheet.cash = unsafe_add(sheet.cash, repaid)

    takes_risk: bool = borrowed != 0 or (
        removed != 0 and after.scaled_debt != 0 and not self._is_reduce_only(before, after)
    )
    debt: uint256 = health._debt_up(after.scaled_debt, sheet.debt_index)
    if takes_risk:
        after.last_risk_increase = block.timestamp
        self._check_new_risk(sheet, debt, borrowed != 0)
    word: uint256 = position_slot._store(position_id, after)
    if borrowed != 0 or repaid != 0:
        balance_sheet._store(sheet)
    else:
        # No total changed: the books stay as they are, and the event says so.
        sheet = balance_sheet._load()

    if removed != 0:
        tokens._push(tokens.COLLATERAL, receiver, removed)
    if borrowed != 0:
        tokens._push(tokens.ASSET, receiver, borrowed)
    if len(data) != 0:
        extcall IAdjustCallback(msg.sender).on_adjust(position_id, collateral_delta, moved_debt, data)
    if added != 0:
        tokens._pull(tokens.COLLATERAL, added)
    if repaid != 0:
        tokens._pull(tokens.ASSET, repaid)

    if takes_risk or max_value_out != operators.NO_BOUND:
        low: uint256 = 0
        high: uint256 = 0
        low, high = market._quote()
        if takes_risk:
            errors._check_price(low)
            collateral_value: uint256 = health._value_down(after.collateral, low)
            if not health._is_healthy(debt, collateral_value, market.INITIAL_LTV):
                errors._raise(errors.LTV_IS_ABOVE_INITIAL)
        if max_value_out != operators.NO_BOUND:
            errors._check_price(high)
            # One more than the floor is at least the value; both sides below 2**152.
            if unsafe_mul(unsafe_add(health._value_down(removed, high), 1), 10_000) > unsafe_mul(repaid, max_value_out):
                errors._raise(errors.OPERATOR_LOSS_BOUND_EXCEEDED)
    log IMarginVault.Adjusted(
        account=self._owner(position_id),
        position_id=position_id,
        caller=msg.sender,
        collateral_delta=collateral_delta,
        debt_delta=moved_debt,
        slot=word,
        debt_index=sheet.debt_index,
        supply_index=sheet.supply_index,
    )
    return collateral_delta, moved_debt


@internal
@pure
def _split(delta: int256) -> (uint256, uint256):
    """
    @notice A signed amount as what comes and what goes.
    """
    if delta >= 0:
        return convert(delta, uint256), 0
    # -(delta + 1) is at least 0 and at most 2**255 - 1.
    return 0, unsafe_add(convert(unsafe_sub(-1, delta), uint256), 1)


@internal
@pure
def _negative(amount: uint256) -> int256:
    """
    @notice An amount that goes, signed. Valid below 2**255.
    """
    return unsafe_sub(0, convert(amount, int256))


@internal
@pure
def _is_reduce_only(before: position_slot.PositionSlot, after: position_slot.PositionSlot) -> bool:
    """
    @notice Debt fell, and no faster did the collateral: lenders are no worse off at any price.
    """
    # 2**104 * 2**112.
    return after.scaled_debt < before.scaled_debt and unsafe_mul(
        after.scaled_debt, before.collateral
    ) <= unsafe_mul(before.scaled_debt, after.collateral)


@internal
@view
def _check_new_risk(sheet: IMarginVault.BalanceSheet, debt: uint256, debt_grows: bool):
    """
    @notice The rules for taking on risk that need no price: pause, dust and, when debt grows, the caps.
    """
    fields: limits.Limits = limits._load()
    limits._check_not_paused(fields)
    if debt < market.RISK.min_debt:
        errors._raise(errors.DEBT_IS_BELOW_MIN_DEBT)
    if debt_grows:
        total_debt: uint256 = balance_sheet._total_debt_up(sheet)
        if total_debt > fields.debt_cap:
            errors._raise(errors.DEBT_CAP_IS_FULL)
        balance_sheet._check_room(sheet.cash, total_debt)


# ---- liquidate -------------------------------------------------------------------------------------------------------

@external
def liquidate(
    position_id: uint256, max_repay: uint256, min_seized: uint256, receiver: address, data: Bytes[1024]
) -> (uint256, uint256):
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    if fields.last_risk_increase >= block.timestamp:
        errors._raise(errors.RISK_ROSE_IN_THIS_BLOCK)
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    high: uint256 = market._high()
    outcome: IMarginVault.Liquidation = liquidation._liquidate(fields, sheet.debt_index, high, max_repay, market.RISK)
    if outcome.seized < min_seized:
        errors._raise(errors.SEIZED_IS_BELOW_MIN_SEIZED)

    # Seized <= collateral and retired <= scaled debt <= total (see liquidation); each payment below 2**138.
    fields.collateral = unsafe_sub(fields.collateral, outcome.seized)
    fields.scaled_debt = unsafe_sub(fields.scaled_debt, outcome.scaled_retired)
    word: uint256 = position_slot._store(position_id, fields)
    paid: uint256 = unsafe_add(outcome.repaid, outcome.cut)
    sheet.total_scaled_debt = unsafe_sub(sheet.total_scaled_debt, outcome.scaled_retired)
    sheet.cash = unsafe_add(sheet.cash, paid)
    # Also where no loss shows in whole units: what was retired may exceed what was paid by a part of one.
    supply_index: uint256 = balance_sheet._socialise(sheet)
    if supply_index != sheet.supply_index:
        log IMarginVault.LossSocialised(
            position_id=position_id, amount=balance_sheet._claims_lost_up(sheet, supply_index)
        )
        sheet.supply_index = supply_index
    balance_sheet._store(sheet)

    tokens._push(tokens.COLLATERAL, receiver, outcome.seized)
    if len(data) != 0:
        extcall ILiquidateCallback(msg.sender).on_liquidate(position_id, outcome.seized, paid, data)
    tokens._pull(tokens.ASSET, paid)
    log IMarginVault.Liquidated(
        account=self._owner(position_id),
        position_id=position_id,
        liquidator=msg.sender,
        seized=outcome.seized,
        repaid=outcome.repaid,
        cut=outcome.cut,
        loss=outcome.loss,
        slot=word,
        debt_index=sheet.debt_index,
        supply_index=sheet.supply_index,
    )
    return outcome.seized, paid


# ---- books -----------------------------------------------------------------------------------------------------------

@external
def accrue():
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    accrual._store(sheet)


@external
def fund_reserve(amount: uint256):
    errors._check_amount(amount)
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    # Each below 2**122.
    sheet.cash = unsafe_add(sheet.cash, amount)
    total_debt: uint256 = balance_sheet._total_debt_up(sheet)
    balance_sheet._check_room(sheet.cash, total_debt)
    accrual._store(sheet)
    tokens._pull(tokens.ASSET, amount)
    log IMarginVault.ReserveFunded(caller=msg.sender, amount=amount)


# ---- read ------------------------------------------------------------------------------------------------------------

@external
@view
def parameters() -> IMarginVault.VaultParams:
    return IMarginVault.VaultParams(
        collateral_token=tokens.COLLATERAL,
        asset=tokens.ASSET,
        oracle=market.ORACLE,
        rate_model=accrual.RATE_MODEL,
        initial_ltv=market.INITIAL_LTV,
        target_ltv=market.RISK.target_ltv,
        liquidation_ltv=market.RISK.liquidation_ltv,
        base_bonus=market.RISK.base_bonus,
        beta_max=market.RISK.beta_max,
        reserve_cut=market.RISK.reserve_cut,
        reserve_factor=accrual.RESERVE_FACTOR,
        reserve_target=authority.RESERVE_TARGET,
        fallback_rate=accrual.FALLBACK_RATE,
        min_debt=market.RISK.min_debt,
    )


@external
@view
def current_balance_sheet() -> IMarginVault.BalanceSheet:
    return accrual._now()


@external
@view
def current_limits() -> (uint256, uint256, uint256):
    fields: limits.Limits = limits._load()
    return fields.supply_cap, fields.debt_cap, fields.paused_until


@internal
@pure
def _owner(position_id: uint256) -> address:
    return convert(position_id >> 96, address)
