"""withdraw: assets wanted, shares burnt."""

from __future__ import annotations

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    LENDER,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    div_up,
    reverts,
)

ASSETS = 7_000 * USDC


def test_withdraw__to_receiver__burns_shares_and_pays(market: Market, vault: Contract) -> None:
    before = market.books()
    receipt = vault.withdraw(ASSETS, RECEIVER, LENDER, sender=LENDER)
    assert receipt.value == ASSETS
    assert market.books() == before._replace(
        total_shares=before.total_shares - ASSETS, cash=before.cash - ASSETS
    )
    assert market.shares_of(LENDER) == CASH - ASSETS
    assert market.flows(receipt) == {
        ("asset", vault.address): -ASSETS,
        ("asset", RECEIVER): ASSETS,
    }
    assert market.written(receipt) == {BOOKS, LENDER.address}
    assert market.events(receipt) == [
        market.accrued(),
        (
            "Withdraw",
            {
                "sender": LENDER.address,
                "receiver": RECEIVER,
                "owner": LENDER.address,
                "assets": ASSETS,
                "shares": ASSETS,
            },
        ),
        ("Transfer", {"sender": LENDER.address, "receiver": NOBODY, "value": ASSETS}),
    ]


def test_withdraw__after_interest__shares_round_up(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    expected = div_up(ASSETS * WAD, market.books().supply_index)
    assert vault.previewWithdraw(ASSETS) == expected < ASSETS
    assert vault.withdraw(ASSETS, LENDER, LENDER, sender=LENDER).value == expected
    assert vault.withdraw(1, LENDER, LENDER, sender=LENDER).value == 1


def test_withdraw__by_spender__takes_allowance_in_shares(market: Market, vault: Contract) -> None:
    vault.approve(STRANGER, ASSETS, sender=LENDER)
    with reverts("not enough allowance"):
        vault.withdraw(ASSETS + 1, STRANGER, LENDER, sender=STRANGER)
    receipt = vault.withdraw(ASSETS - 1, STRANGER, LENDER, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 1
    assert market.flows(receipt) == {
        ("asset", vault.address): 1 - ASSETS,
        ("asset", STRANGER.address): ASSETS - 1,
    }


def test_withdraw__unlimited_allowance__stays(vault: Contract) -> None:
    vault.approve(STRANGER, MAX_UINT256, sender=LENDER)
    vault.withdraw(1, STRANGER, LENDER, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == MAX_UINT256


def test_withdraw__without_allowance__reverts(vault: Contract) -> None:
    with reverts("not enough allowance"):
        vault.withdraw(1, STRANGER, LENDER, sender=STRANGER)


def test_withdraw__more_than_owned__reverts(market: Market, vault: Contract) -> None:
    market.deposit(ASSETS, STRANGER)
    with reverts("not enough shares"):
        vault.withdraw(ASSETS + 1, STRANGER, STRANGER, sender=STRANGER)
    assert vault.withdraw(ASSETS, STRANGER, STRANGER, sender=STRANGER).value == ASSETS
    assert market.shares_of(STRANGER) == 0


def test_withdraw__more_than_cash__reverts(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH - ASSETS)
    assert vault.maxWithdraw(LENDER) == ASSETS
    with reverts("not enough cash"):
        vault.withdraw(ASSETS + 1, LENDER, LENDER, sender=LENDER)
    vault.withdraw(ASSETS, LENDER, LENDER, sender=LENDER)
    assert market.books().cash == 0
    assert vault.maxWithdraw(LENDER) == 0


def test_withdraw__zero_over_wide_or_to_nobody__reverts(vault: Contract) -> None:
    with reverts("amount is zero"):
        vault.withdraw(0, LENDER, LENDER, sender=LENDER)
    for assets in (2**113, MAX_UINT256):
        with reverts("amount exceeds its width"):
            vault.withdraw(assets, LENDER, LENDER, sender=LENDER)
    with reverts("receiver is zero"):
        vault.withdraw(1, NOBODY, LENDER, sender=LENDER)


def test_withdraw__paused__goes_on(market: Market, vault: Contract) -> None:
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    assert vault.withdraw(CASH, LENDER, LENDER, sender=LENDER).value == CASH, (
        "LIVE-3: a pause stops lenders"
    )


def test_withdraw__donated_assets__cannot_be_withdrawn(market: Market, vault: Contract) -> None:
    market.asset.mint(vault, ASSETS)
    with reverts("not enough shares"):
        vault.withdraw(CASH + 1, LENDER, LENDER, sender=LENDER)
    vault.withdraw(CASH, LENDER, LENDER, sender=LENDER)
    assert market.asset.balanceOf(vault) == ASSETS, "BOOK-5: cash moved by more than was paid"
