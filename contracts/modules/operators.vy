# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title operators
@license GNU Affero General Public License v3.0 only
@notice What an account lets others do with its positions, one word an operator, and the only code that packs it.
@dev Bits of the word:
          18..3    max_loss_bps        1e4
           2..0    permissions         INCREASE 1, REDUCE 2, WITHDRAW 4
     Only the owner sets operators, by call or by signature (AUTH-1).
"""

from ..interfaces import IMarginVault
from . import errors
from . import signatures

uses: signatures


_PERMISSION_BITS: constant(uint256) = 3
_ALL_PERMISSIONS: constant(uint256) = 7
_MAX_BPS: constant(uint256) = 10_000
_SET_OPERATOR_TYPEHASH: constant(bytes32) = keccak256(
    "SetOperator(address owner,address operator,uint256 permissions,uint256 max_loss_bps,uint256 nonce,uint256 deadline)"
)

# What `_authorise` returns where the collateral taken out is not bounded.
NO_BOUND: constant(uint256) = 0

_words: HashMap[address, HashMap[address, uint256]]


@external
def set_operator(operator: address, permissions: IMarginVault.Permission, max_loss_bps: uint256):
    self._set(msg.sender, operator, permissions, max_loss_bps)


@external
def set_operator_with_signature(
    owner: address,
    operator: address,
    permissions: IMarginVault.Permission,
    max_loss_bps: uint256,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    nonce: uint256 = signatures._use_nonce(owner, deadline)
    signatures._check(
        owner,
        keccak256(
            abi_encode(_SET_OPERATOR_TYPEHASH, owner, operator, permissions, max_loss_bps, nonce, deadline)
        ),
        v,
        r,
        s,
    )
    self._set(owner, operator, permissions, max_loss_bps)


@external
@view
def operator_permissions(owner: address, operator: address) -> (IMarginVault.Permission, uint256):
    return self._unpack(self._words[owner][operator])


@internal
@pure
def _unpack(word: uint256) -> (IMarginVault.Permission, uint256):
    return convert(word & _ALL_PERMISSIONS, IMarginVault.Permission), word >> _PERMISSION_BITS


@internal
def _set(owner: address, operator: address, permissions: IMarginVault.Permission, max_loss_bps: uint256):
    if max_loss_bps > _MAX_BPS:
        errors._raise(errors.LOSS_BOUND_IS_TOO_WIDE)
    self._words[owner][operator] = (max_loss_bps << _PERMISSION_BITS) | convert(permissions, uint256)
    log IMarginVault.OperatorSet(
        owner=owner, operator=operator, permissions=permissions, max_loss_bps=max_loss_bps
    )


@internal
@view
def _authorise(owner: address, borrows: bool, withdraws: bool, reduces: bool) -> uint256:
    """
    @notice Refuses a caller who may not do this with `owner`'s positions; returns the bound on the value of collateral
            taken out, in 1e4 of what is repaid, or NO_BOUND.
    """
    if msg.sender == owner:
        return NO_BOUND
    permissions: IMarginVault.Permission = empty(IMarginVault.Permission)
    max_loss_bps: uint256 = 0
    permissions, max_loss_bps = self._unpack(self._words[owner][msg.sender])
    bound: uint256 = NO_BOUND
    needed: IMarginVault.Permission = empty(IMarginVault.Permission)
    if borrows:
        needed = IMarginVault.Permission.INCREASE
    if withdraws:
        if reduces and IMarginVault.Permission.WITHDRAW not in permissions:
            needed |= IMarginVault.Permission.REDUCE
            # Both at most 10_000.
            bound = unsafe_add(_MAX_BPS, max_loss_bps)
        else:
            needed |= IMarginVault.Permission.WITHDRAW
    self._check(permissions, needed)
    return bound


@internal
@view
def _authorise_close(owner: address):
    """
    @notice Closing takes REDUCE and WITHDRAW.
    """
    if msg.sender != owner:
        permissions: IMarginVault.Permission = self._unpack(self._words[owner][msg.sender])[0]
        self._check(permissions, IMarginVault.Permission.REDUCE | IMarginVault.Permission.WITHDRAW)


@internal
@pure
def _check(permissions: IMarginVault.Permission, needed: IMarginVault.Permission):
    """
    @notice An operator has some permission, and all that are needed.
    """
    if permissions == empty(IMarginVault.Permission) or permissions & needed != needed:
        errors._raise(errors.CALLER_LACKS_PERMISSION)
