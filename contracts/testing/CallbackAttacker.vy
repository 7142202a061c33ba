# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Callback Attacker
@license GNU Affero General Public License v3.0 only
@notice A caller whose callbacks make the calls that it was armed with, and remember how each ended.
"""

from ..interfaces import IAdjustCallback
from ..interfaces import ILiquidateCallback
from . import executor

implements: IAdjustCallback
implements: ILiquidateCallback

exports: (executor.execute, executor.__default__)


MAX_CALLS: constant(uint256) = 8
MAX_CALLDATA: constant(uint256) = 2048
MAX_OUTPUT: constant(uint256) = 256


struct Call:
    target: address
    data: Bytes[MAX_CALLDATA]


struct Outcome:
    succeeded: bool
    # What was returned, or the revert data
    output: Bytes[MAX_OUTPUT]


calls: DynArray[Call, MAX_CALLS]
_outcomes: DynArray[Outcome, MAX_CALLS]


@external
def arm(calls: DynArray[Call, MAX_CALLS]):
    """
    @notice Choose the calls that the next callback makes, and forget the last ones.
    @param calls Targets and their call data, in order.
    """
    self.calls = calls
    self._outcomes = []


@external
def on_adjust(position_id: uint256, collateral_delta: int256, debt_delta: int256, data: Bytes[1024]):
    """
    @notice A vault's callback in `adjust` and `close`.
    @param position_id Ignored.
    @param collateral_delta Ignored.
    @param debt_delta Ignored.
    @param data Ignored.
    """
    self._attack()


@external
def on_liquidate(position_id: uint256, seized: uint256, paid: uint256, data: Bytes[1024]):
    """
    @notice A vault's callback in `liquidate`.
    @param position_id Ignored.
    @param seized Ignored.
    @param paid Ignored.
    @param data Ignored.
    """
    self._attack()


@view
@external
def outcomes() -> DynArray[Outcome, MAX_CALLS]:
    """
    @notice How the armed calls ended.
    @return One outcome for each, in their order; none before the callback.
    """
    return self._outcomes


@internal
def _attack():
    # Disarmed first: a call may lead to another callback.
    calls: DynArray[Call, MAX_CALLS] = self.calls
    self.calls = []
    for call: Call in calls:
        succeeded: bool = False
        output: Bytes[MAX_OUTPUT] = b""
        succeeded, output = raw_call(call.target, call.data, max_outsize=MAX_OUTPUT, revert_on_failure=False)
        self._outcomes.append(Outcome(succeeded=succeeded, output=output))
