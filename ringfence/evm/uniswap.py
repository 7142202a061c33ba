"""Uniswap v3 on a local chain: the published bytecode, pools at a price, trades against them.

    uniswap = deploy_uniswap(engine)
    pool = uniswap.create_pool(uniswap.weth, usdc, fee=500, amounts=(10**18, 2_000 * 10**6))
    uniswap.fund_pool(pool, {weth: 5_000 * 10**18, usdc: 10**13}, provider)

Amounts are in token units, fees in 1e-6 of the amount sold. Works on every engine; for local chains
only, since providers and traders must be senders that the engine takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ringfence.evm.abi import Addressable, address_bytes
from ringfence.evm.artifacts import load_npm
from ringfence.evm.contract import Contract
from ringfence.evm.engine import Engine, Receipt
from ringfence.math import uniswap as maths

_CORE = "@uniswap/v3-core/artifacts/contracts"
_PERIPHERY = "@uniswap/v3-periphery/artifacts/contracts"
_NEVER = 2**256 - 1
_FULL_RANGE = Fraction(2**256)


def encode_path(tokens: Sequence[Addressable], fees: Sequence[int]) -> bytes:
    """Return the bytes of a route: token, fee of the pool, token, and so on; 20 + 23 n bytes.

    Raises ValueError unless there is one token more than there are fees.
    """
    if len(tokens) != len(fees) + 1 or not fees:
        raise ValueError(
            f"a route of {len(tokens)} tokens needs {max(len(tokens) - 1, 1)} fees, "
            f"{len(fees)} were given"
        )
    hops = [
        fee.to_bytes(3, "big") + address_bytes(to) for fee, to in zip(fees, tokens[1:], strict=True)
    ]
    return address_bytes(tokens[0]) + b"".join(hops)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool; `token_0` has the lower address, `fee` is in 1e-6."""

    contract: Contract
    token_0: Contract
    token_1: Contract
    fee: int

    @property
    def address(self) -> str:
        """The pool's checksummed address."""
        return self.contract.address

    @property
    def sqrt_price(self) -> int:
        """The root of token_1 units per token_0 unit, scaled 2**96."""
        return int(self.contract.slot0()[0])

    @property
    def tick(self) -> int:
        """The tick that the price lies in."""
        return int(self.contract.slot0()[1])

    def price_of(self, token: Contract) -> Fraction:
        """Return units of the other token per unit of `token`, exactly as the pool has it."""
        return self.price_at(self.sqrt_price, token)

    def price_at(self, root: int, token: Contract) -> Fraction:
        """Return units of the other token per unit of `token` at a root price."""
        price = maths.price(root)
        return price if token.address == self.token_0.address else 1 / price

    def path(self, token_in: Contract) -> bytes:
        """Return the route through this pool alone, selling `token_in`."""
        other = self.token_1 if token_in.address == self.token_0.address else self.token_0
        return encode_path((token_in, other), (self.fee,))


