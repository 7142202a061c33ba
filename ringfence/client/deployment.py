"""A whole deployment by its record: the markets of a chain, and the contracts around them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from web3 import Web3

from ringfence.client.errors import DeploymentError, WrongChainError
from ringfence.client.market import Market, Periphery, Position, as_node
from ringfence.client.node import Node
from ringfence.client.plan import balance_of
from ringfence.client.units import Token, parse_address

_VAULTS = "vaults/"

_QUOTER = "0x61fFE014bA17989E743c5F6cB21bF9697530B21e"
QUOTERS: Mapping[int, str] = {
    1: _QUOTER,
    10: _QUOTER,
    137: _QUOTER,
    8_453: "0x3d4e44Eb1374240CE5F1B871ab261CD16335B76a",
    42_161: _QUOTER,
    11_155_111: "0xEd1f6473345F45b75F8179591dd5bA1888cf2FB3",
}
"""Chain id -> Uniswap's own QuoterV2. Source: Uniswap's list of deployments."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Where a vault stands, and the block that created it."""

    address: str
    since: int


@dataclass(frozen=True, slots=True)
class Ringfence:
    """What stands on one chain: `Ringfence.open(web3, "deployments/1.json")`."""

    node: Node = field(repr=False)
    periphery: Periphery
    vaults: Mapping[str, Vault]

    @classmethod
    def open(cls, chain: Node | Web3, record: str | Path, *, quoter: str | None = None) -> Self:
        """Read a deployment record.

        Raises DeploymentError when it is none or lacks the lens, WrongChainError when it is
        another chain's.
        """
        node, path = as_node(chain), Path(record)
        try:
            data = json.loads(path.read_text())
            chain_id, contracts = int(data["chain_id"]), data["contracts"]
            addresses = {str(one["contract"]): str(one["address"]) for one in contracts.values()}
        except FileNotFoundError:
            raise DeploymentError(
                f"nothing is deployed on chain {node.chain_id}: there is no {path}; deploy first, "
                "or name a record with --record"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DeploymentError(
                f"{path} is not a deployment record; restore it, or name another with --record"
            ) from None
        if chain_id != node.chain_id:
            raise WrongChainError(
                f"{path} is the record of chain {chain_id}, the node is on chain "
                f"{node.chain_id}; connect to the right network or name another record"
            )
        if "VaultLens" not in addresses:
            raise DeploymentError(f"{path} has no VaultLens; deploy one (it holds nothing)")
        return cls(
            node,
            Periphery(
                addresses["VaultLens"],
                addresses.get("LeverageRouter"),
                quoter or addresses.get("QuoterV2") or QUOTERS.get(chain_id),
            ),
            _vaults(contracts),
        )

    def market(self, name: str) -> Market:
        """Return a market by its id or its vault's address; raise DeploymentError for no such."""
        vault = self.vaults.get(name)
        if vault is None and name.startswith("0x"):
            address = parse_address(name)
            known = [one for one in self.vaults.values() if one.address == address]
            vault = known[0] if known else Vault(address, 0)
        if vault is None:
            names = ", ".join(sorted(self.vaults)) or "none"
            raise DeploymentError(
                f"{name!r} is not a market of this deployment (it has {names}); name one of them"
            )
        return Market.at(self.node, vault.address, self.periphery, since=vault.since)

    def markets(self) -> dict[str, Market]:
        """Return every market by its id."""
        return {name: self.market(name) for name in self.vaults}

    def account(self, address: str) -> Account:
        """Return an account on this chain."""
        return Account(self.node, parse_address(address))


def _vaults(contracts: Mapping[str, Any]) -> dict[str, Vault]:
    return {
        key.removeprefix(_VAULTS): Vault(str(entry["address"]), int(entry["block"]))
        for key, entry in contracts.items()
        if key.startswith(_VAULTS)
    }


@dataclass(frozen=True, slots=True)
class Account:
    """An address and what it holds."""

    node: Node = field(repr=False)
    address: str

    def balance(self, token: Token) -> int:
        """Return how much of a token it holds, token units."""
        return balance_of(self.node, token, self.address)

    def positions(self, market: Market, *, closed: bool = False) -> list[Position]:
        """Return its positions in a market by the events, those that are closed only if wanted."""
        found = market.positions(market.position_ids(self.address))
        return [one for one in found if closed or one.is_open]
