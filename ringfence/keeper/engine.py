"""What a keeper does on each block, its reading half: follow the chain, then say what is due.

Decides nothing and signs nothing. In the steady case, where the head follows the last one, a tick
is one JSON-RPC batch: the block's logs, and `VaultLens.market` of every vault, both by the block's
hash. However many positions there are, it stays at that.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from ringfence.client.abi import interface
from ringfence.evm.errors import EncodingError
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.wire import Header, Riders, Rpc
from ringfence.keeper.memory.aside import aside
from ringfence.keeper.memory.book import Book
from ringfence.keeper.memory.ingest import Ingest
from ringfence.keeper.memory.store import Store, Tip
from ringfence.math.fixed_point import WAD

_PAGE = 100
"""Lens calls in a batch of their own, where they could not ride with the logs."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a tick saw of one vault.

    `due` are ids, in rising order, `words` theirs, at `price`, 1e36, and `debt_index`, 1e18: both
    0 where nothing could be seen. `nearest` is how far the price may fall until the riskiest
    position is due, part of the price: negative when one is, None without debt or without a price.
    `unread` says why nothing could be seen, `unpriced` why nothing can be due, `lagging` why `due`
    may be wrong: it is what is known, to be tried before it is sent, and may leave some out.
    """

    due: tuple[int, ...] = ()
    words: tuple[int, ...] = ()
    price: int = 0
    debt_index: int = 0
    nearest: float | None = None
    unread: str | None = None
    unpriced: str | None = None
    lagging: str | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """What was seen at `block`, by the vaults' 20 bytes; no block before the factory's first.

    `also` are the answers to what was asked for along with it, empty where they did not ride.
    """

    block: Tip | None
    vaults: Mapping[bytes, Sight] = field(default_factory=dict)
    also: Sequence[Json | RpcError] = ()

    @property
    def due(self) -> dict[bytes, tuple[int, ...]]:
        """Return the due ids of the vaults that have some."""
        return {vault: sight.due for vault, sight in self.vaults.items() if sight.due}

    @property
    def troubles(self) -> dict[bytes, str]:
        """Return why what is due in a vault is not known or not certain, where so."""
        reasons = {
            vault: sight.unread or sight.lagging or sight.unpriced
            for vault, sight in self.vaults.items()
        }
        return {vault: reason for vault, reason in reasons.items() if reason}

    @property
    def nearest(self) -> float | None:
        """Return the least distance over the vaults, part of the price, None where none has one."""
        found = [one.nearest for one in self.vaults.values() if one.nearest is not None]
        return min(found, default=None)


class Engine:
    """Follows one deployment's chain and says at each block which positions are due.

    `lens` is the VaultLens's 20 bytes; `told` gets each block that the store is brought to, and the
    head. A tick that raises leaves nothing half done: the next one goes on from what the store
    holds.
    """

    def __init__(
        self,
        rpc: Rpc,
        store: Store,
        lens: bytes,
        told: Callable[[int, int], None] = lambda _block, _head: None,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._lens = "0x" + lens.hex()
        self._ingest = Ingest(rpc, store)
        self._told = told
        self._market = market = interface("VaultLens").function("market", 1)
        self._calldata = cache(lambda vault: "0x" + market.encode(vault).hex())
        # Of the view's thirty words three say all that a block asks; the others take milliseconds.
        places = ("price_high",), ("sheet", "debt_index"), ("sheet", "total_scaled_debt")
        self._words = [market.word(*place) for place in places]
        self._tip: Tip | None = None
        self.last = Tick(None)
        self.book = Book()

    async def tick(self, head: Header, also: Sequence[Request] = ()) -> Tick:
        """Bring store and book to `head` and say what is due there; `also` rides along.

        The same head again asks nothing and says the same, and so does a head that the store has
        passed: it is one of a node that lags. Raises IngestError, StoreError.
        """
        tip = await aside(self._store.tip)
        if tip != self._tip:
            # A start, a step that failed between store and book, or another process's doing.
            self.book = await aside(lambda: Book(self._store.load()))
            self._tip = tip
        vaults = [*self.book.vaults]
        riders = Riders([*self._calls(vaults, head.hash), *also])
        async for changes in self._ingest.advance(head, riders):
            self.book.update(changes)
            self._tip = await aside(self._store.tip)
            if self._tip is not None:
                self._told(self._tip.number, head.number)
        if self._tip is None or self._tip == self.last.block:
            return self.last
        answers = riders.answers or ()
        self.last = await self._look(self._tip, dict(zip(vaults, answers, strict=False)))
        return replace(self.last, also=tuple(answers[len(vaults) :]))

    def _calls(self, vaults: Iterable[bytes], block_hash: bytes) -> list[Request]:
        block = {"blockHash": "0x" + block_hash.hex()}
        return [
            ("eth_call", [{"to": self._lens, "data": self._calldata(vault)}, block])
            for vault in vaults
        ]

    def market_call(self, vault: bytes) -> tuple[bytes, bytes]:
        """Return the lens's 20 bytes and the calldata that `see` takes the answer of."""
        return bytes.fromhex(self._lens[2:]), self._market.encode(vault)

    def see(self, vault: bytes, answer: Json | RpcError, besides: Container[int]) -> Sight:
        """Return what would be due on top of the last tick if the lens answered so.

        Ids of `besides` are left out.
        """
        block = self.last.block
        if block is None:
            return Sight(unread="nothing was seen yet")
        sight = self._see(vault, block, answer)
        due = tuple(one for one in sight.due if one not in besides)
        return replace(sight, due=due, words=tuple(self.book.words(vault, due)))

    async def _look(self, block: Tip, answers: dict[bytes, Json | RpcError]) -> Tick:
        """Return what is due, of `answers` of the lens at the block, and of those that lack yet."""
        more = [vault for vault in self.book.vaults if vault not in answers]
        for start in range(0, len(more), _PAGE):
            page = more[start : start + _PAGE]
            found = await self._rpc.batch(self._calls(page, block.hash))
            answers |= zip(page, found, strict=True)
        return Tick(
            block, {vault: self._see(vault, block, answers[vault]) for vault in self.book.vaults}
        )

    def _see(self, vault: bytes, block: Tip, answer: Json | RpcError) -> Sight:
        """Return what is due in a vault by the lens's answer at a block.

        Price and debt index are those of the block, the time is a second later: what is due will be
        liquidated in the next block, at its time. No position's risk was raised later than in this
        block, so that any later time says the same, and those whose risk was raised in this block
        are not left out. What the next block's interest makes due is due at the next tick.
        """
        read = self._read(answer)
        if isinstance(read, str):
            return Sight(unread=read)
        price, index, total = read
        due = tuple(sorted(self.book.due(vault, price, index, block.timestamp + 1)))
        return Sight(
            due=due,
            words=tuple(self.book.words(vault, due)) if due else (),
            price=price,
            debt_index=index,
            nearest=self.book.nearest(vault, price, index),
            unpriced=None if price else self._unpriced(vault),
            lagging=self._lagging(vault, total),
        )

    def _read(self, answer: Json | RpcError) -> tuple[int, int, int] | str:
        """Return price, debt index and total scaled debt of a `MarketView`, or why not."""
        try:
            if isinstance(answer, RpcError):
                raise answer
            data = bytes.fromhex(str(answer)[2:])
            price, index, total = (read(data) for read in self._words)
            if index < WAD:
                raise ValueError(f"a debt index of {index}, below 1e18")
        except (RpcError, EncodingError, ValueError) as error:
            return f"the lens {self._lens} does not say its market: {error}"
        return price, index, total

    def _unpriced(self, vault: bytes) -> str:
        return f"its oracle {self.book.vaults[vault].parameters['oracle']} gives no price"

    def _lagging(self, vault: bytes, total_scaled_debt: int) -> str | None:
        missing = self.book.missing_debt(vault, total_scaled_debt)
        if not missing:
            return None
        return (
            f"{missing} of its scaled debt of {total_scaled_debt} is not in the store "
            f"{self._store.name}: the node left events out; delete the store and read the chain "
            "anew, from another node"
        )
