"""Feeds, and the oracles that read them, as the tests deploy them."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.evm import Contract, Engine, load
from ringfence.math.oracles import MAX_ANSWER, price_down, scale_factor

NOBODY = "0x" + "00" * 20
STRANGER = "0x" + "5a" * 20

FeedConfig = tuple[str, int, int, int]
"""(feed, heartbeat in seconds, least answer, greatest answer), as the constructor takes it."""

UNUSED: FeedConfig = (NOBODY, 0, 0, 0)
NO_SEQUENCER = (NOBODY, 0)
HOUR = 3_600
DAY = 86_400
TOLERANCE = 10**15


def deploy_token(engine: Engine, decimals: int = 18) -> Contract:
    return engine.deploy(load("TestToken"), f"Token {decimals}", f"T{decimals}", decimals)


def deploy_feed(engine: Engine, answer: int, decimals: int = 8) -> Contract:
    return engine.deploy(load("SettableFeed"), decimals, answer)


def feed_config(
    feed: Contract | str, heartbeat: int = HOUR, least: int = 1, greatest: int = 10**24
) -> FeedConfig:
    return (feed if isinstance(feed, str) else feed.address, heartbeat, least, greatest)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a market is priced by: (decimals, answer) of each feed used, token decimals."""

    collateral_decimals: int
    asset_decimals: int
    base: tuple[tuple[int, int], ...]
    quote: tuple[tuple[int, int], ...]

    @property
    def price(self) -> int:
        """The price by the mirror, asset units per collateral unit scaled 1e36."""
        base = quote = 1
        for _decimals, answer in self.base:
            base *= answer
        for _decimals, answer in self.quote:
            quote *= answer
        scale = scale_factor(
            self.asset_decimals + sum(decimals for decimals, _ in self.quote),
            self.collateral_decimals + sum(decimals for decimals, _ in self.base),
        )
        return price_down(scale, base, quote)


WETH_USDC = Pair(18, 6, base=((8, 2_000 * 10**8),), quote=((8, 10**8),))
USDC_WETH = Pair(6, 18, base=((8, 10**8),), quote=((8, 2_000 * 10**8),))
USDC_DAI = Pair(6, 18, base=((8, 99_990_000),), quote=((8, 100_010_000),))
WBTC_SHIB = Pair(
    8,
    18,
    base=((8, 99_950_000), (8, 120_000 * 10**8)),
    quote=((18, 4_000_000_000), (8, 2_500 * 10**8)),
)
"""Four feeds: WBTC/BTC and BTC/USD over SHIB/ETH and ETH/USD. The scaled product takes 257 bits."""


@dataclass(frozen=True, slots=True)
class OracleSetup:
    """A ChainlinkOracle and its settable feeds, those of the collateral first."""

    engine: Engine
    oracle: Contract
    collateral: Contract
    asset: Contract
    feeds: tuple[Contract, ...]
    configs: tuple[FeedConfig, ...]


def deploy_oracle(
    engine: Engine,
    pair: Pair,
    *,
    heartbeat: int = HOUR,
    spread: int = 100,
    sequencer: tuple[str, int] = NO_SEQUENCER,
) -> OracleSetup:
    """Deploy tokens, feeds and oracle; answers are believed up to `spread` times off."""
    collateral = deploy_token(engine, pair.collateral_decimals)
    asset = deploy_token(engine, pair.asset_decimals)
    feeds: list[Contract] = []
    configs: list[FeedConfig] = []
    for side in (pair.base, pair.quote):
        for decimals, answer in side:
            feeds.append(deploy_feed(engine, answer, decimals))
            bounds = max(answer // spread, 1), min(answer * spread, MAX_ANSWER)
            configs.append(feed_config(feeds[-1], heartbeat, *bounds))
        configs += [UNUSED] * (2 - len(side))
    oracle = engine.deploy(
        load("ChainlinkOracle"), collateral, asset, *configs, sequencer, pair.price, TOLERANCE
    )
    return OracleSetup(engine, oracle, collateral, asset, tuple(feeds), tuple(configs))
