"""An in-process chain that repeats everything on anvil and holds the two to each other."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from ringfence.evm import InProcessEngine, Receipt
from ringfence.evm.abi import AbiValue, Addressable
from ringfence.evm.anvil import AnvilEngine
from tests.support.model.pair import MismatchError

_BLOCK_GAS = 30_000_000
"""What anvil gives a transaction; more is used only by code that burns all it is given."""


class LockstepEngine(InProcessEngine):
    """Every transaction runs in process and on anvil.

    Raises MismatchError when they differ in success, reason, output, gas, topics, data or storage,
    or, of a call, in any conditional jump of its target.
    """

    name = "in process and anvil"

    def __init__(self, node: AnvilEngine) -> None:
        super().__init__(timestamp=node.timestamp)
        self.node = node
        self.compared = 0

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
        self.node.set_next_timestamp(self.timestamp)
        ours, theirs = (
            send(sender, to, data, value=value, gas_limit=gas_limit, decode=decode)
            for send in (super().send, self.node.send)
        )
        for what in ("success", "revert_reason", "contract_address", "output", "logs"):
            _same(what, getattr(ours, what), getattr(theirs, what))
        if ours.gas_used <= _BLOCK_GAS:
            _same("gas", ours.gas_used, theirs.gas_used)
        _same("storage", ours.state_diff, theirs.state_diff)
        if to is not None:
            _same("branches", ours.branches, theirs.branches)
        self.compared += 1
        return ours

    @override
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        super().set_storage(address, slot, word)
        self.node.set_storage(address, slot, word)

    @override
    def set_code(self, address: Addressable, code: bytes) -> None:
        super().set_code(address, code)
        self.node.set_code(address, code)


def _same(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise MismatchError(f"{what}: py-evm and revm in process say {ours}, anvil {theirs}")
