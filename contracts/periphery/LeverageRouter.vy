# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title LeverageRouter
@license GNU Affero General Public License v3.0 only
@notice Opens, grows, shrinks and closes a trader's leveraged positions in one transaction each, through Uniswap v3. A
        short is a long in the mirrored vault.
@dev The pool delivers first, and the vault pays it: in the pool's callback both amounts of the trade are known, so the
     position changes by exactly them, nothing is borrowed for slippage, nothing is left over, and the vault's LTV check
     sees the real trade. The vault's own callback is not needed. Debt that a trade takes on goes from the vault to the
     pool, and never through here.
     Tokens leave a wallet only in a call that its owner made (ISO-2): every function takes from, acts for and pays
     msg.sender alone, and derives the position from it.
@custom:security Holds nothing between transactions and leaves no allowance. Calls only the registry, its vaults, their
                 two tokens, WETH, and pools of Uniswap's factory, with selectors of its own. Its one callback accepts
                 only the pool that it is calling, once. Locked against re-entry throughout; whatever a token or a
                 route does, only the caller's funds of this call are here.
"""

from ethereum.ercs import IERC20

from ..interfaces import ILeverageRouter
from ..interfaces import IMarginVault
from ..interfaces import IUniswapV3SwapCallback
from ..interfaces import IVaultFactory
from ..interfaces import IWrappedEther
from ..modules import tokens
from . import uniswap_swaps

implements: ILeverageRouter
implements: IUniswapV3SwapCallback

initializes: uniswap_swaps


# What the pool's callback must know of the call in progress.
struct Order:
    reduces: bool
    closes: bool
    vault: address
    collateral_token: address
    asset: address
    position_id: uint256
    # Margin in here, collateral units and asset units.
    margin_collateral: uint256
    margin_asset: uint256
    # Collateral that leaves the position besides what is sold; all of it when the position is closed.
    withdrawal: uint256
    # All of it, when the position is closed, asset units.
    debt: uint256


registry: public(immutable(address))
weth: public(immutable(address))

_order: transient(Order)
# What the vault took of a repayment, asset units.
_repaid: transient(uint256)


@deploy
def __init__(registry_: address, uniswap_factory: address, weth_: address):
    """
    @param registry_ the `VaultFactory`, address
    @param uniswap_factory Uniswap v3's factory, address
    @param weth_ WETH9, address
    """
    registry = registry_
    weth = weth_
    uniswap_swaps.__init__(uniswap_factory)


@payable
@external
@reentrant
def __default__():
    """
    @notice Takes ether that is being unwrapped.
    """
    assert msg.sender == weth, "caller is not WETH"


# ---- open, increase --------------------------------------------------------------------------------------------------

@payable
@external
def open(
    vault: address,
    salt: uint96,
    margin_token: address,
    margin: uint256,
    swap: ILeverageRouter.Swap,
    deadline: uint256,
    permit: ILeverageRouter.Permit = empty(ILeverageRouter.Permit),
    grant: ILeverageRouter.Grant = empty(ILeverageRouter.Grant),
) -> (uint256, uint256):
    order: Order = self._begin(vault, salt, deadline, grant)
    assert staticcall IMarginVault(vault).slot(order.position_id) == 0, "position is already open"
    return self._increase(order, margin_token, margin, swap, permit)


@payable
@external
def increase(
    vault: address,
    salt: uint96,
    margin_token: address,
    margin: uint256,
    swap: ILeverageRouter.Swap,
    deadline: uint256,
    permit: ILeverageRouter.Permit = empty(ILeverageRouter.Permit),
    grant: ILeverageRouter.Grant = empty(ILeverageRouter.Grant),
) -> (uint256, uint256):
    order: Order = self._begin(vault, salt, deadline, grant)
    self._check_open(order)
    return self._increase(order, margin_token, margin, swap, permit)


@payable
@internal
def _increase(
    begun: Order,
    margin_token: address,
    margin: uint256,
    swap: ILeverageRouter.Swap,
    permit: ILeverageRouter.Permit,
) -> (uint256, uint256):
    order: Order = begun
    if margin_token == order.collateral_token:
        order.margin_collateral = margin
    elif margin_token == order.asset:
        order.margin_asset = margin
    else:
        raise "margin token is not the vault's"
    self._take_margin(margin_token, margin, permit)
    self._order = order
    sold: uint256 = 0
    bought: uint256 = 0
    sold, bought = uniswap_swaps._swap(
        swap.path, order.asset, order.collateral_token, swap.exact_in, swap.amount, swap.limit
    )
    # The callback has added and subtracted the same.
    collateral_added: uint256 = unsafe_add(bought, order.margin_collateral)
    debt_added: uint256 = unsafe_sub(sold, order.margin_asset)
    log ILeverageRouter.Increased(
        account=msg.sender,
        vault=order.vault,
        position_id=order.position_id,
        margin_token=margin_token,
        margin=margin,
        sold=sold,
        bought=bought,
        collateral_added=collateral_added,
        debt_added=debt_added,
    )
    return collateral_added, debt_added


@payable
@internal
def _take_margin(token: address, amount: uint256, permit: ILeverageRouter.Permit):
    """
    @notice Brings the margin in: the ether sent along, or the caller's tokens.
    """
    if msg.value != 0:
        assert token == weth and msg.value == amount, "value is not the margin"
        extcall IWrappedEther(weth).deposit(value=amount)
        return
    if permit.deadline != 0:
        # Somebody may have used the signature before: what counts is the allowance.
        _success: bool = raw_call(
            token,
            abi_encode(
                msg.sender,
                self,
                permit.amount,
                permit.deadline,
                permit.v,
                permit.r,
                permit.s,
                method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
            ),
            revert_on_failure=False,
        )
        assert staticcall IERC20(token).allowance(msg.sender, self) >= amount, "permit is invalid"
    if amount != 0:
        tokens._pull(token, amount)


# ---- decrease, close -------------------------------------------------------------------------------------------------

@external
def decrease(
    vault: address,
    salt: uint96,
    withdrawal: uint256,
    swap: ILeverageRouter.Swap,
    deadline: uint256,
    native: bool,
    grant: ILeverageRouter.Grant = empty(ILeverageRouter.Grant),
) -> (uint256, uint256):
    order: Order = self._begin(vault, salt, deadline, grant)
    self._check_open(order)
    # Below 2**255, as is what a pool trades: the sum fits, and `_signed` checks it again.
    assert withdrawal <= convert(max_value(int256), uint256), "amount exceeds its width"
    order.withdrawal = withdrawal
    return self._reduce(order, swap, native)


@external
def close(
    vault: address,
    salt: uint96,
    path: Bytes[uniswap_swaps.MAX_PATH],
    exact_in: bool,
    min_paid: uint256,
    deadline: uint256,
    native: bool,
    grant: ILeverageRouter.Grant = empty(ILeverageRouter.Grant),
) -> (uint256, uint256):
    order: Order = self._begin(vault, salt, deadline, grant)
    self._check_open(order)
    order.closes = True
    position: IMarginVault.Position = staticcall IMarginVault(vault).position(order.position_id)
    order.debt = position.debt
    order.withdrawal = position.collateral
    swap: ILeverageRouter.Swap = ILeverageRouter.Swap(path=path, exact_in=exact_in, amount=0, limit=0)
    if exact_in:
        assert min_paid <= convert(max_value(int256), uint256), "min_paid exceeds its width"
        swap.amount = position.collateral
        swap.limit = position.debt + min_paid
    else:
        assert min_paid <= position.collateral, "not enough collateral"
        swap.amount = position.debt
        swap.limit = unsafe_sub(position.collateral, min_paid)
    return self._reduce(order, swap, native)


@internal
def _reduce(begun: Order, swap: ILeverageRouter.Swap, native: bool) -> (uint256, uint256):
    order: Order = begun
    order.reduces = True
    assert not native or order.collateral_token == weth or order.asset == weth, "neither token is WETH"
    self._order = order
    sold: uint256 = 0
    bought: uint256 = 0
    if order.closes and swap.amount == 0:
        # Nothing to buy: somebody has repaid the debt.
        self._settle_reduction(self, 0, 0)
    else:
        sold, bought = uniswap_swaps._swap(
            swap.path, order.collateral_token, order.asset, swap.exact_in, swap.amount, swap.limit
        )
    removed: uint256 = self._removed(order, sold)
    # Sold <= removed, as `_removed` says; the vault takes no more than it was offered.
    collateral_paid: uint256 = unsafe_sub(removed, sold)
    asset_paid: uint256 = unsafe_sub(bought, self._repaid)
    self._pay(order.collateral_token, collateral_paid, native)
    self._pay(order.asset, asset_paid, native)
    log ILeverageRouter.Decreased(
        account=msg.sender,
        vault=order.vault,
        position_id=order.position_id,
        sold=sold,
        bought=bought,
        collateral_removed=removed,
        repaid=self._repaid,
        collateral_paid=collateral_paid,
        asset_paid=asset_paid,
    )
    return collateral_paid, asset_paid


@internal
def _pay(token: address, amount: uint256, native: bool):
    """
    @notice Pays the caller, in ether where that is wanted and can be.
    """
    if amount == 0:
        return
    if not native or token != weth:
        tokens._push(token, msg.sender, amount)
        return
    extcall IWrappedEther(weth).withdraw(amount)
    assert raw_call(msg.sender, b"", value=amount, revert_on_failure=False), "ether transfer failed"


# ---- settle ----------------------------------------------------------------------------------------------------------

@external
@reentrant
def uniswapV3SwapCallback(amount_0_delta: int256, amount_1_delta: int256, data: Bytes[uniswap_swaps.MAX_PATH]):
    if not uniswap_swaps._proceed(amount_0_delta, amount_1_delta, data):
        return
    if self._order.reduces:
        self._settle_reduction(msg.sender, uniswap_swaps._sold, uniswap_swaps._bought)
    else:
        self._settle_increase(msg.sender, uniswap_swaps._sold, uniswap_swaps._bought)


@internal
def _settle_increase(pool: address, sold: uint256, bought: uint256):
    """
    @notice The collateral goes into the position, and what it borrows to the pool.
    """
    order: Order = self._order
    assert sold >= order.margin_asset, "margin exceeds what is sold"
    collateral: uint256 = bought + order.margin_collateral
    self._approve(order.collateral_token, order.vault, collateral)
    extcall IMarginVault(order.vault).adjust(
        order.position_id,
        uniswap_swaps._signed(collateral),
        uniswap_swaps._signed(unsafe_sub(sold, order.margin_asset)),
        pool,
        b"",
    )
    if order.margin_asset != 0:
        tokens._push(order.asset, pool, order.margin_asset)


@internal
def _settle_reduction(pool: address, sold: uint256, bought: uint256):
    """
    @notice The assets repay debt, and the collateral that this frees goes to the pool.
    """
    order: Order = self._order
    removed: uint256 = self._removed(order, sold)
    offered: uint256 = bought
    if order.closes:
        # What was bought is the debt, or no less: the limit of the trade saw to that.
        offered = order.debt
    if offered != 0:
        self._approve(order.asset, order.vault, offered)
    # Where all that is freed was sold, it goes to the pool at once.
    receiver: address = self
    if removed == sold:
        receiver = pool
    moved_collateral: int256 = 0
    moved_debt: int256 = 0
    if order.closes:
        moved_collateral, moved_debt = extcall IMarginVault(order.vault).close(order.position_id, receiver, b"")
    else:
        moved_collateral, moved_debt = extcall IMarginVault(order.vault).adjust(
            order.position_id, -uniswap_swaps._signed(removed), -uniswap_swaps._signed(bought), receiver, b""
        )
    # A token on the route may have topped up the position in between.
    assert moved_collateral == -uniswap_swaps._signed(removed), "collateral has changed"
    repaid: uint256 = convert(-moved_debt, uint256)
    self._repaid = repaid
    if repaid != offered:
        self._approve(order.asset, order.vault, 0)
    if removed != sold and sold != 0:
        tokens._push(order.collateral_token, pool, sold)


@internal
@pure
def _removed(order: Order, sold: uint256) -> uint256:
    """
    @notice Collateral that leaves the position, at least `sold`: when it is closed, the limit of the trade saw to that.
    """
    if order.closes:
        return order.withdrawal
    return order.withdrawal + sold


@internal
def _approve(token: address, spender: address, amount: uint256):
    assert extcall IERC20(token).approve(spender, amount, default_return_value=True), "approval failed"


# ---- begin -----------------------------------------------------------------------------------------------------------

@internal
def _begin(vault: address, salt: uint96, deadline: uint256, grant: ILeverageRouter.Grant) -> Order:
    """
    @notice Checks the call, uses the caller's grant, and names the caller's position.
    """
    assert block.timestamp <= deadline, "deadline has passed"
    assert staticcall IVaultFactory(registry).is_vault(vault), "vault is unknown"
    if grant.deadline != 0:
        self._use_grant(vault, grant)
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    order: Order = empty(Order)
    order.vault = vault
    order.collateral_token = params.collateral_token
    order.asset = params.asset
    order.position_id = (convert(msg.sender, uint256) << 96) | convert(salt, uint256)
    return order


@internal
def _use_grant(vault: address, grant: ILeverageRouter.Grant):
    """
    @notice Hands the signature on; where somebody has done so before, what it grants must stand.
    @dev Always handed on, so that its nonce is used: an unused one would let a stranger undo a later revocation.
    """
    success: bool = raw_call(
        vault,
        abi_encode(
            msg.sender,
            self,
            grant.permissions,
            grant.max_loss_bps,
            grant.deadline,
            grant.v,
            grant.r,
            grant.s,
            method_id=method_id(
                "set_operator_with_signature(address,address,uint256,uint256,uint256,uint8,bytes32,bytes32)"
            ),
        ),
        revert_on_failure=False,
    )
    if success:
        return
    permissions: IMarginVault.Permission = empty(IMarginVault.Permission)
    max_loss_bps: uint256 = 0
    permissions, max_loss_bps = staticcall IMarginVault(vault).operator_permissions(msg.sender, self)
    if permissions != grant.permissions or max_loss_bps != grant.max_loss_bps:
        assert block.timestamp <= grant.deadline, "signature has expired"
        raise "signature is invalid"


@internal
@view
def _check_open(order: Order):
    assert staticcall IMarginVault(order.vault).slot(order.position_id) != 0, "position is not open"
