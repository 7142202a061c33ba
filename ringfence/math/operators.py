"""What an account lets others do with its positions; mirrors contracts/modules/operators.vy.

Bits of an operator's word: the loss bound in bps from bit 3, permissions 2..0.
"""

from __future__ import annotations

from collections.abc import Callable

from ringfence.math.errors import RevertError
from ringfence.math.signatures import Signatures
from ringfence.math.vault_state import Call, entry_point

INCREASE = 1
REDUCE = 2
WITHDRAW = 4
ALL_PERMISSIONS = 7
MAX_BPS = 10_000
NO_BOUND = 0
"""What `authorise` returns where the collateral taken out is not bounded."""

OPERATORS = "operators._words"


class Operators(Signatures):
    """Operators' entry points, and who may do what."""

    @entry_point
    def set_operator(self, call: Call, operator: int, permissions: int, max_loss_bps: int) -> None:
        """Let an operator act on the caller's positions, or revoke it with no permission."""
        self._set_operator(call.caller, operator, permissions, max_loss_bps)

    @entry_point
    def set_operator_with_signature(
        self,
        call: Call,
        owner: int,
        operator: int,
        permissions: int,
        max_loss_bps: int,
        deadline: int,
        is_signed: Callable[[int], bool],
    ) -> None:
        """Do what the owner signed; `is_signed` says whether it was, with a given nonce."""
        nonce = self.use_nonce(call, owner, deadline)
        self.check_signature(owner, nonce, is_signed)
        self._set_operator(owner, operator, permissions, max_loss_bps)

    def operator_permissions(self, owner: int, operator: int) -> tuple[int, int]:
        """Return an operator's permission flags, and its loss bound in bps."""
        word = self.storage.load((self.address, OPERATORS, owner, operator))
        return word & ALL_PERMISSIONS, word >> 3

    def _set_operator(self, owner: int, operator: int, permissions: int, max_loss_bps: int) -> None:
        if permissions > ALL_PERMISSIONS:
            raise RevertError("")
        if max_loss_bps > MAX_BPS:
            raise RevertError("loss bound exceeds 10000 bps")
        word = max_loss_bps << 3 | permissions
        self.storage.store((self.address, OPERATORS, owner, operator), word)
        self.log(
            "OperatorSet",
            owner=owner,
            operator=operator,
            permissions=permissions,
            max_loss_bps=max_loss_bps,
        )

    def authorise(
        self, call: Call, owner: int, *, borrows: bool, withdraws: bool, reduces: bool
    ) -> int:
        """Raise RevertError for a caller who may not do this with the owner's positions.

        Returns the bound on the value of collateral taken out, in 1e4 of what is repaid; NO_BOUND
        where there is none.
        """
        if call.caller == owner:
            return NO_BOUND
        permissions, max_loss_bps = self.operator_permissions(owner, call.caller)
        bounded = withdraws and reduces and not permissions & WITHDRAW
        if (
            not permissions
            or (borrows and not permissions & INCREASE)
            or (bounded and not permissions & REDUCE)
            or (withdraws and not bounded and not permissions & WITHDRAW)
        ):
            raise RevertError("caller lacks permission")
        return MAX_BPS + max_loss_bps if bounded else NO_BOUND

    def authorise_close(self, call: Call, owner: int) -> None:
        """Raise RevertError unless the caller may reduce and withdraw."""
        needed = REDUCE | WITHDRAW
        if (
            call.caller != owner
            and self.operator_permissions(owner, call.caller)[0] & needed != needed
        ):
            raise RevertError("caller lacks permission")
