"""How calls are run at a head without being sent: in order in one block, or each by itself.

`eth_simulateV1` runs them as the next block would: each sees what those before it did, and the node
says what gas it pays for. A node that does not have it is asked by eth_call and eth_estimateGas, of
each call, and calls do not see each other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ringfence.evm.decoding import decode_revert
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import Failed, at, refusal
from ringfence.keeper.chain.wire import Header, Rpc

BLOCK_GAS = 40_000_000
"""The most gas of a simulated block: nodes cap what one request may burn, geth at 50 million."""

_AT_A_TIME = 2
"""Simulated blocks that a node works on at once."""

Transaction: TypeAlias = Mapping[str, str]
"""`from`, `to`, `data` and `gas`, as JSON-RPC writes them."""

_UNUSABLE = (LookupError, TypeError, ValueError, AttributeError)
_UNKNOWN = re.compile(
    r"(?=.*(method|simulateV1)).*"
    r"(not (found|supported|available|allowed|whitelisted|exist)|unsupported|unknown|no such)",
    re.IGNORECASE,
)


class Ran(NamedTuple):
    """What a call gave. `needs` is a gas limit that is enough for it, `charged` what it pays for.

    Both are None where the node does not say.
    """

    answer: bytes | Failed
    needs: int | None
    charged: int | None = None


@dataclass(slots=True)
class Runner:
    """Runs calls at `rpc`; remembers of its nodes whether they simulate blocks."""

    rpc: Rpc
    simulates: bool = True

    async def run(
        self,
        blocks: Sequence[Sequence[Transaction]],
        singles: Sequence[Transaction],
        head: Header,
        cap: int,
    ) -> tuple[bool, list[Ran], list[Json | RpcError]]:
        """Return what becomes of blocks of calls, one call after the other, and of single calls.

        First comes whether the calls of a block saw each other. `cap` is the most gas of a call.
        """
        alone = [_request("eth_call", one, head) for one in singles]
        if self.simulates:
            first, *others = [[_block(one, head)] for one in blocks] or [[]]
            answers = await self._side_by_side([[*first, *alone], *others])
            given = [one[0] for one in answers[: len(blocks)]]
            rest = answers[0][len(first) :]
            try:
                ran = [
                    _simulated(call, one, cap)
                    for block, answer in zip(blocks, given, strict=True)
                    for call, one in zip(block, _calls(answer), strict=True)
                ]
            except _UNUSABLE:
                self.simulates = not any(map(_is_unknown, given))
            else:
                return True, ran, rest
        calls = [one for block in blocks for one in block]
        singly = [
            request
            for one in calls
            for request in (
                _request("eth_call", one, head),
                _request("eth_estimateGas", {**one, "gas": hex(cap)}, head),
            )
        ]
        found = await self.rpc.batch([*singly, *alone])
        pairs = zip(found[: len(singly) : 2], found[1 : len(singly) : 2], strict=True)
        each = [Ran(_called(answer), _gas(estimate)) for answer, estimate in pairs]
        return False, each, found[len(singly) :]

    async def _side_by_side(
        self, batches: Sequence[Sequence[Request]]
    ) -> list[list[Json | RpcError]]:
        """Return the answers to several batches, a few of which are asked at a time.

        Each has as long as an answer may take for itself, however much is due.
        """
        gate = asyncio.Semaphore(_AT_A_TIME)

        async def ask(requests: Sequence[Request]) -> list[Json | RpcError]:
            async with gate:
                return await self.rpc.batch(requests)

        return await asyncio.gather(*map(ask, batches))


def _request(method: str, call: Transaction, head: Header) -> Request:
    return method, [call, at(head.hash), {}, {"time": hex(head.timestamp + 1)}]


def _block(calls: Sequence[Transaction], head: Header) -> Request:
    """Return the request that runs calls as a block a second after the head."""
    gas = sum(int(one["gas"], 16) for one in calls)
    overrides = {"time": hex(head.timestamp + 1), "gasLimit": hex(gas)}
    block = {"blockOverrides": overrides, "calls": [*calls]}
    return "eth_simulateV1", [{"blockStateCalls": [block], "validation": False}, at(head.hash)]


def _calls(answer: Json | RpcError) -> Sequence[Json]:
    if isinstance(answer, RpcError):
        raise ValueError(answer.message)
    [block] = answer
    found: Sequence[Json] = block["calls"]
    return found


def _simulated(call: Transaction, answer: Json, cap: int) -> Ran:
    """Return what eth_simulateV1 says of a call.

    At most a fifth of the gas is refunded after it. One that fails and leaves less than an eighth
    of its limit may have lacked gas: then the most that it may have is worth a try.
    """
    data, used = bytes.fromhex(answer["returnData"][2:]), int(answer["gasUsed"], 16)
    if int(answer["status"], 16) == 1:
        return Ran(data, -(-used * 5 // 4), used)
    told = decode_revert(data) or str(answer["error"]["message"])
    starved = used >= int(call["gas"], 16) * 7 // 8
    return Ran(Failed(told, reverted=True), cap if starved else None, used)


def _is_unknown(answer: Json | RpcError) -> bool:
    """Return whether a node says that it does not have the method."""
    return isinstance(answer, RpcError) and _UNKNOWN.search(answer.message) is not None


def _called(answer: Json | RpcError) -> bytes | Failed:
    """Return what eth_call says."""
    if isinstance(answer, RpcError):
        return refusal(answer)
    try:
        return bytes.fromhex(str(answer)[2:])
    except ValueError as error:
        return Failed(f"an answer that cannot be read: {error}", reverted=True)


def _gas(answer: Json | RpcError) -> int | None:
    try:
        return None if isinstance(answer, RpcError) else int(answer, 16)
    except (TypeError, ValueError):
        return None
