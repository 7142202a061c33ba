# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Honest Callback
@license GNU Affero General Public License v3.0 only
@notice A caller whose callbacks mint and approve exactly what the vault is about to pull.
"""

from ethereum.ercs import IERC20

from ..interfaces import IAdjustCallback
from ..interfaces import ILiquidateCallback
from . import executor

implements: IAdjustCallback
implements: ILiquidateCallback

exports: (executor.execute, executor.__default__)


interface Mintable:
    def mint(receiver: address, amount: uint256): nonpayable


collateral: public(immutable(address))
asset: public(immutable(address))

callback_count: public(uint256)
position_id: public(uint256)
collateral_delta: public(int256)
debt_delta: public(int256)
seized: public(uint256)
paid: public(uint256)
data: public(Bytes[1024])


@deploy
def __init__(collateral_token: address, asset_token: address):
    """
    @param collateral_token The vault's collateral, a token that anybody may mint.
    @param asset_token The vault's asset, likewise.
    """
    collateral = collateral_token
    asset = asset_token


@external
def on_adjust(position_id: uint256, collateral_delta: int256, debt_delta: int256, data: Bytes[1024]):
    """
    @notice Pay what `adjust` or `close` takes, and remember what it said.
    @param position_id Position that changes.
    @param collateral_delta Change of its collateral, collateral units.
    @param debt_delta Change of its debt, asset units.
    @param data What the caller passed along.
    """
    self.callback_count += 1
    self.position_id = position_id
    self.collateral_delta = collateral_delta
    self.debt_delta = debt_delta
    self.data = data
    if collateral_delta > 0:
        self._prepare(collateral, convert(collateral_delta, uint256))
    if debt_delta < 0:
        self._prepare(asset, convert(-debt_delta, uint256))


@external
def on_liquidate(position_id: uint256, seized: uint256, paid: uint256, data: Bytes[1024]):
    """
    @notice Pay what `liquidate` takes, and remember what it said.
    @param position_id Position that is liquidated.
    @param seized Collateral received, collateral units.
    @param paid Assets to pay, asset units.
    @param data What the caller passed along.
    """
    self.callback_count += 1
    self.position_id = position_id
    self.seized = seized
    self.paid = paid
    self.data = data
    self._prepare(asset, paid)


@internal
def _prepare(token: address, amount: uint256):
    extcall Mintable(token).mint(self, amount)
    extcall IERC20(token).approve(msg.sender, amount, default_return_value=True)
