"""The chain's newest head, again and again: by WebSocket where it works, else by asking."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json, RpcError
from ringfence.keeper.chain.subscribe import Patience, listen
from ringfence.keeper.chain.wire import Header, Rpc, WireError


class Heads:
    """An async iterator of headers, each the newest there is when it is asked for; never ends.

    Those that came while the consumer worked are skipped, but for the newest; the same hash never
    comes twice in a row. A head lower than the last may come, of a reorganised chain or of a node
    that lags. As long as `url`, a WebSocket, brings none, be it closed, silent, or not there, `rpc`
    is asked every `interval` seconds, and the WebSocket is opened anew as `patience` says.

    Use it in `async with`.
    """

    def __init__(
        self,
        rpc: Rpc,
        url: str | None = None,
        *,
        patience: Patience = Patience(),  # noqa: B008 - it is frozen
        interval: float = 1.0,
    ) -> None:
        self._rpc, self._url = rpc, url
        self._patience, self._interval = patience, interval
        self._newest: Header | None = None
        self._last: Header | None = None
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._troubles: dict[str, str] = {}

    @property
    def live(self) -> bool:
        """Return whether heads come by WebSocket now."""
        return not self._quiet.is_set()

    @property
    def trouble(self) -> str | None:
        """Return why heads come by asking although there is a WebSocket, or why none come."""
        return "; ".join(self._troubles.values()) or None

    async def __aenter__(self) -> Self:
        """Begin to listen and to ask."""
        self._tasks = [asyncio.create_task(self._poll())]
        if self._url is not None:
            listening = listen(
                self._url, lambda: ("newHeads",), self._patience, take=self._hear, ended=self._end
            )
            self._tasks.append(asyncio.create_task(listening))
        for task in self._tasks:
            task.add_done_callback(lambda _task: self._news.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Header:
        """Return the newest head, once it is another than the last."""
        while True:
            await self._news.wait()
            self._news.clear()
            for task in self._tasks:
                if task.done():
                    task.result()
            if self._newest is not None and (
                self._last is None or self._newest.hash != self._last.hash
            ):
                self._last = self._newest
                return self._last

    def _show(self, head: Header) -> None:
        self._newest = head
        self._news.set()

    # Asking

    async def _poll(self) -> None:
        while True:
            await self._quiet.wait()
            [answer] = await self._rpc.batch([("eth_getBlockByNumber", ["latest", False])])
            # An answer that a head from the WebSocket has overtaken is old.
            if not self.live:
                try:
                    if isinstance(answer, RpcError):
                        raise answer
                    self._show(Header.parse(answer))
                    self._troubles.pop("poll", None)
                except (RpcError, WireError) as error:
                    self._troubles["poll"] = f"no head: {error}"
            await asyncio.sleep(self._interval)

    # Listening

    def _hear(self, block: Json) -> None:
        self._show(Header.parse(block))
        self._quiet.clear()
        self._troubles.clear()

    def _end(self, error: RingfenceError) -> None:
        self._quiet.set()
        self._troubles["socket"] = f"heads by asking: {error}"
