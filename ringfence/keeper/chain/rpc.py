"""The way to one node, by web3.py's provider."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from typing_extensions import override
from web3 import AsyncHTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.wire import NoAnswerError

# The latter three are what web3.py makes of an answer that is no JSON-RPC.
_FAILURES = (
    ClientError,
    Web3Exception,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    # JSON that is nested without end.
    RecursionError,
)

_KEPT = 4.0
"""Seconds that a connection is kept unused: less than servers keep one, Node.js's have five."""

_SECRET = 8
"""Characters from which on a part of a URL may be a key."""
_TOLD = 200
"""Characters of an answer that an error repeats."""


_NESTED = 1_000
"""Frames that reading an answer may take: more, which other packages allow, overflow the stack."""


class _Provider(AsyncHTTPProvider):
    @staticmethod
    @override
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Return what an answer says; raise RecursionError for one that is nested without end."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(min(before, _NESTED))
        try:
            return AsyncHTTPProvider.decode_rpc_response(raw_response)
        finally:
            sys.setrecursionlimit(before)


class Web3Rpc:
    """JSON-RPC in batches over HTTP; whatever goes wrong is an answer, not an exception."""

    def __init__(self, url: str, *, timeout: float = 30) -> None:
        """`timeout` is what a batch may take, seconds."""
        limit = ClientTimeout(total=timeout)
        self._provider = _Provider(url, request_kwargs={"timeout": limit})
        self._opening, self._opened = asyncio.Lock(), False
        parts = urlsplit(url)
        words = re.split(r"[/?&=]", f"{parts.path}?{parts.query}")
        words += [parts.username or "", parts.password or ""]
        self._secrets = [word for word in words if len(word) >= _SECRET]

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return each request's result, or its error, in their order."""
        calls = [(RPCEndpoint(method), params) for method, params in requests]
        try:
            await self._open()
            answers = await self._provider.make_batch_request(calls)
        except _FAILURES as error:
            # Its words would carry the URL, and the URL may carry a key.
            told = f"no answer: {type(error).__name__} {getattr(error, 'status', '')}".rstrip()
            return [NoAnswerError(method, told, None) for method, _ in requests]
        if not isinstance(answers, list) or len(answers) != len(requests):
            told = f"no answer of its own: {self._hide(str(answers))[:_TOLD]}"
            return [NoAnswerError(method, told, None) for method, _ in requests]
        return [
            self._result(method, answer)
            for (method, _), answer in zip(requests, answers, strict=True)
        ]

    async def _open(self) -> None:
        """Let connections be used again: web3.py's own session makes one for each request."""
        async with self._opening:
            if not self._opened:
                connector = TCPConnector(keepalive_timeout=_KEPT)
                session = ClientSession(raise_for_status=True, connector=connector)
                await self._provider.cache_async_session(session)
                self._opened = True

    async def close(self) -> None:
        """Close its connections."""
        await self._provider.disconnect()

    def _result(self, method: str, answer: Json) -> Json | RpcError:
        if isinstance(answer, dict) and "result" in answer:
            return answer["result"]
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, dict):
            return RpcError(method, self._hide(str(answer))[:_TOLD], None)
        told = self._hide(str(error.get("message", error)))[:_TOLD]
        return RpcError(method, told, error.get("data"))

    def _hide(self, text: str) -> str:
        """Return what a node said without the URL's key, which some repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "...")
        return text
