"""The views of positions: LTV, health, liquidation price and what could be taken out."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    CASH,
    CURATOR,
    DAY,
    GUARDIAN,
    LIQUIDATOR,
    MAX_CAP,
    MAX_UINT256,
    STRANGER,
    TEN_PERCENT,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    deploy_market,
    div_up,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def position(market: Market) -> int:
    """10 WETH at 2,000 against 10,000 USDC; interest has accrued and more is pending."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.grow_debt()
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(30 * DAY)
    market.asset.mint(LIQUIDATOR, 10**12)
    return opened


def owed(market: Market, position: int) -> int:
    """The debt with pending interest, from the accrued index and the stored word."""
    index = market.vault.current_balance_sheet().debt_index
    return div_up(market.slot(position).scaled_debt * index, WAD)


def test_init__parameters_limits_and_roles__as_given(market: Market, vault: Contract) -> None:
    assert tuple(vault.parameters()) == market.params
    assert tuple(vault.current_limits()) == (MAX_CAP, MAX_CAP, 0)
    assert (vault.curator(), vault.guardian()) == (CURATOR.address, GUARDIAN.address)
    assert vault.pending_curator() == "0x" + "00" * 20
    assert tuple(vault.pending_collection()) == (0, 0)
    deployment = vault.deployment
    assert deployment is not None
    assert market.events(deployment) == [
        ("CuratorTransferred", {"curator": CURATOR.address}),
        ("GuardianSet", {"guardian": GUARDIAN.address}),
        ("CapsSet", {"supply_cap": MAX_CAP, "debt_cap": MAX_CAP}),
    ]


def test_init__code__fits_its_budget() -> None:
    assert len(load("MarginVault").runtime) <= 20_000


def test_position__open__collateral_debt_and_time(
    market: Market, vault: Contract, position: int
) -> None:
    slot = market.slot(position)
    assert tuple(vault.position(position)) == (
        10 * WETH,
        owed(market, position),
        slot.last_risk_increase,
    )
    assert vault.slot(position) == slot.word
    assert owed(market, position) > market.debt(position)


def test_views__no_position__zero_and_healthy(market: Market, vault: Contract) -> None:
    empty = position_id(STRANGER, 3)
    market.set_quote(0, 0)
    assert vault.slot(empty) == 0
    assert tuple(vault.position(empty)) == (0, 0, 0)
    assert vault.ltv(empty) == 0
    assert vault.is_healthy(empty)
    assert vault.liquidation_price(empty) == 0
    assert vault.max_borrow(empty) == 0
    assert vault.max_withdraw_collateral(empty) == 0


def test_ltv__rounds_up_at_high(market: Market, vault: Contract, position: int) -> None:
    market.set_quote(price_of(1), price_of(1_999))
    value = 10 * WETH * price_of(1_999) // 10**36
    assert vault.ltv(position) == div_up(owed(market, position) * WAD, value)


def test_ltv__no_usable_price__reverts_only_with_debt(market: Market, vault: Contract) -> None:
    free = market.open(WETH)
    position = market.open(WETH, 500 * USDC, salt=2)
    market.set_quote(0, 0)
    assert vault.ltv(free) == 0
    assert vault.is_healthy(free)
    for view in (vault.ltv, vault.is_healthy):
        with reverts("price is unusable"):
            view(position)
    assert vault.liquidation_price(position) > 0


PAIRS = {
    "WETH/USDC": (18, 6, price_of(2_000), 10 * 10**18, 10_000 * 10**6),
    "USDC/WETH": (6, 18, 5 * 10**44, 10_000 * 10**6, 2 * 10**18),
    "USDC/DAI": (6, 18, 10**48, 10_000 * 10**6, 7_000 * 10**18),
    "WBTC/SHIB": (8, 18, 12 * 10**55, 3 * 10**8, 2 * 10**10 * 10**18),
    "WETH/GUSD": (18, 2, price_of(2_000, 18, 2), 10 * 10**18, 10_000 * 10**2),
    "SHIB/WBTC": (18, 8, 8 * 10**15, 10**10 * 10**18, 5 * 10**7),
}
"""Decimals of collateral and asset, price, and a position's collateral and debt."""


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, engine: Engine) -> tuple[Market, int]:
    """A market at one of the pairs' prices and a position in it, at grown indices."""
    collateral_decimals, asset_decimals, price, collateral, debt = PAIRS[request.param]
    market = deploy_market(
        engine,
        collateral_decimals=collateral_decimals,
        asset_decimals=asset_decimals,
        price=price,
        min_debt=10_000,
    )
    market.deposit(10 * debt)
    opened = market.open(collateral, debt)
    market.give(market.asset, LIQUIDATOR, 100 * debt)
    market.grow_debt(seconds=30 * DAY)
    market.engine.advance(1)
    return market, opened


def test_liquidation_price__any_pair__healthy_at_it_and_not_one_below(
    pair: tuple[Market, int],
) -> None:
    market, position = pair
    vault = market.vault
    price = vault.liquidation_price(position)
    market.set_price(price)
    assert vault.is_healthy(position)
    assert vault.ltv(position) <= market.params.liquidation_ltv
    with reverts("position is healthy"):
        vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    market.set_price(price - 1)
    assert not vault.is_healthy(position)
    assert vault.ltv(position) > market.params.liquidation_ltv
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert vault.is_healthy(position)
    market.check_books()


def test_max_borrow__any_pair__to_the_unit(pair: tuple[Market, int]) -> None:
    market, position = pair
    vault = market.vault
    largest = vault.max_borrow(position)
    assert largest > 0
    too_much = largest + 1 + div_up(market.books().debt_index, WAD)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, 0, too_much, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, largest, TRADER, b"", sender=TRADER)
    assert vault.max_borrow(position) <= 1
    market.check_books()


