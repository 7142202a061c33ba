"""Oracle updates that wait in a real node's pool, and what the lens will say after them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest

from ringfence.client.abi import interface
from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.evm.rpc import Json, JsonRpc, RpcError
from ringfence.keeper.chain.pending import Mempool, Pending, after
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.subscribe import Patience
from ringfence.keeper.chain.wire import Header
from tests.support.factory import deploy_factory, make_draft
from tests.support.feeds import WETH_USDC, deploy_oracle
from tests.support.market import DEPLOYER, Market, price_of
from tests.support.proxy import Proxy, proxies
from tests.support.registry import Registry

PATIENCE = 60.0
MARKET = interface("VaultLens").function("market", 1)


class Setup:
    """A vault priced by two feeds, a lens, and a bad way to their node, which mines when told."""

    def __init__(self, market: Market, feed: Contract, lens: Contract, way: Proxy) -> None:
        self.market, self.feed, self.lens, self.way = market, feed, lens, way
        self.rpc = JsonRpc(market.engine.url)
        self.watched = {address_bytes(feed)}

    def send(self, to: Contract | None, data: bytes, **fields: str) -> bytes:
        """Send a transaction that waits; return its hash."""
        sent = {"from": DEPLOYER.address, "data": "0x" + data.hex(), "gas": hex(500_000)}
        if to is not None:
            sent["to"] = to.address
        return bytes.fromhex(self.rpc.call("eth_sendTransaction", sent | fields)[2:])

    def publish(self, dollars: int) -> bytes:
        return self.send(self.feed, self.feed.publish.encode(dollars * 10**8))

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    @property
    def call(self) -> tuple[bytes, bytes]:
        return address_bytes(self.lens), MARKET.encode(address_bytes(self.market.vault))

    def price(self) -> int:
        """The lens's, at the head."""
        to, data = self.call
        asked = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
        where = {"blockHash": "0x" + self.head().hash.hex()}
        return price_in(bytes.fromhex(self.rpc.call("eth_call", asked, where)[2:]))

    def run(self, work: Callable[[Mempool, Web3Rpc], Awaitable[None]]) -> None:
        async def do() -> None:
            rpc = Web3Rpc(self.way.url)
            patience = Patience(first_wait=0.01, longest_wait=0.05)
            pool = Mempool(rpc, self.way.websocket, self.watched, patience=patience)
            async with asyncio.timeout(PATIENCE), pool:
                while self.way.subscriptions == 0:
                    await asyncio.sleep(0.005)
                await work(pool, rpc)
            await rpc.close()

        asyncio.run(do())


def price_in(answer: bytes | RpcError) -> int:
    assert isinstance(answer, bytes)
    price: int = MARKET.decode(answer).price_high
    return price


@pytest.fixture
def setup() -> Iterator[Setup]:
    with ExitStack() as stack:
        engine = stack.enter_context(launch())
        priced = deploy_oracle(engine, WETH_USDC)
        draft = make_draft(
            engine,
            deploy_factory(engine),
            collateral=priced.collateral,
            asset=priced.asset,
            oracle=priced.oracle,
        )
        market = Registry(engine, draft).new_market()
        [way] = stack.enter_context(proxies(engine.url, 1))
        made = Setup(market, priced.feeds[0], engine.deploy(load("VaultLens")), way)
        stack.callback(made.rpc.close)
        yield made


@pytest.mark.parametrize("hashes", [None, "refused", "given"])
def test_mempool__feed_s_update_waits__given_and_the_lens_s_price_after_it(
    setup: Setup, hashes: str | None
) -> None:
    setup.way.hashes = hashes

    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        head = setup.head()
        sent = setup.publish(1_500)
        pending = await anext(pool)
        assert pending.hash == sent
        assert (pending.sender, pending.to) == (address_bytes(DEPLOYER), address_bytes(setup.feed))
        assert pending.data == setup.feed.publish.encode(1_500 * 10**8)
        assert (pending.gas, pending.value) == (500_000, 0)
        assert pool.trouble is None
        first, second = await after(rpc, head, pending, [setup.call] * 2)
        assert first == second
        assert setup.head() == head
        assert setup.price() == price_of(2_000)
        assert price_in(first) == price_of(1_500)
        setup.rpc.call("evm_mine")
        assert setup.price() == price_of(1_500)

    setup.run(work)


