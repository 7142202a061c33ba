"""Real Uniswap v3, a factory with a long and a short market, the periphery over them: for tests.

The long market takes WETH and lends USDC, the short one the other way round; pools stand at 2,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from eth_account.signers.local import LocalAccount

from ringfence.evm import Contract, Engine, Receipt, load
from ringfence.evm.abi import Addressable
from ringfence.evm.uniswap import Pool, Uniswap, deploy_uniswap, encode_path
from tests.support.factory import deploy_factory
from tests.support.market import (
    CURATOR,
    DEPLOYER,
    GUARDIAN,
    INCREASE,
    KEEPER,
    LENDER,
    LIQUIDATOR,
    MAX_CAP,
    MAX_UINT256,
    OTHER_TRADER,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    Params,
    position_id,
    price_of,
    reverts,
    sign_operator,
    sign_permit,
)

POOL_FEE = 500
DAI = 10**18
ALL = INCREASE | REDUCE | WITHDRAW
ROLES = (TRADER, OTHER_TRADER, LENDER, LIQUIDATOR, KEEPER, STRANGER)
NO_PERMIT = (0, 0, 0, bytes(32), bytes(32))
NO_GRANT = (0, 0, 0, 0, bytes(32), bytes(32))


class Swap(NamedTuple):
    """`ILeverageRouter.Swap`."""

    path: bytes
    exact_in: bool
    amount: int
    limit: int


def sell(path: bytes, amount: int, least: int = 0) -> Swap:
    return Swap(path, True, amount, least)


def buy(path: bytes, amount: int, most: int = MAX_UINT256) -> Swap:
    return Swap(path, False, amount, most)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that stands on the chain."""

    engine: Engine
    uniswap: Uniswap
    weth: Contract
    usdc: Contract
    dai: Contract
    pools: tuple[Pool, ...]
    factory: Contract
    long: Market
    short: Market
    router: Contract
    liquidator: Contract

    @property
    def pool(self) -> Pool:
        """WETH and USDC, the cheap way; the other pools go by way of DAI."""
        return self.pools[0]

    @property
    def soon(self) -> int:
        """A deadline that has not passed."""
        return self.engine.timestamp + 600

    def fund(self, account: Addressable, *, weth: int = 0, usdc: int = 0, dai: int = 0) -> None:
        fund(self.engine, self.weth, account, weth)
        self.usdc.mint(account, usdc)
        self.dai.mint(account, dai)

    def path(self, market: Market, *, to_asset: bool = False) -> bytes:
        """The route through the one pool: from the asset to the collateral, or back."""
        return self.pool.path(market.collateral if to_asset else market.asset)

    def long_path(self, market: Market, *, to_asset: bool = False) -> bytes:
        """The route by way of DAI: two pools."""
        ends = (market.asset, market.collateral)
        token_in, token_out = ends[::-1] if to_asset else ends
        fees = (3_000, 100) if token_in.address == self.weth.address else (100, 3_000)
        return encode_path((token_in, self.dai, token_out), fees)

    def set_price(self, dollars: int | Fraction) -> None:
        """Move both oracles, and the pool with them."""
        self.set_oracles(dollars)
        self.move_pool(dollars)

    def set_oracles(self, dollars: int | Fraction) -> None:
        price = Fraction(dollars) * price_of(1)
        self.long.set_price(int(price))
        self.short.set_price(int(10**72 / price))

    def move_pool(self, dollars: int | Fraction) -> None:
        self.fund(DEPLOYER, weth=10_000 * WETH, usdc=20_000_000 * USDC)
        price = Fraction(dollars) * USDC / WETH
        self.uniswap.move_price(self.pool, self.weth, price, DEPLOYER, budget=10**30)

    def open(
        self,
        market: Market,
        margin: int,
        swap: Swap,
        *,
        salt: int = 1,
        trader: LocalAccount | Contract = TRADER,
        token: Contract | None = None,
        value: int = 0,
        **options: Any,
    ) -> Receipt:
        """Open through the router; the margin is in the collateral unless `token` is given."""
        return self._grow("open", market, margin, swap, salt, trader, token, value, options)

    def increase(
        self,
        market: Market,
        margin: int,
        swap: Swap,
        *,
        salt: int = 1,
        trader: LocalAccount | Contract = TRADER,
        token: Contract | None = None,
        value: int = 0,
        **options: Any,
    ) -> Receipt:
        return self._grow("increase", market, margin, swap, salt, trader, token, value, options)

    def _grow(
        self,
        name: str,
        market: Market,
        margin: int,
        swap: Swap,
        salt: int,
        trader: LocalAccount | Contract,
        token: Contract | None,
        value: int,
        options: dict[str, Any],
    ) -> Receipt:
        receipt: Receipt = getattr(self.router, name)(
            options.get("vault", market.vault),
            salt,
            token or market.collateral,
            margin,
            swap,
            options.get("deadline", self.soon),
            options.get("permit", NO_PERMIT),
            options.get("grant", NO_GRANT),
            sender=trader,
            value=value,
        )
        return receipt

    def open_standard(self, market: Market, *, salt: int = 1, leverage: int = 3) -> int:
        """Open a position of one ether, or 2,000 dollars, of margin; return its id."""
        margin = WETH if market is self.long else 2_000 * USDC
        in_asset = 2_000 * USDC if market is self.long else WETH
        swap = sell(self.path(market), (leverage - 1) * in_asset)
        self.open(market, margin, swap, salt=salt)
        return position_id(TRADER, salt)

    def decrease(
        self,
        market: Market,
        withdrawal: int,
        swap: Swap,
        *,
        salt: int = 1,
        native: bool = False,
        deadline: int | None = None,
        grant: Any = NO_GRANT,
        trader: LocalAccount | Contract = TRADER,
    ) -> Receipt:
        receipt: Receipt = self.router.decrease(
            market.vault,
            salt,
            withdrawal,
            swap,
            self.soon if deadline is None else deadline,
            native,
            grant,
            sender=trader,
        )
        return receipt

    def close(
        self,
        market: Market,
        *,
        exact_in: bool,
        min_paid: int = 0,
        salt: int = 1,
        native: bool = False,
        path: bytes | None = None,
        deadline: int | None = None,
        grant: Any = NO_GRANT,
        trader: LocalAccount | Contract = TRADER,
    ) -> Receipt:
        receipt: Receipt = self.router.close(
            market.vault,
            salt,
            path or self.path(market, to_asset=True),
            exact_in,
            min_paid,
            self.soon if deadline is None else deadline,
            native,
            grant,
            sender=trader,
        )
        return receipt

    def grant(
        self,
        market: Market,
        permissions: int = ALL,
        *,
        signer: LocalAccount = TRADER,
        **message: Any,
    ) -> tuple[Any, ...]:
        """Sign for the router's being an operator; the contract's `Grant`."""
        signed = sign_operator(
            market,
            signer,
            **{"operator": self.router, "permissions": permissions} | message,
        )
        return tuple(signed)[2:]

    def permit(
        self, token: Contract, amount: int, *, signer: LocalAccount = TRADER, **message: Any
    ) -> tuple[Any, ...]:
        """Sign for the router's taking a token; the contract's `Permit`."""
        named = replace(self.long, vault=token)
        signed = sign_permit(named, signer, **{"spender": self.router, "value": amount} | message)
        return tuple(signed)[2:]

    def tokens(self) -> tuple[Contract, ...]:
        return self.weth, self.usdc, self.dai

    def holdings(self) -> dict[str, int]:
        """Whatever router and liquidator hold, and whatever anybody could take from them."""
        spenders = (self.long.vault, self.short.vault, self.pool, self.uniswap.router)
        found: dict[str, int] = {}
        for holder in (self.router, self.liquidator):
            found[f"{holder.title} wei"] = self.engine.balance(holder)
            for token in self.tokens():
                found[f"{holder.title} {token.title}"] = token.balanceOf(holder)
                for spender in spenders:
                    name = f"{holder.title} {token.title} to {spender.address}"
                    found[name] = token.allowance(holder.address, spender.address)
        return {name: amount for name, amount in found.items() if amount}

    def wealth(self, account: Addressable) -> tuple[int, int, int]:
        """An account's wei, WETH and USDC."""
        return (
            self.engine.balance(account),
            self.weth.balanceOf(account),
            self.usdc.balanceOf(account),
        )


