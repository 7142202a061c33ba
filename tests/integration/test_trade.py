"""`trade` from end to end, in process: what is typed, what is shown, what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest
from click.testing import CliRunner

from ringfence.client import Receipt, Transaction
from ringfence.client.engines import EngineSender
from scripts._client import Desk as CommandDesk
from scripts.trade import cli
from tests.support.client import NEWCOMER
from tests.support.commands import (
    Terminal,
    desk,
    standing_desk_lens,
    standing_stage,
    terminal,
)
from tests.support.market import CURATOR, DAY, GUARDIAN, LENDER, TRADER, USDC, WETH

__all__ = ["desk", "standing_desk_lens", "standing_stage", "terminal"]

LONG = ("--market", "weth-usdc")
OPEN = ("open", *LONG, "--margin", "1.5 WETH", "--leverage", "3x", "--yes")
DIRECT = ("open", *LONG, "--margin", "2 WETH", "--borrow", "1,000 USDC", "--yes")


def test_quote__before_any_signature__all_that_must_be_known(terminal: Terminal) -> None:
    shown = terminal.does(cli, "quote", *LONG, "--margin", "1.5 WETH", "--leverage", "4x")
    for words in (
        "liquidation price",
        "USDC/WETH",
        "pool's fee",
        "slippage to the oracle",
        "interest a day",
        "greatest loss",
        "1.5 WETH: the margin",
    ):
        assert words in shown
    assert terminal.desk.node.journal == []


def test_open__yes__comes_true_as_quoted(terminal: Terminal) -> None:
    quoted = terminal.tells(cli, "quote", *LONG, "--margin", "1.5 WETH", "--leverage", "3x")
    done = terminal.tells(cli, *OPEN)
    assert [one["what"] for one in done["sent"]] == [
        "let the router act on your positions in Ringfence USDC",
        "let the router take 1.5 WETH",
        "open 3x with 1.5 WETH",
    ]
    assert done["quote"] == quoted
    position = terminal.desk.long.position(NEWCOMER.address, 1)
    assert f"{position.collateral:f}" == quoted["expected"]["collateral"]
    assert f"{position.debt:f}" == quoted["expected"]["debt"]


def test_open__short__in_the_mirrored_market(terminal: Terminal) -> None:
    terminal.does(
        cli, "open", "--market", "usdc-weth", "--margin", "3000 USDC", "--leverage", "3x", "--yes"
    )
    position = terminal.desk.short.position(NEWCOMER.address, 1)
    assert Decimal("2.9") < position.debt < Decimal("3.1")


@pytest.mark.parametrize(("typed", "sent"), [("y\n", True), ("n\n", False), ("", False)])
def test_open__asks__unless_told_otherwise(terminal: Terminal, typed: str, sent: bool) -> None:
    result = terminal.run(cli, *OPEN[:-1], typed=typed)
    assert "Send? [y/N]" in result.output
    assert "greatest loss" in result.output
    assert terminal.desk.long.position(NEWCOMER.address, 1).is_open is sent
    assert bool(terminal.desk.node.journal) is sent
    assert result.exit_code == (0 if sent else 1)


def test_open__dry_run__sends_nothing(terminal: Terminal) -> None:
    shown = terminal.does(cli, *OPEN, "--dry-run")
    assert "nothing sent" in shown
    assert terminal.desk.node.journal == []
    told = terminal.tells(cli, *OPEN, "--dry-run")
    assert told["sent"] == []
    assert len(told["planned"]) == 3


def test_open__borrowing_without_a_trade__pays_the_account(terminal: Terminal) -> None:
    before = terminal.desk.stage.usdc.balanceOf(NEWCOMER)
    terminal.does(cli, *DIRECT, "--salt", "0x10")
    position = terminal.desk.long.position(NEWCOMER.address, 16)
    assert (position.collateral, position.debt) == (2, 1_000)
    assert terminal.desk.stage.usdc.balanceOf(NEWCOMER) == before + 1_000 * USDC


def test_journey__every_command__changes_what_it_says(terminal: Terminal) -> None:
    position = lambda: terminal.desk.long.position(NEWCOMER.address, 1)  # noqa: E731
    terminal.does(cli, *DIRECT)
    terminal.does(cli, "top-up", *LONG, "1", "0.5 WETH", "--yes")
    assert position().collateral == Decimal("2.5")
    terminal.does(cli, "borrow", *LONG, "1", "500 USDC", "--yes")
    assert position().debt == 1_500
    terminal.does(cli, "withdraw", *LONG, "1", "0.25 WETH", "--yes")
    assert position().collateral == Decimal("2.25")
    terminal.does(
        cli, "adjust", *LONG, "1", "--collateral", "+1 WETH", "--debt", "-300 USDC", "--yes"
    )
    assert (position().collateral, position().debt) == (Decimal("3.25"), 1_200)
    terminal.does(cli, "adjust", *LONG, "1", "--leverage", "2x", "--yes")
    assert abs(position().ltv - Decimal("0.5")) < Decimal("0.01")
    terminal.does(cli, "adjust", *LONG, "1", "--leverage", "1.5x", "--yes")
    assert abs(position().ltv - Decimal(1) / 3) < Decimal("0.01")
    terminal.does(cli, "repay", *LONG, "1", "200 USDC", "--yes")
    terminal.does(cli, "close", *LONG, "1", "--pay-in", "usdc", "--yes")
    assert not position().is_open


def test_top_up__of_a_margin__does_not_call_it_all_that_can_be_lost(terminal: Terminal) -> None:
    opening = terminal.does(cli, *DIRECT)
    assert "greatest loss" in opening
    assert "2 WETH: the margin" in opening
    shown = terminal.does(cli, "top-up", *LONG, "1", "0.5 WETH", "--dry-run")
    assert "margin added" in shown
    assert "greatest loss" not in shown
    told = terminal.tells(cli, "top-up", *LONG, "1", "0.5 WETH", "--dry-run")["quote"]
    assert Decimal(told["margin"].split()[0]) == Decimal("0.5")
    assert told["greatest_loss"] is None


@pytest.mark.parametrize("words", [(), ("--pay-in", "USDC"), ("--own-funds",)])
def test_close__each_way__closes(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.does(cli, *DIRECT)
    shown = terminal.does(cli, "close", *LONG, "1", *words, "--yes")
    assert "done: " in shown
    assert not terminal.desk.long.position(NEWCOMER.address, 1).is_open


def test_revoke__after_a_trade__leaves_the_router_nothing(terminal: Terminal) -> None:
    market = terminal.desk.long
    granted = lambda: market.read(  # noqa: E731
        "operator_permissions", NEWCOMER.address, market.router
    )
    terminal.does(cli, *OPEN)
    held, slot = granted(), market.slot(NEWCOMER.address, 1)
    assert held[0] != 0
    what = "forbid the router to act on your positions in Ringfence USDC"
    planned = terminal.tells(cli, "revoke", *LONG, "--dry-run")
    assert (planned["planned"], planned["sent"]) == ([what], [])
    assert granted() == held
    assert "nothing sent" in terminal.does(cli, "revoke", *LONG, "--dry-run")
    assert "Send? [y/N]" in terminal.run(cli, "revoke", *LONG, typed="n\n").output
    assert granted() == held
    done = terminal.tells(cli, "revoke", *LONG, "--yes")
    assert [one["what"] for one in done["sent"]] == [what]
    assert done["quote"] == {"market": market.address, "router": market.router}
    assert tuple(granted()) == (0, 0)
    assert market.slot(NEWCOMER.address, 1) == slot
    # The next trade asks for it again.
    again = terminal.tells(cli, "adjust", *LONG, "1", "--leverage", "2x", "--dry-run")
    assert again["planned"][0] == "let the router act on your positions in Ringfence USDC"


def test_revoke__nothing_granted__one_line(terminal: Terminal) -> None:
    line = terminal.refuses(cli, "revoke", *LONG, "--yes")
    assert line.startswith("the router has no permission in Ringfence USDC")


def test_repay__all__own_or_anothers_debt(terminal: Terminal) -> None:
    terminal.desk.stage.open_standard(terminal.desk.stage.long)
    terminal.does(cli, "repay", *LONG, "1", "all", "--owner", TRADER.address, "--yes")
    assert terminal.desk.long.position(TRADER.address, 1).debt == 0


def test_repay__no_price__still_goes(terminal: Terminal) -> None:
    terminal.does(cli, *DIRECT)
    terminal.desk.stage.long.set_quote(0, 0)
    shown = terminal.does(cli, "repay", *LONG, "1", "500 USDC", "--yes")
    assert "unknown without a price" in shown
    assert terminal.desk.long.position(NEWCOMER.address, 1).debt == 500


def test_show__positions_in_every_market__open_and_closed(terminal: Terminal) -> None:
    terminal.does(cli, *DIRECT)
    terminal.does(cli, *OPEN)
    terminal.does(
        cli, "open", "--market", "usdc-weth", "--margin", "3000 USDC", "--leverage", "2x", "--yes"
    )
    terminal.does(cli, "close", *LONG, "1", "--own-funds", "--yes")
    told = terminal.tells(cli, "show")
    assert [(one["market"], one["salt"]) for one in told["positions"]] == [
        ("weth-usdc", 2),
        ("usdc-weth", 1),
    ]
    assert told["positions"][0]["liquidation_price"] is not None
    assert "closed" not in terminal.does(cli, "show")
    shown = terminal.does(cli, "show", "--all", *LONG)
    assert "closed" in shown
    assert "healthy" in shown
    looked = terminal.tells(cli, "show", "--account", NEWCOMER.address)
    assert looked == told
    assert "has no positions" in terminal.does(cli, "show", "--account", "stranger")


def test_show__oracle_fails__unknown(terminal: Terminal) -> None:
    terminal.does(cli, *DIRECT)
    terminal.desk.stage.long.set_quote(0, 0)
    assert "unknown" in terminal.does(cli, "show")
    assert terminal.tells(cli, "show")["positions"][0]["ltv"] is None


# Bad input

BAD = [
    (("open", *LONG, "--margin", "0 WETH", "--leverage", "2x"), "'0 WETH' is nothing"),
    (("open", *LONG, "--margin", "1 DOGE", "--leverage", "2x"), "this takes WETH or USDC"),
    (
        ("open", *LONG, "--margin", "1.0000001 USDC", "--leverage", "2x"),
        "has more than 6 decimal places",
    ),
    (("open", *LONG, "--margin", "1 WETH", "--leverage", "2"), "is not a leverage"),
    (("open", *LONG, "--margin", "1 WETH", "--leverage", "20x"), "LTV is above initial LTV"),
    (("open", *LONG, "--margin", "1 WETH"), "how to open is not said"),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--salt", "-1"),
        "salt -1 does not fit 96 bits",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--salt", str(2**96)),
        "does not fit 96 bits",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--salt", "x"),
        "'x' is not a salt",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--slippage", "200%"),
        "more than 100%",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--fee", "0.07%"),
        "no pool takes a fee of 0.07%; pass one of 0.01%, 0.05%, 0.3%, 1%",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--deadline", "soon"),
        "is not a duration",
    ),
    (
        ("open", *LONG, "--margin", "101 WETH", "--leverage", "2x"),
        "holds 98 WETH, 101 WETH are needed",
    ),
    (("open", *LONG, "--margin", "1 WETH", "--borrow", "50 USDC"), "debt is below min_debt"),
    (
        ("open", *LONG, "--margin", "1" + "0" * 30 + " WETH", "--borrow", "500 USDC"),
        "holds 98 WETH",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--borrow", "1" + "0" * 40 + " USDC"),
        "not enough cash",
    ),
    (("open", "--margin", "1 WETH", "--leverage", "2x"), "no market is named; pass --market"),
    (
        ("open", "--market", "doge", "--margin", "1 WETH", "--leverage", "2x"),
        "'doge' is not a market of this deployment",
    ),
    (
        ("open", "--market", NEWCOMER.address, "--margin", "1 WETH", "--leverage", "2x"),
        "there is no MarginVault at",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--borrow", "500 USDC", "--salt", "1"),
        "position is already open: salt 1",
    ),
    (
        ("open", *LONG, "--margin", "1 WETH", "--leverage", "2x", "--salt", "1"),
        "position is already open",
    ),
    (("top-up", *LONG, "9", "1 WETH"), "position is not open"),
    (("top-up", *LONG, "1", "1 USDC"), "is in USDC; this takes WETH"),
    (("borrow", *LONG, "9", "500 USDC"), "position is not open"),
    (("withdraw", *LONG, "9", "1 WETH"), "position is not open"),
    (("withdraw", *LONG, "1", "3 WETH"), "not enough collateral: 3 WETH (limit 2 WETH)"),
    (("borrow", *LONG, "1", "9000 USDC"), "LTV is above initial LTV"),
    (("repay", *LONG, "9", "all"), "position is not open"),
    (("close", *LONG, "9"), "position is not open"),
    (("close", *LONG, "1", "--pay-in", "DAI"), "pass WETH or USDC"),
    (("adjust", *LONG, "1"), "what to change is not said"),
    (("adjust", *LONG, "1", "--debt", "5", "--leverage", "2x"), "what to change is not said"),
    (("top-up", *LONG, "1", "1 WETH", "--owner", "0x12"), "is not an address"),
    (
        ("top-up", *LONG, "1", "1 WETH", "--account", NEWCOMER.address),
        "is an address, which cannot sign",
    ),
    (("show", "--account", "0x" + "0" * 40), "the zero address"),
]


@pytest.mark.parametrize(("words", "line"), BAD)
def test_any__bad_input__one_line_and_nothing_changed(
    terminal: Terminal, words: tuple[str, ...], line: str
) -> None:
    terminal.does(cli, *DIRECT)
    yes = () if words[0] == "show" else ("--yes",)
    assert line in terminal.refuses(cli, *words, *yes)


@pytest.mark.parametrize("act", ["withdraw", "borrow"])
def test_any__anothers_position__names_its_owner(terminal: Terminal, act: str) -> None:
    terminal.desk.stage.open_standard(terminal.desk.stage.long)
    amount = "0.01 WETH" if act == "withdraw" else "10 USDC"
    line = terminal.refuses(cli, act, *LONG, "1", amount, "--owner", TRADER.address, "--yes")
    assert f"caller lacks permission: the position is {TRADER.address}'s" in line


def test_adjust__anothers_position_by_leverage__is_refused(terminal: Terminal) -> None:
    words = ("adjust", *LONG, "1", "--leverage", "2x", "--owner", TRADER.address, "--yes")
    assert "one's own positions only" in terminal.refuses(cli, *words)


def test_withdraw__anothers_position__is_not_among_ones_own(terminal: Terminal) -> None:
    terminal.desk.stage.open_standard(terminal.desk.stage.long, salt=4)
    line = terminal.refuses(cli, "withdraw", *LONG, "4", "1 WETH", "--yes")
    assert f"{NEWCOMER.address} has no position with salt 4" in line


def test_open__paused__says_until_when(terminal: Terminal) -> None:
    vault, engine = terminal.desk.stage.long.vault, terminal.desk.stage.engine
    vault.pause_new_risk(engine.timestamp + DAY, sender=GUARDIAN)
    for words in (OPEN, DIRECT):
        assert "new risk is paused: until 20" in terminal.refuses(cli, *words)


def test_open__debt_cap_full__tells_value_and_limit(terminal: Terminal) -> None:
    terminal.desk.stage.long.vault.set_caps(2**100, 900 * USDC, sender=CURATOR)
    assert "(limit 900 USDC)" in terminal.refuses(cli, *DIRECT)
    assert "debt cap is full" in terminal.refuses(cli, *OPEN)


def test_open__no_cash__tells_what_there_is(terminal: Terminal) -> None:
    vault = terminal.desk.stage.long.vault
    vault.withdraw(2_999_900 * USDC, LENDER, LENDER, sender=LENDER)
    assert "not enough cash: 1,000 USDC (limit 100" in terminal.refuses(cli, *DIRECT)


@pytest.mark.parametrize("price", [(0, 0), (2, 1)])
def test_open__no_price__says_so(terminal: Terminal, price: tuple[int, int]) -> None:
    terminal.desk.stage.long.set_quote(*price)
    for words in (OPEN, DIRECT):
        assert "price is unusable" in terminal.refuses(cli, *words)


@dataclass(frozen=True, slots=True)
class SlowSender:
    """The world moves between the moment of the check and that of the signature."""

    sender: EngineSender
    meanwhile: Callable[[], None]

    @property
    def address(self) -> str:
        return self.sender.address

    def send(self, transaction: Transaction) -> Receipt:
        self.meanwhile()
        return self.sender.send(transaction)


@pytest.mark.parametrize(
    ("happens", "line"),
    [
        ("price", "sold is above the limit (limit "),
        ("time", "deadline has passed"),
    ],
)
def test_open__the_world_moves_on__one_line_and_no_position(
    terminal: Terminal, happens: str, line: str
) -> None:
    stage = terminal.desk.stage
    meanwhile: dict[str, Callable[[], None]] = {
        "price": lambda: stage.move_pool(2_100),
        "time": lambda: stage.engine.advance(1_201),
    }
    # The trader of the stage has approved all, so that the opening is the one transaction.
    slow = SlowSender(terminal.desk.sender(TRADER), meanwhile[happens])
    before = stage.weth.balanceOf(TRADER)
    given = CommandDesk(terminal.ringfence, lambda _alias: slow)
    result = CliRunner(mix_stderr=False).invoke(cli, list(OPEN), obj=given)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {line}")
    assert len(result.stderr.splitlines()) == 1
    assert stage.weth.balanceOf(TRADER) == before
    assert not terminal.desk.long.position(TRADER.address, 1).is_open


def test_close__under_water__says_what_to_do(terminal: Terminal) -> None:
    terminal.does(cli, "open", *LONG, "--margin", "2 WETH", "--leverage", "4x", "--yes")
    terminal.desk.stage.move_pool(1_200)
    assert "under water" in terminal.refuses(cli, "close", *LONG, "1", "--yes")


def test_borrow__after_a_fall__is_refused_but_deleveraging_goes(terminal: Terminal) -> None:
    terminal.does(cli, "open", *LONG, "--margin", "2 WETH", "--leverage", "4x", "--yes")
    terminal.desk.stage.set_price(1_850)
    assert "LTV is above" in terminal.refuses(cli, "borrow", *LONG, "1", "100 USDC", "--yes")
    terminal.does(cli, "adjust", *LONG, "1", "--leverage", "3x", "--yes")
    assert terminal.desk.long.position(NEWCOMER.address, 1).ltv < Decimal("0.68")


def test_top_up__more_than_held__says_how_much(terminal: Terminal) -> None:
    terminal.does(cli, *DIRECT)
    line = terminal.refuses(cli, "top-up", *LONG, "1", "98.5 WETH", "--yes")
    assert "holds 98 WETH, 98.5 WETH are needed; send it 0.5 WETH more" in line
    assert terminal.desk.long.slot(NEWCOMER.address, 1).collateral == 2 * WETH
