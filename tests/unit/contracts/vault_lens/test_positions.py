"""`positions`: a batch in one call, at little gas for each further one."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from tests.support.market import (
    MAX_UINT256,
    OTHER_TRADER,
    TEN_PERCENT,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    deploy_market,
    position_id,
    price_of,
)

GAS_OF_A_FURTHER_POSITION = 5_000
LARGEST_BATCH = 1_000


def test_positions__several__as_the_vaults_own_views(
    market: Market, vault: Contract, lens: Contract
) -> None:
    ids = [
        market.open(WETH, 1_500 * USDC),
        market.open(3 * WETH, 150 * USDC, salt=2**96 - 1),
        market.open(WETH, owner=OTHER_TRADER),
        market.open(1, salt=7),
    ]
    market.grow_debt()
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(1_000)
    market.set_quote(price_of(1_500), price_of(1_600))
    views = lens.positions(vault, ids)
    assert len(views) == len(ids)
    for position, view in zip(ids, views, strict=True):
        seen = vault.position(position)
        assert (view.collateral, view.debt) == (seen.collateral, seen.debt)
        assert view.ltv == vault.ltv(position)
        assert view.liquidation_price == vault.liquidation_price(position)
        assert (view.health >= WAD) is vault.is_healthy(position)
        assert view.liquidatable is not vault.is_healthy(position)
    assert views[0].health == 1_600 * USDC * 86 * 10**16 // views[0].debt
    assert views[2].health == views[3].health == MAX_UINT256


def test_positions__none_open__zeros_in_the_order_of_the_ids(
    market: Market, vault: Contract, lens: Contract
) -> None:
    opened = market.open(WETH, 500 * USDC)
    before, view, after = lens.positions(vault, [0, opened, MAX_UINT256])
    assert tuple(before) == tuple(after) == (0, 0, 0, MAX_UINT256, 0, False)
    assert (view.collateral, view.debt) == (WETH, 500 * USDC)


def test_positions__no_ids__nothing(vault: Contract, lens: Contract) -> None:
    assert lens.positions(vault, []) == ()


@pytest.mark.parametrize(("above", "liquidatable"), [(0, False), (1, True)])
def test_positions__at_and_below_the_liquidation_price__exact_to_the_unit(
    market: Market, vault: Contract, lens: Contract, above: int, liquidatable: bool
) -> None:
    opened = market.open(WETH, 1_500 * USDC + 7)
    market.engine.advance(1)
    (view,) = lens.positions(vault, [opened])
    market.set_price(view.liquidation_price - above)
    (view,) = lens.positions(vault, [opened])
    assert (view.health < WAD) is view.liquidatable is liquidatable
    assert vault.is_healthy(opened) is not liquidatable


def test_positions__risk_rose_in_this_block__is_not_liquidatable_yet(
    market: Market, vault: Contract, lens: Contract
) -> None:
    opened = market.open(WETH, 1_500 * USDC)
    market.set_price(price_of(1_600))
    assert lens.positions(vault, [opened])[0].liquidatable is False
    market.engine.advance(1)
    assert lens.positions(vault, [opened])[0].liquidatable is True


def test_positions__oracle_fails__all_that_needs_no_price(engine: Engine, lens: Contract) -> None:
    oracle = engine.deploy(load("RevertingOracle"), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(10_000 * USDC)
    opened = market.open(WETH, 1_000 * USDC)
    engine.advance(1)
    oracle.set_broken(True)
    (view,) = lens.positions(market.vault, [opened])
    assert (view.collateral, view.debt) == (WETH, 1_000 * USDC)
    assert view.liquidation_price == market.vault.liquidation_price(opened)
    assert (view.ltv, view.health, view.liquidatable) == (MAX_UINT256, 0, False)


def test_positions__each_further_one__costs_at_most_5000_gas(
    market: Market, vault: Contract, lens: Contract
) -> None:
    # No byte of these ids is zero: calldata at its dearest.
    ids = [
        market.open(WETH, 1_500 * USDC, owner=owner, salt=int.from_bytes(b"\xff" * 11) << 8 | tail)
        for tail in range(1, 21)
        for owner in (TRADER, OTHER_TRADER)
    ]
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(1_000)
    for price in (price_of(2_000), price_of(1_600)):
        market.set_price(price)
        few, many = (lens.positions.transact(vault, ids[:n]).gas_used for n in (10, 40))
        assert (many - few) / 30 <= GAS_OF_A_FURTHER_POSITION


def test_positions__largest_batch__fits_a_nodes_call(
    market: Market, vault: Contract, lens: Contract
) -> None:
    market.open(WETH, 1_500 * USDC)
    ids = [position_id(TRADER, salt) for salt in range(LARGEST_BATCH)]
    receipt = lens.positions.transact(vault, ids)
    assert len(receipt.value) == LARGEST_BATCH
    assert receipt.value[1].debt == 1_500 * USDC
    assert receipt.gas_used < 16_777_216


def test_positions__one_too_many__reverts(vault: Contract, lens: Contract) -> None:
    with pytest.raises(Reverted):
        lens.positions(vault, [0] * (LARGEST_BATCH + 1))
