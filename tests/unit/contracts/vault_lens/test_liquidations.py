"""`preview_liquidations` and `pending_loss`: what liquidations would move, before they do."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    div_up,
    price_of,
)

NOTHING = (0, 0, 0, 0, 0)


@pytest.fixture
def risky_market(market: Market) -> Market:
    """Four positions of one WETH: 1,600, 1,300, 1,000 and no debt."""
    for salt, debt in enumerate((1_600, 1_300, 1_000, 0)):
        market.open(WETH, debt * USDC, salt=salt)
    market.engine.advance(1)
    return market


def liquidate(market: Market, position: int) -> dict[str, int]:
    market.give(market.asset, LIQUIDATOR, 10_000 * USDC)
    receipt = market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    (event,) = receipt.events(market.vault, "Liquidated")
    return dict(event.args)


@pytest.mark.parametrize("price", [2_000, 1_800, 1_400, 1_000])
def test_preview_liquidations__any_price__as_the_vault_previews_and_does(
    risky_market: Market, vault: Contract, lens: Contract, price: int
) -> None:
    risky_market.set_price(price_of(price))
    ids = risky_market.opened
    previews = lens.preview_liquidations(vault, ids)
    for position, preview in zip(ids, previews, strict=True):
        assert preview == vault.preview_liquidation(position, MAX_UINT256)
        if not vault.is_healthy(position):
            mark = risky_market.engine.snapshot()
            done = liquidate(risky_market, position)
            names = ("seized", "repaid", "cut", "loss")
            assert [getattr(preview, name) for name in names] == [done[name] for name in names]
            risky_market.engine.restore(mark)
        else:
            assert tuple(preview) == NOTHING


def test_preview_liquidations__more_than_one_weth__healthy_is_nothing(
    market: Market, vault: Contract, lens: Contract
) -> None:
    # One WETH is 1e18 units, as much as an index of one: three tell them apart.
    opened = market.open(3 * WETH, 3_000 * USDC)
    market.engine.advance(1)
    assert vault.is_healthy(opened)
    assert tuple(lens.preview_liquidations(vault, [opened])[0]) == NOTHING


def test_preview_liquidations__risk_rose_in_this_block__nothing(
    market: Market, vault: Contract, lens: Contract
) -> None:
    opened = market.open(WETH, 1_600 * USDC)
    market.set_price(price_of(1_000))
    assert tuple(lens.preview_liquidations(vault, [opened])[0]) == NOTHING


def test_preview_liquidations__oracle_fails__nothing(engine: Engine, lens: Contract) -> None:
    oracle = engine.deploy(load("RevertingOracle"), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(10_000 * USDC)
    opened = market.open(WETH, 1_600 * USDC)
    engine.advance(1)
    oracle.set_broken(True)
    assert tuple(lens.preview_liquidations(market.vault, [opened])[0]) == NOTHING
    assert tuple(lens.pending_loss(market.vault, [opened])) == (0, 0, 0, 0, 0, 0)


def test_pending_loss__all_solvent__none(
    risky_market: Market, vault: Contract, lens: Contract
) -> None:
    risky_market.set_price(price_of(1_800))
    assert tuple(lens.pending_loss(vault, risky_market.opened)) == (price_of(1_800), 0, 0, 0, 0, 0)


def test_pending_loss__no_reserve__lenders_lose_what_the_liquidations_then_write_off(
    risky_market: Market, vault: Contract, lens: Contract
) -> None:
    risky_market.set_price(price_of(1_000))
    pending = lens.pending_loss(vault, risky_market.opened)
    claims = vault.totalAssets()
    assert pending.insolvent == 3
    done = [liquidate(risky_market, position) for position in risky_market.opened[:3]]
    assert pending.loss == sum(event["loss"] for event in done)
    assert pending.cut == sum(event["cut"] for event in done)
    assert pending.from_reserve == pending.cut
    assert pending.from_lenders == pending.loss - pending.cut
    # The index rounds down once a write-off, by less than a unit of the million each.
    lost = claims - vault.totalAssets()
    assert pending.from_lenders <= lost <= pending.from_lenders + 3, "BOOK-4: lenders lose the rest"


def test_pending_loss__reserve__takes_what_it_can_first(
    risky_market: Market, vault: Contract, lens: Contract
) -> None:
    risky_market.give(risky_market.asset, STRANGER, 100 * USDC)
    vault.fund_reserve(100 * USDC, sender=STRANGER)
    risky_market.set_price(price_of(1_000))
    pending = lens.pending_loss(vault, risky_market.opened)
    assert pending.from_reserve == 100 * USDC + pending.cut
    assert pending.from_reserve + pending.from_lenders == pending.loss
    one = lens.pending_loss(vault, [risky_market.opened[2]])
    assert (one.insolvent, one.from_lenders) == (1, 0)
    assert one.loss == 1_000 * USDC - div_up(1_000 * USDC * 10_000, 10_778)
    assert one.from_reserve == one.loss


def test_pending_loss__risk_rose_in_this_block__counts_all_the_same(
    market: Market, vault: Contract, lens: Contract
) -> None:
    opened = market.open(WETH, 1_600 * USDC, owner=TRADER)
    market.set_price(price_of(1_000))
    assert lens.pending_loss(vault, [opened]).insolvent == 1
