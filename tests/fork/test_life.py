"""The whole life of positions on a forked chain, and isolation on every transaction of it.

One life at the chain's own price, where interest at the greatest rate makes a position unhealthy in
a few days, which the feed's heartbeat here allows; and one where the price falls (`Fork.crash`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest

from ringfence.evm import Contract, Receipt, load
from tests.fork.conftest import FEE, Fork
from tests.support.factory import SEED
from tests.support.market import (
    BOOKS,
    CURATOR,
    DAY,
    DEPLOYER,
    GUARDIAN,
    KEEPER,
    LENDER,
    MAX_CAP,
    MAX_RATE,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    Params,
    position_id,
    price_of,
)
from tests.support.periphery import ALL, NO_GRANT, NO_PERMIT, Swap, sell

NO_SEQUENCER = ("0x" + "00" * 20, 0)
UNUSED = ("0x" + "00" * 20, 0, 0, 0)
PATIENCE = 11 * DAY // 2
"""At 300 % a year a debt grows by 4.6 % meanwhile: from 0.89 past 0.93."""


@dataclass(frozen=True, slots=True)
class Life:
    """A market on the fork with its router and liquidator."""

    fork: Fork
    market: Market
    router: Contract
    liquidator: Contract
    factory: Contract

    def swap(self, dollars: int) -> Swap:
        return sell(self.fork.path(self.fork.usdc), dollars * USDC)

    @property
    def soon(self) -> int:
        return self.fork.engine.timestamp + 600

    def open(self, salt: int, ether: int, dollars: int) -> Receipt:
        receipt: Receipt = self.router.open(
            self.market.vault,
            salt,
            self.fork.weth,
            ether,
            self.swap(dollars),
            self.soon,
            NO_PERMIT,
            NO_GRANT,
            sender=TRADER,
        )
        self.market.opened.append(position_id(TRADER, salt))
        return receipt

    def close(self, salt: int) -> Receipt:
        path = self.fork.path(self.fork.weth)
        receipt: Receipt = self.router.close(
            self.market.vault, salt, path, True, 0, self.soon, False, NO_GRANT, sender=TRADER
        )
        return receipt

    def another_vault(self) -> Contract:
        """A vault with the same tokens, oracle and rate model, and a position in it."""
        vault = create_vault(self.fork, self.factory, self.market.params, salt=1)
        self.fork.weth.approve(vault, MAX_UINT256, sender=OTHER_TRADER)
        vault.adjust(position_id(OTHER_TRADER), WETH, 0, OTHER_TRADER, b"", sender=OTHER_TRADER)
        return vault


def create_vault(fork: Fork, factory: Contract, params: Params, salt: int = 0) -> Contract:
    """Have the factory deploy a vault; the deployer seeds it."""
    labels = CURATOR, GUARDIAN, "Ringfence", "rfUSDC"
    address = factory.create_vault(
        params, MAX_CAP, MAX_CAP, *labels, SEED, SEED, salt.to_bytes(32, "big")
    ).value
    return fork.engine.at(address, load("MarginVault"))


@pytest.fixture
def life(fork: Fork) -> Life:
    """A high-leverage market over the real feeds; a lender with dollars bought in the pool."""
    engine = fork.engine
    for account, ether in ((DEPLOYER, 10), (LENDER, 100), (TRADER, 60), (OTHER_TRADER, 10)):
        engine.set_balance(account, engine.balance(account) + ether * WETH)
        fork.weth.deposit(value=ether * WETH, sender=account)
    fork.uniswap.sell(LENDER, fork.path(fork.weth), 60 * WETH)
    fork.uniswap.sell(DEPLOYER, fork.path(fork.weth), WETH)
    oracle = engine.deploy(
        load("ChainlinkOracle"),
        fork.weth,
        fork.usdc,
        (fork.eth_usd.address, WEEK, 10**8, 10**14),
        UNUSED,
        (fork.usdc_usd.address, WEEK, 9 * 10**7, 11 * 10**7),
        UNUSED,
        NO_SEQUENCER,
        price_of(fork.eth_usd.latestRoundData()[1]) // 10**8,
        WAD // 10,
    )
    rate_model = engine.deploy(load("KinkedRate"), MAX_RATE, WAD // 2, 0, 0)
    factory = engine.deploy(load("VaultFactory"), engine.deploy_blueprint(load("MarginVault")))
    params = Params(
        fork.weth.address,
        fork.usdc.address,
        oracle.address,
        rate_model.address,
        initial_ltv=90 * WAD // 100,
        target_ltv=915 * WAD // 1_000,
        liquidation_ltv=93 * WAD // 100,
        base_bonus=2 * WAD // 100,
        beta_max=104 * WAD // 100,
        min_debt=100 * USDC,
    )
    for token in (fork.weth, fork.usdc):
        token.approve(factory, MAX_UINT256, sender=DEPLOYER)
    vault = create_vault(fork, factory, params)
    market = Market(engine, vault, fork.weth, fork.usdc, oracle, rate_model, params)
    router = engine.deploy(load("LeverageRouter"), factory, fork.uniswap.factory, fork.weth)
    liquidator = engine.deploy(load("Liquidator"), factory, fork.uniswap.factory)
    fork.usdc.approve(vault, MAX_UINT256, sender=LENDER)
    vault.deposit(fork.usdc.balanceOf(LENDER), LENDER, sender=LENDER)
    fork.weth.approve(router, MAX_UINT256, sender=TRADER)
    fork.weth.approve(vault, MAX_UINT256, sender=OTHER_TRADER)
    vault.set_operator(router, ALL, 0, sender=TRADER)
    return Life(fork, market, router, liquidator, factory)


def dollars_for(life: Life, ether: int, ltv: int) -> int:
    """What to borrow, in whole dollars, for an LTV (percent) on this margin at pool and feed."""
    price = life.fork.eth_usd.latestRoundData()[1] * USDC // 10**8
    sample = 10_000 * USDC
    bought = life.fork.uniswap.quote_sale(life.fork.path(life.fork.usdc), sample)
    value_bought = bought * price // WETH
    debt = ltv * ether * price // WETH * sample // (100 * sample - ltv * value_bought)
    return int(debt // USDC)


def test_life__one_of_three_liquidated_after_days__others_untouched(life: Life) -> None:
    vault, market = life.market.vault, life.market
    reckless, saved, calm = (position_id(TRADER, salt) for salt in (1, 2, 3))
    opened = [
        life.open(1, 2 * WETH, dollars_for(life, 2 * WETH, 89)),
        life.open(2, 2 * WETH, dollars_for(life, 2 * WETH, 89)),
        life.open(3, 2 * WETH, dollars_for(life, 2 * WETH, 50)),
    ]
    for receipt, position in zip(opened, (reckless, saved, calm), strict=True):
        assert market.written(receipt) == {position, BOOKS}, "ISO-1: opening wrote elsewhere"

    market.engine.advance(PATIENCE)
    topped = vault.top_up(saved, WETH, sender=OTHER_TRADER)
    assert market.written(topped) == {saved}, "ISO-1: a top-up wrote elsewhere"
    assert not vault.is_healthy(reckless), "LIQ-3: days at 300 % a year cross the bound"
    assert vault.is_healthy(saved)
    assert vault.is_healthy(calm)
    kept = market.slot(saved), market.slot(calm)

    before = life.fork.usdc.balanceOf(KEEPER)
    receipt = life.liquidator.liquidate(
        vault, (reckless, MAX_UINT256, 1), life.fork.path(life.fork.weth), KEEPER, sender=KEEPER
    )
    assert market.written(receipt) == {reckless, BOOKS}, "ISO-1: a liquidation wrote elsewhere"
    assert (market.slot(saved), market.slot(calm)) == kept, "ISO-1: another position changed"
    assert life.fork.usdc.balanceOf(KEEPER) - before == receipt.value.profit > 0
    assert vault.is_healthy(reckless) or market.slot(reckless).scaled_debt == 0

    for salt, position in ((2, saved), (3, calm)):
        closed = life.close(salt)
        assert market.written(closed) == {position, BOOKS}, "ISO-1: closing wrote elsewhere"
        assert vault.slot(position) == 0
    for token in (life.fork.weth, life.fork.usdc):
        for holder in (life.router, life.liquidator):
            assert token.balanceOf(holder) == 0, "ISO-2: the periphery holds something"


def test_life__after_everything__lender_leaves_with_interest(life: Life) -> None:
    vault = life.market.vault
    paid_in = life.market.books().cash
    life.open(1, 2 * WETH, dollars_for(life, 2 * WETH, 60))
    life.market.engine.advance(DAY)
    life.close(1)
    shares = vault.balanceOf(LENDER)
    assets = vault.redeem(shares, LENDER, LENDER, sender=LENDER).value
    assert assets > shares, "LIVE-6: interest is paid out"
    books = life.market.books()
    assert books.total_shares == 0
    assert books.total_scaled_debt == 0
    assert life.fork.usdc.balanceOf(vault) == books.cash > 0, "BOOK-1: cash is what the vault holds"
    assert assets + books.cash > paid_in


def test_life__price_falls__one_is_liquidated_and_every_other_word_stands(life: Life) -> None:
    vault, market, fork = life.market.vault, life.market, life.fork
    levered, calm = (position_id(TRADER, salt) for salt in (1, 2))
    life.open(1, 2 * WETH, dollars_for(life, 2 * WETH, 88))
    life.open(2, 2 * WETH, dollars_for(life, 2 * WETH, 40))
    elsewhere = life.another_vault()
    calm_word = vault.slot(calm)

    def touched(receipt: Receipt, *expected: object) -> None:
        assert market.written(receipt) == set(expected), "ISO-1: a call wrote elsewhere"
        assert vault.slot(calm) == calm_word, "ISO-1: another position changed"
        assert elsewhere.address not in receipt.state_diff, "ISO-6: another vault changed"

    wallets = {token: token.balanceOf(TRADER) for token in (fork.weth, fork.usdc)}
    touched(vault.top_up(levered, WETH // 100, sender=OTHER_TRADER), levered)
    debt = market.slot(levered).scaled_debt
    part = sell(fork.path(fork.weth), WETH // 2)
    touched(
        life.router.decrease(vault, 1, 0, part, life.soon, False, NO_GRANT, sender=TRADER),
        levered,
        BOOKS,
    )
    assert market.slot(levered).scaled_debt < debt
    assert vault.is_healthy(levered)

    bound = Fraction(vault.liquidation_price(levered), price_of(1))
    fork.engine.set_balance(STRANGER, 10**6 * WETH)
    fork.weth.deposit(value=500_000 * WETH, sender=STRANGER)
    fork.engine.advance(60)
    fork.crash(STRANGER, bound * Fraction(99, 100))
    assert vault.is_healthy(calm)
    assert not vault.is_healthy(levered), "LIQ-3: a fall past the bound leaves it healthy"

    put_in = market.slot(levered).collateral
    receipt = life.liquidator.liquidate(
        vault, (levered, MAX_UINT256, 1), fork.path(fork.weth), KEEPER, sender=KEEPER
    )
    touched(receipt, levered, BOOKS)
    left = market.slot(levered).collateral
    assert 0 < left < put_in, "LIQ-4: the rest does not stay in the slot"
    assert receipt.value.profit > 0
    for token, before in wallets.items():
        assert token.balanceOf(TRADER) >= before, "ISO-2: a liquidation reached the wallet"

    touched(life.close(1), levered, BOOKS)
    calm_word = 0
    touched(life.close(2), calm, BOOKS)
    vault.redeem(vault.balanceOf(LENDER), LENDER, LENDER, sender=LENDER)
    books = market.books()
    assert books.total_shares == books.total_scaled_debt == 0, "BOOK-2: somebody is left"
    assert fork.usdc.balanceOf(vault) == books.cash, "BOOK-1: cash is not what the vault holds"
    assert fork.weth.balanceOf(vault) == 0, "BOOK-1: collateral was left behind"


def test_life__pool__is_the_forked_chain_s_own(fork: Fork) -> None:
    pool = fork.uniswap.factory.getPool(fork.weth, fork.usdc, FEE)
    assert fork.engine.code_at(pool), "the pool has no code on the forked chain"
    quoted = fork.uniswap.quote_sale(fork.path(fork.weth), WETH)
    answer = fork.eth_usd.latestRoundData()[1] // 100
    assert abs(quoted - answer) * 20 < answer, "pool and feed are within 5 % of each other"
