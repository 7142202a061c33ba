"""A local chain to try everything on: a Uniswap pool, lenders' money, test tokens, fresh prices.

    chain = replace(chain, parts=(*chain.parts, *UNISWAP_PARTS))
    furnish(engine, deploy(plan, deployer, store, commit=commit), account, prices)

Run again with other prices it moves the feeds and the pool there.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from eth_utils.crypto import keccak

from ringfence.deploy.local import (
    CHAINLINK,
    FEED_DECIMALS,
    QUOTER,
    QUOTER_KEY,
    TOKENS,
    UNISWAP,
    UNISWAP_KEY,
    WETH9,
    feed_key,
    token_key,
)
from ringfence.deploy.record import Record
from ringfence.deploy.steps import Creation, Ref
from ringfence.deploy.units import to_units
from ringfence.evm.abi import checksum
from ringfence.evm.artifacts import load, load_npm
from ringfence.evm.contract import Contract
from ringfence.evm.engine import Engine
from ringfence.evm.uniswap import Uniswap

_PERIPHERY = "@uniswap/v3-periphery/artifacts/contracts"
_ROUTER = f"{_PERIPHERY}/SwapRouter.sol/SwapRouter.json"
_POSITIONS = f"{_PERIPHERY}/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"

_ROUTER_KEY, _POSITIONS_KEY = "uniswap/router", "uniswap/positions"
_PLACES = {"_factory": Ref(UNISWAP_KEY), "_WETH9": Ref(token_key("WETH"))}

UNISWAP_PARTS = (
    Creation(_ROUTER_KEY, "SwapRouter", _PLACES, npm=_ROUTER),
    Creation(
        _POSITIONS_KEY,
        "NonfungiblePositionManager",
        # The position token's picture is drawn by a third contract; nothing here asks for one.
        {**_PLACES, "_tokenDescriptor_": Ref(token_key("WETH"))},
        npm=_POSITIONS,
    ),
)
"""What a pool is traded and filled through, to be created behind a local chain's parts."""

POOL_FEE = 500
POOL_WETH = Decimal(10_000)
"""One side of the pool, whole tokens; the price says the other."""

LENT = {"WETH": Decimal(1_000), "USDC": Decimal(2_000_000)}
"""What each vault's lender brings, whole tokens of the asset, as far as the cap has room."""

POCKET = {"WETH": Decimal(100), "USDC": Decimal(200_000)}
"""What the account holds at least, whole tokens."""


def _actor(name: str) -> str:
    """Return an account that nobody has a key of; engines let it act all the same."""
    return checksum(keccak(text=f"ringfence playground {name}")[12:])


class _Playground:
    """A local chain, its tokens and its Uniswap by the record."""

    def __init__(self, engine: Engine, record: Record) -> None:
        self.engine = engine
        self.record = record
        self.tokens = {
            name: engine.at(
                record.address(token_key(name)),
                load_npm(token.npm) if token.npm else load(token.contract),
            )
            for name, token in TOKENS.items()
        }
        self.uniswap = Uniswap(
            engine,
            weth=self.at(token_key("WETH"), WETH9),
            factory=self.at(UNISWAP_KEY, UNISWAP),
            router=self.at(_ROUTER_KEY, _ROUTER),
            quoter=self.at(QUOTER_KEY, QUOTER),
            positions=self.at(_POSITIONS_KEY, _POSITIONS),
        )

    def at(self, key: str, file: str) -> Contract:
        """Return a recorded contract of an npm package."""
        return self.engine.at(self.record.address(key), load_npm(file))

    def give(self, account: str, name: str, amount: Decimal) -> int:
        """See to it that an account holds so many whole tokens, and return that in units."""
        token, units = self.tokens[name], to_units(amount, TOKENS[name].decimals)
        missing = units - int(token.balanceOf(account))
        if missing <= 0:
            return units
        if TOKENS[name].faucet == "wrap":
            # The ether comes from nowhere, on top of the account's own.
            self.engine.set_balance(account, self.engine.balance(account) + missing)
            token.deposit(value=missing, sender=account)
        else:
            token.mint(account, missing, sender=account)
        return units

    def set_prices(self, prices: Mapping[str, Decimal]) -> None:
        """Let the feeds answer anew."""
        for name, token in TOKENS.items():
            feed = self.at(feed_key(token.feed), CHAINLINK)
            feed.updateAnswer(to_units(prices[name], FEED_DECIMALS))

    def set_pool(self, price: Decimal) -> None:
        """Create and fill the pool at a price, USDC per WETH, or trade the one there to it."""
        weth, usdc = self.tokens["WETH"], self.tokens["USDC"]
        provider, dollars = _actor("provider"), POOL_WETH * price
        amounts = (
            self.give(provider, "WETH", POOL_WETH),
            self.give(provider, "USDC", dollars.quantize(Decimal("0.01"))),
        )
        if not self.uniswap.has_pool(weth, usdc, fee=POOL_FEE):
            pool = self.uniswap.create_pool(weth, usdc, fee=POOL_FEE, amounts=amounts)
            self.uniswap.fund_pool(
                pool, {weth.address: amounts[0], usdc.address: amounts[1]}, provider
            )
            return
        pool = self.uniswap.pool(weth, usdc, fee=POOL_FEE)
        wanted = Fraction(amounts[1], amounts[0])
        budget = max(amounts)
        self.uniswap.move_price(pool, weth, wanted, provider, budget=budget)

    def lend(self, vault: Contract) -> None:
        """Fill a vault's cash up to what its lender brings."""
        asset = str(vault.asset())
        name = next(name for name, token in self.tokens.items() if token.address == asset)
        lender = _actor("lender")
        wanted = to_units(LENT[name], TOKENS[name].decimals) - int(vault.totalAssets())
        amount = min(wanted, int(vault.maxDeposit(lender)))
        if amount > 0:
            self.give(lender, name, LENT[name])
            self.tokens[name].approve(vault, amount, sender=lender)
            vault.deposit(amount, lender, sender=lender)


def furnish(engine: Engine, record: Record, account: str, prices: Mapping[str, Decimal]) -> None:
    """Give a local chain prices now, in dollars, a pool there, lenders, and `account` tokens.

    Needs UNISWAP_PARTS in the record; what is there already is left alone. Raises FileError when
    the record lacks a part, Reverted when a contract refuses.
    """
    place = _Playground(engine, record)
    place.set_prices(prices)
    place.set_pool(prices["WETH"] / prices["USDC"])
    for address in record.vaults.values():
        place.lend(engine.at(address, load("MarginVault")))
    for name, amount in POCKET.items():
        place.give(account, name, amount)
