"""Transactions that wait to be mined: an oracle's next price, seen before it is one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.subscribe import Patience, RefusedError, listen
from ringfence.keeper.chain.wire import Header, Rpc, WireError, parsed, unhex

Call: TypeAlias = tuple[bytes, bytes]
"""A contract's 20 bytes and calldata."""

_WAITING = 10_000
"""Transactions that may wait for the consumer; the oldest are forgotten."""
_PAGE = 100
"""Transactions that are asked for at once."""
_REMEMBERED = 1_000
"""Transactions that are not given again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction in a node's pool: addresses of 20 bytes, amounts in wei, fees a unit of gas."""

    hash: bytes
    sender: bytes
    to: bytes
    nonce: int
    value: int
    gas: int
    max_fee: int
    max_tip: int
    data: bytes = field(repr=False)

    @classmethod
    def parse(cls, body: Json) -> Self:
        """Return the transaction that a node described; raise WireError."""
        return parsed(
            "transaction",
            lambda: cls(
                unhex(body["hash"], 32),
                unhex(body["from"], 20),
                unhex(body["to"], 20),
                int(body["nonce"], 16),
                int(body["value"], 16),
                int(body["gas"], 16),
                int(body.get("maxFeePerGas") or body["gasPrice"], 16),
                int(body.get("maxPriorityFeePerGas") or body["gasPrice"], 16),
                bytes.fromhex(body["input"][2:]),
            ),
        )


class Mempool:
    """An async iterator of the pending transactions to `watched` addresses; never ends.

    `watched` may change meanwhile. `url` is a node's WebSocket; `rpc` is asked for the transactions
    of which it tells the hash alone. None comes twice; some may never come, as no pool holds all,
    and as those that wait for a slow consumer are forgotten when they are too many, or when one
    with the same sender and nonce comes after them.

    Use it in `async with`.
    """

    def __init__(
        self,
        rpc: Rpc,
        url: str,
        watched: Container[bytes],
        *,
        patience: Patience = Patience(silence=120.0),  # noqa: B008 - it is frozen
    ) -> None:
        self._rpc, self._url, self._watched = rpc, url, watched
        self._patience = patience
        self._heard: deque[Json] = deque(maxlen=_WAITING)
        self._found: deque[Pending] = deque()
        self._given: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._news = asyncio.Event()
        self._whole = True
        self.trouble: str | None = None
        """Why none come now, if so."""

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        listening = listen(self._url, self._what, self._patience, take=self._hear, ended=self._end)
        self._task = asyncio.create_task(listening)
        self._task.add_done_callback(lambda _task: self._news.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Pending:
        """Return the next one."""
        while not self._found:
            await self._news.wait()
            self._news.clear()
            if self._task.done():
                self._task.result()
            heard = [*self._heard]
            self._heard.clear()
            for body in await self._bodies(heard):
                self._sift(body)
        return self._found.popleft()

    def _what(self) -> Sequence[Json]:
        return ("newPendingTransactions", True) if self._whole else ("newPendingTransactions",)

    def _hear(self, told: Json) -> None:
        self.trouble = None
        self._heard.append(told)
        self._news.set()

    def _end(self, error: RingfenceError) -> None:
        self.trouble = str(error)
        if isinstance(error, RefusedError):
            # Some nodes tell hashes only, and refuse to be asked for more.
            self._whole = not self._whole

    async def _bodies(self, heard: Sequence[Json]) -> list[Json]:
        """Return the transactions that were told, those told by their hashes too."""
        bodies = [one for one in heard if isinstance(one, dict)]
        hashes = [one for one in heard if isinstance(one, str)]
        for start in range(0, len(hashes), _PAGE):
            page = hashes[start : start + _PAGE]
            requests: list[Request] = [("eth_getTransactionByHash", [one]) for one in page]
            # What is gone again is null.
            bodies += [one for one in await self._rpc.batch(requests) if isinstance(one, dict)]
        return bodies

    def _sift(self, body: Json) -> None:
        try:
            if body.get("to") is None or unhex(body["to"], 20) not in self._watched:
                return
            pending = Pending.parse(body)
        except (WireError, TypeError, ValueError):
            # Anyone can send a transaction, and a node may describe it as it likes.
            return
        if pending.hash not in self._given:
            self._given.append(pending.hash)
            for one in [*self._found]:
                if (one.sender, one.nonce) == (pending.sender, pending.nonce):
                    self._found.remove(one)
            self._found.append(pending)


def as_call(pending: Pending) -> Json:
    """Return a transaction as `eth_simulateV1` takes it."""
    return {
        "from": "0x" + pending.sender.hex(),
        "to": "0x" + pending.to.hex(),
        "gas": hex(pending.gas),
        "value": hex(pending.value),
        "input": "0x" + pending.data.hex(),
    }


async def after(
    rpc: Rpc, head: Header, pending: Pending, calls: Sequence[Call]
) -> list[bytes | RpcError]:
    """Return what each call would answer after the transaction, both on top of `head`.

    One `eth_simulateV1`, a second after the head, without its checks of fees and nonces. Where the
    transaction fails, the answers are those of the head.
    """
    simulated = {
        "calls": [
            as_call(pending),
            *[{"to": "0x" + to.hex(), "input": "0x" + data.hex()} for to, data in calls],
        ],
        "blockOverrides": {"time": hex(head.timestamp + 1)},
    }
    options = {"blockStateCalls": [simulated], "validation": False}
    where = {"blockHash": "0x" + head.hash.hex()}
    [answer] = await rpc.batch([("eth_simulateV1", [options, where])])
    if isinstance(answer, RpcError):
        return [answer] * len(calls)
    try:
        return parsed("simulation", lambda: _outputs(answer, len(calls)))
    except WireError as error:
        return [RpcError("eth_simulateV1", str(error), None)] * len(calls)


def _outputs(answer: Json, count: int) -> list[bytes | RpcError]:
    results = answer[0]["calls"][1:]
    if len(results) != count:
        raise ValueError(f"{len(results)} results, not {count}")
    return [
        bytes.fromhex(one["returnData"][2:])
        if one["status"] == "0x1"
        else RpcError("eth_simulateV1", str(one["error"]["message"]), one["returnData"])
        for one in results
    ]
