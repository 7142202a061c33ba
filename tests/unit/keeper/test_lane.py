"""The lane on a real node: sent, mined, stuck, dropped, replaced, taken away, and done again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.evm.anvil import launch
from tests.support.lanes import (
    BASE,
    VAULT,
    Stand,
    bid,
    stand_on,
)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with launch() as engine, stand_on(engine, f"sqlite:///{tmp_path / 'lane.db'}") as made:
        yield made


def test_step__two_bids__sent_in_a_row_and_mined(stand: Stand) -> None:
    report = stand.step(bid(1), bid(2, 3))
    assert [(one.nonce, one.targets) for one in report.sent] == [
        (0, ((VAULT, 1),)),
        (1, ((VAULT, 2), (VAULT, 3))),
    ]
    assert (report.problems, report.left) == ([], [])
    assert [row.hash for row in report.waiting] == [one.hash for one in report.sent]
    stand.mine()
    report = stand.step()
    assert [(row.nonce, row.state, row.settled) for row in report.changed] == [
        (0, "mined", stand.head().number),
        (1, "mined", stand.head().number),
    ]
    assert all(row.outcome and row.outcome.cost > 21_000 * BASE for row in report.changed)
    assert stand.mined() == [(row.nonce, row.hash) for row in report.changed]
    assert report.waiting == []


def test_step__again_in_the_same_block__nothing_more(stand: Stand) -> None:
    stand.step(bid(1), bid(2))
    again = stand.step(bid(1), bid(2), bid(2, 3))
    assert (again.sent, again.resent, again.changed) == ([], [], [])
    assert len(stand.pooled()) == 2


def test_step__not_mined_for_two_blocks__replaced_an_eighth_higher_and_mined(stand: Stand) -> None:
    first = stand.step(bid(1)).sent[0]
    stand.mine_full()
    assert stand.step(bid(1)).sent == []
    stand.mine_full()
    second = stand.step(bid(1)).sent[0]
    assert (second.nonce, second.replaces) == (0, first.hash)
    assert second.max_fee * 8 >= first.max_fee * 9
    assert second.tip * 8 >= first.tip * 9
    assert [int(one["maxFeePerGas"], 16) for one in stand.pooled()] == [second.max_fee]
    stand.mine()
    stand.step()
    assert stand.mined() == [(0, second.hash)]
    assert stand.states() == [(0, 0, "replaced"), (0, 1, "mined")]
