"""Calls of contracts, many in one batch, at one block: answers or reasons, no exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.client.abi import Function, interface
from ringfence.evm.abi import AbiValue
from ringfence.evm.decoding import decode_revert
from ringfence.evm.errors import EncodingError
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.wire import Rpc
from ringfence.keeper.watch.redact import tidy

QUOTE_GAS = 5_000_000
"""What a call may burn: a quote of a sale through a hundred ticks takes less."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer; `reverted` says that the contract refused, not the node."""

    reason: str
    reverted: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a contract, by its 20 bytes, to be called."""

    to: bytes
    function: Function
    arguments: tuple[AbiValue, ...] = field(default=())

    def request(self, block: Json) -> Request:
        """Return the JSON-RPC of it at a block."""
        data = self.function.encode(*self.arguments)
        call = {"to": hexed(self.to), "data": hexed(data), "gas": hex(QUOTE_GAS)}
        return "eth_call", [call, block]


def call(contract: str, name: str, to: bytes, *arguments: AbiValue) -> Call:
    """Return a call of a function by its contract's and its own name."""
    return Call(to, interface(contract).function(name, len(arguments)), arguments)


def hexed(data: bytes) -> str:
    """Return bytes as JSON-RPC writes them."""
    return "0x" + data.hex()


def at(block_hash: bytes) -> Json:
    """Return how JSON-RPC names a block by its hash (EIP-1898)."""
    return {"blockHash": hexed(block_hash)}


def read(function: Function, answer: Json | RpcError) -> AbiValue | Failed:
    """Return what a call answered."""
    if isinstance(answer, RpcError):
        return refusal(answer)
    try:
        return function.decode(bytes.fromhex(str(answer)[2:]))
    except (EncodingError, ValueError) as error:
        return Failed(f"an answer that cannot be read: {error}", reverted=True)


def refusal(error: RpcError) -> Failed:
    """Return why a call failed, in the contract's words where it has some, on one line."""
    try:
        raw = bytes.fromhex(error.data[2:]) if isinstance(error.data, str) else b""
    except ValueError:
        raw = b""
    return Failed(tidy(decode_revert(raw) or error.message), "revert" in error.message.lower())


async def ask(rpc: Rpc, calls: Sequence[Call], block_hash: bytes) -> list[AbiValue | Failed]:
    """Return what calls answer at a block, in their order; none, no request."""
    if not calls:
        return []
    answers = await rpc.batch([one.request(at(block_hash)) for one in calls])
    return [read(one.function, answer) for one, answer in zip(calls, answers, strict=True)]
