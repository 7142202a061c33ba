"""What a node tells by itself: one subscription over one WebSocket, as long as that lasts."""

from __future__ import annotations

import json
from asyncio import timeout
from collections.abc import AsyncGenerator

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json

_CLOSING = 1.0
"""Seconds that are waited for the other side to close it, too."""
_TOLD = 200
"""Characters of an answer that an error repeats."""


class SocketError(RingfenceError):
    """A subscription has ended, or did not begin; the words do not hold the URL or its key."""


async def notifications(url: str, *what: Json, patience: float) -> AsyncGenerator[Json, None]:
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
                    raise SocketError(f"the node refuses {what[0]}: {message!r:.{_TOLD}}")
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
