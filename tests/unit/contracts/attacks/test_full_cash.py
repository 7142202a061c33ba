"""Cash at its two ends, full to the last bit and empty, and indices at the end of theirs."""

from __future__ import annotations

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LENDER,
    LIQUIDATOR,
    MAX_INDEX,
    MAX_RATE,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    YEAR,
    Market,
    Slot,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

WIDE = "books exceed their width"


def fill(market: Market) -> int:
    """Give until cash has no bit to spare; return a borrower's position."""
    market.deposit(CASH)
    position = market.open(10 * WETH, 1_600 * USDC)
    room = 2**112 - 1 - market.books().cash
    market.give(market.asset, STRANGER, room)
    market.vault.fund_reserve(room, sender=STRANGER)
    return position


def exits(market: Market, position: int) -> list[str | None]:
    """Try to liquidate at a low price, to repay, to close; why each fails."""
    market.engine.advance(1)
    market.set_price(price_of(170))
    market.give(market.asset, LIQUIDATOR, CASH)
    market.asset.mint(TRADER, CASH)
    vault, least = market.vault, 200 * USDC
    receipts = (
        vault.liquidate(position, least, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False),
        vault.repay(position, least, sender=TRADER, check=False),
        vault.close(position, TRADER, b"", sender=TRADER, check=False),
    )
    return [receipt.revert_reason for receipt in receipts]


@attack(
    "cash filled to its width by a gift",
    guard="gifts, deposits and borrowing stop at 2**104, cash has 112 bits (_check_room)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    balance_sheet._check_room(sheet.cash, total_debt)\n    accrual._store(sheet)",
            "    accrual._store(sheet)",
        ),
    ),
    without="after the gift nobody can repay, close or liquidate: each exceeds cash's width",
    here='the gift reverts with "vault is full", the three go on',
)
def test_fund_reserve__until_cash_is_full__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    double = deploy_market(engine, artifact=broken)
    assert exits(double, fill(double)) == [WIDE] * 3
    market = deploy_market(engine, artifact=real)
    with reverts("vault is full"):
        fill(market)
    room = 2**104 - market.books().cash - market.books().total_debt
    market.vault.fund_reserve(room, sender=STRANGER)
    assert exits(market, market.opened[0]) == [None] * 3, "LIVE-5: an exit is stopped"


def shield(market: Market) -> str | None:
    """Borrow the last cash elsewhere, then see whether a falling position can be liquidated."""
    market.deposit(CASH)
    position = market.open(WETH, 1_600 * USDC)
    market.open(1_000 * WETH, CASH - 1_600 * USDC, owner=OTHER_TRADER)
    market.engine.advance(1)
    market.set_price(price_of(1_800))
    assert market.books().cash == 0
    market.give(market.asset, LIQUIDATOR, CASH)
    receipt = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    reason: str | None = receipt.revert_reason
    return reason


@attack(
    "100 % utilisation",
    guard="a liquidation takes nothing out of cash (LIQ-7)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    if outcome.seized < min_seized:\n",
            "    errors._check_cash(outcome.repaid, sheet.cash)\n"
            "    if outcome.seized < min_seized:\n",
        ),
    ),
    without="who borrows the last cash shields his falling position from liquidation",
    here="the position is liquidated with no cash in the vault",
)
def test_liquidate__with_no_cash_left__works(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert shield(deploy_market(engine, artifact=broken)) == "not enough cash"
    market = deploy_market(engine, artifact=real)
    assert shield(market) is None, "LIQ-7: a liquidation needs cash"
    assert market.slot(market.opened[0]).collateral < WETH
    market.vault.withdraw(market.books().cash, LENDER, LENDER, sender=LENDER)
    assert market.books().cash == 0


def outlive(market: Market) -> list[str | None]:
    """Borrow at the highest rate, wait until the index is full, then try to leave."""
    market.deposit(CASH)
    position = market.open(10 * WETH, 1_600 * USDC)
    market.rate_model.set_rate(MAX_RATE)
    for _ in range(60):
        market.engine.advance(YEAR // 10)
        market.vault.accrue(check=False)
    market.asset.mint(TRADER, 2**90)
    vault = market.vault
    receipts = (
        vault.accrue(check=False),
        vault.close(position, TRADER, b"", sender=TRADER, check=False),
        vault.withdraw(USDC, LENDER, LENDER, sender=LENDER, check=False),
    )
    return [receipt.revert_reason for receipt in receipts]


NO_LAST_INDEX = Break(
    "modules/accrual.vy",
    "    sheet.debt_index = min(\n"
    "        unsafe_div(unsafe_mul(stored.debt_index, unsafe_add(fixed_point.WAD, growth)), "
    "fixed_point.WAD),\n        balance_sheet.MAX_INDEX,\n    )",
    "    sheet.debt_index = unsafe_div(\n"
    "        unsafe_mul(stored.debt_index, unsafe_add(fixed_point.WAD, growth)), "
    "fixed_point.WAD\n    )",
)


@attack(
    "index saturation",
    guard="an index stops at its width, it does not revert (accrual._grow)",
    breaks=(NO_LAST_INDEX,),
    without="once the index is full, every accrual reverts: no exit for anybody, for good",
    here="interest stops, borrowers close and lenders withdraw",
)
def test_close__long_after_the_index_is_full__works(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert outlive(deploy_market(engine, artifact=broken)) == [WIDE] * 3
    market = deploy_market(engine, artifact=real)
    assert outlive(market) == [None] * 3, "LIVE-5: a full index stops an exit"
    assert market.books().debt_index == MAX_INDEX
    assert market.slot(market.opened[0]) == Slot()


def burden(market: Market) -> int:
    """One second at a rate that a model made up; return what 1,600 USDC of debt have become."""
    market.deposit(CASH)
    position = market.open(10 * WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.vault.accrue()
    return market.debt(position)


@attack(
    "index saturation",
    guard="no rate counts above 300 % a year (accrual._borrow_rate)",
    breaks=(
        Break(
            "modules/accrual.vy",
            "return min(convert(response, uint256), MAX_RATE), False",
            "return min(convert(response, uint256), 100_000 * 10**18), False",
        ),
    ),
    without="in a second the index is full: 1,600 USDC of debt become 121 million",
    here="a second costs 0.000153 USDC",
    seen="Silo Finance, April 2023 (Immunefi): a rate without bound, from utilisation above 100 %",
)
def test_accrue__at_a_rate_without_bound__counts_300_percent_a_year(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    huge = engine.deploy(load("HugeRate"))
    double = deploy_market(engine, artifact=broken, rate_model=huge)
    assert burden(double) > 120_000_000 * USDC
    assert double.books().debt_index == MAX_INDEX
    market = deploy_market(engine, artifact=real, rate_model=huge)
    owed = 1_600 * USDC
    assert burden(market) == owed + owed * MAX_RATE // WAD + 1, "LIVE-2: a rate without bound"
