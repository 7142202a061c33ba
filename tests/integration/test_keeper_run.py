"""A keeper that goes on and on: what must not end it, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import event

from ringfence.client.signing import key_signer
from ringfence.evm import load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.act.lease import LeaseError, Leases
from ringfence.keeper.act.ledger import Row, State
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.assemble import Places, Settings, opened
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.memory.store import Deployment
from ringfence.keeper.run import Watch, keep
from ringfence.keeper.service import Beat, Service
from ringfence.keeper.watch.server import ServerError
from tests.support.factory import deploy_factory
from tests.support.lanes import bid
from tests.support.market import KEEPER
from tests.support.proxy import Proxy, proxies

PATIENCE = 60.0


@pytest.fixture(scope="module")
def node() -> Iterator[tuple[AnvilEngine, Settings]]:
    """A chain with a factory and a lens, and settings that nothing is liquidated with."""
    with launch() as engine:
        factory = deploy_factory(engine)
        lens = engine.deploy(load("VaultLens"))
        nowhere = Contracts(*[bytes([number] * 20) for number in (1, 2, 3, 4)])
        deployment = Deployment(engine.chain_id, address_bytes(factory), 1)
        yield (
            engine,
            Settings(
                places=Places(deployment, address_bytes(lens), nowhere, {}),
                account=address_bytes(KEEPER),
                signer=key_signer(KEEPER),
                urls=[engine.url],
                store="sqlite://",
                ledger="sqlite://",
            ),
        )


class Run:
    """A service whose heads the test gives; `beats` are those it showed."""

    def __init__(self, service: Service, engine: AnvilEngine) -> None:
        self.service, self.engine = service, engine
        self.heads: asyncio.Queue[Header | None] = asyncio.Queue()
        self.beats: asyncio.Queue[Beat] = asyncio.Queue()

    async def _given(self) -> AsyncIterator[Header]:
        while (head := await self.heads.get()) is not None:
            yield head

    async def keep(
        self,
        watch: Watch = Watch(),  # noqa: B008 - it is frozen
        listening: Callable[[str], None] = lambda _url: None,
    ) -> None:
        await keep(self.service, self._given(), watch, self.beats.put_nowait, listening)

    def head(self) -> Header:
        rpc = JsonRpc(self.engine.url)
        rpc.call("evm_mine")
        found = Header.parse(rpc.call("eth_getBlockByNumber", "latest", False))
        rpc.close()
        return found


def run(
    node: tuple[AnvilEngine, Settings], work: Callable[[Run], Awaitable[None]], **changes: Any
) -> None:
    engine, settings = node

    async def do() -> None:
        changed = Settings(
            **{name: getattr(settings, name) for name in Settings.__slots__} | changes
        )
        async with (
            asyncio.timeout(PATIENCE),
            opened(changed, lambda: 0.0, lambda _block, _head: None) as service,
        ):
            await work(Run(service, engine))

    asyncio.run(do())


def test_keep__port_is_taken__said_by_its_own_error(node: tuple[AnvilEngine, Settings]) -> None:
    """A line for a person: not a group of exceptions."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def work(run: Run) -> None:
            with pytest.raises(ServerError, match=f"health cannot be served on 127.0.0.1:{port}"):
                await run.keep(Watch(("127.0.0.1", port)))

        run(node, work)


def test_keep__what_nobody_foresaw__counted_and_on_with_the_next_head(
    node: tuple[AnvilEngine, Settings], caplog: pytest.LogCaptureFixture
) -> None:
    async def work(run: Run) -> None:
        tick, times = run.service.engine.tick, 0

        async def falls(*args: Any) -> Any:
            nonlocal times
            times += 1
            if times == 1:
                raise KeyError("https://node.example/v2/s3cret-key")
            return await tick(*args)

        run.service.engine.tick = falls  # type: ignore[method-assign]
        task = asyncio.create_task(run.keep())
        run.heads.put_nowait(run.head())
        run.heads.put_nowait(run.head())
        beat = await run.beats.get()
        assert beat.failed == {}
        assert times == 2
        run.heads.put_nowait(None)
        await task

    run(node, work)
    assert "Traceback" in caplog.text
    assert "KeyError" in caplog.text
    assert "s3cret" not in caplog.text


class Faltering(Proxy):
    """Drops every other batch."""

    _batches = 0

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self._batches += 1
        self.drop = self._batches % 2 == 1
        return await super()._serve(request)


async def health(url: str) -> tuple[bool, dict[str, str]]:
    """Whether it is green, and what is critical, by its key."""
    async with ClientSession() as session, session.get(f"{url}/health") as answer:
        told = (await answer.json())["problems"]
        red = {one["key"]: one["words"] for one in told if one["severity"] == "critical"}
        return answer.status == 200, red


async def watched(
    run: Run, monkeypatch: pytest.MonkeyPatch, look: Callable[[str], Awaitable[None]]
) -> None:
    """Keep with a server, nodes asked all the time, and look at it by its URL."""
    monkeypatch.setattr("ringfence.keeper.run._EVERY", 0.02)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with socket.create_server(("127.0.0.1", 0)) as free:
        watch = Watch(("127.0.0.1", free.getsockname()[1]))
    task = asyncio.create_task(run.keep(watch, url.set_result))
    await look(await url)
    run.heads.put_nowait(None)
    await task


