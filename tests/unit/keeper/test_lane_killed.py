"""The lane's process dies anywhere: between two statements, before, in and after every request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import event

from ringfence.client.signing import key_signer
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.keeper.act.bid import Bid
from tests.support.lanes import KEEPER, Stand, bid, stand_on

BIDS = [bid(1), bid(2, 3)]


@pytest.fixture(scope="module")
def node() -> Iterator[AnvilEngine]:
    with launch() as engine:
        yield engine


@pytest.fixture
def stand(node: AnvilEngine, store_url: str) -> Iterator[Stand]:
    with stand_on(node, store_url) as made:
        yield made


class _Clock:
    """Dies at the n-th of the points that it is told of."""

    def __init__(self, point: int) -> None:
        self.left = point

    def tick(self, *_arguments: object, **_more: object) -> None:
        self.left -= 1
        if self.left == 0:
            os._exit(9)


def run_killed(stand: Stand, bids: Sequence[Bid], point: int) -> bool:
    """Step in a process that dies at the n-th point; False if there are fewer."""
    stand.restart()
    child = os.fork()
    if child == 0:
        try:
            clock = _Clock(point)
            stand.door.hook = stand.door.after = clock.tick
            engine = stand.ledger._engine
            event.listen(engine, "before_cursor_execute", clock.tick)
            event.listen(engine, "commit", clock.tick)

            def sign(fields: Mapping[str, Any]) -> bytes:
                clock.tick()
                return key_signer(KEEPER)(fields)

            stand.signer = sign
            stand.step(*bids)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def go_on(stand: Stand) -> None:
    """A new process: steps and blocks until nothing waits and nothing is wanted."""
    for _ in range(8):
        done = {*stand.liquidated()}
        wanted = [one for one in BIDS if done.isdisjoint(one.targets)]
        report = stand.step(*wanted)
        assert report.problems == []
        if not wanted and not report.waiting:
            return
        stand.mine()
    pytest.fail(f"it never ends: {report}")


def fresh(_stand: Stand) -> None:
    """Nothing was sent before."""


def stuck(stand: Stand) -> None:
    stand.step(*BIDS)
    stand.mine_full(2)


def mined(stand: Stand) -> None:
    stand.step(*BIDS)
    stand.mine()


def empty(stand: Stand) -> None:
    """Let the ledger and the node forget everything."""
    stand.restart()
    with stand.ledger._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM lane_transactions")


@pytest.mark.parametrize(("before", "points"), [(fresh, 25), (stuck, 15), (mined, 7)])
def test_step__killed_at_any_point__every_target_once_and_no_nonce_twice(
    stand: Stand, before: Callable[[Stand], None], points: int
) -> None:
    killed, alive = 0, True
    while alive:
        snapshot = stand.rpc.call("evm_snapshot")
        timestamp = stand.engine.timestamp
        before(stand)
        alive = run_killed(stand, [] if before is mined else BIDS, killed + 1)
        stand.restart()
        go_on(stand)
        assert sorted(stand.liquidated()) == sorted(t for one in BIDS for t in one.targets)
        assert [nonce for nonce, _hash in stand.mined()] == [0, 1]
        assert {row.hash for row in stand.ledger.rows(-1)} >= {h for _n, h in stand.mined()}
        assert stand.pooled() == []
        killed += alive
        empty(stand)
        stand.rpc.call("anvil_dropAllTransactions")
        stand.rpc.call("evm_revert", snapshot)
        stand.engine._timestamp = timestamp
    assert killed >= points
