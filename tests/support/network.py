"""Keeps tests on this machine: what would leave the loopback interface is refused unsent."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock


class OutsideConnectionError(AssertionError):
    """A test tried to reach another machine; no OSError, so no retry loop takes it for one."""


def _require_loopback(host: object) -> None:
    """Raise OutsideConnectionError unless `host` is `localhost`, a loopback address, or unset."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(str(name)).is_loopback:
            return
    raise OutsideConnectionError(
        f"test tried to reach {name!r} (limit: loopback); start what it needs on 127.0.0.1"
    )


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a socket method whose last positional argument is the peer's address."""

    def call(sock: socket.socket, *args: Any) -> Any:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(args[-1], tuple):
            _require_loopback(args[-1][0])
        return method(sock, *args)

    return call


@contextlib.contextmanager
def only_loopback() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups beyond loopback in this process."""
    look_up = socket.getaddrinfo

    def guarded_look_up(host: object, *args: Any, **kwargs: Any) -> Any:
        _require_loopback(host)
        return look_up(host, *args, **kwargs)

    with contextlib.ExitStack() as patches:
        for name in ("connect", "connect_ex", "sendto"):
            guarded = _guarded(getattr(socket.socket, name))
            patches.enter_context(mock.patch.object(socket.socket, name, guarded))
        patches.enter_context(mock.patch.object(socket, "getaddrinfo", guarded_look_up))
        yield