def add_market(stage: Stage, collateral: Contract, asset: Contract, **changes: int) -> Market:
    """One more market, at par, from the stage's factory; both tokens can be minted."""
    for token in (collateral, asset):
        token.mint(DEPLOYER, 10**6)
    price = price_of(1, collateral.decimals(), asset.decimals())
    return _make_market(stage.engine, stage.factory, (collateral, asset), price, 10**4, **changes)


def add_long_market(stage: Stage, oracle: Contract) -> Market:
    """Another long market, priced otherwise, with a lender in it."""
    ends = stage.weth, stage.usdc
    fund(stage.engine, stage.weth, DEPLOYER, WETH)
    market = _make_market(stage.engine, stage.factory, ends, 0, 100 * USDC, oracle)
    stage.usdc.mint(LENDER, 3_000_000 * USDC)
    stage.usdc.approve(market.vault, MAX_UINT256, sender=LENDER)
    market.vault.deposit(3_000_000 * USDC, LENDER, sender=LENDER)
    return market


@contextmanager
def changes_nothing(stage: Stage, *accounts: Addressable) -> Iterator[None]:
    """Expect that no wallet and no position of these accounts changes inside."""

    def picture() -> list[Any]:
        markets = (stage.long, stage.short)
        return [
            (stage.wealth(account), [market.slot(position_id(account)) for market in markets])
            for account in (TRADER, *accounts)
        ]

    before = picture()
    yield
    assert picture() == before