def test_mempool__others_transactions__not_given(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.send(setup.market.asset, b"\x12\x34\x56\x78")
        setup.send(None, b"\x00")
        first = setup.publish(1_500)
        second = setup.publish(1_400)
        found = [await anext(pool), await anext(pool)]
        assert [one.hash for one in found] == [first, second]
        assert found[1].nonce == found[0].nonce + 1
        setup.watched.add(address_bytes(setup.market.asset))
        third = setup.send(setup.market.asset, b"\x12\x34\x56\x79")
        assert (await anext(pool)).hash == third

    setup.run(work)


def test_mempool__fees__as_offered(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        data = setup.feed.publish.encode(1_500 * 10**8)
        setup.send(setup.feed, data, maxFeePerGas="0x64", maxPriorityFeePerGas="0x0")
        setup.send(setup.feed, data, gasPrice="0x7", value="0x0")
        fees = {(one.max_fee, one.max_tip) for one in [await anext(pool), await anext(pool)]}
        assert fees == {(100, 0), (7, 7)}

    setup.run(work)


def test_mempool__websocket_closed__said_and_on_with_the_next(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        await asyncio.to_thread(setup.way.close_sockets, 1001)
        while pool.trouble is None or setup.way.subscriptions < 2:
            await asyncio.sleep(0.005)
        assert "closed the socket with 1001" in pool.trouble
        sent = setup.publish(1_500)
        assert (await anext(pool)).hash == sent
        assert pool.trouble is None

    setup.run(work)


@pytest.mark.parametrize(
    "change",
    [{"to": "0x12"}, {"to": 5}, {"hash": "0x"}, {"gas": None}, {"input": "zz"}],
    ids=str,
)
def test_mempool__node_describes_one_badly__left_out_and_on(
    setup: Setup, change: dict[str, Json]
) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.publish(1_500)
        good = await anext(pool)
        body = setup.rpc.call("eth_getTransactionByHash", "0x" + good.hash.hex())
        for bad in (body | change, "0x" + "77" * 32, None, 7):
            pool._hear(bad)
        sent = setup.publish(1_400)
        assert (await anext(pool)).hash == sent

    setup.run(work)


def test_mempool__told_twice__given_once(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        sent = setup.publish(1_500)
        pool._hear("0x" + sent.hex())
        assert (await anext(pool)).hash == sent
        pool._hear("0x" + sent.hex())
        later = setup.publish(1_400)
        assert (await anext(pool)).hash == later

    setup.run(work)


def test_after__transaction_fails__as_at_the_head(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.send(setup.feed, b"\xff\xff\xff\xff")
        pending = await anext(pool)
        [answer] = await after(rpc, setup.head(), pending, [setup.call])
        assert price_in(answer) == price_of(2_000)

    setup.run(work)


def test_after__a_call_reverts__that_one_alone(setup: Setup) -> None:
    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.publish(1_500)
        pending = await anext(pool)
        calls = [(address_bytes(setup.lens), b"\xff\xff\xff\xff"), setup.call]
        error, answer = await after(rpc, setup.head(), pending, calls)
        assert isinstance(error, RpcError)
        assert (error.message, error.data) == ("execution failed", "0x")
        assert price_in(answer) == price_of(1_500)

    setup.run(work)


@pytest.mark.parametrize("answer", [None, [], [{"calls": []}], [{"calls": [{}, {}]}], "0x", 7])
def test_after__answer_of_no_simulation__an_error_for_each(setup: Setup, answer: Json) -> None:
    class Lying(Web3Rpc):
        async def batch(self, requests: object) -> list[Json]:
            return [answer]

    pending = Pending(bytes(32), bytes(20), bytes(20), 0, 0, 21_000, 0, 0, b"")
    rpc = Lying(setup.way.url)
    found = asyncio.run(after(rpc, setup.head(), pending, [setup.call] * 2))
    assert len(found) == 2
    assert all(isinstance(one, RpcError) for one in found)


def test_after__node_without_it__its_error_for_each(setup: Setup) -> None:
    setup.way.failing = frozenset({"eth_simulateV1"})

    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.publish(1_500)
        found = await after(rpc, setup.head(), await anext(pool), [setup.call] * 2)
        assert [isinstance(one, RpcError) and "internal" in one.message for one in found] == [
            True,
            True,
        ]

    setup.run(work)


def test_after__time__a_second_after_the_head(setup: Setup) -> None:
    # TIMESTAMP, MSTORE, RETURN
    clock = bytes(19) + b"\xcc"
    setup.rpc.call("anvil_setCode", "0x" + clock.hex(), "0x425f5260205ff3")

    async def work(pool: Mempool, rpc: Web3Rpc) -> None:
        setup.publish(1_500)
        setup.rpc.call("evm_setNextBlockTimestamp", setup.head().timestamp + 500)
        [answer] = await after(rpc, setup.head(), await anext(pool), [(clock, b"")])
        assert isinstance(answer, bytes)
        assert int.from_bytes(answer) == setup.head().timestamp + 1

    setup.run(work)
