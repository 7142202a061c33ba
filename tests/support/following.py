"""A keeper's store and book that follow a chain of anvil's, and are held to its storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.rpc import Json, JsonRpc, Request
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.memory.book import Book, Column
from ringfence.keeper.memory.events import Key
from ringfence.keeper.memory.ingest import Ingest
from ringfence.keeper.memory.store import Deployment, Store
from tests.support.market import TRADER, USDC, WETH, Market, as_int
from tests.support.registry import Registry, make_registry

Spoil = Callable[[list[Request], list[Json]], list[Json]]
"""Makes of a node's honest answers what the test wants the keeper to get."""


def honest(_requests: list[Request], answers: list[Json]) -> list[Json]:
    return answers


def contents(column: Column) -> dict[int, int]:
    """A column's words by their ids."""
    ids, words = (held[column._order].tobytes() for held in (column._ids, column._words))
    starts = range(0, len(ids), 32)
    return {
        int.from_bytes(ids[start : start + 32]): int.from_bytes(words[start : start + 32])
        for start in starts
    }


@dataclass(slots=True)
class Chain:
    """A registry on an anvil, and acts that take one block each."""

    engine: AnvilEngine
    rpc: JsonRpc
    registry: Registry
    market: Market
    ids: set[int] = field(default_factory=set)

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    def id_of(self, number: int) -> int:
        position = as_int(TRADER) << 96 | number
        self.ids.add(position)
        return position

    def open(self, number: int, debt: int = 500 * USDC, market: Market | None = None) -> None:
        vault, position = (market or self.market).vault, self.id_of(number)
        vault.adjust(position, WETH, debt, TRADER, b"", sender=TRADER)

    def top_up(self, number: int, amount: int = 5) -> None:
        self.market.vault.top_up(self.id_of(number), amount, sender=TRADER)

    def close(self, number: int) -> None:
        self.market.vault.close(self.id_of(number), TRADER, b"", sender=TRADER)

    def new_market(self) -> Market:
        """A vault more, in several blocks; it can be rolled back and made again."""
        market = self.registry.new_market()
        for token in (market.collateral, market.asset):
            token.approve(market.vault, 2**256 - 1, sender=TRADER)
        return market

    def rollback(self, blocks: int) -> None:
        self.rpc.call("anvil_rollback", blocks)

    def mine(self, blocks: int = 1) -> None:
        """Empty blocks, each a second after the last."""
        for _ in range(blocks):
            self.engine.advance(1)
            self.rpc.call("evm_mine", self.engine.timestamp)

    def vaults(self) -> list[bytes]:
        factory = self.registry.draft.factory
        return [address_bytes(factory.vault_at(index)) for index in range(factory.vaults_count())]

    def words(self) -> dict[Key, int]:
        """Every position's word in storage, of those that the test ever named."""
        markets = {address_bytes(one.vault): one for one in self.registry.markets}
        found = {
            (address, position): markets[address].slot(position).word
            for address in self.vaults()
            for position in self.ids
        }
        return {key: word for key, word in found.items() if word}


@dataclass(slots=True)
class Follower:
    """A keeper as far as it has been built: store, ingest, book."""

    chain: Chain
    url: str
    window: int = 64
    spoil: Spoil = honest
    asked: list[Request] = field(default_factory=list)
    _ingest: Ingest | None = None
    _store: Store | None = None
    _book: Book | None = None

    @property
    def store(self) -> Store:
        if self._store is None:
            factory = self.chain.registry.factory
            deployment = Deployment(self.chain.engine.chain_id, factory, 1)
            self._store = Store(self.url, deployment, window=self.window)
        return self._store

    @property
    def book(self) -> Book:
        if self._book is None:
            self._book = Book(self.store.load())
        return self._book

    @property
    def ingest(self) -> Ingest:
        if self._ingest is None:
            self._ingest = Ingest(NodeRpc(self), self.store)
        return self._ingest

    def restart(self) -> None:
        """Forget everything but the store's file."""
        self.store.close()
        self._store = self._book = self._ingest = None

    def follow(self, head: Header | None = None) -> int:
        """Bring store and book to a head, the chain's by default; return how many steps it took."""
        return asyncio.run(self._follow(head or self.chain.head()))

    async def _follow(self, head: Header) -> int:
        book, steps = self.book, 0
        async for changes in self.ingest.advance(head):
            book.update(changes)
            steps += 1
        return steps

    def stored(self) -> dict[Key, int]:
        loaded = Book(self.store.load()).columns
        return {(a, i): w for a, one in loaded.items() for i, w in contents(one).items()}

    def check(self) -> None:
        """Assert that store, book and chain say the same."""
        head, chain = self.chain.head(), self.chain
        assert self.store.cursor() == head.number
        assert self.store.hash_at(head.number) == head.hash
        assert self.store.addresses() == chain.vaults() == list(self.book.columns)
        assert self.stored() == chain.words()
        for market in chain.registry.markets:
            address = address_bytes(market.vault)
            if address in self.book.columns:
                here = {i: w for (a, i), w in chain.words().items() if a == address}
                assert contents(self.book.columns[address]) == here
                total = market.books().total_scaled_debt
                assert self.book.missing_debt(address, total) == 0, "BOOK-2: an event was lost"


@dataclass(slots=True)
class NodeRpc:
    """The follower's node, its answers spoiled as the follower says; a connection each time."""

    follower: Follower

    async def batch(self, requests: Sequence[Request]) -> list[Json]:
        self.follower.asked += requests
        inner = Web3Rpc(self.follower.chain.engine.url)
        try:
            return self.follower.spoil(list(requests), await inner.batch(requests))
        finally:
            await inner.close()


@contextmanager
def chain_on(engine: AnvilEngine) -> Iterator[Chain]:
    """A chain with one vault and three positions; the trader has tokens for many more."""
    rpc = JsonRpc(engine.url)
    registry = make_registry(engine)
    market = registry.new_market()
    market.give(market.collateral, TRADER, 1_000 * WETH)
    market.give(market.asset, TRADER, 100_000 * USDC)
    chain = Chain(engine, rpc, registry, market)
    for number in (1, 2, 3):
        chain.open(number)
    yield chain
    rpc.close()


def old_branch(chain: Chain) -> list[Callable[[], object]]:
    """A block each."""
    return [lambda: chain.top_up(1), lambda: chain.close(2), lambda: chain.open(4)]


def new_branch(chain: Chain) -> list[Callable[[], object]]:
    return [
        lambda: chain.open(5),
        lambda: chain.close(3),
        lambda: chain.top_up(2, 9),
        lambda: chain.open(4, debt=300 * 10**6),
    ]


def dropping(times: int, **only: Any) -> Spoil:
    """Answers from which the logs lack, so many times, where the filter has `only` this."""
    left = times

    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        nonlocal left
        given = []
        for (method, params), answer in zip(requests, answers, strict=True):
            hit = method == "eth_getLogs" and only.items() <= params[0].items() and answer and left
            left -= bool(hit)
            given.append([] if hit else answer)
        return given

    return spoil
