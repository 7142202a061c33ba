"""Liquidations right behind an oracle's update, in the very block that takes it.

An update that waits in a node's pool shows what will be due. What it makes due is planned and
simulated after it, and sent with a tip one wei a unit of gas below the update's: a builder that
orders by tip puts it behind. That order is assumed, not ensured, which would take a bundle of a
private relay. Where it lands before the update, or the update never lands, the positions are
healthy, and the transaction skips them or reverts: its gas is lost. So it is only sent when it is
worth twice its gas. One that stays open is seen to like any other at the next head.

Watched are markets with a name of their own, priced by a ChainlinkOracle: who makes a vault of his
own feeds could show the keeper updates that he then takes back, for the price of a transaction a
block. Transactions that reach a feed through another contract are not seen. Whoever sends many to a
feed can crowd others out for a block: what these make due is then liquidated a block later, as it
is without all this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import Failed, ask, call
from ringfence.keeper.act.bid import Bid, Fees, Target
from ringfence.keeper.chain.pending import Pending, after, as_call
from ringfence.keeper.chain.wire import Header, Rpc, WireError, parsed
from ringfence.keeper.engine import Engine, Tick

_FEEDS = ("base_1", "base_2", "quote_1", "quote_2")
_RECHECK = 300
"""Blocks after which feeds are asked for their aggregators again."""
_VAULTS = 16
"""Vaults that are looked at after one update, the nearest to a liquidation first."""
_LOOKS, _LOOKS_OF_ONE = 64, 4
"""Updates that are looked at after one head, and those of one sender."""
_UPDATE_GAS = 5_000_000
"""More gas than an update has."""
_WORTH = 2
"""How many times its gas a transaction must be worth."""


@dataclass(slots=True)
class Behind:
    """Knows whose updates move which price, and what would be due after one.

    `names` are the markets' by their vaults' 20 bytes. `watched` are the vaults by the 20 bytes of
    a feed or its aggregator: the same object for ever.
    """

    rpc: Rpc
    engine: Engine
    names: Mapping[bytes, str]
    watched: dict[bytes, set[bytes]] = field(default_factory=dict)
    _feeds: dict[bytes, list[bytes]] = field(default_factory=dict)
    _looked: tuple[bytes, Counter[bytes]] = field(default_factory=lambda: (b"", Counter()))
    _checked: int | None = None

    async def refresh(self, head: Header) -> list[str]:
        """Find out what to watch, now and then; return what to know of it, each said once."""
        vaults = self.engine.book.vaults
        new = [one for one in self.names if one in vaults and one not in self._feeds]
        since = self._checked
        if not new and since is not None and since <= head.number < since + _RECHECK:
            return []
        oracles = [address_bytes(str(vaults[one].parameters["oracle"])) for one in new]
        calls = [call("ChainlinkOracle", name, one) for one in oracles for name in _FEEDS]
        answers = await ask(self.rpc, calls, head.hash)
        notes = []
        for index, (vault, oracle) in enumerate(zip(new, oracles, strict=True)):
            found = answers[index * len(_FEEDS) : (index + 1) * len(_FEEDS)]
            configs = [one for one in found if not isinstance(one, Failed)]
            if len(configs) == len(_FEEDS):
                feeds = [address_bytes(one.feed) for one in configs]
                self._feeds[vault] = [one for one in feeds if any(one)]
            elif all(not isinstance(one, Failed) or one.reverted for one in found):
                self._feeds[vault] = []
                notes.append(
                    f"{self.names[vault]}: its oracle {checksum(oracle)} is no ChainlinkOracle; "
                    "updates of its price are not looked for before they are mined"
                )
        await self._watch(head)
        self._checked = head.number
        return notes

    async def _watch(self, head: Header) -> None:
        """Watch every feed that is known, and what it forwards to now."""
        feeds = sorted({feed for some in self._feeds.values() for feed in some})
        calls = [call("AggregatorProxy", "aggregator", one) for one in feeds]
        answers = await ask(self.rpc, calls, head.hash)
        ends = {
            feed: {feed} if isinstance(one, Failed) else {feed, address_bytes(one)}
            for feed, one in zip(feeds, answers, strict=True)
        }
        self.watched.clear()
        for vault, some in self._feeds.items():
            for end in {end for feed in some for end in ends[feed]}:
                self.watched.setdefault(end, set()).add(vault)

    async def ask(
        self, pending: Pending, head: Header, held: Tick
    ) -> dict[bytes, bytes | RpcError]:
        """Return what the lens would say after an update of the vaults of `held`, at `head`."""
        near = sorted(
            (sight.nearest, vault)
            for vault in self.watched.get(pending.to, ())
            if (sight := held.vaults.get(vault)) is not None and sight.nearest is not None
        )
        vaults = [vault for _, vault in near[:_VAULTS]]
        if not vaults or pending.gas > _UPDATE_GAS or not self._may_look(pending, head):
            return {}
        calls = [self.engine.market_call(vault) for vault in vaults]
        answers = await after(self.rpc, head, pending, calls)
        return dict(zip(vaults, answers, strict=True))

    def see(
        self, answers: Mapping[bytes, bytes | RpcError], held: Tick, waiting: Collection[Target]
    ) -> Tick:
        """Return what is due by what `ask` got; the engine must still be where `held` is.

        What is due there anyway is not of it, nor what is `waiting` to be liquidated already.
        """
        sights = {}
        for vault, answer in answers.items():
            told = answer if isinstance(answer, RpcError) else "0x" + answer.hex()
            known = {one for of, one in waiting if of == vault}.union(held.vaults[vault].due)
            sights[vault] = self.engine.see(vault, told, known)
        return replace(held, vaults=sights)

    def _may_look(self, pending: Pending, head: Header) -> bool:
        if self._looked[0] != head.hash:
            self._looked = head.hash, Counter()
        looks = self._looked[1]
        looks[pending.sender] += 1
        return looks[pending.sender] <= _LOOKS_OF_ONE and looks.total() <= _LOOKS


def fees_behind(pending: Pending, fees: Fees) -> Fees | None:
    """Return what to pay a unit of gas right behind an update, None if it is not mined next.

    >>> update = Pending(b"", b"", b"", 0, 0, 0, 300, 7, b"")
    >>> fees_behind(update, Fees(100, 2))
    Fees(base=100, tip=6)
    >>> fees_behind(update, Fees(299, 2))
    Fees(base=299, tip=0)
    >>> fees_behind(update, Fees(300, 2))
    """
    tip = min(pending.max_tip, pending.max_fee - fees.base)
    return Fees(fees.base, tip - 1) if tip > 0 else None


def worth_it(bids: Sequence[Bid], fees: Fees) -> list[Bid]:
    """Return the bids that are worth it should one of two land in vain, with their tip."""
    return [replace(bid, tip=fees.tip) for bid in bids if bid.max_price >= _WORTH * fees.price]


async def is_next(rpc: Rpc, pending: Pending, head: Header) -> bool:
    """Return whether a node has all that its sender sent before, and the chain not it itself."""
    sender = "0x" + pending.sender.hex()
    where = {"blockHash": "0x" + head.hash.hex()}
    answers = await rpc.batch(
        [
            ("eth_getTransactionCount", [sender, where]),
            ("eth_getTransactionCount", [sender, "pending"]),
        ]
    )
    try:
        mined, waiting = (int(str(one), 16) for one in answers)
    except ValueError:
        return False
    return mined <= pending.nonce < waiting


class After:
    """A node's calls, estimates and simulations as they would be after a pending transaction.

    Where that fails, so does each of them. What refunds a call gets is not told: an estimate is
    what it takes if a fifth, the most there is, was refunded.
    """

    def __init__(self, rpc: Rpc, pending: Pending) -> None:
        self._rpc, self._pending = rpc, pending

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return each request's answer."""
        answers = await self._rpc.batch([self._turned(*one) for one in requests])
        methods = [method for method, _ in requests]
        return [_told(method, one) for method, one in zip(methods, answers, strict=True)]

    def _turned(self, method: str, params: Sequence[Json]) -> Request:
        """Return the simulation that answers a request."""
        if method == "eth_simulateV1":
            options, where = params
        else:
            call, where, _state, block = params
            asked = {("input" if name == "data" else name): one for name, one in call.items()}
            options = {
                "blockStateCalls": [{"calls": [asked], "blockOverrides": block}],
                "validation": False,
            }
        first, *more = options["blockStateCalls"]
        first = first | {"calls": [as_call(self._pending), *first["calls"]]}
        return "eth_simulateV1", [options | {"blockStateCalls": [first, *more]}, where]


def _told(method: str, answer: Json | RpcError) -> Json | RpcError:
    if isinstance(answer, RpcError):
        return answer
    try:
        return parsed("simulation", lambda: _without_first(method, answer))
    except WireError as error:
        return RpcError(method, str(error), None)


def _without_first(method: str, answer: Json) -> Json | RpcError:
    """Return what a request is answered by the simulation that stands for it."""
    first, *calls = answer[0]["calls"]
    if first["status"] != "0x1":
        return RpcError(method, f"the update before it fails: {first['error']['message']}", None)
    if method == "eth_simulateV1":
        return [answer[0] | {"calls": calls}, *answer[1:]]
    [one] = calls
    if one["status"] != "0x1":
        return RpcError(method, str(one["error"]["message"]), one["returnData"])
    if method == "eth_call":
        return one["returnData"]
    return hex(int(one["gasUsed"], 16) * 5 // 4)
