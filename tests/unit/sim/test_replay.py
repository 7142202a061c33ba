"""The engine's replay of a run: who is due when, from words, answers, indices and the keeper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ringfence.math.fixed_point import WAD
from ringfence.math.health import debt_up
from ringfence.math.position_slot import unpack
from ringfence.sim import replay
from ringfence.sim.result import Result
from tests.support.synthetic_result import STEP, synthetic_result

DECIMALS = {"USDC": 6, "WETH": 18}


@pytest.fixture(scope="module")
def result() -> Result:
    return synthetic_result()


@pytest.fixture(scope="module")
def run(result: Result) -> replay.Replay:
    return replay.of(result)


def test_replay__words_of_a_run__finds_what_the_run_did(result: Result, run: replay.Replay) -> None:
    wanted = {(one.market, one.position_id, one.time // STEP) for one in result.liquidations}
    assert {(one.market, one.position_id, one.step) for one in run.falls} == wanted
    assert len(run.falls) == len(wanted)
    for track in run.tracks:
        assert track.due == track.position.liquidatable_at
        assert not track.differs.any()


def test_replay__keeper_that_stood_still__takes_nothing_meanwhile(
    result: Result, run: replay.Replay
) -> None:
    off = {index for index, step in enumerate(result.steps) if not step.keeper_on}
    waited = {step for track in run.tracks for step in track.due} & off
    assert waited
    assert not {one.step for one in run.falls} & off


def test_replay__owner_who_tops_up__is_due_left_alone_only(run: replay.Replay) -> None:
    [saved] = [one for one in run.tracks if one.left_alone is not None and not one.due]
    assert any(action.kind == "topped up" for action in saved.position.actions)


def test_replay__higher_index_or_another_answer__is_seen(result: Result) -> None:
    dearer = replace(
        result,
        markets=tuple(replace(one, debt_indices=tuple(index * 11 // 10 for index in
                              one.debt_indices)) for one in result.markets),
    )  # fmt: skip
    assert sum(track.differs.sum() for track in replay.of(dearer).tracks) > 0
    low = replace(result.steps[30], answer=60 * 10**8)
    fallen = replace(result, steps=(*result.steps[:30], low, *result.steps[31:]))
    wrong = [track for track in replay.of(fallen).tracks if track.differs.any()]
    assert {one.position.side for one in wrong} == {"long"}
    assert all(np.flatnonzero(one.differs).tolist() == [30] for one in wrong)


def test_book_at__before_the_fall__holds_who_owes(result: Result, run: replay.Replay) -> None:
    [long, _short] = result.markets
    book = replay.book_at(run, long, 60)
    own = [one for one in run.tracks if one.position.market == long.name]
    debts = [debt_up(unpack(one.words[60]).scaled_debt, WAD) / 10**6 for one in own]
    assert book.debt.tolist() == debts
    assert replay.book_at(run, long, len(result.steps) - 1).debt.size < len(debts)


def test_owed__one_step__is_the_debt_of_all_in_dollars(result: Result, run: replay.Replay) -> None:
    prices = [step.answer / 10**8 for step in result.steps]
    wanted = 0.0
    for track in run.tracks:
        units = unpack(track.words[80]).scaled_debt
        long = track.position.side == "long"
        wanted += units / 10**6 if long else units / 10**18 * prices[80]
    assert replay.owed(run, result.markets, prices)[80] == pytest.approx(wanted)
