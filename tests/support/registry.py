"""A factory with vaults of its own, lent to and ready for traders, on whatever engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.evm import Engine, Log
from ringfence.evm.abi import address_bytes
from ringfence.keeper.chain.wire import LogEntry
from tests.support.factory import Draft, deploy_factory, make_draft
from tests.support.market import CASH, Market, Params


@dataclass(slots=True)
class Registry:
    """Vaults of one factory on one pair of tokens; `markets` lists those made here."""

    engine: Engine
    draft: Draft
    markets: list[Market] = field(default_factory=list)

    @property
    def factory(self) -> bytes:
        return address_bytes(self.draft.factory)

    def new_market(self) -> Market:
        """Create a vault and lend it a million."""
        salt = len(self.markets).to_bytes(32, "big")
        vault = self.draft.vault(salt=salt)
        params = Params(*vault.parameters())
        parts = self.draft.collateral, self.draft.asset, self.draft.oracle, self.draft.rate_model
        market = Market(self.engine, vault, *parts, params)
        market.deposit(CASH)
        self.markets.append(market)
        return market


def make_registry(engine: Engine) -> Registry:
    return Registry(engine, make_draft(engine, deploy_factory(engine)))


def as_entries(logs: Sequence[Log], block: int = 7) -> list[LogEntry]:
    """What `parse_logs` makes of a receipt's logs, were they all of one block."""
    return [
        LogEntry(address_bytes(log.address), log.topics, log.data, (block, index), bytes(32))
        for index, log in enumerate(logs)
    ]
