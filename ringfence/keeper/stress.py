"""A fall of every vault's price on a local chain or a fork, and what the keeper makes of it.

Each vault's oracle gives way to one that answers what it answered, less the fall. Pools stay as
they are, so that liquidations earn more than they would: the question is whether the keeper gets
through with them, in how many blocks and for how much gas, not what it earns. At the end the node
is as it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction

from ringfence.client.abi import Event, interface
from ringfence.client.units import Token
from ringfence.errors import RingfenceError
from ringfence.evm.abi import address_bytes
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import Log
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import Failed, ask, call, hexed
from ringfence.keeper.act.ledger import Row, State
from ringfence.keeper.chain.wire import Header, Rpc
from ringfence.keeper.engine import Tick
from ringfence.keeper.memory.events import Key
from ringfence.keeper.service import Beat, Service
from ringfence.math.health import debt_up, value_down
from ringfence.math.position_slot import unpack

_SECONDS = 12
"""Between blocks."""
_PATIENCE = 12
"""Blocks in which nothing is sent or settled, after which what still waits is given up."""


class StressError(RingfenceError):
    """A chain cannot be put under stress, or was not put back."""


@dataclass(slots=True)
class Stressed:
    """What came of a fall; positions are counted, amounts in the vaults' asset units by vault.

    `due` are those of the first look after it, `liquidated` those that were, once or more, `left`
    those that are due at the end, by the reason. `lost` is what was booked as loss, `owed` what
    those left owe beyond what they are worth. `seconds` is the keeper's own time, `slowest` of one
    block; `cost` wei. `moved` says how many oracles fell, `troubles` which did not, and why.
    """

    moved: int = 0
    troubles: dict[bytes, str] = field(default_factory=dict)
    due: dict[bytes, int] = field(default_factory=dict)
    liquidated: set[Key] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)
    lost: Counter[bytes] = field(default_factory=Counter)
    owed: Counter[bytes] = field(default_factory=Counter)
    assets: dict[bytes, Token] = field(default_factory=dict)
    transactions: int = 0
    reverted: int = 0
    gas: int = 0
    cost: int = 0
    blocks: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


class Node:
    """The methods of an anvil that change it; raises StressError when it refuses one."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def do(self, method: str, *parameters: Json) -> Json:
        """Return what a method answers."""
        [answer] = await self.all([(method, [*parameters])])
        return answer

    async def all(self, requests: Iterable[Request]) -> list[Json]:
        """Return what several methods answer."""
        answers = await self._rpc.batch([*requests])
        for answer in answers:
            if isinstance(answer, RpcError):
                raise StressError(f"the node refused {answer}; stress needs an anvil")
        return answers

    async def head(self) -> Header:
        """Return the chain's head."""
        return Header.parse(await self.do("eth_getBlockByNumber", "latest", False))

    async def mine(self) -> Header:
        """Mine a block, the usual time after the last; return its header."""
        last = await self.head()
        await self.do("evm_mine", last.timestamp + _SECONDS)
        return await self.head()

    @asynccontextmanager
    async def rewound(self, account: bytes) -> AsyncIterator[None]:
        """Mine by hand meanwhile, and put chain and mining back at the end, whatever happens.

        What `account` has sent and was not mined is dropped.
        """
        automine, interval, snapshot = await self.all(
            [("anvil_getAutomine", []), ("anvil_getIntervalMining", []), ("evm_snapshot", [])]
        )
        try:
            await self.do("evm_setAutomine", False)
            await self.do("evm_setIntervalMining", 0)
            yield
        finally:
            if await self.do("evm_revert", snapshot) is not True:
                raise StressError("the node was not put back: it no longer knows its snapshot")
            await self.do("anvil_removePoolTransactions", hexed(account))
            await self.do("evm_setAutomine", automine)
            if interval:
                await self.do("evm_setIntervalMining", interval)


