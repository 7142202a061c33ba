"""`govern` from end to end, in process."""

from __future__ import annotations

import pytest

from ringfence.client.governing import PAUSE_END
from scripts.govern import cli
from tests.support.commands import (
    Terminal,
    desk,
    standing_desk_lens,
    standing_stage,
    terminal,
)
from tests.support.market import CURATOR, DAY, DEPLOYER, GUARDIAN, STRANGER, USDC

__all__ = ["desk", "standing_desk_lens", "standing_stage", "terminal"]

LONG = ("--market", "weth-usdc")
AS_CURATOR = ("--account", "curator", "--yes")
AS_GUARDIAN = ("--account", "guardian", "--yes")


def test_show__for_people_and_programs__limits_and_offices(terminal: Terminal) -> None:
    shown = terminal.does(cli, "show", *LONG)
    for words in (CURATOR.address, GUARDIAN.address, "2,000 USDC/WETH", "80 %, 83 %, 86 %"):
        assert words in shown
    told = terminal.tells(cli, "show", *LONG)
    assert told["curator"] == CURATOR.address
    assert told["paused_until"] is told["pending_collection"] is told["pending_curator"] is None


def test_show__everything_at_once__says_so(terminal: Terminal) -> None:
    stage = terminal.desk.stage
    stage.long.set_quote(0, 0)
    stage.usdc.approve(stage.long.vault, 2**255, sender=DEPLOYER)
    stage.long.vault.fund_reserve(1_000 * USDC, sender=DEPLOYER)
    terminal.does(cli, "pause", *LONG, "1d", *AS_GUARDIAN)
    terminal.does(cli, "announce", *LONG, "900 USDC", *AS_CURATOR)
    terminal.does(cli, "hand-over", *LONG, STRANGER.address, *AS_CURATOR)
    shown = terminal.does(cli, "show", *LONG)
    for words in ("none: the oracle gives no price", "paused until 20", "900 USDC, announced 20"):
        assert words in shown
    assert STRANGER.address in shown


def test_caps__curator_and_guardian__set_and_lower(terminal: Terminal) -> None:
    terminal.does(cli, "caps", *LONG, "--supply", "5,000,000 USDC", *AS_CURATOR)
    terminal.does(cli, "caps", *LONG, "--debt", "0 USDC", *AS_GUARDIAN)
    state = terminal.desk.long.state()
    assert (state.supply_cap, state.debt_cap) == (5_000_000 * USDC, 0)


def test_pause__and_ended_early__by_the_curator(terminal: Terminal) -> None:
    terminal.does(cli, "pause", *LONG, "3d", *AS_GUARDIAN)
    assert terminal.desk.long.state().is_paused
    now = terminal.desk.long.state().now
    terminal.does(cli, "pause", *LONG, "0", *AS_CURATOR)
    # Not at once: by the time that a node mines it, `now` is past.
    assert terminal.desk.long.state().paused_until == now + PAUSE_END


def test_hand_over__both_steps__and_a_new_guardian(terminal: Terminal) -> None:
    terminal.does(cli, "hand-over", *LONG, STRANGER.address, *AS_CURATOR)
    terminal.does(cli, "accept", *LONG, "--account", "stranger", "--yes")
    terminal.does(cli, "guardian", *LONG, DEPLOYER.address, "--account", "stranger", "--yes")
    state = terminal.desk.long.state()
    assert (state.curator, state.guardian) == (STRANGER.address, DEPLOYER.address)


def test_collect__three_days_after_the_announcement__pays(terminal: Terminal) -> None:
    stage = terminal.desk.stage
    stage.usdc.approve(stage.long.vault, 2**255, sender=DEPLOYER)
    stage.long.vault.fund_reserve(1_000 * USDC, sender=DEPLOYER)
    terminal.does(cli, "announce", *LONG, "900 USDC", *AS_CURATOR)
    line = terminal.refuses(cli, "collect", *LONG, *AS_CURATOR)
    assert line.startswith("collection is too early: it is 20")
    stage.engine.advance(3 * DAY)
    terminal.does(cli, "collect", *LONG, "--receiver", STRANGER.address, *AS_CURATOR)
    assert stage.usdc.balanceOf(STRANGER) == 900 * USDC


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("caps", *LONG, *AS_CURATOR), "no cap is given"),
        (("caps", *LONG, "--debt", "1 WETH", *AS_CURATOR), "this takes USDC"),
        (("caps", *LONG, "--debt", "1 USDC", "--yes"), "caller is not the guardian"),
        (
            ("caps", *LONG, "--debt", "9" * 30 + " USDC", *AS_CURATOR),
            "limits exceed their width",
        ),
        (("pause", *LONG, "8d", *AS_GUARDIAN), "pause must end within 7 days"),
        (("pause", *LONG, "a while", *AS_GUARDIAN), "is not a duration"),
        (("pause", *LONG, "1d", "--yes"), "caller is not the guardian"),
        (("guardian", *LONG, "0x12", *AS_CURATOR), "is not an address"),
        (("hand-over", *LONG, STRANGER.address, *AS_GUARDIAN), "caller is not the curator"),
        (("accept", *LONG, *AS_CURATOR), "caller is not pending curator"),
        (("announce", *LONG, "0 USDC", *AS_CURATOR), "is nothing"),
        (("announce", *LONG, "99999 USDC", *AS_CURATOR), "amount exceeds the excess: 99,999 USDC"),
        (("collect", *LONG, *AS_CURATOR), "announcement has expired: none; announce it again"),
    ],
)
def test_any__bad_input__one_line_and_nothing_changed(
    terminal: Terminal, words: tuple[str, ...], line: str
) -> None:
    assert line in terminal.refuses(cli, *words)
