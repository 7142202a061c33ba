"""What a keeper would have done: history again, from a chain that keeps the state of past blocks.

A memory of its own follows the chain, and every block is a tick, as a keeper at that block would
have seen it. A position counts once, from the block at whose end it is first due until it is
healthy or gone: an episode. At each of its blocks it is planned for until a plan would send it.
Nobody's plan has changed history: pools stand as they stood, and a race is not run.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from ringfence.client.abi import Event, interface
from ringfence.client.units import Token
from ringfence.errors import RingfenceError
from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.engine import Log
from ringfence.evm.errors import EncodingError
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import hexed
from ringfence.keeper.act.fees import read_fees
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.assemble import Places
from ringfence.keeper.chain.answers import is_no_answer
from ringfence.keeper.chain.wire import Header, Rpc, WireError, parse_logs
from ringfence.keeper.engine import Engine, Sight, Tick
from ringfence.keeper.memory.events import Key
from ringfence.keeper.memory.store import Store
from ringfence.math.fixed_point import WAD
from ringfence.math.health import value_down

_WINDOW = 1
"""Blocks that could be undone: history is final."""

_LATER = "0xffffffff"
"""A time at which a node is asked whether it runs calls at a time of ours."""

_MOVES = ("Adjusted", "ToppedUp", "Liquidated")
_FLASH = "FlashLiquidated"


class ReplayError(RingfenceError):
    """History cannot be had from this node."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What sending a position after `block` should have earned: asset units before gas, wei after.

    `after_gas` bears an equal share of its transaction's gas, at what gas cost then.
    """

    block: int
    asset: Token
    profit: int
    after_gas: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A liquidation that happened; asset units, `seized` in collateral units.

    `by` is whoever sent it, where it went through the Liquidator, and else the vault's caller.
    `earned` is what the Liquidator says; for another, what the seized was worth at the oracle's
    price at the block's end, less what was paid: `exact` tells them apart. None without a price.
    """

    block: int
    by: str
    seized: int
    paid: int
    earned: int | None
    exact: bool


@dataclass(slots=True)
class Episode:
    """A due position: `first` is the block that it was first due at, `end` what ended that.

    `offer` is None where no plan would have sent it; `left` is the last reason. `end_block` is None
    while it is due.
    """

    vault: bytes
    position_id: int
    first: int
    offer: Offer | None = None
    left: str | None = None
    taken: list[Taken] = field(default_factory=list)
    end: str = "still due"
    end_block: int | None = None

    @property
    def missed(self) -> bool:
        """Whether a plan would have sent it and nobody did."""
        return self.offer is not None and not self.taken


@dataclass(slots=True)
class History:
    """What a replay of blocks found.

    `sudden` are liquidations of positions that were due at no block's end: sent in the block in
    which they became due. `troubles` say why a vault could not be judged, by its 20 bytes, and at
    how many blocks.
    """

    first: int
    last: int
    episodes: list[Episode] = field(default_factory=list)
    sudden: list[tuple[Key, Taken]] = field(default_factory=list)
    troubles: dict[tuple[bytes, str], int] = field(default_factory=dict)


class Patient:
    """A way to a node, asked again after pauses where it gives no answer or is asked too much."""

    def __init__(self, rpc: Rpc, pauses: Sequence[float] = (1, 2, 4, 8, 16, 32)) -> None:
        """Wait so many seconds before each further time."""
        self._rpc, self._pauses = rpc, pauses

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return each request's result, or its error, in their order."""
        answers = await self._rpc.batch(requests)
        for pause in self._pauses:
            if not any(map(is_no_answer, answers)):
                break
            await asyncio.sleep(pause)
            answers = await self._rpc.batch(requests)
        return answers


