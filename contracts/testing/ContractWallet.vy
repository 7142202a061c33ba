# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Contract Wallet
@license GNU Affero General Public License v3.0 only
@notice A smart account: it calls what it is told to and accepts what its owner signed (ERC-1271).
"""

from . import executor

exports: (executor.execute, executor.__default__)


IS_VALID: constant(bytes4) = 0x1626ba7e
IS_INVALID: constant(bytes4) = 0xffffffff

owner: public(immutable(address))


@deploy
def __init__(signer: address):
    """
    @param signer Account whose signatures are accepted.
    """
    assert signer != empty(address), "owner is missing"
    owner = signer


@view
@external
def isValidSignature(digest: bytes32, signature: Bytes[65]) -> bytes4:
    """
    @notice Whether the owner signed.
    @param digest Hash that was signed.
    @param signature r, s and v, 65 bytes.
    @return 0x1626ba7e if so, else 0xffffffff.
    """
    if len(signature) != 65:
        return IS_INVALID
    r: bytes32 = extract32(signature, 0)
    s: bytes32 = extract32(signature, 32)
    v: uint8 = convert(slice(signature, 64, 1), uint8)
    if ecrecover(digest, v, r, s) != owner:
        return IS_INVALID
    return IS_VALID
