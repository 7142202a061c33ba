"""Everything that stands on the local chain when a scenario begins.

The protocol comes from the market files through `ringfence.deploy`, as on a public chain; Uniswap
v3, WETH9 and the feeds are the published bytecode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from eth_utils.crypto import keccak

from ringfence.deploy import (
    EngineDeployer,
    Market,
    Record,
    RecordStore,
    Roles,
    deploy,
    load_market,
    local_chain,
    make_plan,
    source_commit,
)
from ringfence.deploy.local import TOKENS, UNISWAP_KEY, feed_key, token_key
from ringfence.deploy.steps import FACTORY
from ringfence.deploy.units import to_units
from ringfence.errors import RingfenceError
from ringfence.evm import Contract, Engine, load, load_npm
from ringfence.evm.abi import checksum
from ringfence.evm.artifacts import ROOT
from ringfence.evm.uniswap import Pool, Uniswap, deploy_uniswap
from ringfence.sim.result import Side
from ringfence.sim.scenario import Scenario

NEVER = 2**256 - 1
ALL_PERMISSIONS = 7
NO_PERMIT = (0, 0, 0, bytes(32), bytes(32))
NO_GRANT = (0, 0, 0, 0, bytes(32), bytes(32))
_MOCK = "@chainlink/contracts/abi/v0.7/MockV3Aggregator.json"
_WETH9 = "canonical-weth/build/contracts/WETH9.json"
_CORE = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"


class SimError(RingfenceError):
    """A scenario cannot be staged or played."""


class Swap(NamedTuple):
    """`ILeverageRouter.Swap`; amounts in token units."""

    path: bytes
    exact_in: bool
    amount: int
    limit: int


@dataclass(frozen=True, slots=True)
class Venue:
    """One vault with its market file."""

    market: Market
    vault: Contract
    oracle: Contract
    collateral: Contract
    asset: Contract
    side: Side

    @property
    def id(self) -> str:
        """The market file's id."""
        return self.market.id


@lru_cache(maxsize=4_096)
def account_of(name: str) -> str:
    """Return the address of an account of the scenario."""
    return checksum(keccak(text=f"ringfence scenario account {name}")[12:])


