# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title lender_shares
@license GNU Affero General Public License v3.0 only
@notice The lender side: ERC-4626 + ERC-20 + ERC-2612 over the books. Own code, because the total supply is a field of a
        packed word.
@dev A share is worth the supply index, never a balance: a donation changes no view, so there is no inflation attack and
     no virtual share (BOOK-5). Every conversion rounds against the caller (RND-1).
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from ..interfaces import IMarginVault
from . import accrual
from . import balance_sheet
from . import errors
from . import fixed_point
from . import limits
from . import signatures
from . import tokens

uses: accrual
uses: balance_sheet
uses: limits
uses: signatures
uses: tokens


# Below it, after a near-total loss, a share is too fine a unit to sell.
MIN_SUPPLY_INDEX: constant(uint256) = 10**12
_PERMIT_TYPEHASH: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)

name: public(immutable(String[50]))
symbol: public(immutable(String[32]))
decimals: public(immutable(uint8))

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(name_: String[50], symbol_: String[32], decimals_: uint8):
    name = name_
    symbol = symbol_
    decimals = decimals_


# ---- ERC-4626: fund --------------------------------------------------------------------------------------------------

@external
def deposit(assets: uint256, receiver: address) -> uint256:
    return self._enter(assets, 0, receiver)[1]


@external
def mint(shares: uint256, receiver: address) -> uint256:
    return self._enter(0, shares, receiver)[0]


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    return self._leave(assets, 0, receiver, owner)[1]


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    return self._leave(0, shares, receiver, owner)[0]


@internal
def _enter(assets_in: uint256, shares_out: uint256, receiver: address) -> (uint256, uint256):
    """
    @notice Takes assets for new shares; one of the two amounts is given, the other is 0 and follows.
    """
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    assets: uint256 = assets_in
    shares: uint256 = shares_out
    errors._check_width(assets | shares)
    if assets != 0:
        shares = self._to_shares_down(assets, sheet.supply_index)
    else:
        assets = self._to_assets_up(shares, sheet.supply_index)
    if sheet.supply_index < MIN_SUPPLY_INDEX:
        errors._raise(errors.SUPPLY_INDEX_IS_TOO_LOW)
    errors._check_not_zero(shares)
    errors._check_receiver(receiver)
    fields: limits.Limits = limits._load()
    limits._check_not_paused(fields)
    # Each below 2**122.
    if unsafe_add(unsafe_add(sheet.cash, balance_sheet._total_debt_up(sheet)), assets) > fields.supply_cap:
        errors._raise(errors.SUPPLY_CAP_IS_FULL)

    # cash + assets <= supply_cap; both shares below 2**124, and the store refuses what is too wide.
    sheet.cash = unsafe_add(sheet.cash, assets)
    sheet.total_shares = unsafe_add(sheet.total_shares, shares)
    accrual._store(sheet)
    # A balance is at most total_shares.
    self.balanceOf[receiver] = unsafe_add(self.balanceOf[receiver], shares)
    tokens._pull(tokens.ASSET, assets)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    log IERC20.Transfer(sender=empty(address), receiver=receiver, value=shares)
    return assets, shares


@internal
def _leave(assets_out: uint256, shares_in: uint256, receiver: address, owner: address) -> (uint256, uint256):
    """
    @notice Pays assets for shares; one of the two amounts is given, the other is 0 and follows.
    """
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    assets: uint256 = assets_out
    shares: uint256 = shares_in
    errors._check_width(assets | shares)
    if assets != 0:
        shares = self._to_shares_up(assets, sheet.supply_index)
    else:
        assets = self._to_assets_down(shares, sheet.supply_index)
    errors._check_not_zero(shares)
    if msg.sender != owner:
        self._spend_allowance(owner, shares)
    balance: uint256 = self.balanceOf[owner]
    errors._check_shares(shares, balance)
    errors._check_cash(assets, sheet.cash)

    self.balanceOf[owner] = unsafe_sub(balance, shares)
    # assets <= cash; shares <= balance <= total_shares.
    sheet.cash = unsafe_sub(sheet.cash, assets)
    sheet.total_shares = unsafe_sub(sheet.total_shares, shares)
    accrual._store(sheet)
    tokens._push(tokens.ASSET, receiver, assets)
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    log IERC20.Transfer(sender=owner, receiver=empty(address), value=shares)
    return assets, shares


# ---- ERC-20 and ERC-2612: hand on ------------------------------------------------------------------------------------

