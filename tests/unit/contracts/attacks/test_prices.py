"""The price taken at its wrong end, at nothing, or wider than 256 bits can hold."""

from __future__ import annotations

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LIQUIDATOR,
    MAX_UINT256,
    OPERATOR,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

LOSS_AT_LOW = (
    Break("MarginVault.vy", "            errors._check_price(high)\n"),
    Break(
        "MarginVault.vy",
        "health._value_down(removed, high), 1)",
        "health._value_down(removed, low), 1)",
    ),
)


def reduce_for_a_fee(market: Market, low: int, paid: int, taken: int) -> int:
    """An operator bounded to 1 % repays and takes collateral; return its gain at `high`."""
    market.deposit(CASH)
    position = market.open(10 * WETH, 1_600 * USDC)
    market.vault.set_operator(OPERATOR, REDUCE, 100, sender=TRADER)
    market.give(market.asset, OPERATOR, CASH)
    market.set_quote(low, price_of(2_000))
    market.vault.adjust(position, -taken, -paid, OPERATOR, b"", sender=OPERATOR)
    return market.collateral.balanceOf(OPERATOR) * 2_000 * USDC // WETH - paid


@attack(
    "operator's loss bound at the wrong price",
    guard="what an operator takes is valued at `high` (_adjust)",
    breaks=LOSS_AT_LOW,
    without="bounded to 1 %, the operator takes 1,346 USDC of collateral for 1,000",
    here='reverts with "operator loss bound exceeded"',
)
def test_adjust__operator_where_low_is_low__is_bound_at_high(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    act = price_of(1_500), 1_000 * USDC, WETH * 1_009 // 1_500
    works = reduce_for_a_fee(deploy_market(engine, artifact=broken), *act)
    assert 345 * USDC <= works <= 346 * USDC
    market = deploy_market(engine, artifact=real)
    with reverts("operator loss bound exceeded"):
        reduce_for_a_fee(market, *act)
    assert market.collateral.balanceOf(OPERATOR) == 0, "AUTH-1: the loss bound was passed"


@attack(
    "operator's loss bound at the wrong price",
    guard="what an operator takes is valued at `high`, which must be usable (_adjust)",
    breaks=LOSS_AT_LOW,
    without="with `low` unusable, 9.5 WETH are valued at nothing and taken for 1,600 USDC",
    here='reverts with "operator loss bound exceeded"',
)
def test_adjust__operator_where_low_is_unusable__is_bound_at_high(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    act = 0, 1_600 * USDC, WETH * 95 // 10
    works = reduce_for_a_fee(deploy_market(engine, artifact=broken), *act)
    assert works == 17_400 * USDC
    market = deploy_market(engine, artifact=real)
    with reverts("operator loss bound exceeded"):
        reduce_for_a_fee(market, *act)
    assert market.collateral.balanceOf(OPERATOR) == 0, "AUTH-1: the loss bound was passed"


def seize_for_nothing(market: Market) -> int:
    """The oracle answers 0: liquidate a sound position; return the collateral it gave."""
    market.deposit(CASH)
    position = market.open(10 * WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.set_quote(0, 0)
    market.vault.liquidate(position, MAX_UINT256, 0, STRANGER, b"", sender=STRANGER)
    seized: int = market.collateral.balanceOf(STRANGER)
    return seized


@attack(
    "price 0",
    guard="a price of zero is no price (market._high)",
    breaks=(
        Break(
            "modules/market.vy",
            "    errors._check_price(high)\n    return high",
            "    return high",
        ),
    ),
    without="10 WETH against 1,600 USDC are seized for nothing",
    here='reverts with "price is unusable"',
)
def test_liquidate__at_a_price_of_zero__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert seize_for_nothing(deploy_market(engine, artifact=broken)) == 10 * WETH
    market = deploy_market(engine, artifact=real)
    with reverts("price is unusable"):
        seize_for_nothing(market)
    assert market.collateral.balanceOf(STRANGER) == 0, "LIVE-1: a price of zero was taken"


def wrap_the_value(market: Market) -> int:
    """Top a sound position up until collateral * price leaves 256 bits, then liquidate it."""
    market.deposit(CASH)
    position = market.open(2**40, 1_600 * USDC)
    market.engine.advance(1)
    # Where the product is 2**256 and a few units.
    market.give(market.collateral, STRANGER, 2**70)
    market.vault.top_up(position, 2**70 - 2**40, sender=STRANGER)
    market.give(market.asset, LIQUIDATOR, CASH)
    market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    seized: int = market.collateral.balanceOf(LIQUIDATOR)
    return seized


@attack(
    "over-wide amounts",
    guard="a value that 256 bits cannot hold counts as the largest (health._value_down)",
    breaks=(
        Break(
            "modules/health.vy",
            "    if price > unsafe_div(max_value(uint256), collateral):\n"
            "        return max_value(uint256) // fixed_point.PRICE_SCALE\n",
        ),
    ),
    without="a stranger's top-up makes a position worth nothing, and its collateral is seized",
    here='reverts with "position is healthy"',
)
def test_liquidate__topped_up_until_its_value_wraps__is_healthy(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert wrap_the_value(deploy_market(engine, artifact=broken, price=2**186)) == 2**70
    market = deploy_market(engine, artifact=real, price=2**186)
    with reverts("position is healthy"):
        wrap_the_value(market)
    assert market.collateral.balanceOf(LIQUIDATOR) == 0, "LIQ-3: a healthy position was liquidated"


def wrap_the_slot(market: Market) -> int:
    """Top up by what carries out of the slot's 112 bits; return the collateral that is left."""
    position = market.open(10 * WETH)
    market.give(market.collateral, STRANGER, 2**112)
    market.vault.top_up(position, 2**112 - 9 * WETH, sender=STRANGER)
    return market.slot(position).collateral


@attack(
    "over-wide amounts",
    guard="a field that would leave its bits is refused (position_slot._add_collateral)",
    breaks=(
        Break(
            "modules/position_slot.vy",
            "    if amount > unsafe_sub(_MAX_COLLATERAL, collateral):\n"
            "        errors._raise(errors.POSITION_EXCEEDS_ITS_WIDTH)\n",
        ),
    ),
    without="a stranger's top-up leaves 1 of 10 WETH in the victim's slot",
    here='reverts with "position exceeds its width"',
)
def test_top_up__past_the_width_of_the_slot__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert wrap_the_slot(deploy_market(engine, artifact=broken)) == WETH
    market = deploy_market(engine, artifact=real)
    with reverts("position exceeds its width"):
        wrap_the_slot(market)
    assert market.slot(market.opened[0]).collateral == 10 * WETH, "ISO-4: collateral fell"
