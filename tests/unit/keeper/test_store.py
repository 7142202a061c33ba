"""The store on both databases: what it takes over, takes back, refuses, and survives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from ringfence.keeper.chain.wire import Header
from ringfence.keeper.memory.events import Changes, Key, Vault
from ringfence.keeper.memory.store import Deployment, Store, StoreError

DEPLOYMENT = Deployment(1, b"\xfa" * 20, 100)
A, B = b"\xaa" * 20, b"\xbb" * 20
MAX_ID = 2**256 - 1
PARAMETERS = {"asset": "0x01", "liquidation_ltv": 86 * 10**16, "min_debt": 2**256 - 1}


def header(number: int, branch: int = 0, parent: int | None = None) -> Header:
    """Block `number` of a branch, on the same branch unless `parent` names another."""
    parent = branch if parent is None else parent
    return Header(number, _hash(number, branch), _hash(number - 1, parent), 12 * number, 0)


def _hash(number: int, branch: int) -> bytes:
    return bytes([branch]) * 24 + number.to_bytes(8)


def vault(address: bytes = A, index: int = 0, block: int = 101) -> Vault:
    return Vault(address, index, block, PARAMETERS)


def words_of(store: Store) -> dict[Key, int]:
    return {
        (one.address, int.from_bytes(ids[at : at + 32])): int.from_bytes(words[at : at + 32])
        for one, ids, words in store.load()
        for at in range(0, len(ids), 32)
    }


def picture(store: Store) -> object:
    """Everything that a keeper can see of a store."""
    cursor, lowest = store.cursor(), store.lowest()
    hashes = [store.hash_at(number) for number in range(lowest or 0, (cursor or 0) + 1)]
    vaults = [one for one, _ids, _words in store.load()]
    return cursor, lowest, hashes, vaults, words_of(store)


@pytest.fixture
def open_store(store_url: str) -> Iterator[Callable[..., Store]]:
    """Opens the test's store, anew each time; a new one has block 100."""
    stores: list[Store] = []

    def open_it(deployment: Deployment = DEPLOYMENT, window: int = 8) -> Store:
        stores.append(Store(store_url, deployment, window=window))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    """A store with block 100, and vault A with two positions from block 101."""
    made = open_store()
    made.apply(header(100), [], {})
    made.apply(header(101), [vault()], {(A, 1): 11, (A, MAX_ID): 2**256 - 1})
    return made


def test_open__new__empty(open_store: Callable[..., Store]) -> None:
    store = open_store()
    assert (store.cursor(), store.lowest(), store.addresses(), words_of(store)) == (
        None,
        None,
        [],
        {},
    )


def test_open__again__as_it_was(store: Store, open_store: Callable[..., Store]) -> None:
    before = picture(store)
    store.close()
    assert picture(open_store()) == before
    assert before == (
        101,
        100,
        [header(100).hash, header(101).hash],
        [vault()],
        {(A, 1): 11, (A, MAX_ID): 2**256 - 1},
    )


@pytest.mark.parametrize(
    "other",
    [
        Deployment(5, DEPLOYMENT.factory, 100),
        Deployment(1, b"\xfb" * 20, 100),
        Deployment(1, DEPLOYMENT.factory, 99),
    ],
)
def test_open__of_another_deployment__refused(
    store: Store, open_store: Callable[..., Store], other: Deployment
) -> None:
    with pytest.raises(StoreError, match=r"is of chain 1, .*name another store, or delete this"):
        open_store(other)
    assert store.cursor() == 101


def test_open__of_another_version__refused(
    store: Store, open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringfence.keeper.memory.store.SCHEMA", "2")
    with pytest.raises(StoreError, match=r"schema 1, not of .*schema 2"):
        open_store()


def test_open__no_database_there__one_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1_000)
    urls = {
        f"sqlite:///{tmp_path / 'text'}": "not a database",
        f"sqlite:///{tmp_path / 'none' / 'file'}": "unable to open",
        "nonsense": "cannot be used",
        f"postgresql+psycopg://me:secret@/x?host={tmp_path}": "failed",
    }
    for url, words in urls.items():
        with pytest.raises(StoreError, match=words) as caught:
            Store(url, DEPLOYMENT)
        assert "secret" not in str(caught.value)


def test_apply__words__last_ones_stand_and_closed_ones_go(store: Store) -> None:
    store.apply(header(102), [vault(B, 1, 102)], {(A, 1): 0, (A, 2): 22, (B, 1): 33})
    assert words_of(store) == {(A, MAX_ID): 2**256 - 1, (A, 2): 22, (B, 1): 33}
    assert store.addresses() == [A, B]


NOT_NEXT = [header(101), header(103), header(102, branch=1), header(100), header(90)]


@pytest.mark.parametrize(
    ("block", "final"),
    [(one, False) for one in NOT_NEXT] + [(header(101), True), (header(90), True)],
)
def test_apply__does_not_follow_the_cursor__refused(
    store: Store, block: Header, final: bool
) -> None:
    before = picture(store)
    with pytest.raises(StoreError, match="does another keeper use it"):
        store.apply(block, [], {(A, 1): 5}, final=final)
    assert picture(store) == before


