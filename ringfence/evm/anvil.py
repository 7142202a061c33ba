"""The anvil engine: Foundry's local chain, with everything a chain has.

It attaches to the chain that Ape is connected to (`AnvilEngine.from_ape`), or to one of our own
(`launch`), which Ape can be connected to as well (`ape_connection`). Transactions go to the node as
raw JSON-RPC, one round trip each: 0.5 ms where Ape's own take 30, and the same again for a trace.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum
from ringfence.evm.artifacts import ROOT
from ringfence.evm.decoding import decode_revert
from ringfence.evm.engine import (
    MNEMONIC,
    START_TIME,
    Engine,
    Receipt,
)
from ringfence.evm.errors import EvmError, Reverted, halt_reason
from ringfence.evm.rpc import Json, JsonRpc, RpcError
from ringfence.evm.traces import NodeFacts, quantity, unhex

if TYPE_CHECKING:
    from ape.api import ProviderAPI

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_START_POLL_SECONDS = 0.01
_POLL_SECONDS = 0.0003
_MINING_SECONDS = 30.0

HISTORY = 256
"""Past states that `launch` keeps; thousands cost more time a block than the transaction itself."""

_NO_FUNDS = "insufficient funds"
_HALT = "EVM error "
_CHANGES = {"tracerConfig": {"diffMode": True, "disableCode": True}}
_STEPS_KEPT = 4
"""Blocks whose steps a node keeps, half a MB each; asked for is the last one's."""
_STEPS = {"disableStack": True, "disableMemory": True, "disableStorage": True}


def _hex(address: Addressable) -> str:
    return "0x" + address_bytes(address).hex()


class _Mark:
    """A snapshot that stays good: a restore uses the node's up, and a new one takes its place."""

    def __init__(self, snapshot: str, timestamp: int) -> None:
        self.snapshot = snapshot
        self.timestamp = timestamp


