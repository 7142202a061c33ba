"""`market`: a whole vault in one call, whatever its oracle and its rate model do."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    CURATOR,
    DAY,
    GUARDIAN,
    MAX_INDEX,
    MAX_RATE,
    MAX_UINT256,
    NOBODY,
    STRANGER,
    TEN_PERCENT,
    USDC,
    WAD,
    WETH,
    YEAR,
    Market,
    deploy_market,
    div_up,
    price_of,
)


@pytest.fixture
def lent_market(market: Market) -> Market:
    """A market whose indices have grown, with interest pending."""
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(10 * DAY + 1)
    return market


def test_market__interest_pending__books_are_those_of_the_next_accrual(
    lent_market: Market, vault: Contract, lens: Contract
) -> None:
    view = lens.market(vault)
    vault.accrue()
    books = lent_market.books()
    assert view.sheet == books
    assert view.total_debt == books.total_debt
    assert view.claims == vault.totalAssets()
    assert view.reserve == books.surplus // WAD > 0
    assert view.excess == max(0, view.reserve - div_up(books.total_debt * 5, 100))
    debt = books.total_scaled_debt * books.debt_index
    assert view.utilisation == WAD * debt // (books.cash * WAD + debt)


def test_market__parameters_and_offices__as_the_vault_has_them(
    market: Market, vault: Contract, lens: Contract
) -> None:
    vault.set_caps(3, 2, sender=CURATOR)
    vault.pause_new_risk(market.engine.timestamp + DAY, sender=GUARDIAN)
    vault.transfer_curator(STRANGER, sender=CURATOR)
    view = lens.market(vault)
    assert tuple(view.params) == tuple(vault.parameters()) == tuple(market.params)
    assert (view.supply_cap, view.debt_cap) == (3, 2)
    assert view.paused_until == market.engine.timestamp + DAY
    assert (view.curator, view.guardian) == (CURATOR.address, GUARDIAN.address)
    assert view.pending_curator == STRANGER.address
    assert (view.price_low, view.price_high) == (price_of(2_000), price_of(2_000))


def test_market__empty__no_utilisation_and_no_debt(engine: Engine, lens: Contract) -> None:
    view = lens.market(deploy_market(engine).vault)
    assert (view.total_debt, view.claims, view.reserve, view.excess) == (0, 0, 0, 0)
    assert (view.utilisation, view.supply_rate) == (0, 0)
    assert view.pending_curator == NOBODY
    assert (view.pending_collection, view.announced_at) == (0, 0)
    assert view.index_is_full is False


def test_market__collection_announced__shows_it(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.give(market.asset, STRANGER, 1_000 * USDC)
    vault.fund_reserve(1_000 * USDC, sender=STRANGER)
    vault.announce_reserve_collection(400 * USDC, sender=CURATOR)
    view = lens.market(vault)
    assert view.reserve == view.excess == 1_000 * USDC
    assert view.pending_collection == 400 * USDC
    assert view.announced_at == market.engine.timestamp


def test_market__rate_works__lenders_get_the_utilised_part_less_the_reserves(
    lent_market: Market, vault: Contract, lens: Contract
) -> None:
    view = lens.market(vault)
    assert view.rate_is_fallback is False
    assert view.borrow_rate == TEN_PERCENT
    assert view.supply_rate == TEN_PERCENT * view.utilisation * (WAD - WAD // 10) // WAD**2 > 0


@pytest.mark.parametrize("rate_model", ["RevertingRate", "SilentRate", "GasBurningRate"])
def test_market__rate_model_fails__shows_the_fallback(
    engine: Engine, lens: Contract, rate_model: str
) -> None:
    market = deploy_market(engine, rate_model=engine.deploy(load(rate_model)))
    engine.advance(DAY)
    view = lens.market(market.vault)
    assert view.rate_is_fallback is True
    assert view.borrow_rate == market.params.fallback_rate


def test_market__rate_above_the_maximum__is_clamped_as_the_vault_clamps(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.rate_model.set_rate(MAX_RATE + 1)
    view = lens.market(vault)
    assert (view.borrow_rate, view.rate_is_fallback) == (MAX_RATE, False)


def test_market__index_at_its_width__says_so(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.set_books(debt_index=MAX_INDEX)
    assert lens.market(vault).index_is_full is True


@pytest.mark.parametrize("title", ["RevertingOracle", "GasBurningOracle"])
def test_market__oracle_fails__shows_no_price_and_all_the_rest(
    engine: Engine, lens: Contract, title: str
) -> None:
    oracle = engine.deploy(load(title), price_of(2_000))
    oracle.set_broken(True)
    market = deploy_market(engine, oracle=oracle)
    market.deposit(5 * USDC)
    view = lens.market(market.vault)
    assert (view.price_low, view.price_high) == (0, 0)
    assert view.claims == 5 * USDC


def test_market__oracle_reverts_with_what_reads_as_prices__shows_no_price(
    engine: Engine, lens: Contract
) -> None:
    market = deploy_market(engine)
    # Reverts with the words 1 and 2.
    engine.set_code(market.oracle, bytes.fromhex("60015f52600260205260405ffd"))
    view = lens.market(market.vault)
    assert (view.price_low, view.price_high) == (0, 0)


def test_market__oracle_without_code__shows_no_price(engine: Engine, lens: Contract) -> None:
    market = deploy_market(engine)
    engine.set_code(market.oracle, b"")
    view = lens.market(market.vault)
    assert (view.price_low, view.price_high) == (0, 0)


def test_market__low_above_high__is_no_price(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.set_quote(2, 1)
    view = lens.market(vault)
    assert (view.price_low, view.price_high) == (0, 0)


def test_market__low_below_high__shows_both(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.set_quote(0, MAX_UINT256)
    view = lens.market(vault)
    assert (view.price_low, view.price_high) == (0, MAX_UINT256)


def test_market__little_gas__reverts_instead_of_calling_the_oracle_broken(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.engine.advance(YEAR)
    receipt = lens.market.transact(vault, gas_limit=900_000, check=False)
    assert receipt.revert_reason == "not enough gas"
