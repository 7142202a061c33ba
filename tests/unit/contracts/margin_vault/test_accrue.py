"""accrue: interest on both indices, whatever the rate model does and however long it takes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    BOOKS,
    CASH,
    DAY,
    LENDER,
    LIQUIDATOR,
    MAX_INDEX,
    MAX_RATE,
    MAX_UINT256,
    RECEIVER,
    STRANGER,
    TEN_PERCENT,
    TRADER,
    USDC,
    WAD,
    WETH,
    YEAR,
    Books,
    Market,
    deploy_market,
    price_of,
    reverts,
)


def expect_books(books: Books, rate: int, seconds: int, reserve_factor: int) -> Books:
    """The design's section 2 in unbounded integers, below saturation."""
    x = rate * seconds
    growth = x + x * x // (2 * WAD) + x**3 // (6 * WAD * WAD)
    index = books.debt_index * (WAD + growth) // WAD
    debt = books.total_scaled_debt * books.debt_index
    supply_index = books.supply_index
    if debt:
        u = WAD * debt // (books.cash * WAD + debt)
        g = WAD * (index - books.debt_index) // books.debt_index
        lenders = g * u * (WAD - reserve_factor) // WAD
        supply_index = supply_index * (WAD * WAD + lenders) // (WAD * WAD)
    return books._replace(
        last_accrual=books.last_accrual + seconds, debt_index=index, supply_index=supply_index
    )