class AnvilEngine(Engine):
    """An engine over a running anvil: senders need no key, gas price is 0, time stands still.

    Anything else may send transactions to the same node meanwhile, Ape for one. With `steps` each
    call's evidence tells its branches, by a node that was started to keep every step.
    """

    name = "anvil"

    def __init__(self, url: str, *, steps: bool = False) -> None:
        self._rpc = JsonRpc(url)
        self.url = url
        self._steps = steps
        version, chain_id, block, automine, *_none = self._ask(
            ("web3_clientVersion", []),
            ("eth_chainId", []),
            ("eth_getBlockByNumber", ["latest", False]),
            ("anvil_getAutomine", []),
            ("anvil_autoImpersonateAccount", [True]),
            ("anvil_setNextBlockBaseFeePerGas", ["0x0"]),
            ("anvil_setLoggingEnabled", [False]),
        )
        if not str(version).startswith("anvil"):
            raise EvmError(f"the node at {url} is {version}; the engine needs anvil's own methods")
        self._chain_id = int(chain_id, 16)
        self._automine = bool(automine)
        self._marks: list[_Mark] = []
        self._timestamp = int(block["timestamp"], 16)
        self._block_gas = int(block["gasLimit"], 16)

    @classmethod
    def from_ape(cls, provider: ProviderAPI | None = None) -> Self:
        """Attach to the anvil behind Ape's active provider, or behind the one given."""
        from ape import networks

        provider = provider or networks.active_provider
        url = getattr(provider, "http_uri", None) or getattr(provider, "uri", None)
        if not url:
            raise EvmError("Ape is not connected to a chain; use a network such as local:foundry")
        return cls(str(url))

    def dump_state(self, file: Path) -> None:
        """Write the chain's state to a file that `launch(state=file)` starts from."""
        file.write_bytes(gzip.decompress(unhex(self._rpc.call("anvil_dumpState"))))

    def close(self) -> None:
        """Close the connection to the node."""
        self._rpc.close()

    def _ask(self, *requests: tuple[str, list[Json]]) -> list[Json]:
        answers = self._rpc.batch(list(requests))
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    @contextmanager
    def automining(self) -> Iterator[None]:
        """Let the node mine each transaction at once, so that others can use it too."""
        before = self._automine
        self._rpc.call("evm_setAutomine", True)
        self._automine = True
        try:
            yield
        finally:
            self._rpc.call("evm_setAutomine", before)
            self._automine = before

    # Time

    @property
    @override
    def chain_id(self) -> int:
        return self._chain_id

    @property
    @override
    def timestamp(self) -> int:
        return self._timestamp

    @override
    def set_next_timestamp(self, timestamp: int) -> None:
        if timestamp < self._timestamp:
            raise EvmError(f"timestamp {timestamp} lies before the chain's {self._timestamp}")
        self._timestamp = timestamp

    # Transactions

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
        transaction = {
            "from": _hex(sender),
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(self._block_gas if gas_limit is None else gas_limit),
            "gasPrice": "0x0",
        }
        if to is not None:
            transaction["to"] = _hex(to)
        sent = self._mine(transaction, sender, value)
        receipt, call, changes, *steps = self._ask(
            ("eth_getTransactionReceipt", [sent]),
            ("debug_traceTransaction", [sent, {"tracer": "callTracer"}]),
            ("debug_traceTransaction", [sent, {"tracer": "prestateTracer", **_CHANGES}]),
            *([("debug_traceTransaction", [sent, _STEPS])] if self._steps else []),
        )
        if receipt is None:
            raise EvmError(
                f"the node left transaction {sent} out of its block; is another waiting?"
            )
        self._timestamp = quantity(receipt["blockTimestamp"])
        facts = NodeFacts(receipt, call, changes, *steps)
        success = quantity(receipt["status"]) == 1
        created = receipt["contractAddress"] if success and to is None else None
        return Receipt(
            success=success,
            sender=checksum(address_bytes(sender)),
            to=None if to is None else checksum(address_bytes(to)),
            revert_reason=None if success else facts.reason(),
            timestamp=self._timestamp,
            contract_address=None if created is None else checksum(unhex(created)),
            decode=decode,
            evidence=facts,
        )

    def _mine(self, transaction: Json, sender: Addressable, value: int) -> str:
        """Send a transaction, see it into a block of the engine's time, return its hash.

        One request after the other: the node works on the requests of a batch side by side.
        """
        if self._automine:
            # another user may have mined a later block: the node then refuses the time, and the
            # transaction gets the next one
            self._rpc.batch([("evm_setNextBlockTimestamp", [self._timestamp])])
        try:
            sent = str(self._rpc.call("eth_sendTransaction", transaction))
        except RpcError as error:
            if _NO_FUNDS in error.message.lower():
                raise self._no_funds(sender, value) from None
            raise
        if self._automine:
            self._await(sent)
        else:
            self._rpc.call("evm_mine", self._timestamp)
        return sent

    def _await(self, sent: str) -> None:
        """Wait until a node that mines by itself has done so, and has tidied its pool up.

        A restore between block and tidying makes it throw the next transaction away.
        """
        deadline = time.monotonic() + _MINING_SECONDS
        while time.monotonic() < deadline:
            receipt, pool = self._ask(("eth_getTransactionReceipt", [sent]), ("txpool_status", []))
            if receipt is not None and quantity(pool["pending"]) == 0:
                return
            time.sleep(_POLL_SECONDS)
        raise EvmError(f"the node did not mine {sent} in {_MINING_SECONDS:.0f} s")

    @override
    def call_raw(
        self, to: Addressable, data: bytes, *, sender: Addressable | None = None, value: int = 0
    ) -> bytes:
        call = {
            "from": _hex(sender or self.accounts[0]),
            "to": _hex(to),
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gasPrice": "0x0",
        }
        try:
            output = self._rpc.call("eth_call", call, "latest", {}, {"time": hex(self._timestamp)})
        except RpcError as error:
            if isinstance(error.data, str):
                raise Reverted(decode_revert(unhex(error.data))) from None
            if error.message.startswith(_HALT):
                raise Reverted(halt_reason(error.message.removeprefix(_HALT))) from None
            if _NO_FUNDS in error.message.lower():
                raise self._no_funds(call["from"], value) from None
            raise
        return unhex(output)

    # State

    @override
    def storage_at(self, address: Addressable, slot: int) -> int:
        word = self._rpc.call("eth_getStorageAt", _hex(address), hex(slot), "latest")
        return int(word, 16)

    @override
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        self._rpc.call("anvil_setStorageAt", _hex(address), hex(slot), f"0x{word:064x}")

    @override
    def balance(self, address: Addressable) -> int:
        return int(self._rpc.call("eth_getBalance", _hex(address), "latest"), 16)

    @override
    def set_balance(self, address: Addressable, wei: int) -> None:
        self._rpc.call("anvil_setBalance", _hex(address), hex(wei))

    @override
    def code_at(self, address: Addressable) -> bytes:
        return unhex(self._rpc.call("eth_getCode", _hex(address), "latest"))

    @override
    def set_code(self, address: Addressable, code: bytes) -> None:
        self._rpc.call("anvil_setCode", _hex(address), "0x" + code.hex())

    @override
    def snapshot(self) -> object:
        mark = _Mark(self._rpc.call("evm_snapshot"), self._timestamp)
        self._marks.append(mark)
        return mark

    @override
    def restore(self, mark: object) -> None:
        if not isinstance(mark, _Mark):
            raise EvmError("this is not a mark of an anvil engine's state")
        if mark not in self._marks:
            raise EvmError("this mark is gone: an earlier one was restored since")
        del self._marks[self._marks.index(mark) + 1 :]
        if self._rpc.call("evm_revert", mark.snapshot) is not True:
            raise EvmError("the node no longer knows this mark; did something else restore one?")
        mark.snapshot = self._rpc.call("evm_snapshot")
        self._timestamp = mark.timestamp


