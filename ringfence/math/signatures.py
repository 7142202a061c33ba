"""Nonces of signed messages, each good once, before its deadline (AUTH-1).

Mirrors contracts/modules/signatures.vy, short of the cryptography: who signed what is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from ringfence.math.errors import RevertError
from ringfence.math.vault_state import Call, VaultState

NONCES = "signatures.nonces"


class Signatures(VaultState):
    """What permits and operators' signatures share."""

    def nonces(self, owner: int) -> int:
        """Return the nonce of the owner's next message."""
        return self.storage.load((self.address, NONCES, owner))

    def use_nonce(self, call: Call, owner: int, deadline: int) -> int:
        """Return the nonce that a message must bear; `deadline` in unix seconds."""
        if call.now > deadline:
            raise RevertError("signature has expired")
        nonce = self.nonces(owner)
        self.storage.store((self.address, NONCES, owner), nonce + 1)
        return nonce

    def check_signature(self, owner: int, nonce: int, is_signed: Callable[[int], bool]) -> None:
        """Raise RevertError unless the owner signed the message with this nonce."""
        if owner == 0 or not is_signed(nonce):
            raise RevertError("signature is invalid")
