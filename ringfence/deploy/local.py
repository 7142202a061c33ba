"""What a local chain lacks: tokens, feeds, Uniswap's factory and its quoter.

Data, created like everything else.

    chain = local_chain(31337, {"WETH": Decimal("195.55"), "USDC": Decimal(1)})

The names are those that the market files use, so the files serve as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ringfence.deploy.chain import Chain, Feed, Token
from ringfence.deploy.errors import PlanError
from ringfence.deploy.steps import Creation, Ref, Value
from ringfence.deploy.units import to_units

CHAINLINK = "@chainlink/contracts/abi/v0.7/MockV3Aggregator.json"
UNISWAP = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
QUOTER = "@uniswap/v3-periphery/artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json"
WETH9 = "canonical-weth/build/contracts/WETH9.json"

FEED_DECIMALS = 8
DEFAULT_PRICES = {"WETH": Decimal(2_000), "USDC": Decimal(1)}
"""In dollars."""


@dataclass(frozen=True, slots=True)
class LocalToken:
    """A token of a local chain: what creates it, how to come by it, and its feed in dollars."""

    contract: str
    decimals: int
    faucet: Literal["", "mint", "wrap"]
    feed: str
    heartbeat: int
    npm: str | None = None


TOKENS: Mapping[str, LocalToken] = {
    "WETH": LocalToken("WETH9", 18, "wrap", "ETH/USD", 3_900, WETH9),
    "USDC": LocalToken("PermitToken", 6, "mint", "USDC/USD", 86_700),
}
"""Heartbeats in seconds: an hour and a day, as on mainnet, and five minutes to be late."""

FULL_NAMES = {"USDC": "USD Coin"}


def token_key(name: str) -> str:
    """Return the key under which a local token is recorded."""
    return f"tokens/{name}"


def feed_key(name: str) -> str:
    """Return the key under which a local feed is recorded."""
    return f"feeds/{name.replace('/', '-')}"


UNISWAP_KEY, QUOTER_KEY = "uniswap/factory", "uniswap/quoter"


def _token_arguments(name: str, token: LocalToken) -> dict[str, Value]:
    if token.npm:
        return {}
    return {
        "token_name": FULL_NAMES[name],
        "token_symbol": name,
        "token_decimals": token.decimals,
    }


def _parts(prices: Mapping[str, Decimal]) -> tuple[Creation, ...]:
    tokens = [
        Creation(token_key(name), token.contract, _token_arguments(name, token), npm=token.npm)
        for name, token in TOKENS.items()
    ]
    feeds = [
        Creation(
            feed_key(token.feed),
            "MockV3Aggregator",
            {
                "_decimals": FEED_DECIMALS,
                "_initialAnswer": to_units(prices[name], FEED_DECIMALS),
            },
            npm=CHAINLINK,
            loose=frozenset({"_initialAnswer"}),
        )
        for name, token in TOKENS.items()
    ]
    uniswap = Creation(UNISWAP_KEY, "UniswapV3Factory", npm=UNISWAP)
    quoter = Creation(
        QUOTER_KEY,
        "QuoterV2",
        {"_factory": Ref(UNISWAP_KEY), "_WETH9": Ref(token_key("WETH"))},
        npm=QUOTER,
    )
    return (*tokens, *feeds, uniswap, quoter)


def local_chain(chain_id: int, prices: Mapping[str, Decimal] = DEFAULT_PRICES) -> Chain:
    """Return a local chain's names, its parts to be created first.

    `prices` are the tokens' in dollars, which the feeds begin with. Raises PlanError when one is
    missing.
    """
    for name in TOKENS:
        if name not in prices:
            raise PlanError(f"the price of {name} is missing; pass one, in dollars")
    return Chain(
        chain_id=chain_id,
        source="the local chain's parts",
        tokens={
            name: Token(Ref(token_key(name)), token.decimals, token.faucet)
            for name, token in TOKENS.items()
        },
        feeds={
            token.feed: Feed(Ref(feed_key(token.feed)), FEED_DECIMALS, token.heartbeat)
            for token in TOKENS.values()
        },
        uniswap_factory=Ref(UNISWAP_KEY),
        prices=prices,
        parts=_parts(prices),
    )
