# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Liquidator
@license GNU Affero General Public License v3.0 only
@notice Liquidates for anybody, without capital: sells what the vault hands over through Uniswap v3, pays the vault out
        of it, and sends the profit, in the asset, wherever the caller says.
@dev In the vault's callback all of the seized collateral is sold, and the vault is approved for what it is about to
     pull. A target of a batch runs in a call of its own to this contract, so that its failure undoes it alone. Books of
     the call in progress are transient; those of a failed target are undone with it.
@custom:security Holds nothing between transactions and leaves no allowance: the registry's vaults pull what they said.
                 Each callback accepts only the vault, or the pool, that is being called, once. Locked against re-entry
                 throughout; only the caller's own funds, at most the loss that he named, are taken.
"""

from ethereum.ercs import IERC20

from ..interfaces import ILiquidateCallback
from ..interfaces import ILiquidator
from ..interfaces import IMarginVault
from ..interfaces import IUniswapV3SwapCallback
from ..interfaces import IVaultFactory
from ..modules import tokens
from . import uniswap_swaps

implements: ILiquidateCallback
implements: ILiquidator
implements: IUniswapV3SwapCallback

initializes: uniswap_swaps


MAX_TARGETS: constant(uint256) = 128
# `Error(string)` with a reason of up to 64 bytes.
_MAX_RESPONSE: constant(uint256) = 132
_ERROR_SELECTOR: constant(bytes4) = 0x08c379a0

registry: public(immutable(address))

# The vault whose callback is awaited.
_vault: transient(address)
_collateral_token: transient(address)
_asset: transient(address)
_path: transient(Bytes[uniswap_swaps.MAX_PATH])
# Asset units here: the caller's, and earned so far.
_pot: transient(uint256)


@deploy
def __init__(registry_: address, uniswap_factory: address):
    """
    @param registry_ the `VaultFactory`, address
    @param uniswap_factory Uniswap v3's factory, address
    """
    registry = registry_
    uniswap_swaps.__init__(uniswap_factory)


# ---- liquidate -------------------------------------------------------------------------------------------------------

@external
def liquidate(
    vault: address, target: ILiquidator.Target, path: Bytes[uniswap_swaps.MAX_PATH], receiver: address
) -> ILiquidator.Outcome:
    budget: uint256 = self._begin(vault, path, receiver, target.min_profit)
    outcome: ILiquidator.Outcome = self._liquidate(vault, target)
    self._log(vault, target.position_id, outcome)
    self._finish(receiver, budget, target.min_profit)
    return outcome


@external
def liquidate_batch(
    vault: address,
    targets: DynArray[ILiquidator.Target, MAX_TARGETS],
    path: Bytes[uniswap_swaps.MAX_PATH],
    receiver: address,
    min_profit: int256,
) -> (DynArray[ILiquidator.Outcome, MAX_TARGETS], int256):
    budget: uint256 = self._begin(vault, path, receiver, min_profit)
    outcomes: DynArray[ILiquidator.Outcome, MAX_TARGETS] = []
    for target: ILiquidator.Target in targets:
        outcomes.append(self._try(vault, target))
    return outcomes, self._finish(receiver, budget, min_profit)


@external
@reentrant
def attempt(vault: address, target: ILiquidator.Target) -> ILiquidator.Outcome:
    """
    @notice One target of a batch. Only this contract calls it.
    @param vault the batch's, address
    @param target the position, with its bounds
    @return what became of it
    """
    assert msg.sender == self, "caller is not this contract"
    return self._liquidate(vault, target)


@internal
def _try(vault: address, target: ILiquidator.Target) -> ILiquidator.Outcome:
    """
    @notice A call of its own for one target; its failure is an outcome.
    """
    gas_before: uint256 = msg.gas
    success: bool = False
    response: Bytes[_MAX_RESPONSE] = b""
    success, response = raw_call(
        self,
        abi_encode(vault, target, method_id=method_id("attempt(address,(uint256,uint256,int256))")),
        max_outsize=_MAX_RESPONSE,
        revert_on_failure=False,
    )
    if success:
        outcome: ILiquidator.Outcome = abi_decode(slice(response, 0, 128), ILiquidator.Outcome)
        self._log(vault, target.position_id, outcome)
        return outcome
    reason: String[32] = self._reason(response)
    # A call that ran out of gas leaves a 64th at each level: with so little left, that may be why it failed. No target
    # is reported as failed for want of gas, or else an estimate of gas would settle for that.
    assert msg.gas >= gas_before // 8 and reason != "not enough gas", "not enough gas"
    status: ILiquidator.Status = ILiquidator.Status.FAILED
    if reason == "position is healthy":
        status = ILiquidator.Status.HEALTHY
    log ILiquidator.LiquidationSkipped(
        vault=vault, position_id=target.position_id, caller=msg.sender, status=status, reason=reason
    )
    return ILiquidator.Outcome(status=status, seized=0, paid=0, profit=0)


@internal
@pure
def _reason(response: Bytes[_MAX_RESPONSE]) -> String[32]:
    """
    @notice The message of `Error(string)`, cut to 32 bytes; empty for anything else.
    """
    if len(response) < 100 or convert(slice(response, 0, 4), bytes4) != _ERROR_SELECTOR:
        return ""
    size: uint256 = min(extract32(response, 36, output_type=uint256), 32)
    return convert(slice(slice(response, 68, 32), 0, size), String[32])


@internal
def _liquidate(vault: address, target: ILiquidator.Target) -> ILiquidator.Outcome:
    before: uint256 = self._pot
    self._vault = vault
    seized: uint256 = 0
    paid: uint256 = 0
    seized, paid = extcall IMarginVault(vault).liquidate(target.position_id, target.max_repay, 0, self, b"\x01")
    profit: int256 = uniswap_swaps._signed(self._pot) - uniswap_swaps._signed(before)
    assert profit >= target.min_profit, "profit is below minimum"
    return ILiquidator.Outcome(
        status=ILiquidator.Status.LIQUIDATED, seized=seized, paid=paid, profit=profit
    )


# ---- callbacks -------------------------------------------------------------------------------------------------------

@external
@reentrant
def on_liquidate(position_id: uint256, seized: uint256, paid: uint256, data: Bytes[1024]):
    assert self._vault != empty(address) and msg.sender == self._vault, "caller is not the vault"
    self._vault = empty(address)
    pot: uint256 = self._pot
    if seized != 0:
        pot += uniswap_swaps._swap(self._path, self._collateral_token, self._asset, True, seized, 0)[1]
    assert pot >= paid, "profit is below minimum"
    self._pot = unsafe_sub(pot, paid)
    assert extcall IERC20(self._asset).approve(msg.sender, paid, default_return_value=True), "approval failed"


@external
@reentrant
def uniswapV3SwapCallback(amount_0_delta: int256, amount_1_delta: int256, data: Bytes[uniswap_swaps.MAX_PATH]):
    if uniswap_swaps._proceed(amount_0_delta, amount_1_delta, data):
        tokens._push(self._collateral_token, msg.sender, uniswap_swaps._sold)


# ---- begin, finish ---------------------------------------------------------------------------------------------------

@internal
def _begin(vault: address, path: Bytes[uniswap_swaps.MAX_PATH], receiver: address, min_profit: int256) -> uint256:
    """
    @notice Opens the call's books; takes from the caller, and returns, what he is prepared to lose, asset units.
    """
    assert receiver != empty(address), "receiver is zero"
    assert staticcall IVaultFactory(registry).is_vault(vault), "vault is unknown"
    params: IMarginVault.VaultParams = staticcall IMarginVault(vault).parameters()
    self._collateral_token = params.collateral_token
    self._asset = params.asset
    self._path = path
    budget: uint256 = 0
    if min_profit < 0:
        assert min_profit != min_value(int256), "min_profit exceeds its width"
        budget = convert(-min_profit, uint256)
        tokens._pull(params.asset, budget)
    self._pot = budget
    return budget


@internal
def _finish(receiver: address, budget: uint256, min_profit: int256) -> int256:
    """
    @notice Pays out all that is here, and returns the profit, asset units.
    """
    pot: uint256 = self._pot
    profit: int256 = uniswap_swaps._signed(pot) - uniswap_swaps._signed(budget)
    assert profit >= min_profit, "profit is below minimum"
    # What was taken and not lost goes back, what was earned to the receiver.
    returned: uint256 = min(pot, budget)
    if returned != 0:
        tokens._push(self._asset, msg.sender, returned)
    if pot != returned:
        tokens._push(self._asset, receiver, unsafe_sub(pot, returned))
    return profit


@internal
def _log(vault: address, position_id: uint256, outcome: ILiquidator.Outcome):
    log ILiquidator.FlashLiquidated(
        vault=vault,
        position_id=position_id,
        caller=msg.sender,
        seized=outcome.seized,
        paid=outcome.paid,
        profit=outcome.profit,
    )
