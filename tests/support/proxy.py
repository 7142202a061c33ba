"""A bad way to a node: a server in front of anvil, HTTP and WebSocket, that fails as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientSession, WSMsgType, web

from ringfence.evm.rpc import Json

_SECONDS = 60.0
FORGED = "0x" + "66" * 32


class Proxy:
    """Set an attribute and the next answer is so; all as they are to begin with: an honest way.

    `height` is the highest block that it has, `lag` by how many blocks it is behind; with `silent`
    it answers [] for the logs of blocks that it lacks, not an error.
    """

    drop = False
    """Close the connection without an answer."""
    delay = 0.0
    """Seconds before an answer."""
    truncate = False
    """Send half of the answer, then close the connection."""
    status = 200
    body: str | None = None
    """Text in place of an answer."""
    lag = 0
    height: int | None = None
    silent = False
    forge = False
    """Give the newest block a hash that it has not."""
    keep_logs: int | None = None
    """Of each eth_getLogs, how many logs are left."""
    failing: frozenset[str] = frozenset()
    """Methods that are answered with an error."""
    stall = False
    """Send nothing down a WebSocket."""
    refuse = False
    """Take no WebSocket."""
    hashes: str | None = None
    """Asked for whole pending transactions: "refused", or "given" although asked for more."""

    def __init__(self, node: str) -> None:
        self._node = node
        self.requests: list[str] = []
        """Methods, in the order they were asked in."""
        self.connections = 0
        """WebSockets that were opened."""
        self.subscriptions = 0
        """Those that the node has begun."""
        self._sockets: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._port: int = self._run(self._start())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v2/secret-key"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self._port}/v2/secret-key"

    def heal(self) -> None:
        """Be honest again."""
        for name in self._spoiled():
            delattr(self, name)

    def _spoiled(self) -> list[str]:
        return [one for one in vars(self) if one in vars(type(self))]

    def close_sockets(self, code: int) -> None:
        self._run(self._close_sockets(code))

    def stop(self) -> None:
        """Be gone; what is stopped stays so."""
        if self._loop.is_closed():
            return
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _start(self) -> int:
        self._client = ClientSession()
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _stop(self) -> None:
        await self._close_sockets(1001)
        await self._runner.cleanup()
        await self._client.close()
        # Answers that nobody waits for any more.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _close_sockets(self, code: int) -> None:
        await asyncio.gather(*[one.close(code=code) for one in self._sockets])

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        asked = await request.json()
        if not self._spoiled():
            return await self._forward(asked)
        await asyncio.sleep(self.delay)
        if self.drop:
            return _hang_up(request)
        if self.status != 200 or self.body is not None:
            return web.Response(status=self.status, text=self.body or "no")
        if isinstance(asked, list):
            text = json.dumps([await self._answer(one) for one in asked])
        else:
            text = json.dumps(await self._answer(asked))
        if not self.truncate:
            return web.Response(text=text, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Length": str(len(text))})
        await response.prepare(request)
        await response.write(text[: len(text) // 2].encode())
        return _hang_up(request)

    async def _forward(self, asked: Json) -> web.Response:
        self.requests += [one["method"] for one in (asked if isinstance(asked, list) else [asked])]
        async with self._client.post(self._node, json=asked) as response:
            return web.Response(body=await response.read(), content_type="application/json")

    async def _ask(self, method: str, *params: Json) -> Json:
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self._client.post(self._node, json=asked) as response:
            return await response.json()

    async def _answer(self, asked: Json) -> Json:
        method, params = asked["method"], asked.get("params") or []
        self.requests.append(method)
        if method in self.failing:
            answer: Json = _error("internal error")
        else:
            answer = await self._behind(method, params)
        result = answer.get("result")
        if method == "eth_getLogs" and result and self.keep_logs is not None:
            answer["result"] = result[: self.keep_logs]
        if method == "eth_getBlockByNumber" and result and self.forge:
            top = (await self._ask("eth_blockNumber"))["result"]
            if result["number"] == top:
                result["hash"] = FORGED
        return answer | {"jsonrpc": "2.0", "id": asked["id"]}

    async def _behind(self, method: str, params: list[Json]) -> Json:
        """The node's answer, as it was when it had no block above the top."""
        top = int((await self._ask("eth_blockNumber"))["result"], 16) - self.lag
        if self.height is not None:
            top = min(top, self.height)
        params = [hex(top) if one == "latest" else one for one in params]
        if method == "eth_blockNumber":
            return {"result": hex(top)}
        numbered = method == "eth_getBlockByNumber" and params[0].startswith("0x")
        if numbered and int(params[0], 16) > top:
            return {"result": None}
        answer = await self._ask(method, *params)
        if method == "eth_getBlockByHash":
            block = answer.get("result")
            return answer if block is None or int(block["number"], 16) <= top else {"result": None}
        where = params[0] if method == "eth_getLogs" else params[-1] if params else None
        if isinstance(where, dict) and "blockHash" in where:
            found = (await self._ask("eth_getBlockByHash", where["blockHash"], False))["result"]
            if found is None or int(found["number"], 16) > top:
                silent = self.silent and method == "eth_getLogs"
                return {"result": []} if silent else _error("header not found")
        if method == "eth_getLogs" and "result" in answer:
            answer["result"] = [
                one for one in answer["result"] if int(one["blockNumber"], 16) <= top
            ]
        return answer

    # WebSocket

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            return web.Response(status=503)
        near = web.WebSocketResponse()
        await near.prepare(request)
        self.connections += 1
        self._sockets.add(near)
        try:
            async with self._client.ws_connect(self._node) as far:
                up = asyncio.create_task(self._pass_up(near, far))
                down = asyncio.create_task(self._pass_down(far, near))
                await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
                for task in (up, down):
                    task.cancel()
        finally:
            self._sockets.discard(near)
        return near

    async def _pass_up(self, near: web.WebSocketResponse, far: Any) -> None:
        async for message in near:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            if len(asked["params"]) == 2 and self.hashes == "refused":
                await near.send_json(_error("invalid params") | {"id": asked["id"]})
                continue
            if self.hashes == "given":
                del asked["params"][1:]
            await far.send_json(asked)

    async def _pass_down(self, far: Any, near: web.WebSocketResponse) -> None:
        async for message in far:
            if message.type is WSMsgType.TEXT and not self.stall:
                text = message.data
                self.subscriptions += '"method"' not in text and '"error"' not in text
                if self.forge and '"newHeads"' not in text and "parentHash" in text:
                    told = json.loads(text)
                    told["params"]["result"]["hash"] = FORGED
                    text = json.dumps(told)
                with contextlib.suppress(ConnectionError):
                    await near.send_str(text if self.body is None else self.body)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _error(message: str) -> Json:
    return {"error": {"code": -32000, "message": message}}


@contextmanager
def proxies(node: str, count: int) -> Iterator[list[Proxy]]:
    """So many ways to one node."""
    made: list[Proxy] = []
    try:
        for _ in range(count):
            made.append(Proxy(node))
        yield made
    finally:
        for one in made:
            one.stop()
