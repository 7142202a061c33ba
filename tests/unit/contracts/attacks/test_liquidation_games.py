"""Liquidations as a way to make money or trouble: by the owner, in crumbs, over the edge."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from ringfence.evm import Contract, Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    BOOKS,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    PRICE_SCALE,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    Slot,
    deploy_market,
    div_up,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

CRUMBS = 40


def is_insolvent(market: Market, slot: Slot, price: int) -> bool:
    """L * beta >= 1, in exact integers."""
    debt = div_up(slot.scaled_debt * market.books().debt_index, WAD)
    value = slot.collateral * price // PRICE_SCALE
    if value == 0:
        return True
    ltv = div_up(debt * WAD, value)
    params = market.params
    beta = min(params.beta_max, WAD + params.base_bonus + ltv - params.liquidation_ltv)
    return ltv * beta >= WAD * WAD


def deploy_thin(engine: Engine, artifact: Artifact) -> Market:
    """Two decimals, an odd index, a position of a few ten thousand units: rounding at its worst."""
    market = deploy_market(engine, artifact=artifact, asset_decimals=2, min_debt=10_000)
    market.deposit(10**7)
    market.set_books(debt_index=1_234_567_890_123_456_789)
    market.give(market.asset, LIQUIDATOR, 10**12)
    return market


def crumble(market: Market, crumb: int, distance: int) -> list[Slot]:
    """Liquidate in crumbs from just above insolvency; return the slot before and after each."""
    position = market.open(10**18)
    market.set_slot(position, Slot(10**18, 30_001, 0))
    market.engine.advance(1)
    # The lowest price at which it is solvent, and a few units above.
    value = market.debt(position) * market.params.beta_max // WAD - 5
    while is_insolvent(market, market.slot(position), value * 10**18):
        value += 1
    market.set_price((value + distance) * 10**18)
    slots = [market.slot(position)]
    for _ in range(CRUMBS):
        receipt = market.vault.liquidate(
            position, crumb, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
        if not receipt.success:
            break
        slots.append(market.slot(position))
    return slots


@pytest.mark.parametrize("distance", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("crumb", [2, 3, 7, 101])
@attack(
    "tiny liquidations over the edge",
    guard="a seizure follows the debt retired, not the amount offered (liquidation._solvent)",
    breaks=(
        Break(
            "modules/liquidation.vy",
            "retired_down: uint256 = unsafe_div(unsafe_mul(retired, debt_index), fixed_point.WAD)",
            "retired_down: uint256 = repaid",
        ),
    ),
    without="each crumb seizes too much: a solvent position falls over the edge, lenders pay",
    here="scaled debt over collateral falls with each of 40 crumbs, no loss is booked",
)
def test_liquidate__in_crumbs_on_the_edge_of_solvency__never_falls_over_it(
    engine: Engine, broken: Artifact, real: Artifact, distance: int, crumb: int
) -> None:
    """Each crumb must leave the next one solvent, or lenders pay for what was not their loss."""
    double = deploy_thin(engine, broken)
    slots = crumble(double, crumb, distance)
    first, last = slots[0], slots[-1]
    assert last.scaled_debt * first.collateral > first.scaled_debt * last.collateral
    if distance == 0:
        price = double.oracle.quote()[1]
        assert any(is_insolvent(double, slot, price) for slot in slots)
    market = deploy_thin(engine, real)
    supply_index = market.books().supply_index
    slots = crumble(market, crumb, distance)
    price = market.oracle.quote()[1]
    assert len(slots) == CRUMBS + 1
    for before, after in pairwise(slots):
        assert not is_insolvent(market, after, price), "LIQ-4: crumbs made a position insolvent"
        assert after.scaled_debt * before.collateral < before.scaled_debt * after.collateral, (
            "LIQ-4: scaled debt over collateral did not fall"
        )
    assert market.books().supply_index == supply_index, "LIQ-4: a loss was booked"
    market.check_books()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dollars", [1_800, 1_700, 1_600, 1_200])
def test_liquidate__split_at_random_with_repayments_between__earns_no_more_than_at_once(
    market: Market, vault: Contract, seed: int, dollars: int
) -> None:
    position = market.open(WETH, 1_600 * USDC)
    market.grow_debt(rate=1_234_567_891, seconds=1_234_567)
    market.give(market.asset, LIQUIDATOR, 10**12)
    price = price_of(dollars)
    market.set_price(price)

    def wealth() -> int:
        """In asset units * 1e36, at the price."""
        held = market.collateral.balanceOf(LIQUIDATOR) * price
        return market.asset.balanceOf(LIQUIDATOR) * PRICE_SCALE + held

    start, mark = wealth(), market.engine.snapshot()
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    once = wealth() - start
    market.engine.restore(mark)
    rng = Random(seed)
    for _ in range(12):
        amount = rng.choice((rng.randrange(1, 10**4), rng.randrange(1, 10**9), MAX_UINT256))
        if rng.random() < 0.2:
            vault.repay(position, rng.randrange(1, 10**6), sender=LIQUIDATOR)
        vault.liquidate(position, amount, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False)
    assert wealth() - start <= once, "RND-3: liquidating in parts pays more"


def split_up(market: Market, parts: int) -> int:
    """Liquidate at the edge of insolvency as often as it goes; return what that earned in all."""
    market.deposit(CASH_OF_STRANGER)
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    price = price_of(1_740)
    market.set_price(price)
    market.give(market.asset, LIQUIDATOR, 10**10)
    for _ in range(parts):
        market.vault.liquidate(
            position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
    held: int = market.collateral.balanceOf(LIQUIDATOR) * price // PRICE_SCALE
    return held + market.asset.balanceOf(LIQUIDATOR) - 10**10


@attack(
    "splitting liquidations",
    guard="one call repairs to the target, and then the position is healthy (liquidation._solvent)",
    breaks=(
        Break(
            "modules/liquidation.vy",
            "repaid: uint256 = min(min(max_repay, full_repair), debt)",
            "repaid: uint256 = min(max_repay, debt // 2)",
        ),
    ),
    without="a close factor of a half: called eight times it earns 72 USDC, once it earns 50",
    here="the second call finds a healthy position: eight calls earn what one does",
    seen="lending markets with a close factor: it bounds a call, not a liquidation",
)
def test_liquidate__again_and_again__earns_no_more_than_once(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    once, split = (split_up(deploy_market(engine, artifact=broken), n) for n in (1, 8))
    assert (once, split) == (50_068_963, 72_391_762)
    once, split = (split_up(deploy_market(engine, artifact=real), n) for n in (1, 8))
    assert split == once > 0, "RND-3: liquidating in parts pays more"


def dodge_the_cut(market: Market) -> int:
    """Liquidate in crumbs too small to owe a unit of cut; return what the reserve got of it."""
    position = market.open(10**18)
    market.set_slot(position, Slot(10**18, 30_001, 0))
    market.engine.advance(1)
    market.set_price(market.debt(position) * 11 // 10 * 10**18)
    paid = 0
    for _ in range(CRUMBS):
        before = market.slot(position)
        receipt = market.vault.liquidate(position, 101, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
        retired = before.scaled_debt - market.slot(position).scaled_debt
        paid += receipt.value[1] - div_up(retired * market.books().debt_index, WAD)
    return paid


@attack(
    "splitting liquidations",
    guard="the reserve's cut is rounded up (liquidation._liquidate)",
    breaks=(
        Break(
            "modules/liquidation.vy",
            "    outcome.cut = fixed_point._div_up(\n",
            "    outcome.cut = unsafe_div(\n",
        ),
    ),
    without="in 40 crumbs of 1.01 the bonus is taken and the reserve's tenth of it never paid",
    here="each crumb pays a unit",
)
def test_liquidate__in_crumbs_too_small_for_a_cut__pays_it_each_time(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert dodge_the_cut(deploy_thin(engine, broken)) == 0
    assert dodge_the_cut(deploy_thin(engine, real)) == CRUMBS, "RND-3: the cut was dodged"


def ride_the_fall(market: Market) -> int:
    """Open at the last price before a fall and liquidate oneself in the same block.

    Return what that gains beyond walking away from the position, asset units.
    """
    market.deposit(CASH_OF_STRANGER)
    market.give(market.asset, TRADER, 10**10)
    position = market.open(WETH, 1_600 * USDC)
    market.set_price(price_of(1_000))
    market.vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER)
    held: int = market.collateral.balanceOf(TRADER) * 1_000 * USDC // WETH
    return held + market.asset.balanceOf(TRADER) - 10**10 - 1_600 * USDC


@attack(
    "self-liquidation for the bonus in one block",
    guard="no liquidation in the block of the last risk increase (liquidate)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    if fields.last_risk_increase >= block.timestamp:\n"
            "        errors._raise(errors.RISK_ROSE_IN_THIS_BLOCK)\n",
        ),
    ),
    without="one block around a price update: the bonus of 65 USDC, out of what lenders lose",
    here='reverts with "risk rose in this block"; a block later it is anybody\'s',
    seen="Euler Finance, March 2023: a position made insolvent and liquidated by one hand at once",
)
def test_liquidate__by_its_owner_in_the_block_it_was_opened__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = ride_the_fall(deploy_market(engine, artifact=broken))
    assert works == 64_965_670
    market = deploy_market(engine, artifact=real)
    with reverts("risk rose in this block"):
        ride_the_fall(market)
    assert market.collateral.balanceOf(TRADER) == 0, "LIQ-3: liquidated in the block of its risk"


def hide_the_loss(market: Market) -> int:
    """Insolvent: seize all but one unit of collateral, and leave as a lender before anybody sees.

    Return what the lender who stays is short of, asset units.
    """
    market.deposit(2_000 * WETH)
    market.deposit(2_000 * WETH, STRANGER)
    position = market.open(10**6, 1_600 * WETH)
    market.engine.advance(1)
    market.set_price(1_000 * 10**48)
    market.give(market.asset, LIQUIDATOR, 10**25)
    paid = div_up((10**6 - 1) * 10**15 * WAD, market.params.beta_max)
    market.vault.liquidate(position, paid, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert market.slot(position).collateral == 1
    market.vault.redeem(market.shares_of(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    owed: int = market.vault.convertToAssets(market.shares_of(LENDER))
    return owed - market.books().cash


@attack(
    "bad debt hidden behind 1 wei of collateral",
    guard="an insolvent part writes off its share of the debt at once, and leaves none or min_debt "
    "(liquidation._insolvent)",
    breaks=(
        Break(
            "modules/liquidation.vy",
            "retired = unsafe_div(unsafe_mul(position.scaled_debt, seized), position.collateral)",
            "retired = health._scaled_down(max_repay, debt_index)",
        ),
    ),
    without="of 4,000 lent 665 are owed by one unit of collateral; a lender who knows leaves whole",
    here='reverts with "only the whole can be liquidated"; the whole books its loss at once',
    seen="lending markets that book a loss only when no collateral is left",
)
def test_liquidate__all_but_one_unit__cannot_hide_the_loss(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    terms = {"collateral_decimals": 6, "asset_decimals": 18, "min_debt": 100 * WETH}
    works = hide_the_loss(deploy_market(engine, artifact=broken, **terms))
    assert works // WETH == 664
    market = deploy_market(engine, artifact=real, **terms)
    with reverts("only the whole can be liquidated"):
        hide_the_loss(market)
    position = market.opened[0]
    market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    books = market.books()
    assert market.slot(position) == Slot()
    assert books.supply_index < WAD, "LIQ-5: the loss was not booked"
    assert books.surplus >= 0, "BOOK-3: claims exceed assets"


@pytest.mark.parametrize("dollars", [1_800, 1_600, 1_000])
def test_liquidate__by_the_owner_of_its_own__saves_nothing_a_stranger_would_not_get(
    market: Market, vault: Contract, dollars: int
) -> None:
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.give(market.asset, TRADER, 10**10)
    market.give(market.asset, LIQUIDATOR, 10**10)
    market.set_price(price_of(dollars))
    mark = market.engine.snapshot()
    others = vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    words, books = market.slot(position), market.books()
    market.engine.restore(mark)
    own = vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER)
    assert own.value == others.value
    assert (market.slot(position), market.books()) == (words, books)
    assert market.written(own) == {BOOKS, position}, "ISO-1: another word changed"


def test_liquidate__lender_leaves_before_and_comes_back_after__gains_no_shares(
    market: Market, vault: Contract
) -> None:
    """A loss that is pending can be fled, but coming back buys shares at their worth, not more."""
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.deposit(CASH_OF_STRANGER, STRANGER)
    market.give(market.asset, LIQUIDATOR, 10**10)
    market.set_price(price_of(1_000))
    leaving = market.shares_of(STRANGER)
    vault.redeem(leaving, STRANGER, STRANGER, sender=STRANGER)
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.deposit(CASH_OF_STRANGER, STRANGER, sender=STRANGER)
    worth = vault.convertToAssets(market.shares_of(STRANGER))
    assert worth <= CASH_OF_STRANGER, "RND-1: coming back paid"
    assert market.books().surplus >= 0, "BOOK-3"
    assert vault.convertToAssets(market.shares_of(LENDER)) > 0


CASH_OF_STRANGER = 500_000 * USDC


def test_borrower__leaves_the_loss_and_buys_back_cheaply__pays_what_anyone_would(
    market: Market, vault: Contract
) -> None:
    """Insolvent, the owner liquidates himself: worth V for V / beta and the cut, like anybody."""
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.give(market.asset, TRADER, 10**10)
    market.set_price(price_of(1_000))
    seized, paid = vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER).value
    assert seized == WETH
    assert paid * market.params.beta_max >= 1_000 * USDC * WAD, "LIQ-6: sold below V / beta_max"
    assert market.slot(position) == Slot()
    vault.close(position, TRADER, b"", sender=TRADER)
    assert market.collateral.balanceOf(TRADER) == WETH


@pytest.mark.parametrize("times", [1, 3, 100], ids="index of {}".format)
@pytest.mark.parametrize("extra", [0, 1, 7, 31])
def test_liquidate__unhealthy_by_a_unit_with_the_target_close__is_never_too_small_to_be_done(
    engine: Engine, times: int, extra: int
) -> None:
    """A repair of less than a scaled unit would leave a position that nobody could liquidate."""
    gap = WAD // 200
    market = deploy_market(
        engine, asset_decimals=2, min_debt=10_000, target_ltv=86 * WAD // 100 - gap
    )
    market.deposit(10**7)
    market.give(market.asset, LIQUIDATOR, 10**9)
    position = market.open(WETH)
    index = times * WAD + WAD // 2 + 1
    market.set_books(debt_index=index)
    market.set_slot(position, Slot(WETH, div_up(10_000 * WAD, index) + extra, 0))
    debt = market.debt(position)
    value = (debt * WAD - 1) // market.params.liquidation_ltv
    market.set_price(value * 10**18 + 10**18 - 1)
    market.engine.advance(1)
    assert not market.vault.is_healthy(position)
    receipt = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    assert receipt.success, f"LIVE-4: unhealthy, and {receipt.revert_reason}"
    market.check_books()
