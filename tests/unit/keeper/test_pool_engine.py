"""The engine over several bad ways to a node: no event is lost, and the store is the chain's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ringfence.evm import load
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.memory.ingest import IngestError
from tests.support.following import Chain, Follower
from tests.support.proxy import Proxy, proxies


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Keeper:
    """An engine over a pool of three ways; `follower` holds its store against the chain."""

    def __init__(self, chain: Chain, follower: Follower, ways: list[Proxy], lens: bytes) -> None:
        self.chain, self.follower, self.ways = chain, follower, ways
        self.clock = Clock()
        self._runner = asyncio.Runner()
        endpoints = {name: Web3Rpc(way.url) for name, way in zip("abc", ways, strict=True)}
        self.pool = Pool(endpoints, timeout=2.0, quick=1.0, clock=self.clock)
        self.engine = Engine(self.pool, follower.store, lens)

    def tick(self, head: Header | None = None) -> Tick:
        """Tick at the chain's head, a second after the last."""
        self.clock.now += 1
        return self._runner.run(self.engine.tick(head or self.chain.head()))

    def agreed(self) -> str | None:
        return self._runner.run(self.pool.agreed(self.chain.head()))

    def check(self) -> None:
        """Assert that store and chain say the same, and that nothing was found to be wrong."""
        assert self.tick().troubles == {}
        self.follower._book = self.engine.book
        self.follower.check()

    def close(self) -> None:
        self._runner.run(self.pool.close())
        self._runner.close()


@pytest.fixture
def keeper(blockchain: Chain, tmp_path: Path) -> Iterator[Keeper]:
    lens = address_bytes(blockchain.engine.deploy(load("VaultLens")))
    follower = Follower(blockchain, f"sqlite:///{tmp_path / 'keeper.db'}")
    with proxies(blockchain.engine.url, 3) as ways:
        made = Keeper(blockchain, follower, ways, lens)
        with closing(made):
            yield made
    follower.store.close()


LACKING = {"logs lack": {"keep_logs": 0}, "another's": {"body": '[{"id": 1, "result": []}]'}}
"""What reads as a block without logs. Two nodes that agree on that are believed."""
FAULTS: dict[str, dict[str, Json]] = {
    "logs fail": {"failing": frozenset({"eth_getLogs"})},
    **LACKING,
    "logs are cut": {"keep_logs": 1},
    "lags": {"lag": 1},
    "lags far": {"lag": 30},
    "lags and says there are none": {"lag": 1, "silent": True},
    "drops": {"drop": True},
    "hangs": {"delay": 5.0},
    "truncates": {"truncate": True},
    "over its limit": {"status": 429},
    "broken": {"status": 500},
    "garbage": {"body": "<html>"},
}


def spoil(way: Proxy, fault: dict[str, Json]) -> None:
    for name, value in fault.items():
        setattr(way, name, value)


def acts(chain: Chain, first: int) -> list[object]:
    return [
        lambda: chain.open(first),
        lambda: chain.top_up(1),
        lambda: chain.close(first),
        lambda: chain.open(first + 1),
        chain.mine,
    ]


@pytest.mark.parametrize(
    ("fault", "bad"),
    [
        pytest.param(fault, bad, id=f"{name}-{bad}")
        for name, fault in FAULTS.items()
        for bad in ((1,) if name in LACKING else (1, 2))
    ],
)
def test_tick__bad_ways_come_first__store_is_the_chain(
    blockchain: Chain, keeper: Keeper, fault: dict[str, Json], bad: int
) -> None:
    for way in keeper.ways[:bad]:
        spoil(way, fault)
    for act in acts(blockchain, 4):
        act()
        keeper.tick()
    for act in acts(blockchain, 6):
        act()
    keeper.tick()
    # What a block's filter names and was not there is asked for along with the next block's.
    blockchain.mine()
    keeper.check()
    for way in keeper.ways[:bad]:
        way.heal()
    blockchain.open(8)
    keeper.check()


def far_behind(blockchain: Chain, keeper: Keeper) -> None:
    """Many blocks that the store has not seen, most of them so deep that they count as final."""
    keeper.follower.store.window = 2
    for first in (4, 6):
        for act in acts(blockchain, first):
            act()
    blockchain.mine(5)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_tick__far_behind_and_a_bad_way_comes_first__store_is_the_chain(
    blockchain: Chain, keeper: Keeper, fault: dict[str, Json]
) -> None:
    far_behind(blockchain, keeper)
    spoil(keeper.ways[0], fault)
    keeper.check()


def test_tick__far_behind_and_one_of_two_leaves_events_out__refused_and_both_are_named(
    blockchain: Chain, keeper: Keeper
) -> None:
    far_behind(blockchain, keeper)
    keeper.ways[1].keep_logs = 0
    keeper.ways[2].drop = True
    with pytest.raises(
        IngestError, match=r"no answer that two nodes agree on: .*a gives 1; b gives 0"
    ):
        keeper.tick()
    keeper.ways[2].heal()
    keeper.check()


def test_tick__two_of_three_leave_events_out__the_vault_is_said_to_lag(
    blockchain: Chain, keeper: Keeper
) -> None:
    keeper.tick()
    for way in keeper.ways[:2]:
        way.keep_logs = 0
    blockchain.open(4)
    [reason] = keeper.tick().troubles.values()
    assert "the node left events out" in reason


@pytest.mark.parametrize("fault", [{"drop": True}, {"lag": 5}, {"status": 429}], ids=str)
def test_tick__each_way_bad_in_turn_and_a_branch_dropped__store_is_the_chain(
    blockchain: Chain, keeper: Keeper, fault: dict[str, Json]
) -> None:
    for turn in range(6):
        for way in keeper.ways:
            way.heal()
        spoil(keeper.ways[turn % 3], fault)
        if turn == 3:
            blockchain.rollback(2)
        blockchain.open(10 + turn)
        keeper.check()


def test_tick__all_dead__one_reason_and_on_from_there(blockchain: Chain, keeper: Keeper) -> None:
    keeper.tick()
    blockchain.open(4)
    for way in keeper.ways:
        way.drop = True
    with pytest.raises(
        IngestError, match=r"no answer from 3 of 3 nodes: a: .*; b: .*; c: "
    ) as told:
        keeper.tick()
    assert "secret" not in str(told.value)
    assert "0 of 3 nodes have block" in (keeper.agreed() or "")
    for way in keeper.ways:
        way.heal()
    keeper.check()
    assert keeper.agreed() is None
