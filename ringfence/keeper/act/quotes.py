"""What pools say at a head: their state, quotes of sales, what gas costs in an asset.

Two batches of requests a tick with something due, three where a sale is larger than a tick spacing
of its pool; one more when a vault is met first. All of one block, by its hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

from ringfence.client.units import Token
from ringfence.evm.abi import AbiValue, address_bytes, checksum
from ringfence.keeper.act.asking import Call, Failed, ask, call
from ringfence.keeper.act.market import Market
from ringfence.keeper.act.plan import wanted
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.sale import Route, Sales
from ringfence.keeper.chain.wire import Header, Rpc
from ringfence.keeper.engine import Sight
from ringfence.keeper.memory.events import Vault
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.uniswap import (
    MAX_SQRT_PRICE,
    MIN_SQRT_PRICE,
    TICK_SPACINGS,
    PoolState,
)

_GAS_BOUGHT = WAD // 100
"""The wei whose price in an asset is asked for: about a full batch's gas on a busy day."""

_RECHECK = 300
"""Blocks after which a pool that was not there is looked for again."""

Pair = tuple[bytes, bytes, int]
"""Two tokens, the lower address first, and a fee."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """Where things are, 20 bytes each."""

    liquidator: bytes
    uniswap_factory: bytes
    quoter: bytes
    weth: bytes


class Quotes:
    """Reads what a plan needs; keeps what never changes: pools and tokens.

    `ether_prices` says asset units per 1e18 wei, by the asset's 20 bytes, for assets that no pool
    trades for WETH.
    """

    def __init__(
        self, rpc: Rpc, contracts: Contracts, ether_prices: Mapping[bytes, int] | None = None
    ) -> None:
        self._rpc, self._at = rpc, contracts
        self._ether_prices = {} if ether_prices is None else ether_prices
        self._pools: dict[Pair, bytes] = {}
        self._missing: dict[Pair, int] = {}
        self._tokens: dict[bytes, Token] = {}

    async def markets(
        self, seen: Sequence[tuple[Vault, Sight]], head: Header, policy: Policy
    ) -> list[Market]:
        """Return the vaults with what is due, ready to be planned for; raise nothing."""
        weth, vaults = self._at.weth, [vault for vault, _ in seen]
        trouble = await self._learn(vaults, head)
        pairs = sorted({pair for vault in vaults for pair in self._pairs(vault)})
        unpriced = {
            asset for ends in map(_tokens, vaults) for asset in ends[1:] if weth not in ends
        }
        states, prices = await self._look(pairs, unpriced, head)
        markets = [
            self._market(vault, sight, states, prices, trouble.get(vault.address, ""))
            for vault, sight in seen
        ]
        return await self._quoted(markets, head, policy)

    # What never changes

    def _pairs(self, vault: Vault) -> Iterator[Pair]:
        """Yield the pools that a vault's collateral may be sold through, and its gas be priced."""
        collateral, asset = _tokens(vault)
        weth = self._at.weth
        for one, two in {(collateral, asset), (collateral, weth), (asset, weth)}:
            if one != two:
                low, high = sorted((one, two))
                yield from ((low, high, fee) for fee in TICK_SPACINGS)

    async def _learn(self, vaults: Sequence[Vault], head: Header) -> dict[bytes, str]:
        """Find pools and tokens that are not known; return by vault why some may be missing."""
        pairs = {
            pair: vault.address
            for vault in vaults
            for pair in self._pairs(vault)
            if pair not in self._pools and self._is_due(pair, head.number)
        }
        tokens = {_tokens(vault)[1] for vault in vaults} - self._tokens.keys()
        pool_calls = [
            call("UniswapV3Factory", "getPool", self._at.uniswap_factory, *_texts(pair))
            for pair in pairs
        ]
        words = [call("ERC20", name, one) for one in tokens for name in ("symbol", "decimals")]
        answers = await ask(self._rpc, [*pool_calls, *words], head.hash)
        trouble = {}
        for (pair, vault), answer in zip(pairs.items(), answers, strict=False):
            if isinstance(answer, Failed):
                trouble[vault] = f"its pools could not be found: {answer.reason}"
            elif int(answer, 16):
                self._pools[pair] = address_bytes(answer)
            else:
                self._missing[pair] = head.number
        named = answers[len(pool_calls) :]
        for token, symbol, decimals in zip(tokens, named[::2], named[1::2], strict=True):
            if not any(isinstance(one, Failed) and not one.reverted for one in (symbol, decimals)):
                self._tokens[token] = _token(token, symbol, decimals)
        return trouble

    def _is_due(self, pair: Pair, number: int) -> bool:
        since = self._missing.get(pair)
        return since is None or not since <= number < since + _RECHECK

    # What changes with every block

    async def _look(
        self, pairs: Sequence[Pair], assets: Iterable[bytes], head: Header
    ) -> tuple[dict[Pair, PoolState], dict[bytes, int]]:
        """Return the states of pools, and what 1e18 wei cost in assets, where pools say it.

        What some gas costs at the pool that sells it for least: only a pool that really sells WETH
        at a price can say so.
        """
        known = [pair for pair in pairs if pair in self._pools]
        states = [
            call("UniswapV3Pool", name, self._pools[pair])
            for pair in known
            for name in ("slot0", "liquidity")
        ]
        gas = [
            (asset, Route((self._at.weth, asset), (fee,)))
            for asset in sorted(assets)
            for fee in TICK_SPACINGS
            if (*sorted((asset, self._at.weth)), fee) in self._pools
        ]
        prices = [
            call("QuoterV2", "quoteExactOutput", self._at.quoter, route.path, _GAS_BOUGHT)
            for _asset, route in gas
        ]
        answers = await ask(self._rpc, [*states, *prices], head.hash)
        found = {
            pair: _state(slot, liquidity, pair[2])
            for pair, slot, liquidity in zip(known, answers[::2], answers[1::2], strict=False)
        }
        costs: dict[bytes, int] = {}
        for (asset, _), answer in zip(gas, answers[len(states) :], strict=True):
            if not isinstance(answer, Failed) and answer[0]:
                cost = -(-answer[0] * WAD // _GAS_BOUGHT)
                costs[asset] = min(cost, costs.get(asset, cost))
        return {pair: state for pair, state in found.items() if state is not None}, costs

    def _market(
        self,
        vault: Vault,
        sight: Sight,
        states: Mapping[Pair, PoolState],
        prices: Mapping[bytes, int],
        trouble: str,
    ) -> Market:
        collateral, asset = _tokens(vault)
        risk = RiskParams(*(int(vault.parameters[one.name]) for one in fields(RiskParams)))
        return Market(
            vault.address,
            risk,
            sight.price,
            sight.debt_index,
            tuple(zip(sight.due, sight.words, strict=True)),
            self._tokens.get(asset) or _unnamed(asset),
            self._asset_per_ether(collateral, asset, sight.price, prices),
            tuple(self._routes(collateral, asset, states)),
            trouble or "no pool trades the pair",
        )

    def _asset_per_ether(
        self, collateral: bytes, asset: bytes, price: int, prices: Mapping[bytes, int]
    ) -> int | str:
        if asset == self._at.weth:
            return WAD
        if collateral == self._at.weth and price * WAD >= PRICE_SCALE:
            return price * WAD // PRICE_SCALE
        found = prices.get(asset) or self._ether_prices.get(asset)
        return found or "no pool sells WETH for it, and no price was given by hand"

    def _routes(
        self, sold: bytes, bought: bytes, states: Mapping[Pair, PoolState]
    ) -> Iterator[Sales]:
        """Yield the direct routes, and the one by way of WETH through the deepest pools."""
        for fee, state in _between(sold, bought, states):
            yield Sales(Route((sold, bought), (fee,)), (state,))
        weth = self._at.weth
        if weth in (sold, bought):
            return
        legs = [_between(*ends, states) for ends in ((sold, weth), (weth, bought))]
        for one, two in product(*(sorted(leg, key=_depth)[-1:] for leg in legs)):
            yield Sales(Route((sold, weth, bought), (one[0], two[0])), (one[1], two[1]))

    async def _quoted(
        self, markets: Sequence[Market], head: Header, policy: Policy
    ) -> list[Market]:
        """Return the markets with the quotes that they lack."""
        lacking = [
            (path, amount)
            for path, amounts in wanted(markets, policy).items()
            for amount in amounts
        ]
        calls: list[Call] = [
            call("QuoterV2", "quoteExactInput", self._at.quoter, *one) for one in lacking
        ]
        answers = await ask(self._rpc, calls, head.hash)
        quotes: dict[bytes, dict[int, int | None]] = {}
        for (path, amount), answer in zip(lacking, answers, strict=True):
            quotes.setdefault(path, {})[amount] = given(answer)
        return [
            replace(
                one,
                sales=tuple(
                    replace(sale, quotes=quotes.get(sale.route.path, {})) for sale in one.sales
                ),
            )
            for one in markets
        ]


def _tokens(vault: Vault) -> tuple[bytes, bytes]:
    """Return a vault's collateral token and asset."""
    collateral, asset = (str(vault.parameters[one]) for one in ("collateral_token", "asset"))
    return address_bytes(collateral), address_bytes(asset)


def _texts(pair: Pair) -> tuple[str, str, int]:
    return checksum(pair[0]), checksum(pair[1]), pair[2]


def _token(address: bytes, symbol: AbiValue | Failed, decimals: AbiValue | Failed) -> Token:
    """Return a token by what it says of itself, which may be anything."""
    if isinstance(symbol, Failed) or isinstance(decimals, Failed) or decimals > 36:
        return _unnamed(address)
    if not symbol.isascii() or not symbol.isprintable():
        return _unnamed(address)
    return Token(checksum(address), symbol[:12], int(decimals))


def _unnamed(address: bytes) -> Token:
    return Token(checksum(address), f"units of {checksum(address)}", 0)


def _state(slot: AbiValue | Failed, liquidity: AbiValue | Failed, fee: int) -> PoolState | None:
    """Return a pool's state, None where it has no price or does not say it."""
    if isinstance(slot, Failed) or isinstance(liquidity, Failed) or not slot[0]:
        return None
    return PoolState(int(slot[0]), int(slot[1]), int(liquidity), fee)


def _between(
    sold: bytes, bought: bytes, states: Mapping[Pair, PoolState]
) -> list[tuple[int, PoolState]]:
    """Return fee and state of the pools that trade two tokens."""
    low, high = sorted((sold, bought))
    keyed = ((fee, states.get((low, high, fee))) for fee in TICK_SPACINGS)
    return [(fee, state) for fee, state in keyed if state is not None]


def _depth(leg: tuple[int, PoolState]) -> int:
    return leg[1].liquidity


def given(answer: AbiValue | Failed) -> int | None:
    """Return what a sale gives by the quoter, None where a pool ran dry on the way.

    The quoter then says what the part that was sold gave; the pool's price stands at its end.
    """
    if isinstance(answer, Failed):
        return None
    ends = (MIN_SQRT_PRICE + 1, MAX_SQRT_PRICE - 1)
    return None if any(root in ends for root in answer[1]) else int(answer[0])