@dataclass(frozen=True, slots=True)
class Stage:
    """The chain, and the contracts on it."""

    engine: Engine
    record: Record
    weth: Contract
    usdc: Contract
    ether_feed: Contract
    dollar_feed: Contract
    uniswap: Uniswap
    pool: Pool
    factory: Contract
    router: Contract
    liquidator: Contract
    lens: Contract
    venues: dict[str, Venue]

    def decimals(self, token: Contract) -> int:
        """Return a token's decimal places."""
        return TOKENS["WETH" if token.address == self.weth.address else "USDC"].decimals

    def fund(self, account: str, token: Contract, amount: int) -> None:
        """Give an account tokens; the ether behind WETH comes from nowhere."""
        if token.address == self.weth.address:
            self.engine.set_balance(account, self.engine.balance(account) + amount)
            token.deposit(value=amount, sender=account)
        else:
            token.mint(account, amount, sender=account)

    def lend(self, venue: Venue, account: str, amount: Decimal) -> None:
        """Have an account lend whole assets."""
        units = to_units(amount, self.decimals(venue.asset))
        self.fund(account, venue.asset, units)
        venue.asset.approve(venue.vault, units, sender=account)
        venue.vault.deposit(units, account, sender=account)

    def gift(self, venue: Venue, account: str, amount: Decimal) -> None:
        """Have an account give whole assets to a vault's reserve."""
        units = to_units(amount, self.decimals(venue.asset))
        if units:
            self.fund(account, venue.asset, units)
            venue.asset.approve(venue.vault, units, sender=account)
            venue.vault.fund_reserve(units, sender=account)

    def equip(self, account: str, most_loss: int) -> None:
        """Give a keeper twice what it may lose, wei, in either token, for the liquidator to take.

        Priced by the feed.
        """
        for token in (self.weth, self.usdc):
            per_ether = self.feed_price() / 10**12 if token is self.usdc else Fraction(1)
            self.fund(account, token, int(2 * most_loss * per_ether))
            token.approve(self.liquidator, NEVER, sender=account)

    def feed_price(self) -> Fraction:
        """Return the feeds' USDC per WETH."""
        ether, dollar = (feed.latestAnswer() for feed in (self.ether_feed, self.dollar_feed))
        return Fraction(ether, dollar)

    def pool_price(self) -> Fraction:
        """Return the pool's USDC per WETH."""
        return self.pool.price_of(self.weth) * 10**12

    # What traders do

    def open(
        self, venue: Venue, account: str, salt: int, margin: Decimal, leverage: Decimal | None
    ) -> None:
        """Open a position with a margin in whole collateral; no leverage means all there is."""
        units = to_units(margin, self.decimals(venue.collateral))
        self.fund(account, venue.collateral, units)
        venue.collateral.approve(self.router, units, sender=account)
        if venue.vault.operator_permissions(account, self.router)[0] != ALL_PERMISSIONS:
            venue.vault.set_operator(self.router, ALL_PERMISSIONS, 0, sender=account)
        wanted = venue.market.file.risk.initial_ltv
        if leverage is not None:
            wanted = min(wanted, 1 - 1 / leverage)
        borrowed = self._debt_for(venue, units, Fraction(wanted))
        path = self.pool.path(venue.asset)
        swap = Swap(path, True, borrowed, self.uniswap.quote_sale(path, borrowed))
        self.router.open(
            venue.vault, salt, venue.collateral, units, swap, self.soon, NO_PERMIT, NO_GRANT,
            sender=account,
        )  # fmt: skip

    def _debt_for(self, venue: Venue, margin: int, ltv: Fraction) -> int:
        """Return the debt that brings margin and what it buys to an LTV, asset units.

        Raises SimError where the pool sells collateral so far below its worth that none does.
        """
        price = Fraction(venue.oracle.quote()[0], 10**36)
        path = self.pool.path(venue.asset)
        debt = int(margin * price * ltv / (1 - ltv))
        for _ in range(4):
            worth = price * Fraction(self.uniswap.quote_sale(path, debt), debt)
            if ltv * worth >= 1:
                raise SimError(
                    f"{venue.id}: the pool sells collateral that the oracle values at "
                    f"{float(worth):.3g} times the debt it is bought with (limit: below "
                    f"{float(1 / ltv):.3g}, one over the LTV wanted); deepen the pool, or lower "
                    "margins and leverage of what is opened in one step"
                )
            debt = int(ltv * price * margin / (1 - ltv * worth))
        # The last digits are the rounding's.
        return debt - debt // 10**5 - 1

    def top_up(self, venue: Venue, account: str, position_id: int, amount: Decimal) -> None:
        """Add whole collateral to a position."""
        units = to_units(amount, self.decimals(venue.collateral))
        self.fund(account, venue.collateral, units)
        venue.collateral.approve(venue.vault, units, sender=account)
        venue.vault.top_up(position_id, units, sender=account)

    def delever(self, venue: Venue, account: str, position_id: int, share: Decimal) -> None:
        """Sell a share of a position's collateral to repay its debt."""
        collateral = venue.vault.position(position_id).collateral
        sold = int(collateral * Fraction(share))
        path = self.pool.path(venue.collateral)
        swap = Swap(path, True, sold, self.uniswap.quote_sale(path, sold))
        self.router.decrease(
            venue.vault, position_id % 2**96, 0, swap, self.soon, False, NO_GRANT, sender=account
        )

    def close(self, venue: Venue, account: str, position_id: int) -> None:
        """Repay a position's debt out of its collateral, and take the rest."""
        path = self.pool.path(venue.collateral)
        self.router.close(
            venue.vault, position_id % 2**96, path, False, 0, self.soon, False, NO_GRANT,
            sender=account,
        )  # fmt: skip

    @property
    def soon(self) -> int:
        """A deadline that has not passed, unix seconds."""
        return self.engine.timestamp + 600


