"""The client over the engines of `ringfence.evm`: for tests, simulations and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.client.node import Receipt, Transaction
from ringfence.evm.abi import Addressable, address_bytes, checksum
from ringfence.evm.engine import Engine, Log
from ringfence.evm.errors import Reverted


@dataclass(frozen=True, slots=True)
class EngineNode:
    """An engine as a node. It knows the logs of what its own senders sent: the journal."""

    engine: Engine
    journal: list[Log] = field(default_factory=list)

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self.engine.chain_id

    def now(self) -> int:
        """Return the time at which the next transaction runs, unix seconds."""
        return self.engine.timestamp

    def call(self, to: str, data: bytes, *, sender: str | None = None, value: int = 0) -> bytes:
        """Run a call that changes nothing; raise Reverted when it reverts."""
        return self.engine.call_raw(to, data, sender=sender, value=value)

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return self.engine.code_at(address)

    def balance(self, address: str) -> int:
        """Return what an account holds, in wei."""
        return self.engine.balance(address)

    def logs(
        self,
        addresses: Sequence[str],
        topics: Sequence[Sequence[bytes] | None],
        since: int = 0,
    ) -> list[Log]:
        """Return the logs of contracts in the journal, whose entries count as blocks."""
        return [
            log
            for log in self.journal[since:]
            if log.address in addresses
            and len(log.topics) >= len(topics)
            and all(
                wanted is None or topic in wanted
                for topic, wanted in zip(log.topics, topics, strict=False)
            )
        ]

    def sender(self, account: Addressable) -> EngineSender:
        """Return the sender that acts as an account on this node."""
        return EngineSender(self, checksum(address_bytes(account)))


@dataclass(frozen=True, slots=True)
class EngineSender:
    """Any account of an engine: no signature is asked for."""

    node: EngineNode
    address: str

    def send(self, transaction: Transaction) -> Receipt:
        """Run a transaction; raise Reverted when it fails."""
        receipt = self.node.engine.send(
            self.address, transaction.to, transaction.data, value=transaction.value
        )
        if not receipt.success:
            raise Reverted(receipt.revert_reason or "")
        self.node.journal.extend(receipt.logs)
        return Receipt("", receipt.gas_used, receipt.logs)
