"""Uniswap v3 from the packages' bytecode: pools stand at the price asked for and trade."""

from fractions import Fraction

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from ringfence.evm.uniswap import Pool, Uniswap, deploy_uniswap, encode_path, reverse_path
from ringfence.math.uniswap import tick_at_sqrt_price

WETH = 10**18
USDC = 10**6
FEES = (100, 500, 3_000, 10_000)


@pytest.fixture
def uniswap(engine: Engine) -> Uniswap:
    return deploy_uniswap(engine)


@pytest.fixture
def usdc(engine: Engine) -> Contract:
    return engine.deploy(load("TestToken"), "USD Coin", "USDC", 6)


@pytest.fixture
def pool(engine: Engine, uniswap: Uniswap, usdc: Contract) -> Pool:
    pool = uniswap.create_pool(uniswap.weth, usdc, fee=500, amounts=(WETH, 2_000 * USDC))
    provider = engine.accounts[1]
    uniswap.weth.deposit(value=1_000 * WETH, sender=provider)
    usdc.mint(provider, 2_000_000 * USDC)
    amounts = {uniswap.weth.address: 1_000 * WETH, usdc.address: 2_000_000 * USDC}
    token_id = uniswap.fund_pool(pool, amounts, provider)
    assert uniswap.positions.ownerOf(token_id) == provider.address
    return pool


@pytest.mark.parametrize("fee", FEES)
@pytest.mark.parametrize("weth_first", [True, False])
def test_create_pool__either_order__price_and_tick_are_the_mirrors(
    uniswap: Uniswap, usdc: Contract, fee: int, weth_first: bool
) -> None:
    sides = [(uniswap.weth, WETH), (usdc, 2_000 * USDC)]
    (token_a, amount_a), (token_b, amount_b) = sides if weth_first else sides[::-1]
    pool = uniswap.create_pool(token_a, token_b, fee=fee, amounts=(amount_a, amount_b))
    assert pool.tick == tick_at_sqrt_price(pool.sqrt_price)
    assert abs(pool.price_of(uniswap.weth) * WETH / (2_000 * USDC) - 1) < Fraction(1, 10**12)
    assert pool.price_of(usdc) == 1 / pool.price_of(uniswap.weth)


def test_create_pool__twice_or_unknown_fee__refused(
    uniswap: Uniswap, usdc: Contract, pool: Pool
) -> None:
    with pytest.raises(Reverted):
        uniswap.create_pool(uniswap.weth, usdc, fee=500, amounts=(1, 1))
    with pytest.raises(ValueError, match="fee 42 is not enabled"):
        uniswap.create_pool(uniswap.weth, usdc, fee=42, amounts=(1, 1))


@pytest.mark.parametrize("width", [Fraction(11, 10), Fraction(2**256)])
def test_fund_pool__range__takes_both_tokens_and_leaves_no_allowance(
    engine: Engine, uniswap: Uniswap, usdc: Contract, width: Fraction
) -> None:
    pool = uniswap.create_pool(uniswap.weth, usdc, fee=3_000, amounts=(WETH, 2_000 * USDC))
    provider = engine.accounts[2]
    uniswap.weth.deposit(value=WETH, sender=provider)
    usdc.mint(provider, 2_000 * USDC)
    amounts = {uniswap.weth.address: WETH, usdc.address: 2_000 * USDC}
    token_id = uniswap.fund_pool(pool, amounts, provider, width=width)
    assert uniswap.weth.balanceOf(pool) > WETH * 9 // 10
    assert usdc.balanceOf(pool) > 1_800 * USDC
    for token in (uniswap.weth, usdc):
        assert token.allowance(provider.address, uniswap.positions) == 0
    uniswap.withdraw(token_id, provider)
    assert uniswap.weth.balanceOf(pool) <= 1
    assert usdc.balanceOf(pool) <= 1


def test_sell__quoted__gives_the_quote(
    engine: Engine, uniswap: Uniswap, usdc: Contract, pool: Pool
) -> None:
    trader = engine.accounts[3]
    usdc.mint(trader, 20_000 * USDC)
    path = pool.path(usdc)
    quoted = uniswap.quote_sale(path, 20_000 * USDC)
    assert uniswap.sell(trader, path, 20_000 * USDC).value == quoted
    assert uniswap.weth.balanceOf(trader) == quoted
    assert 98 * WETH // 10 < quoted < 10 * WETH


def test_quote_purchase__either_way__covers_the_sale(
    uniswap: Uniswap, usdc: Contract, pool: Pool
) -> None:
    path = pool.path(usdc)
    cost = uniswap.quote_purchase(path, 5 * WETH)
    assert uniswap.quote_sale(path, cost) >= 5 * WETH
    assert uniswap.quote_sale(path, cost - 1) < 5 * WETH


@pytest.mark.parametrize("dollars", [1_500, 2_500])
def test_move_price__up_or_down__pool_stands_at_the_price(
    engine: Engine, uniswap: Uniswap, usdc: Contract, pool: Pool, dollars: int
) -> None:
    trader = engine.accounts[4]
    usdc.mint(trader, 10**13)
    uniswap.weth.deposit(value=1_000 * WETH, sender=trader)
    price = Fraction(dollars * USDC, WETH)
    uniswap.move_price(pool, uniswap.weth, price, trader, budget=10**21)
    assert abs(pool.price_of(uniswap.weth) / price - 1) < Fraction(1, 10**12)
    root = pool.sqrt_price
    assert uniswap.move_price(pool, uniswap.weth, price, trader, budget=10**21) is None
    assert pool.sqrt_price == root
    for token in (uniswap.weth, usdc):
        assert token.allowance(trader.address, uniswap.router) == 0


def test_encode_path__tokens_and_fees__both_ways() -> None:
    one, two, three = (bytes([n]) * 20 for n in (1, 2, 3))
    path = encode_path((one, two, three), (500, 3_000))
    assert path == one + b"\x00\x01\xf4" + two + b"\x00\x0b\xb8" + three
    assert reverse_path(path) == encode_path((three, two, one), (3_000, 500))


@pytest.mark.parametrize("fees", [(), (500, 500)])
def test_encode_path__fees_do_not_match__value_error(fees: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a route of 2 tokens needs 1 fees"):
        encode_path((b"\x01" * 20, b"\x02" * 20), fees)
