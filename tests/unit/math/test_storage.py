"""Storage words as a dictionary: a revert leaves no trace, a callback's included."""

from __future__ import annotations

import pytest

from ringfence.errors import RingfenceError
from ringfence.math.errors import RevertError
from ringfence.math.storage import Storage


def revert_after_writing(storage: Storage, *words: int) -> None:
    with storage.transaction():
        for word in words:
            storage.store((1, "a"), word)
        raise RevertError("no")


def test_load__never_written__is_zero() -> None:
    assert Storage().load((1, "word")) == 0


def test_changes__written_twice__tells_the_first_and_the_last() -> None:
    storage = Storage()
    with storage.transaction():
        storage.store((1, "a"), 5)
    with storage.transaction():
        storage.store((1, "a"), 6)
        storage.store((1, "a"), 7)
        storage.store((1, "b"), 1)
        storage.store((1, "b"), 0)
    assert storage.changes() == {(1, "a"): (5, 7)}


def test_transaction__reverted__restores_every_word() -> None:
    storage = Storage()
    with storage.transaction():
        storage.store((1, "a"), 5)
    with pytest.raises(RevertError, match="no"):
        revert_after_writing(storage, 6, 7)
    assert storage.load((1, "a")) == 5
    assert storage.changes() == {}


def test_transaction__nested_one_reverts__undoes_only_its_own() -> None:
    storage = Storage()
    with storage.transaction():
        storage.store((1, "a"), 1)
        with pytest.raises(RevertError):
            revert_after_writing(storage, 2)
        assert storage.load((1, "a")) == 1
    assert storage.changes() == {(1, "a"): (0, 1)}


def test_revert_error__any_reason__belongs_to_the_package() -> None:
    error = RevertError("")
    assert isinstance(error, RingfenceError)
    assert (error.reason, str(error)) == ("", "reverted without a reason")
