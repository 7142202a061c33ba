"""The lane when its database is locked, full or gone, and its guard says no."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event

from ringfence.client.signing import key_signer
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import Request
from ringfence.keeper.act.ledger import LedgerError
from ringfence.keeper.act.report import LaneReport
from tests.support.lanes import (
    KEEPER,
    VAULT,
    Stand,
    bid,
    is_sending,
    stand_on,
)


@pytest.fixture
def engine() -> Iterator[AnvilEngine]:
    with launch() as made:
        yield made


@pytest.fixture
def stand(engine: AnvilEngine, tmp_path: Path) -> Iterator[Stand]:
    with stand_on(engine, f"sqlite:///{tmp_path / 'lane.db'}?timeout=0.1") as made:
        yield made


def test_step__database_locked__one_line_and_nothing_sent(stand: Stand) -> None:
    assert stand.states() == []
    other = create_engine(stand.url)
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        report = stand.step(bid(1))
    other.dispose()
    check_failed(stand, report, "database is locked")


def test_step__database_locked_when_it_writes__one_line_and_nothing_sent(stand: Stand) -> None:
    """Somebody takes the lock while the signer works."""
    assert stand.states() == []
    other = create_engine(stand.url)
    with other.connect() as connection:

        def sign(fields: Mapping[str, Any]) -> bytes:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return key_signer(KEEPER)(fields)

        stand.signer = sign
        report = stand.step(bid(1))
    other.dispose()
    stand.signer = None
    check_failed(stand, report, "database is locked")


def test_step__disk_full__one_line_and_nothing_sent_that_is_not_written(stand: Stand) -> None:
    engine, room = stand.ledger._engine, 2
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _limit(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + room}")

    many = [bid(*range(32 * one, 32 * one + 32)) for one in range(8)]
    report = stand.step(*many)
    [problem] = report.problems
    assert "database or disk is full; nothing is sent until it can be written" in problem
    assert 0 < len(stand.door.raws()) < 8
    stand.restart()
    written = {"0x" + row.raw.hex() for row in stand.ledger.rows(-1)}
    assert {*stand.door.raws()} <= written
    report = stand.step(*many)
    assert report.problems == []
    stand.mine()
    stand.step()
    assert len(stand.liquidated()) == len({*stand.liquidated()}) == 256


def check_failed(stand: Stand, report: LaneReport, words: str) -> None:
    """A step said so in a line and sent nothing; the next one does it."""
    [problem] = report.problems
    assert words in problem
    assert "nothing is sent until it can be written" in problem
    assert "\n" not in problem
    assert (report.sent, stand.door.raws(), stand.states()) == ([], [], [])
    assert len(stand.step(bid(1)).sent) == 1
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1)]


def test_step__database_fails_after_the_sending__the_next_step_knows(stand: Stand) -> None:
    def hook(requests: list[Request]) -> None:
        if is_sending(requests):
            stand.door.after = None
            lock.exec_driver_sql("BEGIN IMMEDIATE")

    assert stand.states() == []
    other = create_engine(stand.url)
    with other.connect() as lock:
        stand.door.after = hook
        report = stand.step(bid(1), bid(2))
    other.dispose()
    assert len(report.problems) == 1
    assert stand.states() == [(0, 0, "signed")]
    report = stand.step(bid(1), bid(2))
    assert [(row.nonce, row.state) for row in report.changed] == [(0, "sent")]
    assert (report.resent, [one.nonce for one in report.sent]) == ([], [1])
    stand.mine()
    assert stand.liquidated() == [(VAULT, 1), (VAULT, 2)]


class _LeaseLostError(Exception):
    pass


def test_step__guard_that_raises__comes_through_and_nothing_is_sent(stand: Stand) -> None:
    def lost(_connection: Connection) -> None:
        raise _LeaseLostError

    stand.guard = lost
    with pytest.raises(_LeaseLostError):
        stand.step(bid(1))
    assert (stand.door.raws(), stand.states()) == ([], [])


def test_step__every_write__under_the_guard(stand: Stand) -> None:
    """Of each transaction that changed the ledger, the guard saw the connection first."""
    guarded: list[int] = []
    stand.guard = lambda connection: guarded.append(id(connection.connection.dbapi_connection))
    writes: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            writes.append(statement)
            assert guarded, statement

    commits: list[bool] = []

    def commit(_connection: object) -> None:
        commits.append(bool(writes) <= bool(guarded))
        writes.clear()
        guarded.clear()

    event.listen(stand.ledger._engine, "before_cursor_execute", count)
    event.listen(stand.ledger._engine, "commit", commit)
    stand.step(bid(1))
    stand.mine_full(2)
    stand.step(bid(1))
    stand.mine()
    stand.step()
    assert len(commits) >= 8
    assert all(commits)


def test_step__signer_that_blocks__the_loop_goes_on(stand: Stand) -> None:
    threads: list[int] = []

    def sign(fields: Mapping[str, Any]) -> bytes:
        threads.append(threading.get_ident())
        return key_signer(KEEPER)(fields)

    stand.signer = sign
    stand.step(bid(1))
    assert threads != [threading.get_ident()]
    assert len(threads) == 1


def test_ledger__lost_with_a_transaction_waiting__the_nonce_after_it(
    stand: Stand, tmp_path: Path
) -> None:
    """Without its record the lane still goes behind what the node has of this key."""
    stand.step(bid(1))
    stand.restart()
    stand.url = f"sqlite:///{tmp_path / 'new.db'}"
    assert [one.nonce for one in stand.step(bid(2)).sent] == [1]


def test_ledger__unreachable__says_so(stand: Stand, tmp_path: Path) -> None:
    stand.url = f"sqlite:///{tmp_path / 'none' / 'lane.db'}"
    with pytest.raises(LedgerError, match="unable to open"):
        stand.step(bid(1))
