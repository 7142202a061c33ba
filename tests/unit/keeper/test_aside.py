"""Waiting for a database beside the event loop: what a cancellation waits for and tells."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from ringfence.keeper.memory.aside import aside

PATIENCE = 60.0


async def _cancelled(error: Exception | None) -> list[str]:
    """Cancel while a function runs; return what it had come to when that was through."""
    begun, going = threading.Event(), threading.Event()
    done: list[str] = []

    def write() -> None:
        begun.set()
        assert going.wait(PATIENCE)
        done.append("written")
        if error is not None:
            raise error

    task = asyncio.create_task(aside(write))
    while not begun.is_set():
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    return done


def test_aside__cancelled_while_it_writes__goes_on_after_the_write() -> None:
    assert asyncio.run(_cancelled(None)) == ["written"]


def test_aside__cancelled_and_the_write_fails__nothing_is_printed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A trace would have the statement, and what goes into it."""
    assert asyncio.run(_cancelled(ValueError("disk full"))) == ["written"]
    gc.collect()
    assert caplog.text == ""


def test_aside__function_raises__raised() -> None:
    with pytest.raises(ValueError, match="disk"):
        asyncio.run(aside(_fail))


def _fail() -> None:
    raise ValueError("disk full")
