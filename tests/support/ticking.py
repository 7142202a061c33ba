"""A keeper's engine on a chain, its requests counted, and what it says held against the lens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.client.abi import interface
from ringfence.evm.abi import AbiValue
from ringfence.evm.rpc import Json, JsonRpc, Request
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.memory.store import Store
from tests.support.following import Chain, Spoil, honest
from tests.support.market import price_of


@dataclass(slots=True)
class CountingRpc:
    """A node's answers, spoiled as a test wants; `batches` keeps what was asked at once."""

    url: str
    spoil: Spoil = honest
    batches: list[list[Request]] = field(default_factory=list)

    async def batch(self, requests: Sequence[Request]) -> list[Json]:
        self.batches.append(list(requests))
        inner = Web3Rpc(self.url)
        try:
            return self.spoil(list(requests), await inner.batch(requests))
        finally:
            await inner.close()


@dataclass(slots=True)
class Watcher:
    """An engine at the node of `counting`; `batches` are those of the last tick."""

    counting: CountingRpc
    node: JsonRpc
    store: Store
    lens: bytes
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything but the store."""
        self.engine = Engine(self.counting, self.store, self.lens)

    @property
    def batches(self) -> list[list[Request]]:
        return self.counting.batches

    def head(self) -> Header:
        return Header.parse(self.node.call("eth_getBlockByNumber", "latest", False))

    def tick(self, head: Header | None = None) -> Tick:
        """Tick at a head, the chain's by default."""
        self.batches.clear()
        return asyncio.run(self.engine.tick(head or self.head()))

    def views(self, vault: bytes, ids: Sequence[int]) -> Sequence[AbiValue]:
        """What the lens says of positions at the chain's head, in that block's own time."""
        positions = interface("VaultLens").function("positions", 2)
        data = "0x" + positions.encode("0x" + vault.hex(), list(ids)).hex()
        call = {"to": "0x" + self.lens.hex(), "data": data}
        head = {"blockHash": "0x" + self.head().hash.hex()}
        found: Sequence[AbiValue] = positions.decode(
            bytes.fromhex(self.node.call("eth_call", call, head)[2:])
        )
        return found

    def liquidatable(self, vault: bytes, ids: Sequence[int]) -> tuple[int, ...]:
        """The ids, in rising order, that the lens calls liquidatable at the chain's head."""
        rising = sorted(ids)
        views = self.views(vault, rising)
        return tuple(one for one, view in zip(rising, views, strict=True) if view.liquidatable)


def fall(chain: Chain, dollars: int) -> None:
    """The price of every vault, a block later."""
    chain.engine.advance(12)
    chain.market.set_price(price_of(dollars))


def due(watcher: Watcher, chain: Chain, vault: bytes) -> tuple[int, ...]:
    """What a tick says of a vault, the same as the lens says, the words the chain's."""
    sight, words = watcher.tick().vaults[vault], chain.words()
    assert sight.due == watcher.liquidatable(vault, [*chain.ids])
    assert sight.words == tuple(words[vault, position_id] for position_id in sight.due)
    return sight.due