@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._transfer(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self._spend_allowance(owner, amount)
    self._transfer(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    self._approve(msg.sender, spender, amount)
    return True


@external
def permit(
    owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    nonce: uint256 = signatures._use_nonce(owner, deadline)
    struct_hash: bytes32 = keccak256(abi_encode(_PERMIT_TYPEHASH, owner, spender, amount, nonce, deadline))
    signatures._check(owner, struct_hash, v, r, s)
    self._approve(owner, spender, amount)


@internal
def _transfer(owner: address, receiver: address, amount: uint256):
    errors._check_receiver(receiver)
    balance: uint256 = self.balanceOf[owner]
    errors._check_shares(amount, balance)
    self.balanceOf[owner] = unsafe_sub(balance, amount)
    # A balance is at most total_shares < 2**104; read after the write above, since owner may be receiver.
    self.balanceOf[receiver] = unsafe_add(self.balanceOf[receiver], amount)
    log IERC20.Transfer(sender=owner, receiver=receiver, value=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)


@internal
def _spend_allowance(owner: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][msg.sender]
    if allowed != max_value(uint256):
        if amount > allowed:
            errors._raise(errors.NOT_ENOUGH_ALLOWANCE)
        self.allowance[owner][msg.sender] = unsafe_sub(allowed, amount)


# ---- ERC-4626: read --------------------------------------------------------------------------------------------------

@external
@view
def asset() -> address:
    return tokens.ASSET


@external
@view
def totalSupply() -> uint256:
    sheet: IMarginVault.BalanceSheet = balance_sheet._load()
    return sheet.total_shares


@external
@view
def totalAssets() -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return unsafe_div(balance_sheet._scaled_claims(sheet), fixed_point.WAD)


@external
@view
def convertToShares(assets: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_shares_down(assets, sheet.supply_index)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_assets_down(shares, sheet.supply_index)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_shares_down(assets, sheet.supply_index)


@external
@view
def previewMint(shares: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_assets_up(shares, sheet.supply_index)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_shares_up(assets, sheet.supply_index)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._to_assets_down(shares, sheet.supply_index)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return self._max_deposit(sheet)


@external
@view
def maxMint(receiver: address) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    assets: uint256 = self._max_deposit(sheet)
    return self._to_shares_down(assets, sheet.supply_index)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return min(self._to_assets_down(self.balanceOf[owner], sheet.supply_index), sheet.cash)


@external
@view
def maxRedeem(owner: address) -> uint256:
    sheet: IMarginVault.BalanceSheet = accrual._now()
    # The last shares whose floor is within cash.
    return min(self.balanceOf[owner], self._to_shares_down(sheet.cash, sheet.supply_index))


@internal
@view
def _max_deposit(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice What fits under the supply cap and the width of the total shares, asset units; at least one share's worth or 0.
    """
    fields: limits.Limits = limits._load()
    # Each below 2**122.
    supply: uint256 = unsafe_add(sheet.cash, balance_sheet._total_debt_up(sheet))
    if sheet.supply_index < MIN_SUPPLY_INDEX or limits._is_paused(fields) or supply >= fields.supply_cap:
        return 0
    # total_shares <= MAX_SHARES by the store.
    room: uint256 = self._to_assets_down(unsafe_sub(balance_sheet.MAX_SHARES, sheet.total_shares), sheet.supply_index)
    largest: uint256 = min(unsafe_sub(fields.supply_cap, supply), room)
    if self._to_shares_down(largest, sheet.supply_index) == 0:
        return 0
    return largest


@internal
@pure
def _to_shares_down(assets: uint256, supply_index: uint256) -> uint256:
    """
    @notice `floor(assets * 1e18 / supply_index)`, shares; 0 when shares are worthless.
    """
    if supply_index == 0:
        return 0
    return assets * fixed_point.WAD // supply_index


@internal
@pure
def _to_shares_up(assets: uint256, supply_index: uint256) -> uint256:
    """
    @notice `ceil(assets * 1e18 / supply_index)`, shares; more than there can be when shares are worthless.
    """
    if supply_index == 0:
        return balance_sheet.MAX_ASSETS
    return fixed_point._div_up(assets * fixed_point.WAD, supply_index)


@internal
@pure
def _to_assets_down(shares: uint256, supply_index: uint256) -> uint256:
    """
    @notice `floor(shares * supply_index / 1e18)`, asset units.
    """
    return shares * supply_index // fixed_point.WAD


@internal
@pure
def _to_assets_up(shares: uint256, supply_index: uint256) -> uint256:
    """
    @notice `ceil(shares * supply_index / 1e18)`, asset units.
    """
    return (shares * supply_index + fixed_point.WAD_UP) // fixed_point.WAD
