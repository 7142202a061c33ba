"""An in-process chain that repeats everything on anvil and holds the two to each other."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from ringfence.evm import InProcessEngine, Receipt
from ringfence.evm.abi import AbiValue, Addressable
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.in_process import Known, Trace
from ringfence.evm.replay import Branch
from ringfence.evm.rpc import JsonRpc
from tests.support.model.pair import MismatchError

_BRANCHES = """{
    branches: [], jump: -1, target: "",
    step: function (log) {
        if (this.jump >= 0) { this.branches.push(this.jump, log.getPC()); this.jump = -1; }
        if (this.target == "") this.target = toHex(log.contract.getAddress());
        if (log.op.toNumber() == 0x57 && toHex(log.contract.getAddress()) == this.target)
            this.jump = log.getPC();
    },
    fault: function () {},
    result: function () { return this.branches; }
}"""
"""Tells each conditional jump of the called contract and where it went: a thousandth of a full
trace's size, and anvil writes full ones only when it was started to."""

_BLOCK_GAS = 30_000_000
"""What anvil gives a transaction; more is used only by code that burns all it is given."""


class LockstepEngine(InProcessEngine):
    """Every transaction runs in process and on anvil.

    Raises MismatchError when they differ in success, reason, output, gas, topics, data or storage,
    or, of a call, in any conditional jump of its target.
    """

    name = "in process and anvil"

    def __init__(self, node: AnvilEngine, rpc: JsonRpc) -> None:
        super().__init__(timestamp=node.timestamp)
        self.node = node
        self._rpc = rpc
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
        if to is not None and isinstance(ours.evidence, Trace | Known):
            _same("branches", ours.evidence.branches(), self._branches())
        self.compared += 1
        return ours

    def _branches(self) -> tuple[Branch, ...]:
        """Return the branches of the node's last transaction."""
        [sent] = self._rpc.call("eth_getBlockByNumber", "latest", False)["transactions"]
        flat = self._rpc.call("debug_traceTransaction", sent, {"tracer": _BRANCHES})
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return tuple((at, then != at + 1) for at, then in pairs)

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
