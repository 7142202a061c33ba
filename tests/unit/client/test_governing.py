"""Curator and guardian through the client: what is done, and what each may not do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.client import Governor, Plan, RefusedError
from ringfence.client.governing import PAUSE_END
from ringfence.client.refusals.vault import (
    AnnouncementError,
    CapsRaisedError,
    CollectionEarlyError,
    ExcessError,
    LimitsTooWideError,
    NotCuratorError,
    NotGuardianError,
    NotPendingCuratorError,
    PauseAgainError,
    PauseLengthError,
)
from tests.support.client import Desk
from tests.support.market import CURATOR, DAY, DEPLOYER, GUARDIAN, STRANGER, USDC


def test_set_caps__one_of_them__leaves_the_other(desk: Desk) -> None:
    governor = Governor(desk.long, CURATOR.address)
    old = desk.long.state().supply_cap
    desk.send(governor.set_caps(None, 5_000 * USDC))
    state = desk.long.state()
    assert (state.supply_cap, state.debt_cap) == (old, 5_000 * USDC)


def test_pause__a_day__and_ended_early_by_the_curator(desk: Desk) -> None:
    desk.send(Governor(desk.long, GUARDIAN.address).pause(DAY))
    assert desk.long.state().is_paused
    now = desk.long.state().now
    desk.send(Governor(desk.long, CURATOR.address).pause(0))
    assert desk.long.state().paused_until == now + PAUSE_END


def test_hand_over__accepted__is_complete(desk: Desk) -> None:
    desk.send(Governor(desk.long, CURATOR.address).hand_over(STRANGER.address))
    assert desk.long.state().pending_curator == STRANGER.address
    heir = Governor(desk.long, STRANGER.address)
    desk.send(heir.accept())
    desk.send(heir.set_guardian(DEPLOYER.address))
    state = desk.long.state()
    assert (state.curator, state.guardian) == (STRANGER.address, DEPLOYER.address)


def test_announce_and_collect__after_three_days__pays(desk: Desk) -> None:
    stage, governor = desk.stage, Governor(desk.long, CURATOR.address)
    stage.usdc.approve(stage.long.vault, 2**255, sender=DEPLOYER)
    stage.long.vault.fund_reserve(1_000 * USDC, sender=DEPLOYER)
    desk.send(governor.announce(900 * USDC))
    with pytest.raises(CollectionEarlyError, match=r"\(limit not before 20\d\d"):
        desk.send(governor.collect(STRANGER.address))
    stage.engine.advance(3 * DAY)
    desk.send(governor.collect(STRANGER.address))
    assert stage.usdc.balanceOf(STRANGER) == 900 * USDC
    with pytest.raises(AnnouncementError, match="none; announce it again"):
        desk.send(governor.collect(STRANGER.address))


CASES: list[tuple[str, Callable[[Governor], Plan], type[RefusedError]]] = [
    (STRANGER.address, lambda one: one.set_caps(1, 1), NotGuardianError),
    (STRANGER.address, lambda one: one.pause(DAY), NotGuardianError),
    (STRANGER.address, lambda one: one.set_guardian(STRANGER.address), NotCuratorError),
    (STRANGER.address, lambda one: one.hand_over(STRANGER.address), NotCuratorError),
    (STRANGER.address, lambda one: one.accept(), NotPendingCuratorError),
    (STRANGER.address, lambda one: one.announce(1), NotCuratorError),
    (STRANGER.address, lambda one: one.collect(STRANGER.address), NotCuratorError),
    (GUARDIAN.address, lambda one: one.set_caps(2**104, 1), CapsRaisedError),
    (CURATOR.address, lambda one: one.set_caps(2**104, 1), LimitsTooWideError),
    (CURATOR.address, lambda one: one.pause(8 * DAY), PauseLengthError),
    (CURATOR.address, lambda one: one.announce(10**30), ExcessError),
]


@pytest.mark.parametrize(("account", "act", "kind"), CASES)
def test_any__not_allowed__one_line_with_the_reason(
    desk: Desk, account: str, act: Callable[[Governor], Plan], kind: type[RefusedError]
) -> None:
    before = desk.long.state()
    with pytest.raises(kind) as caught:
        desk.send(act(Governor(desk.long, account)))
    assert "\n" not in str(caught.value)
    assert desk.long.state() == before


def test_pause__twice_in_a_row__tells_when_again(desk: Desk) -> None:
    governor = Governor(desk.long, GUARDIAN.address)
    desk.send(governor.pause(DAY))
    desk.stage.engine.advance(2 * DAY)
    with pytest.raises(PauseAgainError, match=r"limit not before 20\d\d"):
        desk.send(governor.pause(DAY))


def test_accept__nobody_is_named__says_so(desk: Desk) -> None:
    plan = Governor(desk.long, STRANGER.address).accept()
    with pytest.raises(NotPendingCuratorError, match=r"limit nobody"):
        desk.send(plan)
