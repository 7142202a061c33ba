# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Executor
@license GNU Affero General Public License v3.0 only
@notice Makes calls as the contract that imports it, shared by the doubles that act as accounts.
@dev Open to anybody: for tests only.
"""


MAX_CALLDATA: constant(uint256) = 8192
MAX_OUTPUT: constant(uint256) = 4096


@payable
@external
def execute(target: address, data: Bytes[MAX_CALLDATA], amount: uint256 = 0) -> Bytes[MAX_OUTPUT]:
    """
    @notice Call a contract as this one; a revert is passed on word for word.
    @param target Contract that is called.
    @param data Its call data.
    @param amount Ether sent along, wei.
    @return What the call returned.
    """
    return raw_call(target, data, max_outsize=MAX_OUTPUT, value=amount)


@payable
@external
def __default__():
    """
    @notice Accept ether.
    """
    pass
