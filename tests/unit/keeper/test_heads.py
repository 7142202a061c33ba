"""Heads from a real node, by real WebSockets that close, stall, lie, or are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ringfence.evm.anvil import launch
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.chain.heads import Heads
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.subscribe import Patience
from ringfence.keeper.chain.wire import Header
from tests.support.proxy import FORGED, Proxy, proxies

PATIENCE = 60.0


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.005)


class Setup:
    """An anvil and a bad way to it."""

    def __init__(self, rpc: JsonRpc, way: Proxy) -> None:
        self.rpc, self.way = rpc, way

    def mine(self, blocks: int = 1) -> Header:
        self.rpc.call("anvil_mine", hex(blocks))
        return self.head()

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    def run(
        self,
        work: Callable[[Heads], Awaitable[None]],
        *,
        socket: bool = True,
        silence: float = 30.0,
    ) -> None:
        patience = Patience(silence, first_wait=0.01, longest_wait=0.05)

        async def do() -> None:
            rpc = Web3Rpc(self.way.url)
            url = self.way.websocket if socket else None
            heads = Heads(rpc, url, patience=patience, interval=0.02)
            async with asyncio.timeout(PATIENCE), heads:
                await work(heads)
            await rpc.close()

        asyncio.run(do())

    async def until_live(self, heads: Heads) -> None:
        """Mine until heads come by WebSocket."""
        while not heads.live:
            self.mine()
            await anext(heads)
        # What was asked for before may have come before what the WebSocket still had to say.
        head = self.mine()
        while await anext(heads) != head:
            pass


@pytest.fixture
def setup() -> Iterator[Setup]:
    with launch() as engine, proxies(engine.url, 1) as [way]:
        rpc = JsonRpc(engine.url)
        yield Setup(rpc, way)
        rpc.close()


def test_heads__no_websocket__asks_and_never_gives_the_same_twice(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        assert await anext(heads) == setup.head()
        for _ in range(3):
            setup.way.requests.clear()
            later = asyncio.ensure_future(anext(heads))
            await until(lambda: len(setup.way.requests) >= 3)
            assert not later.done()
            head = setup.mine()
            assert await later == head
        assert not heads.live
        assert heads.trouble is None
        assert setup.way.connections == 0

    setup.run(work, socket=False)


def test_heads__websocket__whole_headers_and_no_asking(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.way.requests.clear()
        for _ in range(5):
            head = setup.mine()
            assert await anext(heads) == head
        assert setup.way.requests == []
        assert heads.trouble is None

    setup.run(work)


def test_heads__consumer_is_slow__only_the_newest(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        for _ in range(10):
            head = setup.mine()
        await until(lambda: heads._newest == head)
        assert await anext(heads) == head
        later = setup.mine()
        assert await anext(heads) == later

    setup.run(work)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_heads__websocket_closed__on_by_asking_and_by_the_next_websocket(
    setup: Setup, code: int
) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        for again in range(1, 4):
            await asyncio.to_thread(setup.way.close_sockets, code)
            await until(lambda: not heads.live)
            assert f"closed the socket with {code}" in (heads.trouble or "")
            head = setup.mine()
            assert await anext(heads) == head
            await setup.until_live(heads)
            assert heads.trouble is None
            assert setup.way.connections == 1 + again

    setup.run(work)


def test_heads__websocket_stalls__on_by_asking_and_opened_anew(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.way.stall = True
        head = setup.mine()
        assert await anext(heads) == head
        assert not heads.live
        assert "silent for 0.3 s" in (heads.trouble or "")
        connections = setup.way.connections
        await until(lambda: setup.way.connections > connections)
        head = setup.mine()
        assert await anext(heads) == head
        setup.way.stall = False
        await setup.until_live(heads)
        assert heads.trouble is None

    setup.run(work, silence=0.3)


def test_heads__websocket_refused_for_a_while__on_by_asking_and_tried_again(
    setup: Setup,
) -> None:
    setup.way.refuse = True

    async def work(heads: Heads) -> None:
        for _ in range(3):
            head = setup.mine()
            while await anext(heads) != head:
                pass
        await until(lambda: heads.trouble is not None)
        assert heads.trouble == "heads by asking: the node takes no socket: HTTP 503"
        setup.way.refuse = False
        await setup.until_live(heads)

    setup.run(work)


@pytest.mark.parametrize("body", ["<html>", "{}", "[]", '{"params": {"result": {}}}'])
def test_heads__websocket_sends_nonsense__on_by_asking(setup: Setup, body: str) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.way.body = body
        setup.mine()
        await until(lambda: not heads.live)
        told = heads.trouble or ""
        # The latter by the time that the next socket was given the same for an answer.
        assert "cannot be read" in told or "the node refuses newHeads" in told
        setup.way.heal()
        head = setup.mine()
        while await anext(heads) != head:
            pass
        await setup.until_live(heads)

    setup.run(work)


def test_heads__node_gone_for_a_while__said_and_on_when_it_is_back(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.way.drop = setup.way.refuse = True
        await asyncio.to_thread(setup.way.close_sockets, 1001)
        head = setup.mine()
        await until(lambda: "no head" in (heads.trouble or ""))
        assert "ServerDisconnectedError" in (heads.trouble or "")
        assert "secret" not in (heads.trouble or "")
        setup.way.heal()
        assert await anext(heads) == head
        await setup.until_live(heads)
        assert heads.trouble is None

    setup.run(work)


def test_heads__forged_by_the_websocket__given_as_it_came(setup: Setup) -> None:
    """Whether a head is to be believed is the pool's to say: see `Pool.agreed`."""

    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.way.forge = True
        setup.mine()
        assert (await anext(heads)).hash.hex() == FORGED[2:]

    setup.run(work)


def test_heads__reorganised__the_new_branch(setup: Setup) -> None:
    async def work(heads: Heads) -> None:
        await setup.until_live(heads)
        setup.mine(3)
        old = setup.head()
        while await anext(heads) != old:
            pass
        setup.rpc.call("anvil_rollback", 1)
        setup.rpc.call("evm_increaseTime", 5)
        new = setup.mine()
        assert (new.number, new.parent_hash) == (old.number, old.parent_hash)
        assert new.hash != old.hash
        while await anext(heads) != new:
            pass

    setup.run(work)


def test_heads__fault_of_our_own__raised_to_the_consumer(setup: Setup) -> None:
    class Broken(Web3Rpc):
        async def batch(self, requests: Any) -> Any:
            raise ZeroDivisionError

    async def do() -> None:
        async with asyncio.timeout(PATIENCE), Heads(Broken(setup.way.url)) as heads:
            with pytest.raises(ZeroDivisionError):
                await anext(heads)

    asyncio.run(do())
