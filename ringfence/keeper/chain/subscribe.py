"""What a node tells by itself: subscriptions over WebSockets, one after the other."""

from __future__ import annotations

import json
from asyncio import timeout
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json
from ringfence.keeper.chain.wire import WireError

_CLOSING = 1.0
"""Seconds that are waited for the other side to close it, too."""
_TOLD = 200
"""Characters of an answer that an error repeats."""


class SocketError(RingfenceError):
    """A subscription has ended, or did not begin; the words do not hold the URL or its key."""


class RefusedError(SocketError):
    """The node does not take this subscription."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: a WebSocket silent for `silence` is closed; `longest_wait` is between attempts.

    The first wait after a WebSocket that brought nothing is up to `first_wait`, each one twice that
    of the one before.
    """

    silence: float = 30.0
    first_wait: float = 0.25
    longest_wait: float = 30.0


async def listen(
    url: str,
    what: Callable[[], Sequence[Json]],
    patience: Patience,
    *,
    take: Callable[[Json], None],
    ended: Callable[[RingfenceError], None],
) -> None:
    """Have `take` everything that `eth_subscribe` of `what` brings, for ever.

    `ended` hears why each WebSocket ended; one of whose news `take` raises WireError ends, too. The
    next is opened at once if it brought anything, else after a while.
    """

    async def once() -> None:
        heard = False
        try:
            async with aclosing(notifications(url, what(), patience.silence)) as news:
                async for one in news:
                    take(one)
                    heard = True
        except (SocketError, WireError) as error:
            ended(error)
            if not heard:
                raise SocketError(str(error)) from error

    waits = wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait)
    while True:
        async for attempt in AsyncRetrying(wait=waits, retry=retry_if_exception_type(SocketError)):
            with attempt:
                await once()


async def notifications(
    url: str, what: Sequence[Json], patience: float
) -> AsyncGenerator[Json, None]:
    """Yield what `eth_subscribe` of `what` brings; raise SocketError at its end.

    Its end is also when it does not open, or nothing comes, for `patience` seconds. Close it when
    done with it.
    """
    ask = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": what}
    try:
        async with connect(
            url, proxy=None, open_timeout=patience, close_timeout=_CLOSING
        ) as socket:
            await socket.send(json.dumps(ask))
            begun = False
            while True:
                async with timeout(patience):
                    message = json.loads(await socket.recv())
                if begun:
                    yield message["params"]["result"]
                    continue
                if not isinstance(message.get("result"), str):
                    raise RefusedError(f"the node refuses {what[0]}: {message!r:.{_TOLD}}")
                begun = True
    except (WebSocketException, OSError, ValueError, LookupError, TypeError, AttributeError) as why:
        raise SocketError(_told(why, patience)) from why


def _told(error: Exception, patience: float) -> str:
    """Return what went wrong; most of these errors' own words may hold the URL."""
    match error:
        case ConnectionClosed():
            close = error.rcvd
            if close is None:
                return "the socket broke off"
            return f"the node closed the socket with {close.code} {close.reason}".rstrip()
        case InvalidStatus():
            return f"the node takes no socket: HTTP {error.response.status_code}"
        case TimeoutError():
            return f"the socket was silent for {patience:g} s"
        case WebSocketException() | OSError():
            return f"the node takes no socket: {type(error).__name__}"
    return "the node sent what cannot be read down the socket"