def _deploy(engine: Engine, scenario: Scenario, markets: Sequence[Market], folder: Path) -> Record:
    """Deploy the market files and what the local chain lacks."""
    path = folder / "deployment.json"
    path.unlink(missing_ok=True)
    store = RecordStore(path)
    first = scenario.path.first_price()
    chain = local_chain(engine.chain_id, {"WETH": first, "USDC": Decimal(1)})
    deployer = EngineDeployer(engine, engine.accounts[0])
    roles = Roles(engine.accounts[1].address, engine.accounts[2].address)
    plan = make_plan(markets, chain, roles, {}, store.load(engine.chain_id))
    return deploy(plan, deployer, store, commit=source_commit(ROOT))


def _venue(engine: Engine, record: Record, market: Market, tokens: dict[str, Contract]) -> Venue:
    vault = engine.at(record.vaults[market.id], load("MarginVault"), market.id)
    file = market.file
    side: Side = "long" if file.asset == "USDC" else "short"
    oracle = engine.at(vault.parameters().oracle, load("ChainlinkOracle"))
    return Venue(market, vault, oracle, tokens[file.collateral], tokens[file.asset], side)


def _make_pool(stage_engine: Engine, uniswap: Uniswap, usdc: Contract, scenario: Scenario) -> Pool:
    """Create the pool at the path's first price and fill it over all prices."""
    first = Fraction(scenario.path.first_price())
    weth = int(scenario.pool.weth * 10**18)
    dollars = int(first * weth / 10**12)
    provider = account_of("liquidity provider")
    stage_engine.set_balance(provider, weth)
    uniswap.weth.deposit(value=weth, sender=provider)
    usdc.mint(provider, dollars, sender=provider)
    pool = uniswap.create_pool(uniswap.weth, usdc, fee=scenario.pool.fee, amounts=(weth, dollars))
    amounts = {uniswap.weth.address: weth, usdc.address: dollars}
    uniswap.fund_pool(pool, amounts, provider)
    return pool


def set_stage(engine: Engine, scenario: Scenario, folder: Path) -> Stage:
    """Deploy and fund everything that a scenario needs; raises what `build_stage` does."""
    stage = build_stage(engine, scenario, folder)
    let_lenders_in(stage, scenario)
    return stage


def let_lenders_in(stage: Stage, scenario: Scenario) -> None:
    """Have the lenders lend, and the reserves be given what the scenario says."""
    for table in scenario.markets:
        venue = stage.venues[table.id]
        for lender in table.lenders:
            stage.lend(venue, account_of(lender.account), lender.amount)
        stage.gift(venue, account_of("reserve donor"), table.reserve_gift)


def build_stage(engine: Engine, scenario: Scenario, folder: Path) -> Stage:
    """Deploy everything that a scenario needs, nobody's money in it; the record goes to `folder`.

    Raises FileError or PlanError when a market file is wrong, ArtifactError when `make setup` has
    not been run, SimError when the market files do not fit the scenario's path.
    """
    markets = [load_market(ROOT / "markets" / f"{one.id}.toml") for one in scenario.markets]
    for market in markets:
        if {market.file.collateral, market.file.asset} != {"WETH", "USDC"}:
            raise SimError(f"market {market.id} does not trade WETH and USDC; name another one")
    record = _deploy(engine, scenario, markets, folder)
    weth = engine.at(record.address(token_key("WETH")), load_npm(_WETH9), "WETH")
    usdc = engine.at(record.address(token_key("USDC")), load("PermitToken"), "USDC")
    uniswap = deploy_uniswap(
        engine, weth=weth, factory=engine.at(record.address(UNISWAP_KEY), load_npm(_CORE))
    )
    feeds = [
        engine.at(record.address(feed_key(name)), load_npm(_MOCK), name)
        for name in ("ETH/USD", "USDC/USD")
    ]
    venues = [_venue(engine, record, market, {"WETH": weth, "USDC": usdc}) for market in markets]
    return Stage(
        engine=engine,
        record=record,
        weth=weth,
        usdc=usdc,
        ether_feed=feeds[0],
        dollar_feed=feeds[1],
        uniswap=uniswap,
        pool=_make_pool(engine, uniswap, usdc, scenario),
        factory=engine.at(record.address(FACTORY), load("VaultFactory")),
        router=engine.at(record.address("router"), load("LeverageRouter")),
        liquidator=engine.at(record.address("liquidator"), load("Liquidator")),
        lens=engine.at(record.address("lens"), load("VaultLens")),
        venues={venue.id: venue for venue in venues},
    )