@pytest.fixture
def position(market: Market) -> int:
    """Half of the lender's million is borrowed."""
    market.give(market.asset, STRANGER, 10**15)
    market.asset.mint(LIQUIDATOR, 10**15)
    return market.open(1_000 * WETH, CASH // 2)


def test_accrue__a_year_at_ten_percent__design_example(
    market: Market, vault: Contract, position: int
) -> None:
    before = market.books()
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(YEAR)
    expected = expect_books(before, TEN_PERCENT, YEAR, market.params.reserve_factor)
    assert tuple(vault.current_balance_sheet()) == expected
    receipt = vault.accrue(sender=STRANGER)
    assert market.books() == expected
    assert expected.debt_index // 10**13 == 110_516
    assert expected.supply_index // 10**13 == 104_732
    assert market.written(receipt) == {BOOKS}
    assert market.flows(receipt) == {}
    assert market.events(receipt) == [
        (
            "Accrued",
            {"debt_index": expected.debt_index, "supply_index": expected.supply_index},
        )
    ]
    # The reserve got a tenth of the interest.
    interest = before.total_debt * (expected.debt_index - WAD) // WAD
    assert abs(expected.surplus // WAD - interest // 10) <= 1


@pytest.mark.parametrize("rate", [0, 1, 10**6, TEN_PERCENT, MAX_RATE])
@pytest.mark.parametrize("seconds", [1, 12, DAY, YEAR, 3 * YEAR])
def test_accrue__any_rate_and_time__is_the_formula(
    market: Market, vault: Contract, position: int, rate: int, seconds: int
) -> None:
    before = market.books()
    market.rate_model.set_rate(rate)
    market.engine.advance(seconds)
    vault.accrue()
    expected = expect_books(before, rate, seconds, market.params.reserve_factor)
    assert market.books() == expected
    assert expected.surplus >= before.surplus, "BOOK-3: the reserve shrank by interest"


def test_accrue__twice_in_a_block__equals_once(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(DAY)
    vault.accrue()
    once = market.books()
    receipt = vault.accrue()
    assert market.books() == once, "BOOK-6: accruing twice differs from once"
    assert receipt.state_diff == {}


def test_accrue__without_debt__lenders_earn_nothing(market: Market, vault: Contract) -> None:
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(YEAR)
    vault.accrue()
    assert market.books().supply_index == WAD
    assert market.books().debt_index > WAD
    assert market.books().surplus == 0


OPERATIONS: dict[str, Callable[[Market, int], object]] = {
    "deposit": lambda m, _p: m.vault.deposit(USDC, STRANGER, sender=STRANGER),
    "mint": lambda m, _p: m.vault.mint(USDC, STRANGER, sender=STRANGER),
    "withdraw": lambda m, _p: m.vault.withdraw(USDC, LENDER, LENDER, sender=LENDER),
    "redeem": lambda m, _p: m.vault.redeem(USDC, LENDER, LENDER, sender=LENDER),
    "borrow": lambda m, p: m.vault.adjust(p, 0, USDC, TRADER, b"", sender=TRADER),
    "withdraw_collateral": lambda m, p: m.vault.adjust(p, -WETH, 0, TRADER, b"", sender=TRADER),
    "delever": lambda m, p: m.vault.adjust(p, -WETH, -9_000 * USDC, TRADER, b"", sender=TRADER),
    "top_up": lambda m, p: m.vault.top_up(p, 1, sender=TRADER),
    "repay": lambda m, p: m.vault.repay(p, 999_999_937, sender=STRANGER),
    "close": lambda m, p: m.vault.close(p, TRADER, b"", sender=STRANGER),
    "liquidate": lambda m, p: m.vault.liquidate(
        p, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR
    ),
    "fund_reserve": lambda m, _p: m.vault.fund_reserve(USDC, sender=STRANGER),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_accrue__before_any_operation__changes_nothing_about_it(
    market: Market, vault: Contract, position: int, name: str
) -> None:
    market.give(market.collateral, TRADER, WETH)
    vault.set_operator(STRANGER, 7, 0, sender=TRADER)
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(100 * DAY)
    market.engine.advance(1)
    if name == "liquidate":
        market.set_price(price_of(560))

    def ends() -> tuple[object, ...]:
        OPERATIONS[name](market, position)
        accounts = (LENDER, TRADER, STRANGER, LIQUIDATOR, RECEIVER, vault)
        return (
            tuple(vault.current_balance_sheet()),
            market.slot(position),
            [market.asset.balanceOf(one) for one in accounts],
            [market.collateral.balanceOf(one) for one in accounts],
            [vault.balanceOf(one) for one in accounts],
        )

    mark = market.engine.snapshot()
    alone = ends()
    market.engine.restore(mark)
    vault.accrue()
    assert ends() == alone, f"BOOK-6: {name} differs from accruing and {name}"


@pytest.mark.parametrize(
    ("gap", "pokes", "rate"),
    [(1, 400, MAX_RATE), (1, 400, TEN_PERCENT), (DAY, 90, MAX_RATE), (DAY, 90, TEN_PERCENT)],
)
@pytest.mark.parametrize("decimals", [2, 6, 8, 18])
def test_accrue__poked_often__changes_interest_by_next_to_nothing(
    engine: Engine, decimals: int, gap: int, pokes: int, rate: int
) -> None:
    unit = 10**decimals
    market = deploy_market(engine, asset_decimals=decimals, min_debt=10_000)
    market.deposit(max(10**6, 100 * unit))
    market.open(1_000 * WETH, max(8 * 10**5, 80 * unit))
    market.rate_model.set_rate(rate)
    before = market.books()
    # The coarse run takes steps as long as the bound allows.
    longer = min(gap * pokes, 10**16 // rate // gap * gap)
    runs = []
    for step in (gap, longer):
        mark = engine.snapshot()
        for _ in range(gap * pokes // step):
            engine.advance(step)
            market.vault.accrue()
        engine.advance(gap * pokes - gap * pokes // step * step)
        market.vault.accrue()
        runs.append(market.books())
        assert market.books().surplus >= 0, "BOOK-3: claims exceed assets"
        engine.restore(mark)
    fine, coarse = runs
    assert fine.last_accrual == coarse.last_accrual
    borrowers = Fraction(fine.debt_index - WAD, coarse.debt_index - WAD)
    assert abs(borrowers - 1) <= Fraction(1, 10**6), "BOOK-6: pokes change borrowers' interest"
    earned, reference = fine.supply_index - WAD, coarse.supply_index - WAD
    u = Fraction(before.total_debt, before.total_debt + before.cash)
    share = Fraction(market.params.reserve_factor, WAD) * u * Fraction(rate * longer, WAD)
    allowed = reference * (Fraction(1, 10**6) + share) + 4 * (pokes + 1)
    assert abs(earned - reference) <= allowed, "BOOK-6: pokes change lenders' interest"


# The rate model


@pytest.mark.parametrize("kind", ["RevertingRate", "SilentRate", "GasBurningRate"])
def test_accrue__rate_model_fails__fallback_rate_and_event(engine: Engine, kind: str) -> None:
    market = deploy_market(engine, rate_model=engine.deploy(load(kind)))
    market.deposit(CASH)
    market.open(1_000 * WETH, CASH // 2)
    before = market.books()
    engine.advance(DAY)
    expected = expect_books(before, TEN_PERCENT, DAY, market.params.reserve_factor)
    assert tuple(market.vault.current_balance_sheet()) == expected
    receipt = market.vault.accrue()
    assert market.books() == expected, "LIVE-2: not the fallback rate"
    assert market.events(receipt) == [
        ("RateModelFailed", {"fallback_rate": TEN_PERCENT}),
        market.accrued(),
    ]


def test_accrue__rate_model_has_no_code__fallback_rate(market: Market, position: int) -> None:
    market.engine.set_code(market.rate_model, b"")
    before = market.books()
    market.engine.advance(DAY)
    receipt = market.vault.accrue()
    assert market.events(receipt)[0][0] == "RateModelFailed"
    assert market.books() == expect_books(before, TEN_PERCENT, DAY, market.params.reserve_factor)


def test_accrue__rate_model_asks_for_everything__clamped(engine: Engine) -> None:
    market = deploy_market(engine, rate_model=engine.deploy(load("HugeRate")))
    market.deposit(CASH)
    market.open(1_000 * WETH, CASH // 2)
    before = market.books()
    engine.advance(DAY)
    receipt = market.vault.accrue()
    assert market.books() == expect_books(before, MAX_RATE, DAY, market.params.reserve_factor)
    assert market.events(receipt) == [market.accrued()], "LIVE-2: the maximum is no failure"


def test_accrue__rate_just_above_the_maximum__clamped(
    market: Market, vault: Contract, position: int
) -> None:
    before = market.books()
    market.rate_model.set_rate(MAX_RATE + 1)
    market.engine.advance(DAY)
    vault.accrue()
    assert market.books() == expect_books(before, MAX_RATE, DAY, market.params.reserve_factor)


@pytest.mark.parametrize(
    "kind", ["RevertingRate", "SilentRate", "GasBurningRate", "HugeRate", "OversizedRate"]
)
def test_operations__rate_model_fails__nothing_reverts(engine: Engine, kind: str) -> None:
    arguments = (TEN_PERCENT,) if kind == "OversizedRate" else ()
    market = deploy_market(engine, rate_model=engine.deploy(load(kind), *arguments))
    market.deposit(CASH)
    position = market.open(1_000 * WETH, CASH // 2)
    market.give(market.asset, STRANGER, 10**13)
    market.give(market.asset, LIQUIDATOR, 10**13)
    market.give(market.collateral, TRADER, WETH)
    market.vault.set_operator(STRANGER, 7, 0, sender=TRADER)
    for name, operation in OPERATIONS.items():
        mark = engine.snapshot()
        engine.advance(DAY)
        if name == "liquidate":
            market.set_price(price_of(560))
        operation(market, position)
        market.check_books()
        engine.restore(mark)
    engine.advance(DAY)
    for view in ("totalAssets", "current_balance_sheet"):
        assert getattr(market.vault, view)(), f"LIVE-2: {view} reverts"


def counting_model(rate: int, rounds: int) -> bytes:
    """Code that counts down from `rounds` at 26 gas each and answers `rate`."""
    return (
        b"\x61"
        + rounds.to_bytes(2, "big")  # push the counter
        + bytes.fromhex("5b6001900380600357")  # one less, again unless zero
        + b"\x67"
        + rate.to_bytes(8, "big")
        + bytes.fromhex("5f5260205ff3")
    )


def test_accrue__too_little_gas__never_forces_the_fallback(
    market: Market, vault: Contract, position: int
) -> None:
    engine = market.engine
    engine.set_code(market.rate_model, counting_model(TEN_PERCENT // 2, 3_800))
    before = market.books()
    engine.advance(DAY)
    expected = expect_books(before, TEN_PERCENT // 2, DAY, market.params.reserve_factor)
    reasons = set()
    for gas_limit in range(60_000, 300_000, 4_000):
        mark = engine.snapshot()
        receipt = vault.accrue(gas_limit=gas_limit, check=False)
        if receipt.success:
            assert market.books() == expected, f"LIVE-2: {gas_limit} gas force the fallback"
        reasons.add(receipt.revert_reason)
        engine.restore(mark)
    assert {"not enough gas", None} <= reasons


def test_accrue__limit_that_just_does_in_an_accrued_block__does_in_the_next(
    market: Market, vault: Contract, position: int
) -> None:
    vault.accrue()
    enough = next(
        limit
        for limit in range(120_000, 200_000, 500)
        if vault.accrue(gas_limit=limit, check=False).success
    )
    receipt = vault.accrue(gas_limit=enough - 500, check=False)
    assert receipt.revert_reason == "not enough gas"
    market.engine.advance(DAY)
    assert vault.accrue(gas_limit=enough).success, "LIVE-5: a wallet's estimate was not enough"


def test_accrue__rate_model_over_its_gas__fallback_rate(
    market: Market, vault: Contract, position: int
) -> None:
    market.engine.set_code(market.rate_model, counting_model(TEN_PERCENT // 2, 3_900))
    before = market.books()
    market.engine.advance(DAY)
    receipt = vault.accrue()
    assert market.events(receipt)[0][0] == "RateModelFailed"
    assert market.books() == expect_books(before, TEN_PERCENT, DAY, market.params.reserve_factor)


# Long and full


def exits_work(market: Market, position: int) -> None:
    """Accrue, repay, close and liquidate, each on its own."""
    vault, engine = market.vault, market.engine
    owed = vault.position(position).debt
    for account in (TRADER, STRANGER, LIQUIDATOR):
        market.give(market.asset, account, 3 * owed)
    for name in ("accrue", "repay", "repay_all", "close", "liquidate"):
        mark = engine.snapshot()
        if name == "accrue":
            vault.accrue()
        elif name == "repay":
            assert vault.repay(position, owed // 2, sender=STRANGER).value > 0, "LIVE-5"
        elif name == "repay_all":
            assert vault.repay(position, MAX_UINT256, sender=STRANGER).value == owed, "LIVE-5"
        elif name == "close":
            assert vault.close(position, TRADER, b"", sender=TRADER).value[1] == -owed, "LIVE-5"
        else:
            vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
        market.check_books()
        engine.restore(mark)


@pytest.mark.parametrize("rate", [TEN_PERCENT, 12 * TEN_PERCENT // 10, MAX_RATE])
def test_accrue__a_hundred_years_untouched__exits_work(
    market: Market, vault: Contract, position: int, rate: int
) -> None:
    market.rate_model.set_rate(rate)
    market.engine.advance(100 * YEAR)
    exits_work(market, position)


def test_accrue__at_saturation__indices_stay_and_exits_work(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(MAX_RATE)
    for _ in range(5):
        market.engine.advance(YEAR)
        vault.accrue()
        books = market.books()
        assert books.surplus >= 0, "BOOK-3: claims exceed assets at saturation"
    assert books.debt_index == MAX_INDEX
    market.engine.advance(YEAR)
    vault.accrue()
    assert market.books().debt_index == MAX_INDEX
    assert market.books().supply_index == books.supply_index, "no interest accrues any more"
    exits_work(market, position)


def test_accrue__supply_index_at_its_width__saturates(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH)
    # One share in the sheet owns nearly everything: its index is at the edge.
    held = market.books()
    market.set_books(total_shares=2, supply_index=MAX_INDEX - 1)
    market.rate_model.set_rate(MAX_RATE)
    market.engine.advance(YEAR)
    vault.accrue()
    assert market.books().supply_index == MAX_INDEX
    assert market.books().debt_index > held.debt_index


def test_accrue__everything_borrowed__exits_work(market: Market, vault: Contract) -> None:
    position = market.open(1_000 * WETH, CASH)
    assert market.books().cash == 0
    market.rate_model.set_rate(MAX_RATE)
    market.engine.advance(YEAR)
    exits_work(market, position)
    with reverts("not enough cash"):
        vault.withdraw(1, LENDER, LENDER, sender=LENDER)
