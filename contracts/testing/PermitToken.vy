# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Permit Token
@license GNU Affero General Public License v3.0 only
@notice An ordinary ERC-20 token whose allowances can be signed (ERC-2612).
"""

from ethereum.ercs import IERC20

from . import plain_erc20

implements: IERC20

initializes: plain_erc20

exports: plain_erc20.__interface__


DOMAIN_TYPE_HASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PERMIT_TYPE_HASH: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
VERSION_HASH: constant(bytes32) = keccak256("1")

nonces: public(HashMap[address, uint256])


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)


@external
def permit(owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Let an account spend what the owner signed for.
    @param owner Account that signed.
    @param spender Account that may spend.
    @param amount Amount it may spend, token units.
    @param deadline Last moment of the signature, seconds.
    @param v Recovery id of the signature.
    @param r First half of the signature.
    @param s Second half of the signature.
    """
    assert block.timestamp <= deadline, "signature has expired"
    nonce: uint256 = self.nonces[owner]
    self.nonces[owner] = nonce + 1
    digest: bytes32 = keccak256(
        concat(
            b"\x19\x01",
            self._domain_separator(),
            keccak256(abi_encode(PERMIT_TYPE_HASH, owner, spender, amount, nonce, deadline)),
        )
    )
    assert owner != empty(address) and ecrecover(digest, v, r, s) == owner, "signature is invalid"
    plain_erc20._approve(owner, spender, amount)


@view
@external
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice What binds a signature to this token and chain.
    @return The EIP-712 domain separator.
    """
    return self._domain_separator()


@view
@internal
def _domain_separator() -> bytes32:
    return keccak256(abi_encode(DOMAIN_TYPE_HASH, keccak256(plain_erc20.name), VERSION_HASH, chain.id, self))
