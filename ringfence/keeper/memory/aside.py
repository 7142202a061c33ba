"""How the keeper waits for its databases without holding up all else that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def aside(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return what a function returns that may wait, run in a thread; raise what it raises.

    Whoever awaits it goes on after it, cancelled or not: a database is not closed, and leases in it
    not let go of, while something is written there.
    """
    call = partial(function, *args, **kwargs)
    running = asyncio.get_running_loop().run_in_executor(None, call)
    # What it raises after a cancellation is nobody's any more: asyncio would print its trace.
    running.add_done_callback(lambda one: one.cancelled() or one.exception())
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait([running])
