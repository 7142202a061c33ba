"""One transaction on anvil, on a state that another engine has prepared."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.gas.scenes import Scene
from ringfence.evm import EvmError
from ringfence.evm.abi import checksum
from ringfence.evm.anvil import launch
from ringfence.evm.rpc import JsonRpc, RpcError
from ringfence.evm.state import AccountState, unpack

GAS_LIMIT = 10_000_000
_WEALTH = 10**24


@dataclass(frozen=True, slots=True)
class Event:
    """An event's emitter, its number of topics and its data's bytes."""

    address: str
    topics: int
    size: int

    @property
    def gas(self) -> int:
        """What the log instruction costs, the memory it reads apart."""
        return 375 + 375 * self.topics + 8 * self.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A call from contract to contract; `gas` is what the callee used, its access not included."""

    to: str
    selector: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Mined:
    """What a transaction's receipt and trace say."""

    gas_used: int
    events: tuple[Event, ...]
    frames: tuple[Frame, ...]


class Anvil:
    """A running anvil that mines when it is told to."""

    def __init__(self, node: JsonRpc) -> None:
        self._node = node

    def rpc(self, *calls: tuple[str, list[Any]]) -> list[Any]:
        """Send a batch of requests and return their results; raise EvmError if one fails."""
        answers = self._node.batch(list(calls))
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    def load(self, accounts: Mapping[bytes, AccountState]) -> None:
        """Write the code, nonce and storage of every account, and make each of them rich."""
        calls: list[tuple[str, list[Any]]] = []
        for address, account in accounts.items():
            where = checksum(address)
            calls.append(("anvil_setBalance", [where, hex(_WEALTH)]))
            calls.append(("anvil_setNonce", [where, hex(account.nonce)]))
            calls.append(("anvil_setCode", [where, "0x" + account.code.hex()]))
            for slot, word in account.words:
                words = [f"0x{unpack(slot):064x}", f"0x{unpack(word):064x}"]
                calls.append(("anvil_setStorageAt", [where, *words]))
        self.rpc(*calls)

    def mine(self, scene: Scene, accounts: Mapping[bytes, AccountState], timestamp: int) -> Mined:
        """Mine a transaction in a block of its own on that state, then forget both."""
        (mark,) = self.rpc(("evm_snapshot", []))
        self.load(accounts)
        transaction = {
            "from": scene.sender,
            "to": scene.to,
            "data": "0x" + scene.data.hex(),
            "gas": hex(GAS_LIMIT),
        }
        _set, sent, _mined = self.rpc(
            ("evm_setNextBlockTimestamp", [timestamp]),
            ("eth_sendTransaction", [transaction]),
            ("evm_mine", []),
        )
        receipt, trace = self.rpc(
            ("eth_getTransactionReceipt", [sent]),
            ("debug_traceTransaction", [sent, {"tracer": "callTracer"}]),
        )
        self.rpc(("evm_revert", [mark]))
        if int(receipt["status"], 16) != 1:
            raise EvmError(f"{scene.name} failed: {trace.get('revertReason', 'no reason')}")
        events = (
            Event(log["address"].lower(), len(log["topics"]), len(log["data"]) // 2 - 1)
            for log in receipt["logs"]
        )
        frames = _frames(trace.get("calls", []))
        return Mined(int(receipt["gasUsed"], 16), tuple(events), tuple(frames))


def _frames(calls: list[dict[str, Any]]) -> Iterator[Frame]:
    for call in calls:
        selector = bytes.fromhex(call["input"][2:10])
        yield Frame(call["to"].lower(), selector, int(call["gasUsed"], 16))
        yield from _frames(call.get("calls", []))


@contextmanager
def running(hardfork: str) -> Iterator[Anvil]:
    """Start anvil on a free port under a hard fork's rules, and stop it in the end."""
    with launch(hardfork=hardfork, timestamp=1) as engine:
        node = JsonRpc(engine.url)
        try:
            yield Anvil(node)
        finally:
            node.close()


def version() -> str:
    """Return anvil's version, for example "1.7.1"."""
    told = subprocess.run(["anvil", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[2]