@dataclass(slots=True)
class Stress:
    """A service on a node that may be changed; `oracle` is a SettableOracle, compiled.

    `told` gets a line for each block.
    """

    service: Service
    rpc: Rpc
    oracle: Artifact
    told: Callable[[str], None]
    _found: Stressed = field(default_factory=Stressed)

    async def run(self, fall: Fraction) -> Stressed:
        """Let every price fall by a part of itself, run the keeper until it is done, put all back.

        Raises StressError, IngestError, StoreError.
        """
        node = Node(self.rpc)
        async with node.rewound(self.service.lane.signing.account):
            head = await node.head()
            before = await self.service.engine.tick(head)
            await self._learn(head, before)
            await self._let_fall(node, head, fall)
            last = await self._work(node)
            self._sum_up(last)
        return self._found

    async def _learn(self, head: Header, tick: Tick) -> None:
        markets = await self.service.planner.markets(head, tick)
        self._found.assets = {one.vault: one.asset for one in markets}

    async def _let_fall(self, node: Node, head: Header, fall: Fraction) -> None:
        """Put an oracle that answers less in the place of each vault's own."""
        vaults = self.service.engine.book.vaults
        oracles = sorted({address_bytes(str(one.parameters["oracle"])) for one in vaults.values()})
        quotes = await ask(
            self.rpc, [call("IPriceOracle", "quote", one) for one in oracles], head.hash
        )
        slots = [self.oracle.slot(name) for name in ("_low", "_high")]
        for oracle, quote in zip(oracles, quotes, strict=True):
            if isinstance(quote, Failed):
                self._found.troubles[oracle] = quote.reason
                continue
            requests: list[Request] = [
                ("anvil_setCode", [hexed(oracle), hexed(self.oracle.runtime)])
            ]
            for slot, price in zip(slots, quote, strict=True):
                word = int(price * (1 - fall)).to_bytes(32)
                requests.append(
                    ("anvil_setStorageAt", [hexed(oracle), f"0x{slot:064x}", hexed(word)])
                )
            await node.all(requests)
            self._found.moved += 1

    async def _work(self, node: Node) -> Beat:
        """Mine blocks and show each to the keeper, until it sends nothing and waits for nothing."""
        found, idle = self._found, 0
        while True:
            head = await node.mine()
            started = time.perf_counter()
            beat = await self.service.on_head(head)
            spent = time.perf_counter() - started
            found.blocks += 1
            found.seconds += spent
            found.slowest = max(found.slowest, spent)
            found.failed |= beat.failed
            due = {vault: len(ids) for vault, ids in beat.tick.due.items()}
            found.due = found.due or due
            await self._settle(node, beat.report.changed)
            self.told(
                f"block {head.number:,}: {sum(due.values()):,} due, {len(beat.report.sent)} sent, "
                f"{len(found.liquidated):,} liquidated so far, {spent:.1f} s"
            )
            idle = 0 if beat.report.sent or beat.report.changed else idle + 1
            if idle and (beat.report.waiting == [] or idle >= _PATIENCE):
                return beat

    async def _settle(self, node: Node, rows: Iterable[Row]) -> None:
        """Count what became of transactions."""
        found = self._found
        for row in rows:
            if row.state not in (State.MINED, State.FAILED) or row.outcome is None:
                continue
            receipt = await node.do("eth_getTransactionReceipt", hexed(row.hash))
            found.transactions += 1
            found.reverted += row.state is State.FAILED
            found.gas += int(receipt["gasUsed"], 16)
            found.cost += row.outcome.cost
            found.liquidated |= {target for target, _profit in row.outcome.profits}
            for event in _events(receipt["logs"]):
                vault = address_bytes(event.address)
                if event.name == "Liquidated" and vault in self.service.engine.book.vaults:
                    found.lost[vault] += event.fields["loss"]

    def _sum_up(self, beat: Beat) -> None:
        """Count what is left at the end, and what was lost."""
        found = self._found
        reasons = {(one.vault, one.position_id): one.reason for one in beat.plan.skipped}
        for one in beat.report.left:
            reasons |= dict.fromkeys(one.targets, one.reason)
        for row in beat.report.waiting or ():
            reasons |= dict.fromkeys(row.targets, "its transaction was never mined")
        for vault, sight in beat.tick.vaults.items():
            for position_id, word in zip(sight.due, sight.words, strict=True):
                found.left[reasons.get((vault, position_id), beat.refused or "not planned")] += 1
                slot = unpack(word)
                debt = debt_up(slot.scaled_debt, sight.debt_index)
                found.owed[vault] += max(debt - value_down(slot.collateral, sight.price), 0)


def _events(logs: Json) -> list[Event]:
    """Return the vaults' events among a receipt's logs."""
    found = [
        Log(
            log["address"],
            tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            bytes.fromhex(log["data"][2:]),
        )
        for log in logs
    ]
    return interface("MarginVault").events(found)