class Replay:
    """Replays a deployment's blocks, planning for `account`, 20 bytes, which signs nothing.

    `told` gets each block, and the last, as it goes.
    """

    def __init__(
        self,
        rpc: Rpc,
        places: Places,
        account: bytes,
        policy: Policy,
        told: Callable[[int, int], None],
    ) -> None:
        self._rpc, self._places, self._told = rpc, places, told
        self._account, self._policy = account, policy
        self._open: dict[Key, Episode] = {}

    async def run(self, first: int, last: int) -> History:
        """Return what happened at the ends of blocks `first` to `last`.

        Raises ReplayError, IngestError, StoreError.
        """
        begun = self._places.deployment.first_block
        if not begun <= first <= last:
            raise ReplayError(
                f"blocks {first} to {last} cannot be replayed: the factory came in block {begun}; "
                "begin there or later, and end no earlier than you begin"
            )
        history = History(first, last)
        with closing(Store("sqlite://", self._places.deployment, window=_WINDOW)) as store:
            engine = Engine(
                self._rpc, store, self._places.lens, lambda block, _head: self._told(block, last)
            )
            planner = Planner(
                self._rpc,
                lambda: engine.book.vaults,
                self._places.contracts,
                self._account,
                self._policy,
            )
            for number in range(first, last + 1):
                head = await self._header(number)
                asked = [self._logs_of(engine.book.vaults, head)]
                tick = await engine.tick(head, asked)
                [answer] = tick.also or await self._rpc.batch(asked)
                self._follow(history, head, tick, _events(head, answer) if number > first else ())
                await self._plan(planner, head, tick)
        return history

    # Reading

    async def _header(self, number: int) -> Header:
        """Return a block's header; raise ReplayError where its state is not to be had."""
        lens, at = hexed(self._places.lens), hex(number)
        block, code, run = await self._rpc.batch(
            [
                ("eth_getBlockByNumber", [at, False]),
                ("eth_getCode", [lens, at]),
                ("eth_call", [{"to": lens, "data": "0x"}, at, {}, {"time": _LATER}]),
            ]
        )
        failed = next((one for one in (block, code, run) if is_no_answer(one)), None)
        if failed or isinstance(block, RpcError):
            raise ReplayError(
                f"the node does not give block {number}: {failed or block}; try again"
            )
        if block is None:
            raise ReplayError(f"the node has no block {number}; end earlier")
        if isinstance(code, RpcError):
            raise ReplayError(
                f"the node has not the state of block {number}: {code.message}; name an archive "
                "node with --network, or begin later"
            )
        if code in (None, "0x"):
            raise ReplayError(f"no lens stood at {lens} at block {number}; begin later")
        # The lens has no function of an empty selector: that it reverts shows that it was run.
        if isinstance(run, RpcError) and "revert" not in run.message.lower():
            raise ReplayError(
                f"the node does not run calls at block {number}, at a time of ours: {run.message}; "
                "name an archive node with --network: a fork is none before its own first block"
            )
        return Header.parse(block)

    def _logs_of(self, vaults: Iterable[bytes], head: Header) -> Request:
        vault, flash = interface("MarginVault"), interface("Liquidator").topic(_FLASH)
        where = {
            "address": [*map(hexed, (*vaults, self._places.contracts.liquidator))],
            "topics": [[*map(hexed, (*map(vault.topic, _MOVES), flash))]],
            "blockHash": hexed(head.hash),
        }
        return "eth_getLogs", [where]

    # Following

    def _follow(self, history: History, head: Header, tick: Tick, events: Sequence[Event]) -> None:
        """Begin and end episodes by what was seen at a block's end, and by its events."""
        for vault, reason in tick.troubles.items():
            history.troubles[vault, reason] = history.troubles.get((vault, reason), 0) + 1
        liquidator = checksum(self._places.contracts.liquidator)
        for key, taken in _taken(events, head.number, tick, liquidator):
            if key in self._open:
                self._open[key].taken.append(taken)
            else:
                history.sudden.append((key, taken))
        moves = {_key(one): one for one in events if one.name != _FLASH}
        for key, episode in [*self._open.items()]:
            move, sight = moves.get(key), tick.vaults[key[0]]
            closed = move is not None and not move.fields["slot"]
            if closed or (sight.price and key[1] not in sight.due):
                episode.end, episode.end_block = _end(move), head.number
                del self._open[key]
        for vault, sight in tick.vaults.items():
            for position_id in sight.due:
                if (vault, position_id) not in self._open:
                    episode = Episode(vault, position_id, head.number)
                    self._open[vault, position_id] = episode
                    history.episodes.append(episode)

    async def _plan(self, planner: Planner, head: Header, tick: Tick) -> None:
        """Plan for what is due and was not planned for before, and write down what came of it."""
        left = {vault: self._unplanned(vault, sight) for vault, sight in tick.vaults.items()}
        if not any(sight.due for sight in left.values()):
            return
        fees = await read_fees(self._rpc, head)
        plan = await planner.bids(head, fees, replace(tick, vaults=left))
        for one in plan.skipped:
            self._open[one.vault, one.position_id].left = one.reason
        for batch, bid in zip(plan.batches, plan.bids, strict=True):
            gas = (bid.charged or bid.gas) * fees.price // len(batch.targets)
            market = batch.market
            for target in batch.targets:
                wei = target.profit * WAD // int(market.asset_per_ether) - gas
                episode = self._open[market.vault, target.position_id]
                episode.offer = Offer(head.number, market.asset, target.profit, wei)

    def _unplanned(self, vault: bytes, sight: Sight) -> Sight:
        pairs = [
            (one, word)
            for one, word in zip(sight.due, sight.words, strict=True)
            if self._open[vault, one].offer is None
        ]
        return replace(
            sight, due=tuple(one for one, _ in pairs), words=tuple(word for _, word in pairs)
        )


