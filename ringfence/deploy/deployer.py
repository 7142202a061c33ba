"""What a deployment needs of a chain, small enough for any signer, and one for `ringfence.evm`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from eth_utils.crypto import keccak

from ringfence.evm.abi import Addressable, address_bytes, checksum
from ringfence.evm.engine import Engine


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction that may be sent; its hash is known before it is."""

    tx_hash: str
    nonce: int
    to: str | None
    data: bytes
    value: int = 0
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction in a block.

    `created` is the contract that it created itself, `digest` what it does; `reason` says why it
    failed, "" where nobody knows.
    """

    tx_hash: str
    block: int
    success: bool
    created: str | None
    digest: str
    reason: str = ""


class Deployer(Protocol):
    """One account on one chain."""

    @property
    def account(self) -> str:
        """The checksummed address that pays and signs."""

    @property
    def chain_id(self) -> int:
        """The chain's id."""

    def block(self) -> int:
        """Return the number of the latest block."""

    def nonce(self) -> int:
        """Return how many transactions of the account have been mined."""

    def balance(self) -> int:
        """Return what the account holds, in wei."""

    def gas_price(self) -> int:
        """Return what a unit of gas may cost now, in wei."""

    def code(self, address: str) -> bytes:
        """Return the code at an address."""

    def call(self, to: str, data: bytes) -> bytes:
        """Run a call from the account that changes nothing; raise Reverted with its reason."""

    def sign(self, to: str | None, data: bytes, nonce: int, value: int = 0) -> Signed:
        """Return a transaction ready to be sent, `to` None creating a contract, `value` in wei.

        Raises TransactionError when it would fail or cannot be paid for.
        """

    def send(self, signed: Signed) -> None:
        """Hand a transaction to the chain; sending it twice is as good as once."""

    def settle(self, tx_hash: str, nonce: int, since: int) -> Mined | None:
        """Wait for a transaction, or for the one that took its nonce, and return it.

        None when the chain has never heard of it and its nonce is free. `since` is a block before
        it was sent. Raises TransactionError when it is still waiting after a long time.
        """


def digest(to: str | None, data: bytes) -> str:
    """Return what a transaction does as a hash: two with the same do the same."""
    return "0x" + keccak((address_bytes(to) if to else b"") + data).hex()


@dataclass(slots=True)
class EngineDeployer:
    """An account on an engine of `ringfence.evm`.

    `ledger` is what a chain would remember: keep the object, or hand the ledger on, to resume.
    """

    engine: Engine
    sender: Addressable
    ledger: dict[str, Mined] = field(default_factory=dict)

    @property
    def account(self) -> str:
        """The checksummed address that pays and signs."""
        return checksum(address_bytes(self.sender))

    @property
    def chain_id(self) -> int:
        """The engine's chain id."""
        return self.engine.chain_id

    def block(self) -> int:
        """Return the number of transactions sent through the ledger: each is a block."""
        return len(self.ledger)

    def nonce(self) -> int:
        """Return how many transactions were sent through the ledger."""
        return len(self.ledger)

    def balance(self) -> int:
        """Return what the account holds, in wei."""
        return self.engine.balance(self.sender)

    def gas_price(self) -> int:
        """Return 0: engines take transactions for nothing."""
        return 0

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return self.engine.code_at(address)

    def call(self, to: str, data: bytes) -> bytes:
        """Run a call that changes nothing; raise Reverted with its reason."""
        return self.engine.call_raw(to, data, sender=self.sender)

    def sign(self, to: str | None, data: bytes, nonce: int, value: int = 0) -> Signed:
        """Return a transaction ready to be sent."""
        tx_hash = keccak(text=f"{self.account} {nonce} {value} {digest(to, data)}")
        return Signed("0x" + tx_hash.hex(), nonce, to, data, value)

    def send(self, signed: Signed) -> None:
        """Run a transaction, unless the ledger has it."""
        if signed.tx_hash in self.ledger:
            return
        receipt = self.engine.send(self.sender, signed.to, signed.data, value=signed.value)
        self.ledger[signed.tx_hash] = Mined(
            tx_hash=signed.tx_hash,
            block=len(self.ledger) + 1,
            success=receipt.success,
            created=receipt.contract_address,
            digest=digest(signed.to, signed.data),
            reason=receipt.revert_reason or "",
        )

    def settle(self, tx_hash: str, nonce: int, since: int) -> Mined | None:
        """Return a transaction from the ledger, None when it was never sent."""
        if tx_hash in self.ledger:
            return self.ledger[tx_hash]
        return list(self.ledger.values())[nonce] if since <= nonce < len(self.ledger) else None
