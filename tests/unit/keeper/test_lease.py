"""Leases on both databases: who holds what, at whatever heights, and what the guard refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import event, text

from ringfence.keeper.act.lease import LeaseError, LeaseLostError, Leases
from ringfence.keeper.memory.tables import open_database
from tests.support.leasing import CHAIN, A, B, make_ledger, records, rows_in_ledger


@pytest.fixture
def keeper(store_url: str) -> Iterator[Callable[..., Leases]]:
    """A keeper's leases, by its name."""
    with ExitStack() as cleanup:

        def make(holder: str, chain: int = CHAIN, blocks: int = 1) -> Leases:
            made = Leases(store_url, chain, holder, blocks=blocks)
            cleanup.callback(made.close)
            return made

        yield make


@pytest.fixture
def ledger(store_url: str) -> Callable[[], int]:
    """A table as a lane would have; how many rows it has."""
    make_ledger(store_url)
    return lambda: rows_in_ledger(store_url)


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


def test_renew__another_chain__leases_of_its_own(
    keeper: Callable[..., Leases], ledger: Callable[[], int]
) -> None:
    one, other, elsewhere = keeper("one"), keeper("other"), keeper("elsewhere", chain=5)
    assert one.renew(100, [A]) == {A: 1}
    assert elsewhere.renew(900, [A]) == {A: 1}
    assert other.renew(101, [A]) == {}
    assert other.renew(102, [A]) == {A: 2}
    assert elsewhere.renew(901, [A]) == {A: 1}
    assert all(records(leases, {A: token}) for leases, token in ((elsewhere, 1), (other, 2)))
    assert not records(one, {A: 1})
    assert not records(elsewhere, {A: 2})
    assert ledger() == 2


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
    assert not records(behind, tokens)
    assert records(ahead, {A: 2})
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


def test_guard__current_token_records(
    keeper: Callable[..., Leases], ledger: Callable[[], int]
) -> None:
    one = keeper("one")
    assert records(one, one.renew(100, [A, B]))
    assert ledger() == 1


@pytest.mark.parametrize("tokens", [{A: 1, B: 2}, {A: 0}, {b"\xcc" * 20: 1}])
def test_guard__one_token_not_current__nothing_is_recorded(
    keeper: Callable[..., Leases], ledger: Callable[[], int], tokens: dict[bytes, int]
) -> None:
    one = keeper("one")
    one.renew(100, [A, B])
    assert not records(one, tokens)
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
