"""`lend` from end to end, in process."""

from __future__ import annotations

from decimal import Decimal

import pytest

from scripts.lend import cli
from tests.support.commands import (
    Terminal,
    desk,
    standing_desk_lens,
    standing_stage,
    terminal,
)
from tests.support.market import (
    CURATOR,
    DAY,
    GUARDIAN,
    LENDER,
    TEN_PERCENT,
    USDC,
    WETH,
)

__all__ = ["desk", "standing_desk_lens", "standing_stage", "terminal"]

LONG = ("--market", "weth-usdc")


def test_deposit_show_withdraw__round_trip__as_shown(terminal: Terminal) -> None:
    terminal.does(cli, "deposit", *LONG, "50,000 USDC", "--yes")
    stage = terminal.desk.stage
    stage.open_standard(stage.long, leverage=4)
    stage.long.rate_model.set_rate(TEN_PERCENT)
    stage.engine.advance(30 * DAY)
    told = terminal.tells(cli, "show", *LONG)
    assert Decimal(told["value"]) == 50_000 + Decimal(told["interest"])
    assert Decimal(told["interest"]) > 0
    assert Decimal(told["withdrawable"]) == Decimal(told["value"])
    assert Decimal(told["supply_rate_per_year"]) < Decimal("0.1")
    assert told["pending_loss"] == told["written_off"] == told["lenders_lost"] == "0.000000"
    shown = terminal.does(cli, "show", *LONG)
    for words in (
        "shares",
        "interest so far",
        "can be withdrawn now",
        "utilisation",
        "reserve",
        "written off so far",
        "of which lenders took",
        "not booked yet",
    ):
        assert words in shown
    terminal.does(cli, "withdraw", *LONG, "1000 USDC", "--yes")
    terminal.does(cli, "withdraw", *LONG, "all", "--yes")
    assert Decimal(terminal.tells(cli, "show", *LONG)["shares"]) == 0


def test_show__a_loss__pending_first_and_then_booked(terminal: Terminal) -> None:
    desk, stage = terminal.desk, terminal.desk.stage
    desk.send(desk.trader().adjust(1, 10 * WETH, 15_000 * USDC))
    stage.engine.advance(1)
    stage.set_oracles(1_000)
    pending = Decimal(terminal.tells(cli, "show", *LONG)["pending_loss"])
    assert pending > 5_000
    stage.usdc.approve(stage.long.vault, 2**255, sender=LENDER)
    stage.usdc.mint(LENDER, 20_000 * USDC)
    position = desk.long.position_ids()[0]
    receipt = stage.long.vault.liquidate(position, 2**255, 0, LENDER, b"", sender=LENDER)
    desk.node.journal.extend(receipt.logs)
    told = terminal.tells(cli, "show", *LONG)
    assert Decimal(told["written_off"]) == pending
    assert 0 < Decimal(told["lenders_lost"]) < pending
    assert Decimal(told["pending_loss"]) == 0


def test_show__no_price__pending_loss_is_unknown(terminal: Terminal) -> None:
    terminal.desk.stage.long.set_quote(0, 0)
    assert terminal.tells(cli, "show", *LONG)["pending_loss"] is None
    assert "unknown without a price" in terminal.does(cli, "show", *LONG)


def test_deposit__dry_run__sends_nothing(terminal: Terminal) -> None:
    told = terminal.tells(cli, "deposit", *LONG, "5 USDC", "--dry-run")
    assert told["sent"] == []
    assert terminal.desk.node.journal == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("deposit", *LONG, "0 USDC"), "is nothing"),
        (("deposit", *LONG, "1 WETH"), "is in WETH; this takes USDC"),
        (("deposit", *LONG, "0.0000001 USDC"), "has more than 6 decimal places"),
        (("deposit", *LONG, "200001 USDC"), "send it 1 USDC more"),
        (("deposit", *LONG, "9" * 40 + " USDC"), "holds 200,000 USDC"),
        (("withdraw", *LONG, "1 USDC"), "not enough shares: 1 USDC (limit 0 USDC)"),
        (("withdraw", *LONG, "all"), "not enough shares"),
        (("withdraw", *LONG, "everything"), "is not an amount"),
        (("deposit", "5 USDC"), "no market is named"),
    ],
)
def test_any__bad_input__one_line_and_nothing_changed(
    terminal: Terminal, words: tuple[str, ...], line: str
) -> None:
    assert line in terminal.refuses(cli, *words, "--yes")


def test_deposit__paused_or_full__says_so(terminal: Terminal) -> None:
    vault, engine = terminal.desk.stage.long.vault, terminal.desk.stage.engine
    vault.set_caps(3_000_001 * USDC, 0, sender=CURATOR)
    line = terminal.refuses(cli, "deposit", *LONG, "5 USDC", "--yes")
    assert "supply cap is full" in line
    assert "(limit 3,000,001 USDC)" in line
    vault.pause_new_risk(engine.timestamp + DAY, sender=GUARDIAN)
    line = terminal.refuses(cli, "deposit", *LONG, "0.5 USDC", "--yes")
    assert "new risk is paused: until" in line


def test_withdraw__lent_out__tells_the_cash(terminal: Terminal) -> None:
    desk, stage = terminal.desk, terminal.desk.stage
    stage.fund(desk.trader().address, weth=3_000 * WETH)
    desk.send(desk.trader().adjust(1, 3_000 * WETH, 2_999_000 * USDC))
    line = terminal.refuses(cli, "withdraw", *LONG, "2,000 USDC", "--account", "lender", "--yes")
    assert "not enough cash: 2,000 USDC (limit 1,000" in line
