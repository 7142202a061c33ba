"""Leases on both databases, with keepers that are killed, frozen, ahead and behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from ringfence.keeper.act.lease import LeaseError, LeaseLostError, Leases
from ringfence.keeper.memory.tables import open_database

A, B = b"\xaa" * 20, b"\xbb" * 20
CHAIN = 1
SPAWN = get_context("spawn")


@pytest.fixture
def keeper(store_url: str) -> Iterator[Callable[..., Leases]]:
    """A keeper's leases, by its name."""
    with ExitStack() as cleanup:

        def make(holder: str, chain: int = CHAIN, blocks: int = 1) -> Leases:
            made = Leases(store_url, chain, holder, blocks=blocks)
            cleanup.callback(made.close)
            return made

        yield make


def _records(leases: Leases, tokens: dict[bytes, int]) -> bool:
    """Whether a lane with these tokens may record what it is about to send."""
    try:
        with leases._engine.begin() as connection:
            leases.guard(tokens)(connection)
            connection.execute(text("INSERT INTO ledger VALUES (1)"))
    except LeaseLostError:
        return False
    return True


@pytest.fixture
def ledger(store_url: str) -> Iterator[Callable[[], int]]:
    """A table as a lane would have; how many rows it has."""
    engine = open_database(store_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ledger (id INTEGER)"))

    def rows() -> int:
        with engine.begin() as connection:
            return connection.execute(text("SELECT count(*) FROM ledger")).scalar_one()

    yield rows
    engine.dispose()


# Who holds what


def test_renew__one_keeper__holds_every_vault(keeper: Callable[..., Leases]) -> None:
    one = keeper("one")
    assert one.renew(100, [A, B]) == {A: 1, B: 1}
    assert one.renew(101, [A, B]) == {A: 1, B: 1}
    assert one.renew(102, [A]) == {A: 1}
    assert one.renew(103, []) == {}


def test_renew__two_keepers__the_first_holds(keeper: Callable[..., Leases]) -> None:
    one, other = keeper("one"), keeper("other")
    for head in range(100, 110):
        assert one.renew(head, [A]) == {A: 1}
        assert other.renew(head, [A, B]) == {B: 1}


def test_renew__holder_silent__handed_over_on_the_second_block(
    keeper: Callable[..., Leases],
) -> None:
    one, other = keeper("one"), keeper("other")
    one.renew(100, [A])
    assert other.renew(100, [A]) == {}
    assert other.renew(101, [A]) == {}
    assert other.renew(102, [A]) == {A: 2}
    assert one.renew(102, [A]) == {}


def test_renew__more_blocks__handed_over_that_much_later(keeper: Callable[..., Leases]) -> None:
    one, other = keeper("one", blocks=5), keeper("other", blocks=5)
    one.renew(100, [A])
    assert other.renew(105, [A]) == {}
    assert other.renew(106, [A]) == {A: 2}


def test_renew__expired_but_not_taken__kept_with_its_token(keeper: Callable[..., Leases]) -> None:
    one = keeper("one")
    one.renew(100, [A])
    assert one.renew(200, [A]) == {A: 1}


def test_renew__another_chain__leases_of_its_own(keeper: Callable[..., Leases]) -> None:
    assert keeper("one").renew(100, [A]) == {A: 1}
    assert keeper("other", chain=5).renew(100, [A]) == {A: 1}


def test_renew__same_name__a_keeper_of_its_own(keeper: Callable[..., Leases]) -> None:
    first, second = keeper("one"), keeper("one")
    first.renew(100, [A])
    assert second.renew(101, [A]) == {}
    assert second.renew(102, [A]) == {A: 2}
    assert first.renew(102, [A]) == {}


def test_release__held__the_other_takes_at_once(keeper: Callable[..., Leases]) -> None:
    one, other = keeper("one"), keeper("other")
    one.renew(100, [A, B])
    one.release()
    assert other.renew(100, [A, B]) == {A: 2, B: 2}


def test_release__lost_before__the_other_keeps_it(keeper: Callable[..., Leases]) -> None:
    one, other, third = keeper("one"), keeper("other"), keeper("third")
    one.renew(100, [A])
    other.renew(102, [A])
    one.release()
    assert third.renew(102, [A]) == {}
    assert other.renew(103, [A]) == {A: 2}


# Heights that differ


def test_renew__one_far_ahead__takes_and_the_other_is_fenced(
    keeper: Callable[..., Leases], ledger: Callable[[], int]
) -> None:
    behind, ahead = keeper("behind"), keeper("ahead")
    tokens = behind.renew(100, [A])
    assert ahead.renew(110, [A]) == {A: 2}
    assert behind.renew(101, [A]) == {}
    assert not _records(behind, tokens)
    assert _records(ahead, {A: 2})
    assert ledger() == 1


def test_renew__one_behind__does_not_take_from_a_living_one(
    keeper: Callable[..., Leases],
) -> None:
    behind, ahead = keeper("behind"), keeper("ahead")
    for head in range(100, 110):
        assert ahead.renew(head + 10, [A]) == {A: 1}
        assert behind.renew(head, [A]) == {}


def test_renew__holder_of_a_far_future_died__taken_by_own_count(
    keeper: Callable[..., Leases],
) -> None:
    mad, sane = keeper("mad"), keeper("sane")
    mad.renew(10**12, [A])
    assert sane.renew(100, [A]) == {}
    assert sane.renew(101, [A]) == {}
    assert sane.renew(102, [A]) == {A: 2}


def test_renew__head_goes_back__the_lease_stays(keeper: Callable[..., Leases]) -> None:
    one, other = keeper("one"), keeper("other")
    one.renew(100, [A])
    assert one.renew(98, [A]) == {A: 1}
    assert other.renew(99, [A]) == {}
    assert other.renew(98, [A]) == {}


# The guard


def test_guard__current_token__records(
    keeper: Callable[..., Leases], ledger: Callable[[], int]
) -> None:
    one = keeper("one")
    assert _records(one, one.renew(100, [A, B]))
    assert ledger() == 1


@pytest.mark.parametrize("tokens", [{A: 1, B: 2}, {A: 0}, {b"\xcc" * 20: 1}])
def test_guard__one_token_not_current__nothing_is_recorded(
    keeper: Callable[..., Leases], ledger: Callable[[], int], tokens: dict[bytes, int]
) -> None:
    one = keeper("one")
    one.renew(100, [A, B])
    assert not _records(one, tokens)
    assert ledger() == 0


def test_guard__lost__says_to_whom(keeper: Callable[..., Leases]) -> None:
    one, other = keeper("one"), keeper("other")
    tokens = one.renew(100, [A])
    other.renew(102, [A])
    with (
        one._engine.begin() as connection,
        pytest.raises(LeaseLostError, match=r"0xaa.* token 1 is lost: 'other' has token 2; "),
    ):
        one.guard(tokens)(connection)


def test_guard__open_transaction__nobody_takes_until_it_ends(postgres_url: str) -> None:
    one, other = Leases(postgres_url, CHAIN, "one"), Leases(postgres_url, CHAIN, "other", hold=0.2)
    tokens = one.renew(100, [A])
    with one._engine.begin() as connection:
        one.guard(tokens)(connection)
        with pytest.raises(LeaseError, match="lock timeout; nothing is sent without it"):
            other.renew(102, [A])
    assert other.renew(102, [A]) == {A: 2}
    one.close()
    other.close()


def test_guard__two_readers__do_not_wait_for_each_other(postgres_url: str) -> None:
    one = Leases(postgres_url, CHAIN, "one", hold=1)
    guard = one.guard(one.renew(100, [A]))
    with one._engine.begin() as connection, one._engine.begin() as another:
        guard(connection)
        guard(another)
    one.close()


# Databases that fail


def test_open__unreachable__said_without_the_password() -> None:
    url = "postgresql+psycopg://keeper:hunter2@127.0.0.1:1/keeper"
    with pytest.raises(LeaseError, match=r"keeper:\*\*\*@127\.0\.0\.1:1") as caught:
        Leases(url, CHAIN, "one")
    assert "hunter2" not in str(caught.value)


def test_renew__connections_cut__fails_once_and_goes_on(postgres_url: str) -> None:
    one = Leases(postgres_url, CHAIN, "one")
    one.renew(100, [A])
    engine = open_database(postgres_url)
    with engine.begin() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(text(cut + " AND backend_type = 'client backend'"))
    engine.dispose()
    with pytest.raises(LeaseError, match="terminating connection"):
        one.renew(101, [A])
    assert one.renew(101, [A]) == {A: 1}
    one.close()


# Processes


def _keep(url: str, holder: str, pipe: Pipe, hold: float) -> None:
    """A keeper: does what the pipe says until it is killed."""
    leases = Leases(url, CHAIN, holder, hold=hold)
    pipe.send("ready")
    while True:
        order = pipe.recv()
        if order[0] == "renew":
            pipe.send(leases.renew(order[1], order[2]))
        elif order[0] == "record":
            pipe.send(_records(leases, order[1]))
        else:
            try:
                with leases._engine.begin() as connection:
                    leases.guard(order[1])(connection)
                    pipe.send("in the transaction")
                    pipe.recv()
                    connection.execute(text("INSERT INTO ledger VALUES (1)"))
            except DBAPIError as error:
                pipe.send(type(error.orig).__name__)


class Process:
    def __init__(self, url: str, holder: str, hold: float = 5) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process: BaseProcess = SPAWN.Process(target=_keep, args=(url, holder, theirs, hold))
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


def test_open__four_at_once__one_table(process: Callable[..., Process]) -> None:
    started = [process(str(number)) for number in range(4)]
    assert [one.answer() for one in started] == ["ready"] * 4
    held = [one.ask("renew", 100, [A]) for one in started]
    assert held == [{A: 1}, {}, {}, {}]


def test_renew__holder_killed__handed_over_within_two_blocks(
    process: Callable[..., Process], keeper: Callable[..., Leases]
) -> None:
    holder, other = process("holder"), keeper("other")
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    holder.signal(signal.SIGKILL)
    holder.process.join(60)
    assert other.renew(101, [A]) == {}
    assert other.renew(102, [A]) == {A: 2}


def test_guard__holder_frozen_past_its_lease__cannot_write(
    process: Callable[..., Process], keeper: Callable[..., Leases], ledger: Callable[[], int]
) -> None:
    holder, other = process("holder"), keeper("other")
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    assert holder.ask("record", {A: 1}) is True
    holder.signal(signal.SIGSTOP)
    assert other.renew(102, [A]) == {A: 2}
    assert _records(other, {A: 2})
    holder.signal(signal.SIGCONT)
    assert holder.ask("record", {A: 1}) is False
    assert ledger() == 2
    assert holder.ask("renew", 102, [A]) == {}


def test_guard__holder_frozen_within_a_transaction__lets_go_and_cannot_write(
    postgres_url: str,
) -> None:
    other = Leases(postgres_url, CHAIN, "other", hold=60)
    with other._engine.begin() as connection:
        connection.execute(text("CREATE TABLE ledger (id INTEGER)"))
    holder = Process(postgres_url, "holder", hold=0.5)
    assert holder.answer() == "ready"
    assert holder.ask("renew", 100, [A]) == {A: 1}
    assert holder.ask("enter", {A: 1}) == "in the transaction"
    holder.signal(signal.SIGSTOP)
    assert other.renew(102, [A]) == {A: 2}
    holder.signal(signal.SIGCONT)
    assert holder.ask("go on") == "IdleInTransactionSessionTimeout"
    with other._engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger")).scalar_one() == 0
    other.close()
    holder.end()


# Many vaults


def test_renew__a_hundred_vaults__a_few_statements_and_milliseconds(
    keeper: Callable[..., Leases],
    record_property: Callable[[str, object], None],
) -> None:
    vaults = [number.to_bytes(20) for number in range(100)]
    one, statements, commits = keeper("one"), [], []
    event.listen(one._engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    event.listen(one._engine, "commit", commits.append)
    assert one.renew(100, vaults) == dict.fromkeys(vaults, 1)
    statements.clear()
    commits.clear()
    times = []
    for head in range(101, 121):
        start = time.perf_counter()
        one.renew(head, vaults)
        times.append(time.perf_counter() - start)
    assert len(commits) == 20
    assert len(statements) <= 3 * 20
    median = sorted(times)[10] * 1_000
    record_property("milliseconds", median)
    # Two hundred times less than a block; a busy machine has room.
    assert median < 500
