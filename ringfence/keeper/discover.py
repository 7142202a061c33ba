"""What may be liquidated now, and what that would earn, read from the chain.

What a liquidation would earn is not computed but tried: the very call, run without being sent,
along each pool that trades the two tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from ringfence.client.abi import Interface, interface
from ringfence.client.units import ZERO_ADDRESS
from ringfence.deploy.deployer import Deployer
from ringfence.evm.abi import AbiValue, checksum
from ringfence.evm.errors import Reverted
from ringfence.evm.uniswap import encode_path
from ringfence.keeper.decide import REPAY_ALL, Candidate, MarketState, Policy, to_asset
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.uniswap import TICK_SPACINGS

PAGE = 1_000
"""The most ids that the VaultLens takes in one call."""

BLOCKS = 10_000
"""The most blocks asked for at once."""


class LogSource(Protocol):
    """Where events come from."""

    def block(self) -> int:
        """Return the number of the latest block."""

    def topics(
        self, addresses: Sequence[str], topic: bytes, first: int, last: int
    ) -> list[tuple[str, tuple[bytes, ...]]]:
        """Return (emitter, topics) of events of one kind, first and last block included."""


@dataclass(frozen=True, slots=True)
class Vault:
    """What of a vault never changes: address, tokens, the routes that sell its collateral."""

    address: str
    collateral_token: str
    asset: str
    paths: tuple[bytes, ...]


@dataclass(slots=True, kw_only=True)
class Discovery(ABC):
    """Tries what is due in one deployment's vaults; how that is found is the subclass's.

    `ether_prices` says asset units per 1e18 wei for vaults of which neither token is `weth`.
    """

    reader: Deployer
    lens: str
    liquidator: str
    uniswap_factory: str
    weth: str
    ether_prices: dict[str, int] = field(default_factory=dict)
    vaults: dict[str, Vault] = field(default_factory=dict)

    @abstractmethod
    def update(self) -> None:
        """Read what is new since the last time."""

    @abstractmethod
    def due(self, vault: str) -> Sequence[int]:
        """Return the ids of a vault that may be liquidated."""

    def ask(self, to: str, contract: Interface, name: str, *arguments: AbiValue) -> AbiValue:
        """Return the decoded answer of a call; raise Reverted."""
        function = contract.function(name, len(arguments))
        return function.decode(self.reader.call(to, function.encode(*arguments)))

    def _vault(self, address: str, collateral: str, asset: str) -> Vault:
        factory = interface("UniswapV3Factory")
        fees = [
            fee
            for fee in TICK_SPACINGS
            if self.ask(self.uniswap_factory, factory, "getPool", collateral, asset, fee)
            != ZERO_ADDRESS
        ]
        paths = tuple(encode_path((collateral, asset), (fee,)) for fee in fees)
        return Vault(address, collateral, asset, paths)

    def state(self, policy: Policy) -> list[MarketState]:
        """Return every vault's candidates as of now."""
        return [self._market(vault, policy) for vault in self.vaults.values()]

    def _market(self, vault: Vault, policy: Policy) -> MarketState:
        due = self.due(vault.address)
        if not due:
            return MarketState(vault.address, 0, ())
        per_ether = self._asset_per_ether(vault)
        if per_ether is None:
            # Anyone may create a vault: one whose gas has no price must not stop the others.
            unpriced = tuple(Candidate(position_id, b"", None, 0) for position_id in due)
            return MarketState(vault.address, 0, unpriced)
        candidates = []
        for position_id, preview in self._bulk("preview_liquidations", vault, due):
            most = to_asset(policy.max_loss, per_ether) if preview.loss else 0
            profit, path = self.try_routes(vault, position_id, most)
            candidates.append(Candidate(position_id, path, profit, preview.loss))
        return MarketState(vault.address, per_ether, tuple(candidates))

    def _bulk(self, name: str, vault: Vault, ids: Sequence[int]) -> Iterator[tuple[int, AbiValue]]:
        """Yield each id with what a function of the lens says about it."""
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            answers = self.ask(self.lens, interface("VaultLens"), name, vault.address, page)
            yield from zip(page, answers, strict=True)

    def asset_prices(self) -> dict[str, int]:
        """Return asset units per 1e18 wei for the asset of every vault that has such a price."""
        priced = ((one.asset, self._asset_per_ether(one)) for one in self.vaults.values())
        return {asset: per_ether for asset, per_ether in priced if per_ether is not None}

    def _asset_per_ether(self, vault: Vault) -> int | None:
        if vault.asset == self.weth:
            return WAD
        if vault.asset in self.ether_prices:
            return self.ether_prices[vault.asset]
        if vault.collateral_token == self.weth:
            view = self.ask(self.lens, interface("VaultLens"), "market", vault.address)
            return int(view.price_high) * WAD // PRICE_SCALE
        return None

    def try_routes(self, vault: Vault, position_id: int, max_loss: int) -> tuple[int | None, bytes]:
        """Return what liquidating along the best route would earn, asset units, and the route."""
        tries = [(self.try_one(vault, position_id, path, max_loss), path) for path in vault.paths]
        known = [(profit, path) for profit, path in tries if profit is not None]
        return max(known) if known else (None, b"")

    def try_one(self, vault: Vault, position_id: int, path: bytes, max_loss: int) -> int | None:
        """Return what liquidating a position would earn, asset units; None if it would revert.

        A loss, of at most `max_loss`, can only be tried by an account that could pay it.
        """
        for bound in (0, -max_loss)[: 1 + bool(max_loss)]:
            target = (position_id, REPAY_ALL, bound)
            try:
                outcome = self.ask(
                    self.liquidator,
                    interface("Liquidator"),
                    "liquidate",
                    vault.address,
                    target,
                    path,
                    self.reader.account,
                )
            except Reverted:
                continue
            return int(outcome.profit)
        return None


@dataclass(slots=True, kw_only=True)
class LogDiscovery(Discovery):
    """Takes ids from the events and asks the VaultLens about every one; remembers no more.

    For chains with some thousands of positions, and for any node that has `LogSource`'s few calls.
    """

    logs: LogSource
    factory: str
    first_block: int = 0
    ids: dict[str, dict[int, None]] = field(default_factory=dict)
    _next_block: int = -1

    @override
    def due(self, vault: str) -> Sequence[int]:
        """Return the ids that the lens calls liquidatable."""
        views = self._bulk("positions", self.vaults[vault], [*self.ids[vault]])
        return [position_id for position_id, view in views if view.liquidatable]

    @override
    def update(self) -> None:
        """Read the events since the last time: new vaults, new positions."""
        last = self.logs.block()
        first = max(self._next_block, self.first_block)
        while first <= last:
            until = min(first + BLOCKS - 1, last)
            self._update_vaults(first, until)
            if self.vaults:
                self._update_ids(first, until)
            first = until + 1
        self._next_block = last + 1

    def _update_vaults(self, first: int, last: int) -> None:
        topic = interface("VaultFactory").topic("VaultCreated")
        for _emitter, topics in self.logs.topics([self.factory], topic, first, last):
            address, collateral, asset = (checksum(one[12:]) for one in topics[1:4])
            if address not in self.vaults:
                self.vaults[address] = self._vault(address, collateral, asset)
                self.ids[address] = {}

    def _update_ids(self, first: int, last: int) -> None:
        topic = interface("MarginVault").topic("Adjusted")
        for emitter, topics in self.logs.topics([*self.vaults], topic, first, last):
            self.ids[checksum(bytes.fromhex(emitter[2:]))][int.from_bytes(topics[2])] = None
