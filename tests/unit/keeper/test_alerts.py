"""Alerts to a real receiver that is absent, silent, broken, and there again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from ringfence.keeper.watch.alerts import Alerts
from ringfence.keeper.watch.status import AlertCounts, Problem

GAS = Problem("gas", "warning", "0.04 ETH for gas (floor 0.05)")
HEAD = Problem("head", "critical", "block 7 is 61 s old")


class Receiver:
    """A webhook; `taken` is what it has said yes to, `asked` counts all that came."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._never = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/KEY"

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/hook/KEY", self._hook)
        app.router.add_get("/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        return web.Response(text="a page, which is no webhook")

    async def _hook(self, request: web.Request) -> web.Response:
        self.asked += 1
        message = await request.json()
        if self.mode == "slow":
            await self._never.wait()
        if self.mode != "ok":
            return web.Response(status=int(self.mode), headers={"Location": "/elsewhere"})
        self.taken.append(message)
        return web.Response(text="ok")

    def states(self) -> list[tuple[str, str]]:
        return [(one["key"], one["state"]) for one in self.taken]


class Bench:
    """Alerts at work, their receiver, and a clock that stands until it is set."""

    def __init__(self, receiver: Receiver, **options: Any) -> None:
        self.now = 1_000.0
        self.receiver = receiver
        self.counts = AlertCounts()
        settings: dict[str, Any] = {"timeout": 60, "attempts": 2, "pause": 0} | options
        self.alerts = Alerts(
            receiver.url, self.counts, lambda: self.now, labels={"chain": "1"}, **settings
        )

    async def block(self, *problems: Problem) -> None:
        """A block: until all that it has to tell is told, or given up."""
        self.alerts.update(problems)
        before = self.counts.sent + self.counts.dropped
        waiting = len([*self.alerts._untold()])
        await until(lambda: self.counts.sent + self.counts.dropped >= before + waiting)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def play(scene: Callable[[Bench], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def stage() -> None:
        receiver = Receiver()
        await receiver.up()
        bench = Bench(receiver, **options)
        task = asyncio.create_task(bench.alerts.run())
        try:
            await scene(bench)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await receiver.down()

    asyncio.run(stage())


def test_update__a_problem_that_stays__told_once_and_once_when_over() -> None:
    async def scene(bench: Bench) -> None:
        await bench.block(GAS)
        bench.now = 1_500
        await bench.block(Problem("gas", "warning", "0.03 ETH for gas (floor 0.05)"))
        await bench.block()
        await bench.block()
        common = {"key": "gas", "severity": "warning", "since": 1_000.0, "labels": {"chain": "1"}}
        assert bench.receiver.taken == [
            {"text": f"[1] warning: {GAS.words}", "state": "firing", **common},
            {"text": f"[1] warning: resolved: {GAS.words}", "state": "resolved", **common},
        ]
        assert (bench.counts.sent, bench.counts.dropped) == (2, 0)

    play(scene)


def test_update__it_comes_back__told_anew() -> None:
    async def scene(bench: Bench) -> None:
        await bench.block(GAS)
        await bench.block()
        bench.now = 2_000
        await bench.block(GAS)
        assert bench.receiver.states() == [
            ("gas", "firing"),
            ("gas", "resolved"),
            ("gas", "firing"),
        ]
        assert [one["since"] for one in bench.receiver.taken] == [1_000, 1_000, 2_000]

    play(scene)


def test_update__worse_now__told_again() -> None:
    async def scene(bench: Bench) -> None:
        await bench.block(GAS)
        await bench.block(Problem("gas", "critical", "none"))
        assert [one["severity"] for one in bench.receiver.taken] == ["warning", "critical"]

    play(scene)


def test_update__repeat_interval_over__told_again_with_its_beginning() -> None:
    async def scene(bench: Bench) -> None:
        await bench.block(GAS)
        bench.now = 1_099
        await bench.block(GAS)
        assert len(bench.receiver.taken) == 1
        bench.now = 1_100
        await bench.block(GAS)
        assert [one["since"] for one in bench.receiver.taken] == [1_000, 1_000]

    play(scene, repeat=100)


def test_update__info__not_told() -> None:
    async def scene(bench: Bench) -> None:
        await bench.block(Problem("other_vaults", "info", "3 vaults"), HEAD)
        assert bench.receiver.states() == [("head", "firing")]

    play(scene)


def test_run__receiver_absent_then_500_then_slow_then_there__one_firing_and_one_resolved() -> None:
    async def scene(bench: Bench) -> None:
        receiver = bench.receiver

        async def troubles(*problems: Problem) -> None:
            await receiver.down()
            await bench.block(*problems)
            await receiver.up()
            for receiver.mode in ("500", "404", "302", "slow"):
                asked = receiver.asked
                await bench.block(*problems)
                assert receiver.asked == asked + 2
            receiver.mode = "ok"

        await troubles(GAS)
        assert (bench.counts.sent, bench.counts.dropped) == (0, 5)
        await bench.block(GAS)
        await bench.block(GAS)
        assert receiver.states() == [("gas", "firing")]
        await troubles()
        assert (bench.counts.sent, bench.counts.dropped) == (1, 10)
        await bench.block()
        await bench.block()
        assert receiver.states() == [("gas", "firing"), ("gas", "resolved")]

    play(scene, timeout=0.5)


def test_run__receiver_fails__its_error_says_no_secret() -> None:
    async def scene(bench: Bench) -> None:
        bench.receiver.mode = "500"
        await bench.block(GAS)
        assert bench.counts.error == "ClientResponseError 500"
        await bench.receiver.down()
        await bench.block(GAS)
        assert bench.counts.error is not None
        assert "KEY" not in bench.counts.error
        await bench.receiver.up()
        bench.receiver.mode = "ok"
        await bench.block(GAS)
        assert bench.counts.error is None

    play(scene)


def test_run__over_before_it_was_told__nothing_is_told() -> None:
    async def scene(bench: Bench) -> None:
        bench.receiver.mode = "500"
        await bench.block(GAS)
        bench.receiver.mode = "ok"
        await bench.block(HEAD)
        assert bench.receiver.states() == [("head", "firing")]

    play(scene)


def test_run__over_while_it_is_being_told__then_resolved() -> None:
    async def scene(bench: Bench) -> None:
        receiver, gate = bench.receiver, asyncio.Event()
        receiver.mode, receiver._never = "slow", gate
        bench.alerts.update([GAS])
        await until(lambda: receiver.asked == 1)
        bench.alerts.update([])
        receiver.mode = "ok"
        gate.set()
        await until(lambda: bench.counts.sent == 2)
        assert receiver.states() == [("gas", "firing"), ("gas", "resolved")]

    play(scene)


def test_update__receiver_silent__the_keeper_goes_on() -> None:
    async def scene(bench: Bench) -> None:
        bench.receiver.mode = "slow"
        bench.alerts.update([GAS])
        await until(lambda: bench.receiver.asked == 1)
        for number in range(1_000):
            bench.alerts.update([GAS, Problem(f"step {number}", "warning", "")])
            await asyncio.sleep(0)
        assert bench.receiver.asked == 1
        assert len(bench.alerts._wrong) == 2

    play(scene)


def test_update__more_than_the_limit__the_rest_is_dropped_and_counted() -> None:
    async def scene(bench: Bench) -> None:
        many = [Problem(f"step {number}", "warning", "") for number in range(5)]
        await bench.block(*many)
        assert bench.receiver.states() == [(f"step {number}", "firing") for number in range(3)]
        assert (bench.counts.sent, bench.counts.dropped) == (3, 2)
        await bench.block(*reversed(many))
        assert len(bench.receiver.taken) == 3
        await bench.block()
        assert len(bench.receiver.taken) == 6

    play(scene, limit=3)


def test_run__waits_between_attempts__twice_as_long_each_time() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def scene(bench: Bench) -> None:
        bench.receiver.mode = "500"
        await bench.block(GAS)
        assert waited == [1, 2, 4, 8, 16, 32, 60]

    play(scene, attempts=8, pause=1, sleep=sleep)


@pytest.mark.parametrize("url", ["", "hook", "http://", "http://127.0.0.1:99999/"])
def test_run__url_that_is_none__dropped_and_goes_on(url: str) -> None:
    async def scene(bench: Bench) -> None:
        bench.alerts._url = url
        await bench.block(GAS)
        assert bench.counts.dropped == 1

    play(scene)
