# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title signatures
@license GNU Affero General Public License v3.0 only
@notice EIP-712 messages of this vault, each good once, before its deadline, on this chain and vault (AUTH-1).
@dev The domain is hashed anew for each message, so that a fork of the chain cannot replay one.
"""

from ..interfaces import IERC1271
from . import errors


_DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_VERSION_HASH: constant(bytes32) = keccak256("1")
_IS_VALID_SIGNATURE: constant(bytes4) = method_id("isValidSignature(bytes32,bytes)", output_type=bytes4)

_NAME_HASH: immutable(bytes32)

nonces: public(HashMap[address, uint256])


@deploy
def __init__(name: String[50]):
    _NAME_HASH = keccak256(name)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    return self._domain_separator()


@internal
@view
def _domain_separator() -> bytes32:
    return keccak256(abi_encode(_DOMAIN_TYPEHASH, _NAME_HASH, _VERSION_HASH, chain.id, self))


@internal
def _use_nonce(owner: address, deadline: uint256) -> uint256:
    """
    @notice The nonce that a message signed by `owner` must bear; each counts once.
    """
    if block.timestamp > deadline:
        errors._raise(errors.SIGNATURE_HAS_EXPIRED)
    nonce: uint256 = self.nonces[owner]
    # One more a message; no account signs 2**256 of them.
    self.nonces[owner] = unsafe_add(nonce, 1)
    return nonce


@internal
@view
def _check(signer: address, struct_hash: bytes32, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Signed by an account with a key, or approved by a contract wallet (ERC-1271), which gets r, s and v in a row.
    @dev A signature is no identifier here: the nonce makes it count once, so that its malleability gains nothing.
    """
    digest: bytes32 = keccak256(concat(0x1901, self._domain_separator(), struct_hash))
    valid: bool = False
    if signer.is_contract:
        signature: Bytes[65] = concat(r, s, convert(v, bytes1))
        valid = staticcall IERC1271(signer).isValidSignature(digest, signature) == _IS_VALID_SIGNATURE
    else:
        # Recovery fails with the zero address, which must not sign for itself.
        valid = signer != empty(address) and ecrecover(digest, v, r, s) == signer
    if not valid:
        errors._raise(errors.SIGNATURE_IS_INVALID)