def test_keep__no_node_answers__health_is_red_at_once_and_green_again(
    node: tuple[AnvilEngine, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No head comes, and the clock stands still: nothing else can tell."""
    with proxies(node[0].url, 2) as ways:

        async def look(url: str) -> None:
            async def until(green: bool) -> dict[str, str]:
                while (found := await health(url))[0] is not green:
                    await asyncio.sleep(0.02)
                return found[1]

            assert await until(green=True) == {}
            ways[0].drop = True
            asked = len(ways[0].requests) + 6
            while len(ways[1].requests) < asked:
                await asyncio.sleep(0.02)
            assert await health(url) == (True, {}), "one of two answers"
            ways[1].drop = True
            red = await until(green=False)
            assert red.keys() == {"endpoints"}
            assert red["endpoints"].startswith(
                "none of 2 endpoints answers (at least 1): 127.0.0.1"
            )
            ways[1].heal()
            assert await until(green=True) == {}

        async def work(run: Run) -> None:
            await watched(run, monkeypatch, look)

        run(node, work, urls=[one.url for one in ways])


def test_keep__only_node_drops_every_other_request__health_stays_green(
    node: tuple[AnvilEngine, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Faltering(node[0].url)

    async def look(url: str) -> None:
        while len(way.requests) < 10:
            assert await health(url) == (True, {})

    async def work(run: Run) -> None:
        await watched(run, monkeypatch, look)

    try:
        run(node, work, urls=[way.url])
    finally:
        way.stop()


@pytest.mark.parametrize("what", ["store", "ledger"])
def test_keep__database_commits_slowly__health_answers_meanwhile(
    node: tuple[AnvilEngine, Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    async def work(run: Run) -> None:
        of: Any = run.service.engine._store if what == "store" else run.service.lane.ledger
        slow, going = threading.Event(), threading.Event()

        def wait(_connection: object) -> None:
            slow.set()
            assert going.wait(PATIENCE)

        async def look(url: str) -> None:
            event.listen(of._engine, "commit", wait)
            run.heads.put_nowait(run.head())
            while not slow.is_set():
                await asyncio.sleep(0.005)
            for _ in range(3):
                assert (await health(url))[1].keys() <= {"index"}
            assert run.beats.empty()
            going.set()
            assert (await run.beats.get()).failed == {}

        await watched(run, monkeypatch, look)

    run(node, work, **{what: f"sqlite:///{tmp_path / 'slow.db'}"})


def leased(tmp_path: Path) -> dict[str, str]:
    return {"shared": f"sqlite:///{tmp_path / 'shared.db'}", "holder": "one"}


@pytest.mark.parametrize("how", ["ended", "cancelled"])
def test_keep__leases_cannot_be_let_go_of__ends_as_it_was_told(
    node: tuple[AnvilEngine, Settings], tmp_path: Path, how: str
) -> None:
    """They expire by themselves."""

    async def work(run: Run) -> None:
        assert run.service.leases is not None

        def fails() -> None:
            raise LeaseError("the database is gone")

        run.service.leases.release = fails  # type: ignore[method-assign]
        task = asyncio.create_task(run.keep())
        run.heads.put_nowait(run.head())
        await run.beats.get()
        if how == "ended":
            run.heads.put_nowait(None)
            await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(node, work, **leased(tmp_path))


def test_keep__stopped_between_sending_and_telling__leases_are_kept(
    node: tuple[AnvilEngine, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another keeper would act on what is on its way."""
    row = Row(0, 0, b"\1" * 32, b"", 1, 1, 1, 1, bid(1).targets, 1, 1, State.SENT)
    released = []

    async def stopped(service: Service, _head: Header) -> Beat:
        service.lane.ledger.record(row)
        raise asyncio.CancelledError

    async def work(run: Run) -> None:
        assert run.service.leases is not None
        run.service.leases.release = lambda: released.append(1)  # type: ignore[assignment]
        run.heads.put_nowait(None)
        await run.keep()
        assert released == [1]
        monkeypatch.setattr(Service, "on_head", stopped)
        run.heads.put_nowait(run.head())
        with pytest.raises(asyncio.CancelledError):
            await run.keep()
        assert released == [1]

    run(node, work, **leased(tmp_path))


def test_on_head__leases_database_is_slow__the_rest_goes_on(
    node: tuple[AnvilEngine, Settings], tmp_path: Path
) -> None:
    """Health is to be answered, above all, while a database does not."""

    async def work(run: Run) -> None:
        leases, going = run.service.leases, threading.Event()
        assert isinstance(leases, Leases)
        renew = leases.renew

        def slow(*args: Any) -> dict[bytes, int]:
            assert going.wait(PATIENCE)
            return renew(*args)

        leases.renew = slow  # type: ignore[method-assign]
        task = asyncio.create_task(run.service.on_head(run.head()))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.1, going.set)
        beat = await task
        assert beat.failed == {}

    run(node, work, **leased(tmp_path))