def fund(engine: Engine, weth: Contract, account: Addressable, amount: int) -> None:
    """Give an account WETH; the ether comes from nowhere."""
    if amount:
        engine.set_balance(account, engine.balance(account) + amount)
        weth.deposit(value=amount, sender=account)


def _make_market(
    engine: Engine,
    factory: Contract,
    tokens: tuple[Contract, Contract],
    price: int,
    min_debt: int,
    oracle: Contract | None = None,
    **changes: int,
) -> Market:
    collateral, asset = tokens
    oracle = oracle or engine.deploy(load("SettableOracle"), price, price)
    rate_model = engine.deploy(load("SettableRate"), 0)
    params = Params(collateral.address, asset.address, oracle.address, rate_model.address)._replace(
        target_ltv=83 * 10**16, min_debt=min_debt, **changes
    )
    for token in tokens:
        token.approve(factory, MAX_UINT256)
    name = "Ringfence " + asset.symbol()
    address = factory.create_vault(
        params,
        MAX_CAP,
        MAX_CAP,
        CURATOR,
        GUARDIAN,
        name,
        "rf" + asset.symbol(),
        10**4,
        10**4,
        bytes(32),
    ).value
    vault = engine.at(address, load("MarginVault"))
    return Market(engine, vault, collateral, asset, oracle, rate_model, params)


def build_stage(engine: Engine) -> Stage:
    """Deploy it all: pools of 5,000 WETH, two markets with a lender in each."""
    uniswap = deploy_uniswap(engine)
    weth = uniswap.weth
    usdc = engine.deploy(load("PermitToken"), "USD Coin", "USDC", 6)
    dai = engine.deploy(load("TestToken"), "Dai", "DAI", 18)
    usdc.mint(DEPLOYER, 10**18)
    dai.mint(DEPLOYER, 10**30)
    fund(engine, weth, DEPLOYER, 50_000 * WETH)
    pools = [
        uniswap.create_pool(one, two, fee=fee, amounts=amounts)
        for one, two, fee, amounts in (
            (weth, usdc, POOL_FEE, (WETH, 2_000 * USDC)),
            (weth, dai, 3_000, (WETH, 2_000 * DAI)),
            (usdc, dai, 100, (USDC, DAI)),
        )
    ]
    plenty = {
        weth.address: 5_000 * WETH,
        usdc.address: 10_000_000 * USDC,
        dai.address: 10_000_000 * DAI,
    }
    for pool in pools:
        uniswap.fund_pool(pool, plenty, DEPLOYER)

    factory = deploy_factory(engine)
    long = _make_market(engine, factory, (weth, usdc), price_of(2_000), 100 * USDC)
    short = _make_market(engine, factory, (usdc, weth), 10**72 // price_of(2_000), WETH // 20)
    usdc.mint(LENDER, 3_000_000 * USDC)
    fund(engine, weth, LENDER, 1_500 * WETH)
    for market, amount in ((long, 3_000_000 * USDC), (short, 1_500 * WETH)):
        market.asset.approve(market.vault, MAX_UINT256, sender=LENDER)
        market.vault.deposit(amount, LENDER, sender=LENDER)

    router = engine.deploy(load("LeverageRouter"), factory, uniswap.factory, weth)
    liquidator = engine.deploy(load("Liquidator"), factory, uniswap.factory)
    for account in (TRADER, OTHER_TRADER):
        fund(engine, weth, account, 100 * WETH)
        usdc.mint(account, 200_000 * USDC)
    for token in (weth, usdc):
        token.approve(router, MAX_UINT256, sender=TRADER)
    for market in (long, short):
        market.vault.set_operator(router, ALL, 0, sender=TRADER)
    return Stage(
        engine, uniswap, weth, usdc, dai, tuple(pools), factory, long, short, router, liquidator
    )


@pytest.fixture(scope="session")
def standing_stage(chain: Engine) -> Stage:
    """The stage, deployed once a session."""
    return build_stage(chain)


@pytest.fixture
def stage(standing_stage: Stage, engine: Engine) -> Iterator[Stage]:
    """The stage for one test; router and liquidator must hold nothing when the test ends."""
    assert engine is standing_stage.engine
    yield standing_stage
    assert standing_stage.holdings() == {}, "ISO-2: something was left behind"


@pytest.fixture(params=["long", "short"])
def market(request: pytest.FixtureRequest, stage: Stage) -> Market:
    """The long market, and the short one."""
    return stage.long if request.param == "long" else stage.short


__all__ = ["market", "reverts", "stage", "standing_stage"]
