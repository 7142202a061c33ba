"""An engine that counts: transactions, calls, and the seconds that each took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from typing_extensions import override

from ringfence.evm.abi import AbiValue, Addressable
from ringfence.evm.engine import Engine, Receipt


@dataclass(slots=True)
class Spent:
    """How often something was done, and for how many seconds in all."""

    count: int = 0
    seconds: float = 0.0

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.count - other.count, self.seconds - other.seconds)


@dataclass
class Meter(Engine):
    """Any engine, with a count of what is asked of it."""

    engine: Engine
    transactions: Spent = field(default_factory=Spent)
    calls: Spent = field(default_factory=Spent)
    receipts: list[Receipt] | None = None
    """Every transaction's receipt, where a list is given to fill."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The engine's."""
        return self.engine.name

    def spent(self) -> tuple[Spent, Spent]:
        """Return transactions and calls up to now."""
        return replace(self.transactions), replace(self.calls)

    def since(self, before: tuple[Spent, Spent]) -> tuple[Spent, Spent]:
        """Return transactions and calls after `spent` said `before`."""
        return self.transactions - before[0], self.calls - before[1]

    @property
    @override
    def chain_id(self) -> int:
        return self.engine.chain_id

    @property
    @override
    def timestamp(self) -> int:
        return self.engine.timestamp

    @override
    def set_next_timestamp(self, timestamp: int) -> None:
        self.engine.set_next_timestamp(timestamp)

    @override
    def send(
        self,
        sender: Addressable,
        to: Addressable | None,
        data: bytes,
        *,
        value: int = 0,
        gas_limit: int | None = None,
        decode: Callable[[bytes], AbiValue] | None = None,
    ) -> Receipt:
        began = time.perf_counter()
        receipt = self.engine.send(
            sender, to, data, value=value, gas_limit=gas_limit, decode=decode
        )
        self.transactions.seconds += time.perf_counter() - began
        self.transactions.count += 1
        if self.receipts is not None:
            self.receipts.append(receipt)
        return receipt

    @override
    def call_raw(
        self, to: Addressable, data: bytes, *, sender: Addressable | None = None, value: int = 0
    ) -> bytes:
        began = time.perf_counter()
        try:
            return self.engine.call_raw(to, data, sender=sender, value=value)
        finally:
            self.calls.seconds += time.perf_counter() - began
            self.calls.count += 1

    @override
    def storage_at(self, address: Addressable, slot: int) -> int:
        return self.engine.storage_at(address, slot)

    @override
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        self.engine.set_storage(address, slot, word)

    @override
    def balance(self, address: Addressable) -> int:
        return self.engine.balance(address)

    @override
    def set_balance(self, address: Addressable, wei: int) -> None:
        self.engine.set_balance(address, wei)

    @override
    def code_at(self, address: Addressable) -> bytes:
        return self.engine.code_at(address)

    @override
    def set_code(self, address: Addressable, code: bytes) -> None:
        self.engine.set_code(address, code)

    @override
    def snapshot(self) -> object:
        return self.engine.snapshot()

    @override
    def restore(self, mark: object) -> None:
        self.engine.restore(mark)
