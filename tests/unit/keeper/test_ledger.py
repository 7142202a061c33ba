"""The ledger on both databases: what it keeps, replaces, adds up and refuses."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, text

from ringfence.keeper.act.ledger import Ledger, LedgerError, Outcome, Row, State
from ringfence.keeper.memory.store import Deployment, Store

ACCOUNT, OTHER = b"\xaa" * 20, b"\xbb" * 20
VAULT = b"\xcc" * 20
ETHER = 10**18
MAX = 2**256 - 1
OUTCOME = Outcome(
    102,
    b"\x07" * 32,
    21 * ETHER,
    (((VAULT, MAX), -(2**255)), ((VAULT, 2), 10**30)),
    (((VAULT, 3), "position is healthy"),),
)


def row(nonce: int = 0, attempt: int = 0, **changes: object) -> Row:
    """A signed transaction from block 100, of 2 ether at most."""
    made = Row(
        nonce=nonce,
        attempt=attempt,
        hash=bytes([nonce, attempt]) * 16,
        raw=bytes([nonce, attempt]) * 200,
        gas=10**6,
        max_fee=2 * 10**12,
        tip=10**9,
        worth=40 * ETHER,
        targets=((VAULT, MAX), (VAULT, 2)),
        block=100,
        timestamp=1_000,
        state=State.SIGNED,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def open_ledger(store_url: str) -> Iterator[Callable[..., Ledger]]:
    """Opens the test's ledger, anew each time."""
    made: list[Ledger] = []

    def open_it(chain_id: int = 1, account: bytes = ACCOUNT, url: str = store_url) -> Ledger:
        made.append(Ledger(url, chain_id, account))
        return made[-1]

    yield open_it
    for one in made:
        one.close()


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    return open_ledger()


def test_record__a_transaction__there_when_opened_again(
    ledger: Ledger, open_ledger: Callable[..., Ledger]
) -> None:
    ledger.record(row())
    ledger.record(row(1, worth=MAX, max_fee=MAX, tip=MAX))
    ledger.close()
    assert open_ledger().rows(200) == [row(), row(1, worth=MAX, max_fee=MAX, tip=MAX)]


def test_record__nonce_that_is_open__the_earlier_one_is_replaced(ledger: Ledger) -> None:
    ledger.record(row())
    ledger.settle([row(state=State.SENT)])
    ledger.record(row(1))
    ledger.record(row(attempt=1))
    assert ledger.rows(0) == [row(state=State.REPLACED), row(attempt=1), row(1)]


def test_record__same_bytes_after_a_refusal__in_the_old_ones_place(ledger: Ledger) -> None:
    refused = row(state=State.DROPPED, settled=100, error="refused: insufficient funds")
    ledger.record(row())
    ledger.settle([refused])
    assert ledger.rows(99) == [refused]
    again = row(attempt=1, hash=row().hash, raw=row().raw, block=101)
    ledger.record(again)
    assert ledger.rows(0) == [again]


def test_record__attempt_that_another_process_wrote__refused(ledger: Ledger) -> None:
    ledger.record(row())
    with pytest.raises(LedgerError, match=r"failed: .*(UNIQUE|unique).*; nothing is sent"):
        ledger.record(row(hash=b"\x09" * 32))
    assert ledger.rows(0) == [row()]


def test_settle__outcome__every_part_of_it_kept(ledger: Ledger) -> None:
    mined = row(state=State.MINED, settled=102, outcome=OUTCOME)
    ledger.record(row())
    ledger.settle([mined])
    assert ledger.rows(0) == [mined]
    ledger.settle([row(state=State.SENT, error="unsure: no answer")])
    assert ledger.rows(0) == [row(state=State.SENT, error="unsure: no answer")]


def test_rows__old_ones_settled__left_out_until_something_below_is_open(ledger: Ledger) -> None:
    for nonce in range(3):
        ledger.record(row(nonce))
        ledger.settle([row(nonce, state=State.MINED, settled=100 + nonce, outcome=OUTCOME)])
    assert [one.nonce for one in ledger.rows(100)] == [1, 2]
    assert ledger.rows(102) == []
    ledger.settle([row(1, state=State.SENT)])
    assert [one.nonce for one in ledger.rows(102)] == [1, 2]


def test_ledger__another_account_or_chain__apart(
    ledger: Ledger, open_ledger: Callable[..., Ledger]
) -> None:
    others = open_ledger(account=OTHER), open_ledger(chain_id=5)
    ledger.record(row())
    for number, other in enumerate(others, 1):
        assert (other.rows(0), other.spent(0)) == ([], 0)
        other.record(row(hash=bytes([number]) * 32))
        other.settle([row(hash=bytes([number]) * 32, state=State.FOREIGN, settled=1)])
    assert ledger.rows(0) == [row()]


def test_ledger__in_the_stores_database__both_stand(store_url: str, ledger: Ledger) -> None:
    ledger.record(row())
    Store(store_url, Deployment(1, b"\xfa" * 20, 1)).close()
    assert ledger.rows(0) == [row()]


