"""Curator and guardian: caps, pause, hand-over, the reserve's excess, and all they cannot do."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    DAY,
    GUARDIAN,
    LENDER,
    LIMITS,
    LIQUIDATOR,
    MAX_CAP,
    MAX_RATE,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    YEAR,
    Market,
    deploy_market,
    reverts,
)

OTHERS = (STRANGER, LENDER, TRADER)

# set_caps


def test_set_caps__by_curator__up_and_down(market: Market, vault: Contract) -> None:
    for caps in ((5, 3), (MAX_CAP, MAX_CAP), (0, 0)):
        receipt = vault.set_caps(*caps, sender=CURATOR)
        assert market.limits() == (*caps, 0) == tuple(vault.current_limits())
        assert market.written(receipt) == {LIMITS}
        assert market.events(receipt) == [("CapsSet", {"supply_cap": caps[0], "debt_cap": caps[1]})]


def test_set_caps__by_guardian__only_down(market: Market, vault: Contract) -> None:
    vault.set_caps(100, 50, sender=CURATOR)
    for caps in ((101, 50), (100, 51), (0, 51)):
        with reverts("guardian may only lower caps"):
            vault.set_caps(*caps, sender=GUARDIAN)
    vault.set_caps(100, 50, sender=GUARDIAN)
    vault.set_caps(99, 0, sender=GUARDIAN)
    assert market.limits() == (99, 0, 0)


def test_set_caps__keeps_the_pause(market: Market, vault: Contract) -> None:
    until = market.engine.timestamp + DAY
    vault.pause_new_risk(until, sender=CURATOR)
    vault.set_caps(2, 1, sender=GUARDIAN)
    assert market.limits() == (2, 1, until)


def test_set_caps__over_wide__reverts(market: Market, vault: Contract) -> None:
    for caps in ((2**104, 0), (0, 2**104), (MAX_UINT256, MAX_UINT256)):
        with reverts("limits exceed their width"):
            vault.set_caps(*caps, sender=CURATOR)
    assert market.limits() == (MAX_CAP, MAX_CAP, 0)


@pytest.mark.parametrize("caller", OTHERS)
def test_set_caps__by_others__reverts(vault: Contract, caller: object) -> None:
    with reverts("caller is not the guardian"):
        vault.set_caps(0, 0, sender=caller)


# pause_new_risk


@pytest.mark.parametrize("caller", [CURATOR, GUARDIAN])
def test_pause_new_risk__at_most_seven_days__ends_by_itself(
    market: Market, vault: Contract, caller: object
) -> None:
    now = market.engine.timestamp
    for until in (now + WEEK + 1, MAX_UINT256):
        with reverts("pause must end within 7 days"):
            vault.pause_new_risk(until, sender=caller)
    receipt = vault.pause_new_risk(now + WEEK, sender=caller)
    assert market.limits() == (MAX_CAP, MAX_CAP, now + WEEK)
    assert market.written(receipt) == {LIMITS}
    assert market.events(receipt) == [("NewRiskPaused", {"until": now + WEEK})]
    with reverts("new risk is paused"):
        market.deposit(1)
    market.engine.advance(WEEK)
    assert market.deposit(1) == 1, "LIVE-3: the pause does not end by itself"


def test_pause_new_risk__in_the_past__reverts(market: Market, vault: Contract) -> None:
    for caller in (CURATOR, GUARDIAN):
        with reverts("pause must end within 7 days"):
            vault.pause_new_risk(market.engine.timestamp - 1, sender=caller)


def test_pause_new_risk__by_guardian_again__seven_days_after_the_end(
    market: Market, vault: Contract
) -> None:
    vault.pause_new_risk(market.engine.timestamp + 3 * DAY, sender=GUARDIAN)
    for days in (1, 2, 6):
        market.engine.advance(days * DAY)
        with reverts("last pause ended < 7 days ago"):
            vault.pause_new_risk(market.engine.timestamp + DAY, sender=GUARDIAN)
    market.engine.advance(DAY - 1)
    with reverts("last pause ended < 7 days ago"):
        vault.pause_new_risk(market.engine.timestamp + DAY, sender=GUARDIAN)
    market.engine.advance(1)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=GUARDIAN)


def test_pause_new_risk__by_curator__again_at_once_and_ended_early(
    market: Market, vault: Contract
) -> None:
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=GUARDIAN)
    market.engine.advance(DAY)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.pause_new_risk(market.engine.timestamp, sender=CURATOR)
    assert market.deposit(1) == 1
    with reverts("last pause ended < 7 days ago"):
        vault.pause_new_risk(market.engine.timestamp + 1, sender=GUARDIAN)
    vault.pause_new_risk(market.engine.timestamp + 1, sender=CURATOR)


@pytest.mark.parametrize("caller", OTHERS)
def test_pause_new_risk__by_others__reverts(
    market: Market, vault: Contract, caller: object
) -> None:
    with reverts("caller is not the guardian"):
        vault.pause_new_risk(market.engine.timestamp + 1, sender=caller)


# Guardian and curator


def test_set_guardian__by_curator__replaces(market: Market, vault: Contract) -> None:
    receipt = vault.set_guardian(STRANGER, sender=CURATOR)
    assert vault.guardian() == STRANGER.address
    assert market.events(receipt) == [("GuardianSet", {"guardian": STRANGER.address})]
    assert len(market.written(receipt)) == 1
    with reverts("caller is not the guardian"):
        vault.set_caps(0, 0, sender=GUARDIAN)
    vault.set_caps(0, 0, sender=STRANGER)
    vault.set_guardian(NOBODY, sender=CURATOR)
    assert vault.guardian() == NOBODY


def test_set_guardian__by_others__reverts(vault: Contract) -> None:
    for caller in (GUARDIAN, *OTHERS):
        with reverts("caller is not the curator"):
            vault.set_guardian(STRANGER, sender=caller)
    assert vault.guardian() == GUARDIAN.address


def test_transfer_curator__two_steps__hands_over(market: Market, vault: Contract) -> None:
    receipt = vault.transfer_curator(STRANGER, sender=CURATOR)
    assert market.events(receipt) == [("CuratorTransferStarted", {"new_curator": STRANGER.address})]
    assert (vault.curator(), vault.pending_curator()) == (CURATOR.address, STRANGER.address)
    with reverts("caller is not pending curator"):
        vault.accept_curator(sender=CURATOR)
    with reverts("caller is not the curator"):
        vault.set_guardian(STRANGER, sender=STRANGER)
    receipt = vault.accept_curator(sender=STRANGER)
    assert market.events(receipt) == [("CuratorTransferred", {"curator": STRANGER.address})]
    assert (vault.curator(), vault.pending_curator()) == (STRANGER.address, NOBODY)
    with reverts("caller is not the curator"):
        vault.set_guardian(STRANGER, sender=CURATOR)
    with reverts("caller is not pending curator"):
        vault.accept_curator(sender=STRANGER)


def test_transfer_curator__taken_back__cannot_be_accepted(vault: Contract) -> None:
    vault.transfer_curator(STRANGER, sender=CURATOR)
    vault.transfer_curator(NOBODY, sender=CURATOR)
    with reverts("caller is not pending curator"):
        vault.accept_curator(sender=STRANGER)


def test_transfer_curator__by_others__reverts(vault: Contract) -> None:
    for caller in (GUARDIAN, *OTHERS):
        with reverts("caller is not the curator"):
            vault.transfer_curator(caller, sender=caller)
        with reverts("caller is not pending curator"):
            vault.accept_curator(sender=caller)


# The reserve's excess


@pytest.fixture
def excess(market: Market) -> int:
    """100,000 lent out, 9,000 in the reserve, of which 5 % of the debt must stay: 4,000 excess."""
    market.open(100 * WETH, 100_000 * USDC)
    market.give(market.asset, STRANGER, 10**12)
    market.vault.fund_reserve(9_000 * USDC, sender=STRANGER)
    return 4_000 * USDC


def test_collect_reserve__announced_and_due__pays_the_excess(
    market: Market, vault: Contract, excess: int
) -> None:
    with reverts("amount exceeds the excess"):
        vault.announce_reserve_collection(excess + 1, sender=CURATOR)
    now = market.engine.timestamp
    receipt = vault.announce_reserve_collection(excess, sender=CURATOR)
    assert market.events(receipt) == [
        ("ReserveCollectionAnnounced", {"amount": excess, "executable_at": now + 3 * DAY})
    ]
    assert tuple(vault.pending_collection()) == (excess, now)
    market.engine.advance(3 * DAY)
    before = market.books()
    receipt = vault.collect_reserve(RECEIVER, sender=CURATOR)
    assert market.books() == before._replace(
        cash=before.cash - excess, last_accrual=market.engine.timestamp
    )
    assert market.flows(receipt) == {
        ("asset", vault.address): -excess,
        ("asset", RECEIVER): excess,
    }
    assert BOOKS in market.written(receipt)
    assert market.events(receipt) == [
        market.accrued(),
        ("ReserveCollected", {"receiver": RECEIVER, "amount": excess}),
    ]
    assert vault.pending_collection()[1] == 0
    with reverts("announcement has expired"):
        vault.collect_reserve(RECEIVER, sender=CURATOR)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (0, "collection is too early"),
        (3 * DAY - 1, "collection is too early"),
        (3 * DAY, None),
        (10 * DAY, None),
        (10 * DAY + 1, "announcement has expired"),
        (YEAR, "announcement has expired"),
    ],
)
def test_collect_reserve__window__three_to_ten_days(
    market: Market, vault: Contract, excess: int, after: int, reason: str | None
) -> None:
    vault.announce_reserve_collection(excess, sender=CURATOR)
    market.engine.advance(after)
    receipt = vault.collect_reserve(RECEIVER, sender=CURATOR, check=False)
    assert receipt.revert_reason == reason


def test_collect_reserve__nothing_announced__reverts(vault: Contract, excess: int) -> None:
    with reverts("announcement has expired"):
        vault.collect_reserve(RECEIVER, sender=CURATOR)


def test_collect_reserve__announced_again__replaces_amount_and_date(
    market: Market, vault: Contract, excess: int
) -> None:
    vault.announce_reserve_collection(excess, sender=CURATOR)
    market.engine.advance(3 * DAY)
    vault.announce_reserve_collection(1, sender=CURATOR)
    with reverts("collection is too early"):
        vault.collect_reserve(RECEIVER, sender=CURATOR)
    market.engine.advance(3 * DAY)
    vault.collect_reserve(RECEIVER, sender=CURATOR)
    assert market.asset.balanceOf(RECEIVER) == 1


def test_collect_reserve__excess_gone_meanwhile__reverts(
    market: Market, vault: Contract, excess: int
) -> None:
    vault.announce_reserve_collection(excess, sender=CURATOR)
    market.engine.advance(3 * DAY)
    market.open(100 * WETH, 100_000 * USDC, salt=2)
    with reverts("amount exceeds the excess"):
        vault.collect_reserve(RECEIVER, sender=CURATOR)
    vault.fund_reserve(5_000 * USDC, sender=STRANGER)
    vault.collect_reserve(RECEIVER, sender=CURATOR)


def test_collect_reserve__below_target__nothing_can_be_announced(
    market: Market, vault: Contract
) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    with reverts("amount exceeds the excess"):
        vault.announce_reserve_collection(1, sender=CURATOR)
    with reverts("amount is zero"):
        vault.announce_reserve_collection(0, sender=CURATOR)
    with reverts("amount exceeds the excess"):
        vault.announce_reserve_collection(MAX_UINT256, sender=CURATOR)


def test_collect_reserve__interest__is_excess_once_it_exceeds_the_target(
    market: Market, vault: Contract
) -> None:
    market.open(500 * WETH, 500_000 * USDC)
    market.rate_model.set_rate(MAX_RATE)
    market.engine.advance(YEAR)
    now = vault.current_balance_sheet()
    debt = -(-now.total_scaled_debt * now.debt_index // WAD)
    assets = now.cash * WAD + now.total_scaled_debt * now.debt_index
    reserve = (assets - now.total_shares * now.supply_index) // WAD
    largest = reserve - -(-debt * market.params.reserve_target // WAD)
    assert largest > 0
    with reverts("amount exceeds the excess"):
        vault.announce_reserve_collection(largest + 1, sender=CURATOR)
    vault.announce_reserve_collection(largest, sender=CURATOR)


def test_collect_reserve__lenders_cash__is_never_touched(engine: Engine) -> None:
    market = deploy_market(engine)
    market.deposit(CASH)
    market.open(1_000 * WETH, CASH)
    market.grow_debt(rate=MAX_RATE)
    market.vault.announce_reserve_collection(1_000 * USDC, sender=CURATOR)
    engine.advance(3 * DAY)
    with reverts("not enough cash"):
        market.vault.collect_reserve(RECEIVER, sender=CURATOR)
    market.give(market.asset, STRANGER, 1_000 * USDC)
    market.vault.repay(market.opened[0], 1_000 * USDC, sender=STRANGER)
    claims = market.vault.totalAssets()
    cash = market.books().cash
    market.vault.announce_reserve_collection(cash, sender=CURATOR)
    engine.advance(3 * DAY)
    market.vault.collect_reserve(RECEIVER, sender=CURATOR)
    assert market.vault.totalAssets() == claims
    market.check_books()


def test_collect_reserve__receiver_is_zero__reverts(
    market: Market, vault: Contract, excess: int
) -> None:
    vault.announce_reserve_collection(excess, sender=CURATOR)
    market.engine.advance(3 * DAY)
    with reverts("receiver is zero"):
        vault.collect_reserve(NOBODY, sender=CURATOR)


def test_collect_reserve__by_others__reverts(vault: Contract, excess: int) -> None:
    for caller in (GUARDIAN, *OTHERS):
        with reverts("caller is not the curator"):
            vault.announce_reserve_collection(1, sender=caller)
        with reverts("caller is not the curator"):
            vault.collect_reserve(RECEIVER, sender=caller)


# What no role can do


@pytest.mark.parametrize("role", [CURATOR, GUARDIAN])
def test_roles__against_positions_and_exits__can_do_nothing(
    market: Market, vault: Contract, role: object
) -> None:
    position = market.open(10 * WETH, 10_000 * USDC)
    free = market.open(WETH, salt=2)
    market.asset.mint(TRADER, 10**12)
    market.asset.mint(role, 10**12)
    market.asset.mint(LIQUIDATOR, 10**12)
    parameters = vault.parameters()
    slots = market.slot(position), market.slot(free)
    market.engine.advance(1)
    for each in (position, free):
        for arguments in ((-1, 0), (0, USDC), (-1, -USDC)):
            with reverts("caller lacks permission"):
                vault.adjust(each, *arguments, role, b"", sender=role)
        with reverts("caller lacks permission"):
            vault.close(each, role, b"", sender=role)
        with reverts("position is healthy"):
            vault.liquidate(each, MAX_UINT256, 0, role, b"", sender=role)
    assert (market.slot(position), market.slot(free)) == slots, "AUTH-2: a role moved collateral"
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=role)
    vault.set_caps(0, 0, sender=role)
    assert vault.parameters() == parameters, "AUTH-2: a role changed a parameter"
    vault.close(position, TRADER, b"", sender=TRADER)
    vault.adjust(free, -WETH, 0, TRADER, b"", sender=TRADER)
    assert vault.redeem(CASH, LENDER, LENDER, sender=LENDER).value == CASH, (
        "AUTH-2: a role stopped an exit"
    )