def test_max_withdraw_collateral__any_pair__to_the_unit(pair: tuple[Market, int]) -> None:
    market, position = pair
    vault = market.vault
    largest = vault.max_withdraw_collateral(position)
    assert largest > 0
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -largest - 1, 0, TRADER, b"", sender=TRADER)
    vault.adjust(position, -largest, 0, TRADER, b"", sender=TRADER)
    assert vault.max_withdraw_collateral(position) == 0
    market.check_books()


def test_max_borrow__interest_pending__is_of_the_accrued_state(
    market: Market, vault: Contract, position: int
) -> None:
    largest = vault.max_borrow(position)
    assert largest <= 16_000 * USDC - owed(market, position)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, 0, largest + 3, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, largest, TRADER, b"", sender=TRADER)


def test_max_borrow__debt_cap__to_the_unit(market: Market, vault: Contract, position: int) -> None:
    vault.set_caps(MAX_CAP, owed(market, position) + 1_000 * USDC, sender=CURATOR)
    largest = vault.max_borrow(position)
    assert 1_000 * USDC - 3 <= largest <= 1_000 * USDC
    with reverts("debt cap is full"):
        vault.adjust(position, 0, largest + 3, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, largest, TRADER, b"", sender=TRADER)
    vault.set_caps(MAX_CAP, 0, sender=CURATOR)
    assert vault.max_borrow(position) == 0


def test_max_borrow__cash__to_the_unit(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH - 1_000 * USDC, salt=2)
    position = market.open(10 * WETH)
    largest = vault.max_borrow(position)
    assert largest == 1_000 * USDC
    with reverts("not enough cash"):
        vault.adjust(position, 0, largest + 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, largest, TRADER, b"", sender=TRADER)
    assert vault.max_borrow(position) == 0


def test_max_borrow__at_low__and_zero_without_it(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(price_of(1_500), price_of(2_000))
    largest = vault.max_borrow(position)
    assert largest <= 12_000 * USDC - owed(market, position)
    vault.adjust(position, 0, largest, TRADER, b"", sender=TRADER)
    market.set_quote(0, price_of(2_000))
    assert vault.max_borrow(position) == vault.max_withdraw_collateral(position) == 0


def test_max_borrow__below_min_debt_or_paused__zero(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    market.set_price(price_of(125) - 1)
    assert vault.max_borrow(position) == 0
    with reverts("debt is below min_debt"):
        vault.adjust(position, 0, 100 * USDC - 1, TRADER, b"", sender=TRADER)
    market.set_price(price_of(125))
    assert vault.max_borrow(position) == 100 * USDC
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    assert vault.max_borrow(position) == 0
    assert vault.max_withdraw_collateral(position) == WETH
    market.engine.advance(WEEK)
    vault.adjust(position, 0, 100 * USDC, TRADER, b"", sender=TRADER)


def test_max_withdraw_collateral__without_debt__everything_in_any_weather(
    market: Market, vault: Contract
) -> None:
    position = market.open(WETH)
    market.set_quote(0, 0)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    assert vault.max_withdraw_collateral(position) == WETH
    vault.adjust(position, -WETH, 0, TRADER, b"", sender=TRADER)


def test_max_withdraw_collateral__above_initial_ltv_or_paused__zero(
    market: Market, vault: Contract, position: int
) -> None:
    vault.pause_new_risk(market.engine.timestamp + 1, sender=CURATOR)
    assert vault.max_withdraw_collateral(position) == 0
    market.engine.advance(1)
    assert vault.max_withdraw_collateral(position) > 0
    market.set_price(price_of(1_380))
    assert vault.is_healthy(position)
    assert vault.max_withdraw_collateral(position) == vault.max_borrow(position) == 0
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -1, 0, TRADER, b"", sender=TRADER)


def test_preview_liquidation__healthy__zeros(
    market: Market, vault: Contract, position: int
) -> None:
    assert tuple(vault.preview_liquidation(position, MAX_UINT256)) == (0, 0, 0, 0, 0)
    assert tuple(vault.preview_liquidation(position_id(STRANGER), 1)) == (0, 0, 0, 0, 0)
    market.set_price(vault.liquidation_price(position))
    assert tuple(vault.preview_liquidation(position, MAX_UINT256)) == (0, 0, 0, 0, 0)


def test_preview_liquidation__ltv_exactly_at_the_bound__zeros(
    market: Market, vault: Contract
) -> None:
    position = market.open(WETH, 1_376 * USDC)
    market.engine.advance(1)
    market.set_price(price_of(1_600))
    assert vault.ltv(position) == market.params.liquidation_ltv
    assert vault.is_healthy(position)
    assert tuple(vault.preview_liquidation(position, MAX_UINT256)) == (0, 0, 0, 0, 0)


def test_current_balance_sheet__nothing_pending__is_what_is_stored(
    market: Market, vault: Contract, position: int
) -> None:
    assert tuple(vault.current_balance_sheet()) != market.books()
    vault.accrue()
    assert tuple(vault.current_balance_sheet()) == market.books()


@pytest.mark.parametrize("kind", ["RevertingOracle", "GasBurningOracle"])
def test_views__oracle_broken__those_without_price_answer(engine: Engine, kind: str) -> None:
    oracle = engine.deploy(load(kind), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(CASH)
    position = market.open(10 * WETH, 10_000 * USDC)
    oracle.set_broken(True)
    vault = market.vault
    assert vault.position(position).debt == 10_000 * USDC
    assert vault.liquidation_price(position) > 0
    assert vault.totalAssets() == CASH
    if kind == "RevertingOracle":
        for view in (vault.ltv, vault.is_healthy):
            with reverts("oracle is broken"):
                view(position)