@dataclass(frozen=True, slots=True)
class Uniswap:
    """A deployment of Uniswap v3: WETH9, factory, SwapRouter, QuoterV2, position manager."""

    engine: Engine
    weth: Contract
    factory: Contract
    router: Contract
    quoter: Contract
    positions: Contract

    def create_pool(
        self, token_a: Contract, token_b: Contract, *, fee: int, amounts: tuple[int, int]
    ) -> Pool:
        """Create a pool at the price at which `amounts` of the two tokens are worth the same.

        Raises ValueError for a fee that has no pools or a price that no pool can have, Reverted
        when there is such a pool already.
        """
        if fee not in maths.TICK_SPACINGS:
            raise ValueError(f"fee {fee} is not enabled; use one of {[*maths.TICK_SPACINGS]}")
        (_low, amount_0), (_high, amount_1) = sorted(
            zip((token_a, token_b), amounts, strict=True),
            key=lambda side: address_bytes(side[0]),
        )
        root = maths.sqrt_price(amount_0, amount_1)
        self.factory.createPool(token_a, token_b, fee)
        pool = self.pool(token_a, token_b, fee=fee)
        pool.contract.initialize(root)
        return pool

    def has_pool(self, token_a: Contract, token_b: Contract, *, fee: int) -> bool:
        """Return whether two tokens have a pool of a fee."""
        return int(self.factory.getPool(token_a, token_b, fee), 16) != 0

    def pool(self, token_a: Contract, token_b: Contract, *, fee: int) -> Pool:
        """Return the pool that two tokens have of a fee."""
        token_0, token_1 = sorted((token_a, token_b), key=address_bytes)
        artifact = load_npm(f"{_CORE}/UniswapV3Pool.sol/UniswapV3Pool.json")
        address = self.factory.getPool(token_0, token_1, fee)
        return Pool(self.engine.at(address, artifact), token_0, token_1, fee)

    def fund_pool(
        self,
        pool: Pool,
        amounts: Mapping[str, int],
        provider: Addressable,
        *,
        width: Fraction = _FULL_RANGE,
    ) -> int:
        """Provide at most `amounts` (token address -> units) from price / width to price * width.

        Returns the number of the provider's position token. The provider must hold the tokens.
        """
        spacing = maths.TICK_SPACINGS[pool.fee]
        lower, upper = maths.range_around(pool.sqrt_price, spacing, width)
        wanted = [amounts.get(token.address, 0) for token in (pool.token_0, pool.token_1)]
        for token, amount in zip((pool.token_0, pool.token_1), wanted, strict=True):
            token.approve(self.positions, amount, sender=provider)
        order = (
            pool.token_0, pool.token_1, pool.fee, lower, upper, *wanted, 0, 0, provider, _NEVER
        )  # fmt: skip
        receipt = self.positions.mint(order, sender=provider)
        for token in (pool.token_0, pool.token_1):
            token.approve(self.positions, 0, sender=provider)
        return int(receipt.value[0])

    def withdraw(self, token_id: int, provider: Addressable) -> None:
        """Take all liquidity and fees of a provider's position out of its pool."""
        liquidity = self.positions.positions(token_id).liquidity
        self.positions.decreaseLiquidity((token_id, liquidity, 0, 0, _NEVER), sender=provider)
        most = 2**128 - 1
        self.positions.collect((token_id, provider, most, most), sender=provider)

    def sell(
        self, trader: Addressable, path: bytes, amount: int, *, least_bought: int = 0
    ) -> Receipt:
        """Sell exactly `amount` of the route's first token; the receipt's value is what it gave."""
        token = self._token(path)
        token.approve(self.router, amount, sender=trader)
        order = (path, trader, _NEVER, amount, least_bought)
        return self.router.exactInput.transact(order, sender=trader)

    def quote_sale(self, path: bytes, amount: int) -> int:
        """Return what selling `amount` of the route's first token would give, fees included."""
        return int(self.quoter.quoteExactInput.call(path, amount)[0])

    def quote_purchase(self, path: bytes, amount: int) -> int:
        """Return what must be sold for `amount` of the route's last token, fees included."""
        return int(self.quoter.quoteExactOutput.call(reverse_path(path), amount)[0])

    def move_price(
        self, pool: Pool, token: Contract, price: Fraction, trader: Addressable, *, budget: int
    ) -> Receipt | None:
        """Trade until the pool gives `price` (other token's units per unit of `token`).

        Spends at most `budget` of whichever token must be sold. Returns None when the pool stands
        there already.
        """
        ratio = price if token.address == pool.token_0.address else 1 / price
        target = maths.sqrt_price(ratio.denominator, ratio.numerator)
        now = pool.sqrt_price
        if target == now:
            return None
        sold, bought = (
            (pool.token_0, pool.token_1) if target < now else (pool.token_1, pool.token_0)
        )
        sold.approve(self.router, budget, sender=trader)
        order = (sold, bought, pool.fee, trader, _NEVER, budget, 0, target)
        receipt = self.router.exactInputSingle.transact(order, sender=trader)
        sold.approve(self.router, 0, sender=trader)
        return receipt

    def _token(self, path: bytes) -> Contract:
        return self.engine.at(path[:20], self.weth.abi, "token")


def reverse_path(path: bytes) -> bytes:
    """Return the same route from its end, as Uniswap's exact-output functions want it."""
    tokens = [path[i : i + 20] for i in range(0, len(path), 23)]
    fees = [int.from_bytes(path[i : i + 3], "big") for i in range(20, len(path), 23)]
    return encode_path(tokens[::-1], fees[::-1])


def deploy_uniswap(
    engine: Engine, *, weth: Contract | None = None, factory: Contract | None = None
) -> Uniswap:
    """Deploy Uniswap v3 and WETH9 from the npm packages' bytecode, what is given excepted.

    A factory that is given must be the first account's. Raises ArtifactError when `make setup` has
    not installed the packages.
    """
    weth = weth or engine.deploy(load_npm("canonical-weth/build/contracts/WETH9.json"))
    if factory is None:
        factory = engine.deploy(load_npm(f"{_CORE}/UniswapV3Factory.sol/UniswapV3Factory.json"))
    router = engine.deploy(load_npm(f"{_PERIPHERY}/SwapRouter.sol/SwapRouter.json"), factory, weth)
    quoter = engine.deploy(load_npm(f"{_PERIPHERY}/lens/QuoterV2.sol/QuoterV2.json"), factory, weth)
    # The cheapest fee was enabled later, on every live deployment.
    factory.enableFeeAmount(100, maths.TICK_SPACINGS[100])
    # The position token's picture is drawn by a third contract, which nothing here asks for one.
    positions = engine.deploy(
        load_npm(f"{_PERIPHERY}/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"),
        factory,
        weth,
        weth,
    )
    return Uniswap(engine, weth, factory, router, quoter, positions)