def test_spent__paid_and_promised__the_dearest_of_each_nonce(ledger: Ledger) -> None:
    assert ledger.spent(0) == 0
    ledger.record(row(0))
    ledger.record(row(0, 1, max_fee=3 * 10**12))
    assert ledger.spent(0) == 3 * ETHER
    ledger.record(row(1))
    assert ledger.spent(0) == 5 * ETHER
    assert ledger.spent(0, besides=0) == 2 * ETHER
    ledger.settle(
        [
            row(0, state=State.MINED, settled=102, outcome=replace(OUTCOME, cost=7)),
            row(0, 1, state=State.REPLACED, settled=102),
        ]
    )
    assert ledger.spent(0) == 2 * ETHER + 7
    ledger.settle([row(1, state=State.FAILED, settled=102, outcome=replace(OUTCOME, cost=5))])
    assert ledger.spent(0) == 12
    assert (ledger.spent(999), ledger.spent(1_000)) == (12, 0)


@pytest.mark.parametrize("state", [State.FOREIGN, State.DROPPED])
def test_spent__never_to_be_mined__nothing(ledger: Ledger, state: State) -> None:
    ledger.record(row())
    ledger.settle([row(state=state, settled=101)])
    assert ledger.spent(0) == 0


class _LeaseLostError(Exception):
    pass


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger, guard: ledger.record(row(1), guard),
        lambda ledger, guard: ledger.record(row(0, 1), guard),
        lambda ledger, guard: ledger.settle([row(state=State.SENT)], guard),
    ],
)
def test_change__guard_that_raises__nothing_changed(
    ledger: Ledger, change: Callable[..., None]
) -> None:
    def lost(connection: Connection) -> None:
        connection.execute(text("DELETE FROM lane_transactions"))
        raise _LeaseLostError

    ledger.record(row())
    with pytest.raises(_LeaseLostError):
        change(ledger, lost)
    assert ledger.rows(0) == [row()]


def test_change__guard__sees_the_changes_own_transaction(ledger: Ledger) -> None:
    seen: list[int] = []

    def count(connection: Connection) -> None:
        query = text("SELECT count(*) FROM lane_transactions")
        seen.append(connection.execute(query).scalar_one())
        connection.execute(text("INSERT INTO lane_meta VALUES ('token', '7')"))

    ledger.record(row(), count)
    assert seen == [0]
    with ledger._engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM lane_meta")).scalar() == 2


def test_open__of_another_version__refused(
    ledger: Ledger, open_ledger: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.close()
    monkeypatch.setattr("ringfence.keeper.act.ledger.SCHEMA", "2")
    with pytest.raises(LedgerError, match=r"is of schema 1, not 2; when none .* name another"):
        open_ledger()


def test_open__no_database_there__one_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1_000)
    urls = {
        f"sqlite:///{tmp_path / 'text'}": "not a database",
        f"sqlite:///{tmp_path / 'none' / 'file'}": "unable to open",
        "nonsense": "cannot be used",
        f"postgresql+psycopg://me:secret@/x?host={tmp_path}": "failed",
    }
    for url, words in urls.items():
        with pytest.raises(LedgerError, match=words) as caught:
            Ledger(url, 1, ACCOUNT)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_open__sqlite__every_commit_reaches_the_disk(tmp_path: Path) -> None:
    """With NORMAL a power cut loses commits, and so transactions that nodes have."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'lane.db'}", 1, ACCOUNT)
    with ledger._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    ledger.close()


def test_record__sqlite_held_by_another_writer__one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lane.db'}?timeout=0.1"
    ledger, other = Ledger(url, 1, ACCOUNT), create_engine(url)
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"failed: database is locked; nothing is sent until"):
            ledger.record(row())
    ledger.record(row())
    assert ledger.rows(0) == [row()]
    ledger.close()
    other.dispose()


def test_record__postgresql_held_by_another_writer__one_line(postgres_url: str) -> None:
    ledger = Ledger(f"{postgres_url}&options=-c%20lock_timeout%3D100", 1, ACCOUNT)
    other = create_engine(postgres_url)
    with other.begin() as connection:
        connection.execute(text("LOCK TABLE lane_transactions"))
        with pytest.raises(LedgerError, match=r"due to lock timeout.*; nothing is sent") as caught:
            ledger.record(row())
    assert "\n" not in str(caught.value)
    ledger.record(row())
    assert ledger.rows(0) == [row()]
    ledger.close()
    other.dispose()


def test_record__disk_full__one_line_and_nothing_of_it(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'lane.db'}", 1, ACCOUNT)
    ledger.record(row())
    limit_pages(ledger, 0)
    with pytest.raises(LedgerError, match=r"failed: database or disk is full; nothing is sent"):
        ledger.record(row(1, raw=bytes(100_000)))
    assert ledger.rows(0) == [row()]
    limit_pages(ledger, 1_000)
    ledger.record(row(1, raw=bytes(100_000)))
    assert ledger.rows(0) == [row(), row(1, raw=bytes(100_000))]
    ledger.close()


def limit_pages(ledger: Ledger, more: int) -> None:
    """Let a ledger's file grow by so many pages and no further, as a full disk would."""
    ledger._engine.dispose()

    @event.listens_for(ledger._engine, "connect")
    def _limit(connection: object, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count = {pages + more}")  # type: ignore[attr-defined]


def test_ledger__server_that_does_not_answer__said_soon_and_without_a_secret() -> None:
    """All stands still meanwhile, health too; and a URL's query may hold a password as well."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}/db"
        url = f"postgresql+psycopg://me:s3cret@{place}?password=s3cret"
        with pytest.raises(LedgerError, match="timeout expired") as caught:
            Ledger(url, 1, b"\1" * 20)
    assert "s3cret" not in str(caught.value)
    assert place in str(caught.value)
