"""What others send to a test's node passes the state-diff check too: Ape, web3, commands, the demo.

Every anvil that `launch` starts in this process is swept: block by block, whatever no `send` of an
engine has shown already. That happens after each test, before a restore makes the node forget, and
before the node stops. Not seen: a node that a command in a process of its own starts for itself.

A node that was restored often may have lost the states that a trace starts from, where blocks came
again to the letter: that is an error; give such a test a node of its own. A vault's permissions are
read where the block ends: whoever lets an operator act and revokes him in one block is reported.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from ringfence.audit.state_diff import check
from ringfence.evm import anvil, traces
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.engine import StateDiff
from ringfence.evm.rpc import Json, JsonRpc, RpcError
from tests.support import state_diff


@dataclass(slots=True)
class Node:
    """A running anvil: `block` is the last one looked at, `shown` what engines' sends have told."""

    rpc: JsonRpc
    block: int = 0
    shown: set[str] = field(default_factory=set)
    vaults: dict[str, bool] = field(default_factory=dict)

    def ask(self, *requests: tuple[str, list[Json]]) -> list[Json]:
        answers = self.rpc.batch(list(requests)) if requests else []
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    def latest(self) -> int:
        [number] = self.ask(("eth_blockNumber", []))
        return int(number, 16)

    def rewind(self) -> None:
        """Start again from the latest block: the node has forgotten what came after it."""
        self.block, self.vaults = self.latest(), {}
        self.shown.clear()

    def sweep(self) -> None:
        """Check what has been mined since the last look; raise StateDiffError for what it finds."""
        found = []
        latest = self.latest()
        for number in range(self.block + 1, latest + 1):
            found += self._in_block(number)
        self.block = latest
        self.shown.clear()
        state_diff.WATCH.violations += found
        if found:
            raise state_diff.StateDiffError("\n".join(found))

    def _in_block(self, number: int) -> Iterator[str]:
        [block] = self.ask(("eth_getBlockByNumber", [hex(number), False]))
        sent = [one for one in block["transactions"] if one not in self.shown]
        tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
        changes = self.ask(*(("debug_traceTransaction", [one, tracer]) for one in sent))
        for transaction, change in zip(sent, changes, strict=True):
            diff = traces.state_diff(change)
            writes = {at: words for at, words in diff.items() if self._is_vault(at)}
            watch = state_diff.WATCH
            watch.transactions += 1
            watch.swept += 1
            if writes:
                watch.wrote += 1
                yield from self._check(transaction, writes, hex(number))

    def _check(self, transaction: str, writes: StateDiff, block: str) -> Iterator[str]:
        def read(vault: str, slot: int) -> int:
            [word] = self.ask(("eth_getStorageAt", [vault, hex(slot), block]))
            return int(word, 16)

        [trace] = self.ask(("debug_traceTransaction", [transaction, {"tracer": "callTracer"}]))
        made = tuple(traces.calls(trace))
        yield from map(str, check(state_diff.vault_rules(), made, writes, read))

    def _is_vault(self, address: str) -> bool:
        if address not in self.vaults:
            [code] = self.ask(("eth_getCode", [address, "latest"]))
            self.vaults[address] = state_diff.is_vault(traces.unhex(code))
        return self.vaults[address]


NODES: dict[int, Node] = {}
"""The nodes that run now, by process id."""


def _at(url: str) -> Node | None:
    return next((node for node in NODES.values() if node.rpc.url == url), None)


def _started(await_port: Callable[..., int]) -> Callable[..., int]:
    @wraps(await_port)
    def started(process: subprocess.Popen[bytes], output: Path) -> int:
        port = await_port(process, output)
        node = NODES[process.pid] = Node(JsonRpc(f"http://127.0.0.1:{port}"))
        node.rewind()
        return port

    return started


def _stopping(stop: Callable[..., None]) -> Callable[..., None]:
    @wraps(stop)
    def stopping(process: subprocess.Popen[bytes]) -> None:
        node = NODES.pop(process.pid, None)
        try:
            if node is not None:
                node.sweep()
                node.rpc.close()
        finally:
            stop(process)

    return stopping


def _sending(mine: Callable[..., str]) -> Callable[..., str]:
    @wraps(mine)
    def sending(self: AnvilEngine, *args: Any) -> str:
        sent = mine(self, *args)
        if (node := _at(self.url)) is not None:
            node.shown.add(sent)
        return sent

    return sending


def _restoring(restore: Callable[..., None]) -> Callable[..., None]:
    @wraps(restore)
    def restoring(self: AnvilEngine, mark: object) -> None:
        node = _at(self.url)
        if node is None:
            restore(self, mark)
            return
        try:
            node.sweep()
        finally:
            restore(self, mark)
            node.rewind()

    return restoring


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(anvil, "_await_port", _started(anvil._await_port))
    patch.setattr(anvil, "_stop", _stopping(anvil._stop))
    patch.setattr(AnvilEngine, "_mine", _sending(AnvilEngine._mine))
    patch.setattr(AnvilEngine, "restore", _restoring(AnvilEngine.restore))
    config.add_cleanup(patch.undo)


@pytest.fixture(autouse=True)
def _nodes_are_swept() -> Iterator[None]:
    """Attribute what a node was sent to the test that did so."""
    yield
    for node in list(NODES.values()):
        node.sweep()
