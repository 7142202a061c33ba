"""Leases of keepers at once: processes that are killed or frozen, threads that race."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from random import Random

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, insert, select, text
from sqlalchemy.exc import DBAPIError

from ringfence.keeper.act.lease import LeaseLostError, Leases
from ringfence.keeper.memory.tables import open_database
from tests.support.leasing import CHAIN, A, make_ledger, record, records, rows_in_ledger

FORK = get_context("fork")
ACTS = Table(
    "acts",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("vault", Integer),
    Column("token", Integer),
    Column("holder", Integer),
)


def _keep(url: str, holder: str, pipe: Pipe, hold: float) -> None:
    """A keeper: does what the pipe says until it is killed."""
    leases = Leases(url, CHAIN, holder, hold=hold)
    pipe.send("ready")
    while True:
        order = pipe.recv()
        if order[0] == "renew":
            pipe.send(leases.renew(order[1], order[2]))
        elif order[0] == "record":
            pipe.send(records(leases, order[1]))
        else:
            try:
                with leases._engine.begin() as connection:
                    leases.guard(order[1])(connection)
                    pipe.send("in the transaction")
                    pipe.recv()
                    record(connection)
            except DBAPIError as error:
                pipe.send(type(error.orig).__name__)


class Process:
    def __init__(self, url: str, holder: str, hold: float = 5) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process: BaseProcess = FORK.Process(target=_keep, args=(url, holder, theirs, hold))
        self.process.start()
        theirs.close()

    def answer(self) -> object:
        assert self.pipe.poll(60)
        return self.pipe.recv()

    def ask(self, *order: object) -> object:
        self.pipe.send(order)
        return self.answer()

    def signal(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def end(self) -> None:
        self.process.kill()
        self.process.join(60)


@pytest.fixture
def process(store_url: str) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def start(holder: str, hold: float = 5) -> Process:
        made.append(Process(store_url, holder, hold))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.fixture
def other(store_url: str) -> Iterator[Leases]:
    """A keeper of this process."""
    made = Leases(store_url, CHAIN, "other", hold=30)
    yield made
    made.close()


def test_open__four_at_once__one_table(process: Callable[..., Process]) -> None:
    started = [process(str(number)) for number in range(4)]
    assert [one.answer() for one in started] == ["ready"] * 4
    held = [one.ask("renew", 100, [A]) for one in started]
    assert held == [{A: 1}, {}, {}, {}]


def test_renew__holder_killed__handed_over_within_two_blocks(
    process: Callable[..., Process], other: Leases
) -> None:
    holder = process("holder")
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    holder.signal(signal.SIGKILL)
    holder.process.join(60)
    assert other.renew(101, [A]) == {}
    assert other.renew(102, [A]) == {A: 2}


def test_guard__holder_frozen_past_its_lease__cannot_write(
    process: Callable[..., Process], other: Leases, store_url: str
) -> None:
    make_ledger(store_url)
    holder = process("holder")
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    assert holder.ask("record", {A: 1}) is True
    holder.signal(signal.SIGSTOP)
    assert other.renew(102, [A]) == {A: 2}
    assert records(other, {A: 2})
    holder.signal(signal.SIGCONT)
    assert holder.ask("record", {A: 1}) is False
    assert rows_in_ledger(store_url) == 2
    assert holder.ask("renew", 102, [A]) == {}


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_guard__holder_frozen_within_a_transaction__lets_go_and_cannot_write(
    process: Callable[..., Process], other: Leases, store_url: str
) -> None:
    make_ledger(store_url)
    holder = process("holder", hold=0.5)
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    assert holder.ask("enter", {A: 1}) == "in the transaction"
    holder.signal(signal.SIGSTOP)
    assert other.renew(102, [A]) == {A: 2}
    holder.signal(signal.SIGCONT)
    assert holder.ask("go on") == "IdleInTransactionSessionTimeout"
    assert rows_in_ledger(store_url) == 0


# Threads


def test_guard__while_another_takes_it__waits_and_is_refused(postgres_url: str) -> None:
    one, other = Leases(postgres_url, CHAIN, "one"), Leases(postgres_url, CHAIN, "other")
    make_ledger(postgres_url)
    tokens, taken, go_on = one.renew(100, [A]), threading.Event(), threading.Event()

    def before_commit(_connection: object) -> None:
        taken.set()
        assert go_on.wait(60)

    event.listen(other._engine, "commit", before_commit)
    with ThreadPoolExecutor() as pool:
        taking = pool.submit(other.renew, 102, [A])
        assert taken.wait(60)
        recording = pool.submit(records, one, tokens)
        with open_database(postgres_url).connect() as connection:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            deadline = time.monotonic() + 60
            while not connection.execute(text(waiting)).scalar_one():
                assert time.monotonic() < deadline
                connection.rollback()
        go_on.set()
        assert taking.result(60) == {A: 2}
        assert recording.result(60) is False
    one.close()
    other.close()


def test_renew__four_at_once_on_vaults_that_overlap__one_holder_a_token(
    store_url: str,
) -> None:
    vaults = [number.to_bytes(20) for number in range(12)]
    engine = open_database(store_url)
    ACTS.create(engine)
    start = threading.Barrier(4)

    def keep(number: int) -> int:
        """A keeper that now and then falls silent; how many acts it was refused."""
        random, leases, refused = Random(number), Leases(store_url, CHAIN, str(number)), 0
        start.wait(60)
        head = 100
        for _ in range(40):
            head += random.choice([0, 1, 1, 1, 4])
            tokens = leases.renew(head, random.sample(vaults, 8))
            for vault, token in tokens.items():
                row = {"vault": vault[-1], "token": token, "holder": number}
                try:
                    with leases._engine.begin() as connection:
                        leases.guard({vault: token})(connection)
                        connection.execute(insert(ACTS), row)
                except LeaseLostError:
                    refused += 1
        leases.close()
        return refused

    with ThreadPoolExecutor(4) as pool:
        refused = sum(pool.map(keep, range(4)))
    with engine.begin() as connection:
        acts = connection.execute(select(ACTS).order_by(ACTS.c.id)).all()
    engine.dispose()
    holders: dict[tuple[int, int], set[int]] = {}
    latest: dict[int, int] = {}
    for _id, vault, token, holder in acts:
        holders.setdefault((vault, token), set()).add(holder)
        # Ids are given under the lease's lock.
        assert latest.get(vault, 0) <= token
        latest[vault] = token
    assert all(len(one) == 1 for one in holders.values())
    assert refused
    assert len({one.holder for one in acts}) == 4