def test_apply__past_the_window__what_lies_below_cannot_be_undone(store: Store) -> None:
    for number in range(102, 112):
        store.apply(header(number), [], {(A, 1): number})
    assert (store.cursor(), store.lowest()) == (111, 103)
    assert store.hash_at(102) is None
    with pytest.raises(StoreError, match="cannot go back to block 102"):
        store.undo_to(102)
    assert store.undo_to(103) == Changes(words={(A, 1): 103})
    assert words_of(store)[A, 1] == 103


def test_apply__final__nothing_before_can_be_undone(store: Store) -> None:
    store.apply(header(150), [vault(B, 1, 120)], {(A, 1): 0, (B, 7): 70}, final=True)
    assert (store.cursor(), store.lowest()) == (150, 150)
    with pytest.raises(StoreError, match="cannot go back"):
        store.undo_to(101)
    store.apply(header(151), [], {(B, 7): 71})
    assert store.undo_to(150) == Changes(words={(B, 7): 70})
    assert words_of(store) == {(A, MAX_ID): 2**256 - 1, (B, 7): 70}


def test_undo_to__every_kind_of_change__exactly_as_before(store: Store) -> None:
    before = picture(store)
    store.apply(header(102), [], {(A, 1): 12, (A, 2): 22})
    between = picture(store)
    store.apply(header(103), [vault(B, 1, 103)], {(A, 1): 0, (A, 2): 23, (B, 1): 5})
    store.apply(header(104), [], {(A, 1): 14, (A, MAX_ID): 0, (B, 2): 6, (B, 1): 0})
    assert store.undo_to(104) == Changes()
    undone = store.undo_to(102)
    assert undone == Changes(gone=(B,), words={(A, 1): 12, (A, 2): 22, (A, MAX_ID): 2**256 - 1})
    assert picture(store) == between
    assert store.undo_to(101) == Changes(words={(A, 1): 11, (A, 2): 0})
    assert picture(store) == before
    store.apply(header(102, branch=1, parent=0), [vault(B, 1, 102)], {(B, 1): 9})
    assert words_of(store)[B, 1] == 9


def test_apply__another_process_in_a_transaction__waits_and_then_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keeper.db'}?timeout=0.1"
    one, other = Store(url, DEPLOYMENT), Store(url, DEPLOYMENT)
    one.apply(header(100), [vault(block=100)], {(A, 1): 1})
    reading = one.load()
    next(reading)
    with pytest.raises(StoreError, match=r"database is locked$"):
        other.apply(header(101), [], {})
    assert list(reading) == []
    other.apply(header(101), [], {})
    assert one.cursor() == 101
    one.close()
    other.close()


STEPS: Mapping[str, Callable[[Store], object]] = {
    "apply": lambda store: store.apply(
        header(103), [vault(B, 1, 103)], {(A, 1): 0, (A, 2): 23, (B, 1): 5}
    ),
    "apply final": lambda store: store.apply(
        header(200), [vault(B, 1, 103)], {(A, 1): 0, (A, 2): 23, (B, 1): 5}, final=True
    ),
    "undo": lambda store: store.undo_to(100),
}


def _run_killed(store_url: str, step: Callable[[Store], object], statement: int) -> bool:
    """Run a step in a process that dies before its n-th statement; False if it had fewer."""
    child = os.fork()
    if child == 0:
        try:
            made = Store(store_url, DEPLOYMENT, window=8)
            seen = 0

            def count(*_arguments: object) -> None:
                nonlocal seen
                seen += 1
                if seen == statement:
                    os._exit(9)

            event.listen(made._engine, "before_cursor_execute", count)
            event.listen(made._engine, "commit", count)
            step(made)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


@pytest.mark.parametrize("name", STEPS)
def test_change__killed_before_any_statement__none_of_it_is_there(
    store: Store, open_store: Callable[..., Store], store_url: str, name: str
) -> None:
    store.apply(header(102), [], {(A, 1): 12, (A, 2): 22})
    before = picture(store)
    store.close()
    killed = 0
    while _run_killed(store_url, STEPS[name], killed + 1):
        again = open_store()
        assert picture(again) == before
        again.close()
        killed += 1
    assert killed >= 8
    assert picture(open_store()) != before


@settings(max_examples=40)
@given(data=st.data())
def test_undo_to__any_history__the_same_as_never_applied(
    data: st.DataObject,
) -> None:
    store = Store("sqlite://", DEPLOYMENT, window=4)
    store.apply(header(100), [vault(block=100), vault(B, 1, 100)], {})
    keys = st.tuples(st.sampled_from([A, B]), st.integers(0, 3))
    steps = st.dictionaries(keys, st.integers(0, 3), max_size=4)
    pictures, branch = [words_of(store)], 0
    for _ in range(data.draw(st.integers(1, 12))):
        top = 99 + len(pictures)
        if data.draw(st.booleans()) or top == 100:
            parent = store.hash_at(top)
            assert parent is not None
            branch += 1
            block = Header(top + 1, _hash(top + 1, branch), parent, 0, 0)
            words = data.draw(steps)
            store.apply(block, [], words)
            merged = pictures[-1] | words
            pictures.append({key: word for key, word in merged.items() if word})
        else:
            to = data.draw(st.integers(store.lowest() or 0, top))
            held = dict.fromkeys(words_of(store), 0)
            undone = store.undo_to(to)
            del pictures[to - 99 :]
            after = {k: w for k, w in (words_of(store) | undone.words).items() if w}
            assert after == pictures[-1]
            assert set(undone.words) >= {key for key in held if key not in pictures[-1]}
        assert words_of(store) == pictures[-1]
    store.close()