def _events(head: Header, answer: Json | RpcError) -> list[Event]:
    """Return a block's events, in their order; raise ReplayError where they are not to be had."""
    try:
        if isinstance(answer, RpcError):
            raise answer
        logs = [Log(checksum(one.address), one.topics, one.data) for one in parse_logs(answer)]
        both = interface("MarginVault"), interface("Liquidator")
        return [event for log in logs for one in both for event in one.events([log])]
    except (RpcError, WireError, EncodingError, ValueError) as error:
        raise ReplayError(
            f"the events of block {head.number} cannot be read: {error}; name another node"
        ) from error


def _key(event: Event) -> Key:
    vault = str(event.fields["vault"]) if event.name == _FLASH else event.address
    return address_bytes(vault), int(event.fields["position_id"])


def _end(move: Event | None) -> str:
    """Return what ended an episode, by the position's last event in the block of its end."""
    if move is None:
        return "price recovered"
    if move.name == "Liquidated":
        return "liquidated"
    if not move.fields["slot"]:
        return "closed"
    return "repaid" if move.fields.get("debt_delta", 0) < 0 else "topped up"


def _taken(
    events: Sequence[Event], block: int, tick: Tick, liquidator: str
) -> Iterator[tuple[Key, Taken]]:
    """Yield a block's liquidations; the Liquidator's own event comes after the vault's."""
    flashes: dict[Key, deque[Event]] = defaultdict(deque)
    for one in events:
        if one.name == _FLASH and one.address == liquidator:
            flashes[_key(one)].append(one)
    for event in (one for one in events if one.name == "Liquidated"):
        key, given = _key(event), event.fields
        seized, paid = int(given["seized"]), given["repaid"] + given["cut"]
        if given["liquidator"] == liquidator and flashes[key]:
            flash = flashes[key].popleft().fields
            yield key, Taken(block, str(flash["caller"]), seized, paid, flash["profit"], exact=True)
            continue
        price = tick.vaults[key[0]].price if key[0] in tick.vaults else 0
        earned = value_down(seized, price) - paid if price else None
        yield key, Taken(block, str(given["liquidator"]), seized, paid, earned, exact=False)
