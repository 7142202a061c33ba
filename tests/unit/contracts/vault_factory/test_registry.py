"""VaultFactory's registry: what it lists, page by page."""

from __future__ import annotations

import pytest

from tests.support.factory import Draft
from tests.support.market import MAX_UINT256, NOBODY, reverts

COUNT = 7
PAGE = 100


@pytest.fixture
def created(draft: Draft) -> list[str]:
    """The vaults' addresses in the order of their creation."""
    return [draft.vault(salt=bytes([number]) * 32).address for number in range(COUNT)]


def test_vaults_count__vaults_created__grows_by_one_each(draft: Draft) -> None:
    for number in range(3):
        assert draft.factory.vaults_count() == number
        draft.vault(salt=bytes([number]) * 32)
    assert draft.factory.vaults_count() == 3


def test_vault_at__index__is_the_order_of_creation(draft: Draft, created: list[str]) -> None:
    assert [draft.factory.vault_at(index) for index in range(COUNT)] == created


def test_vault_at__beyond_the_last__reverts(draft: Draft, created: list[str]) -> None:
    for index in (COUNT, MAX_UINT256):
        with reverts("index is out of range"):
            draft.factory.vault_at(index)
    assert draft.factory.vault_at(COUNT - 1) == created[-1]


def test_is_vault__created_here__alone(draft: Draft, created: list[str]) -> None:
    assert all(draft.factory.is_vault(address) for address in created)
    for stranger in (NOBODY, draft.factory, draft.asset, draft.factory.blueprint()):
        assert not draft.factory.is_vault(stranger)


@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, COUNT), (0, 3), (2, 3), (COUNT - 1, 3), (0, MAX_UINT256), (3, PAGE + 1), (0, 0)],
)
def test_vaults__page__is_that_part_of_the_list(
    draft: Draft, created: list[str], offset: int, limit: int
) -> None:
    assert list(draft.factory.vaults(offset, limit)) == created[offset : offset + limit]


@pytest.mark.parametrize("offset", [COUNT, COUNT + 1, MAX_UINT256])
def test_vaults__beyond_the_last__is_empty(draft: Draft, created: list[str], offset: int) -> None:
    assert len(created) == COUNT
    assert list(draft.factory.vaults(offset, PAGE)) == []


def test_vaults__more_than_a_page__is_cut_to_a_page(draft: Draft) -> None:
    created = [draft.vault(salt=number.to_bytes(32)).address for number in range(PAGE + 2)]
    assert list(draft.factory.vaults(0, PAGE + 2)) == created[:PAGE]
    assert list(draft.factory.vaults(PAGE, PAGE)) == created[PAGE:]
