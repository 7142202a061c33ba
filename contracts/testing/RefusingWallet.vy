# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Refusing Wallet
@license GNU Affero General Public License v3.0 only
@notice A smart account that accepts no signature and no ether.
"""

from . import executor

exports: executor.execute


@view
@external
def isValidSignature(digest: bytes32, signature: Bytes[65]) -> bytes4:
    """
    @notice Refuses.
    @param digest Ignored.
    @param signature Ignored.
    @return 0xffffffff, which means no.
    """
    return 0xffffffff
