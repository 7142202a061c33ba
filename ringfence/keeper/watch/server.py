"""A keeper's health, metrics and status over HTTP, for this machine unless told otherwise.

`/health` answers 503 while something is critical, else 200, with what is wrong as JSON; `/metrics`
is for Prometheus, `/status` is the `Status`. Nothing can be changed through it, and nobody
is asked for a name: whoever reaches it reads it, so that another address than 127.0.0.1 has to be
asked for, and wants a proxy before it. Each answer is made whole from what is in memory: a slow
reader holds up no one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from aiohttp import web

from ringfence.errors import RingfenceError
from ringfence.keeper.watch.metrics import Metrics
from ringfence.keeper.watch.redact import redact
from ringfence.keeper.watch.status import Problem, Status, line

PORT = 9_650

_OTHERS = 100
"""Vaults without a name that `/status` tells."""


class ServerError(RingfenceError):
    """The keeper's server cannot listen where it was told to."""


class Server:
    """Serves a status, its metrics, and what `look` says is wrong; port 0 takes any free one."""

    def __init__(
        self,
        status: Status,
        metrics: Metrics,
        look: Callable[[], Sequence[Problem]],
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
    ) -> None:
        self._status, self._metrics, self._look = status, metrics, look
        self._host, self._port = host, port
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._text)
        app.router.add_get("/status", self._all)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15, shutdown_timeout=1)

    async def start(self) -> str:
        """Listen; return the URL. Raises ServerError, in one line, when it cannot."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ServerError(
                f"health cannot be served on {self._host}:{self._port}: {error.strerror}; "
                "stop what listens there, or name another port"
            ) from error
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        found = self._look()
        ok = all(one.severity != "critical" for one in found)
        body = {"ok": ok, "problems": [asdict(one) for one in found]}
        return web.json_response(body, status=200 if ok else 503)

    async def _text(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.text(), headers=headers)

    async def _all(self, _request: web.Request) -> web.Response:
        vaults = self._status.vaults
        watched = {key: vault for key, vault in vaults.items() if vault.watched}
        others = [key for key, vault in vaults.items() if not vault.watched]
        # Anyone may create vaults: so many that telling all of them would hold the keeper up.
        shown = watched | {key: vaults[key] for key in others[:_OTHERS]}
        body = {
            "line": line(self._status),
            "other_vaults": len(others),
            "status": _plain(asdict(replace(self._status, vaults=shown))),
        }
        return web.json_response(body, dumps=lambda value: json.dumps(value, ensure_ascii=False))


def _plain(value: object) -> object:
    """Return a value as JSON has it: bytes as hex, and no secrets."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return redact(value) if isinstance(value, str) else value
