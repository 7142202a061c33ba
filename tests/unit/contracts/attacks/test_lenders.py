"""Lenders robbing lenders: inflation, donations, sandwiches, shares of nothing."""

from __future__ import annotations

from random import Random

import pytest

from ringfence.evm import Contract, Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LENDER,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    deploy_market,
    position_id,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

ODD_RATE, ODD_TIME = 1_234_567_891, 12_345_678


def lend_for_a_block(market: Market) -> int:
    """Lend where a year's interest is pending, accrue, leave; return what that earned."""
    market.deposit(CASH)
    market.open(1_000 * WETH, CASH // 2)
    market.rate_model.set_rate(ODD_RATE)
    market.engine.advance(365 * 86_400)
    market.deposit(CASH, STRANGER)
    market.vault.accrue(sender=STRANGER)
    market.vault.redeem(market.shares_of(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    earned: int = market.asset.balanceOf(STRANGER) - CASH
    return earned


@attack(
    "share inflation and donation",
    guard="interest accrues before shares are sold (lender_shares._enter)",
    breaks=(
        Break(
            "modules/lender_shares.vy",
            "    sheet: IMarginVault.BalanceSheet = accrual._accrue()\n"
            "    assets: uint256 = assets_in",
            "    sheet: IMarginVault.BalanceSheet = balance_sheet._load()\n"
            "    assets: uint256 = assets_in",
        ),
    ),
    without="a million lent for one block at last year's share price takes 8,932 USDC of interest",
    here="the share price holds a year's interest, the block earns nothing",
)
def test_sandwich__around_an_accrual__earns_nothing(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = lend_for_a_block(deploy_market(engine, artifact=broken))
    assert works == 8_932_740_998
    assert lend_for_a_block(deploy_market(engine, artifact=real)) <= 0, (
        "RND-1: pending interest was taken"
    )


def test_transfer__to_oneself__makes_no_shares(market: Market, vault: Contract) -> None:
    held = market.shares_of(LENDER)
    for amount in (0, 1, held):
        vault.transfer(LENDER, amount, sender=LENDER)
        vault.approve(STRANGER, amount, sender=LENDER)
        vault.transferFrom(LENDER, LENDER, amount, sender=STRANGER)
        assert market.shares_of(LENDER) == held, "BOOK-2: shares out of nothing"
        assert vault.allowance(LENDER, STRANGER) == 0
    with reverts("not enough shares"):
        vault.transfer(LENDER, held + 1, sender=LENDER)


def test_redeem__for_the_vault_itself__is_a_gift_that_nobody_can_take(
    market: Market, vault: Contract
) -> None:
    """Assets paid out to the vault stay in it, outside its books."""
    shares = market.shares_of(LENDER)
    vault.redeem(shares // 2, vault, LENDER, sender=LENDER)
    assert market.asset.balanceOf(vault) - market.books().cash == CASH // 2
    assert vault.maxRedeem(LENDER) == shares - shares // 2
    vault.redeem(vault.maxRedeem(LENDER), LENDER, LENDER, sender=LENDER)
    assert market.asset.balanceOf(vault) == CASH // 2
    assert market.books().cash == 0, "BOOK-5: a donation was counted"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("supply_index", [WAD // 10**6, WAD, 3 * WAD + 7, 70_000 * WAD + 12_345])
def test_round_trips__many_tiny_calls_at_any_index__never_profit(
    market: Market, vault: Contract, supply_index: int, seed: int
) -> None:
    """Deposit, mint, withdraw and redeem in any order and size: what one holds never grows."""
    books = market.books()
    total = books.cash * WAD // supply_index // 2
    market.set_books(total_shares=total, supply_index=supply_index)
    market.give(market.asset, STRANGER, 10**11)
    rng = Random(seed)
    unit = max(supply_index // WAD, 1)
    surplus = market.books().surplus
    for _ in range(60):
        amount = rng.choice((1, 2, unit, unit + 1, 2 * unit - 1, rng.randrange(1, 10**7)))
        name = rng.choice(("deposit", "mint", "withdraw", "redeem"))
        if name in ("deposit", "mint"):
            arguments: tuple[object, ...] = (amount, STRANGER)
        else:
            arguments = (amount, STRANGER, STRANGER)
        getattr(vault, name)(*arguments, sender=STRANGER, check=False)
        assert market.books().surplus >= surplus, f"RND-1: {name} of {amount} paid its caller"
        surplus = market.books().surplus


@pytest.mark.parametrize("seed", range(4))
def test_round_trips__borrowing_and_repaying_in_tiny_calls__never_profit(
    market: Market, vault: Contract, seed: int
) -> None:
    mine = market.open(1_000 * WETH, 100_000 * USDC)
    market.grow_debt(ODD_RATE, ODD_TIME)
    market.give(market.asset, TRADER, 10**12)
    market.give(market.asset, OTHER_TRADER, 10**12)
    rng = Random(seed)
    surplus = market.books().surplus
    for _ in range(60):
        amount = rng.choice((1, 2, 3, rng.randrange(1, 10**7)))
        if rng.random() < 0.5:
            vault.adjust(mine, 0, amount, TRADER, b"", sender=TRADER)
        else:
            vault.repay(mine, amount, sender=rng.choice((TRADER, OTHER_TRADER)))
        assert market.books().surplus >= surplus, f"RND-2: {amount} paid its caller"
        surplus = market.books().surplus


def test_withdraw__of_worthless_shares__pays_nobody(market: Market, vault: Contract) -> None:
    """After a total loss a share is worth nothing, whatever the vault holds by then."""
    market.set_books(supply_index=0)
    market.give(market.asset, STRANGER, CASH)
    vault.fund_reserve(CASH // 2, sender=STRANGER)
    with reverts("not enough shares"):
        vault.withdraw(1, LENDER, LENDER, sender=LENDER)
    assert vault.redeem(market.shares_of(LENDER), LENDER, LENDER, sender=LENDER).value == 0
    with reverts("supply index is too low"):
        vault.mint(10**18, STRANGER, sender=STRANGER)
    assert vault.totalAssets() == 0 == vault.maxMint(STRANGER)


def test_lend_and_borrow__of_ones_own__collects_no_more_than_it_pays(
    market: Market, vault: Contract
) -> None:
    """Borrowing what one lends, at the highest rate: interest goes round, less the reserve's."""
    market.give(market.asset, STRANGER, CASH)
    vault.deposit(CASH, STRANGER, sender=STRANGER)
    mine = market.open(2_000 * WETH, 2 * CASH, owner=STRANGER)
    market.grow_debt(3 * WAD // (365 * 86_400), 30 * 86_400)
    market.asset.mint(STRANGER, 10 * CASH)
    minted = 11 * CASH
    vault.close(mine, STRANGER, b"", sender=STRANGER)
    vault.redeem(market.shares_of(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    assert market.asset.balanceOf(STRANGER) < minted, "RND-2: lending to oneself paid"
    assert market.slot(position_id(STRANGER)).collateral == 0