# A node of our own


def _binary() -> str:
    packaged = ROOT / "node_modules" / ".bin" / "anvil"
    found = str(packaged) if packaged.exists() else shutil.which("anvil")
    if found is None:
        raise EvmError("anvil is neither in node_modules nor on PATH; run `make setup`")
    return found


def _await_port(process: subprocess.Popen[bytes], output: Path) -> int:
    """Return the port that anvil found for itself: it was started with port 0."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in output.read_text().splitlines():
            if line.startswith("Listening on "):
                return int(line.rpartition(":")[2])
        time.sleep(_START_POLL_SECONDS)
    raise EvmError(f"anvil did not start: {output.read_text()[-500:]}")


@contextmanager
def launch(
    *,
    chain_id: int = 1,
    hardfork: str = "cancun",
    timestamp: int = START_TIME,
    history: int = HISTORY,
    state: Path | None = None,
    fork_url: str | None = None,
    steps: bool = False,
) -> Iterator[AnvilEngine]:
    """Start an anvil of our own on a free port, and stop it at the end; takes 60 ms.

    Accounts, contract addresses, chain id and time are those of the in-process engine. State diffs
    and outputs can be asked for, and calls made in the past, as far back as `history` blocks.
    `state` is a file that `dump_state` wrote, to start from; `fork_url` a node whose chain to fork
    at its latest block, which then says chain id and time. `steps` lets the node keep each step of
    each transaction, for the branches: some ms a call more.
    """
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="anvil-")))
        output = folder / "output"
        options = {
            "--port": "0",
            "--host": "127.0.0.1",
            "--hardfork": hardfork,
            "--mnemonic": MNEMONIC,
            "--block-base-fee-per-gas": "0",
            "--gas-price": "0",
            "--prune-history": str(history),
        }
        if fork_url is None:
            options |= {"--chain-id": str(chain_id), "--timestamp": str(timestamp)}
        else:
            options |= {"--fork-url": fork_url}
        if state is not None:
            options |= {"--load-state": str(state)}
        arguments = [word for pair in options.items() for word in pair]
        if steps:
            arguments += ["--steps-tracing", "--transaction-block-keeper", str(_STEPS_KEPT)]
        with output.open("wb") as file:
            process = subprocess.Popen(
                [_binary(), *arguments, "--no-mining"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        cleanup.callback(_stop, process)
        url = f"http://127.0.0.1:{_await_port(process, output)}"
        engine = AnvilEngine(url, steps=steps)
        cleanup.callback(engine.close)
        yield engine


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def ape_connection(engine: AnvilEngine) -> Iterator[ProviderAPI]:
    """Connect Ape to an engine's node, as network ethereum:local:foundry.

    The node mines by itself meanwhile, as Ape expects.
    """
    from ape import networks

    settings = {"host": engine.url}
    with engine.automining():
        local = networks.ethereum.local
        with local.use_provider("foundry", provider_settings=settings) as provider:
            yield provider
