"""From what is due at a head to transactions worth sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ringfence.evm.abi import address_bytes
from ringfence.keeper.act.behind import After
from ringfence.keeper.act.bid import Fees, Target
from ringfence.keeper.act.market import Market
from ringfence.keeper.act.plan import Plan, Skipped, plan
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.quotes import Contracts, Quotes
from ringfence.keeper.act.running import Runner
from ringfence.keeper.act.simulate import Simulation
from ringfence.keeper.chain.pending import Pending
from ringfence.keeper.chain.wire import Header, Rpc
from ringfence.keeper.engine import Sight, Tick
from ringfence.keeper.memory.events import Vault

_STRANGERS = 512
"""Due positions of vaults that are not trusted that are looked at; some ms each where none pays."""


class Planner:
    """Plans at every tick; with nothing due it asks nothing.

    `vaults` returns the known vaults by their 20 bytes, as the engine's book has them: a book may
    be replaced. `account` sends, pays what the policy lets it lose, and gets the profit.
    """

    def __init__(
        self,
        rpc: Rpc,
        vaults: Callable[[], Mapping[bytes, Vault]],
        contracts: Contracts,
        account: bytes,
        policy: Policy,
        ether_prices: Mapping[bytes, int] | None = None,
    ) -> None:
        self._rpc, self._vaults = rpc, vaults
        self._contracts, self._account = contracts, account
        self._runner = Runner(rpc)
        self._quotes = Quotes(rpc, contracts, ether_prices)
        self.policy = policy
        self._failing: set[bytes] = set()

    async def markets(self, head: Header, tick: Tick) -> list[Market]:
        """Return every vault as it would be planned for, nothing in it due; raise nothing."""
        vaults = self._vaults()
        quiet = {one: replace(sight, due=(), words=()) for one, sight in tick.vaults.items()}
        seen = [(vaults[one], sight) for one, sight in quiet.items()]
        return await self._quotes.markets(seen, head, self.policy)

    async def bearable(self, head: Header, tick: Tick) -> dict[bytes, int]:
        """Return what the policy lets one position cost, by asset, in its units, where priced."""
        return {
            address_bytes(one.asset.address): one.cost(self.policy.most_loss)
            for one in await self.markets(head, tick)
            if self.policy.loss(one.vault) and not isinstance(one.asset_per_ether, str)
        }

    async def bids(
        self,
        head: Header,
        fees: Fees,
        tick: Tick,
        waiting: Mapping[Target, int] = MappingProxyType({}),
        before: Pending | None = None,
    ) -> Plan:
        """Return what to send after `head`, simulated there, and why the rest is left alone.

        `waiting` as in `plan`. With `before` it is simulated after that transaction; quotes are the
        head's.

        A vault of which nothing ran the last time comes after the others, so that what it claims
        to sell does not spoil the price for them; so do those that the policy does not trust, of
        which only so many positions are looked at as take no time that the others lack.
        """
        vaults = self._vaults()
        seen = [
            (vaults[address], sight)
            for address, sight in tick.vaults.items()
            if sight.due and address in vaults
        ]
        if not seen:
            return Plan()
        seen, beyond = self._bounded(seen)
        policy = self._wanting(vaults)
        markets = await self._quotes.markets(seen, head, policy)
        trusts = self.policy.trusts
        markets.sort(
            key=lambda one: (not trusts(one.vault), one.vault in self._failing, -one.worst)
        )
        planned = plan(markets, fees, policy, waiting)
        simulation = Simulation(
            self._runner if before is None else Runner(After(self._rpc, before)),
            self._contracts.liquidator,
            self._account,
            fees,
            self.policy,
            head,
        )
        done = await simulation.run(planned)
        planned_for = {batch.market.vault for batch in planned.batches}
        self._failing -= planned_for
        self._failing |= planned_for - {batch.market.vault for batch in done.batches}
        return replace(done, skipped=(*done.skipped, *beyond))

    def _wanting(self, vaults: Mapping[bytes, Vault]) -> Policy:
        """Return the policy; where it names no assets, with those of the vaults that it trusts."""
        policy = self.policy
        if policy.assets or policy.borne is None:
            return policy
        trusted = [vaults[one] for one in policy.borne if one in vaults]
        assets = {address_bytes(str(one.parameters["asset"])) for one in trusted}
        return replace(policy, assets=frozenset(assets))

    def _bounded(
        self, seen: Sequence[tuple[Vault, Sight]]
    ) -> tuple[list[tuple[Vault, Sight]], list[Skipped]]:
        """Return what is due, of vaults that are not trusted a share, and what that leaves out."""
        strangers = sum(not self.policy.trusts(vault.address) for vault, _ in seen)
        share = max(1, _STRANGERS // max(1, strangers))
        reason = f"it waits: {share} positions of its vault, which has no name, are looked at first"
        bounded, waiting = [], []
        for vault, sight in seen:
            kept = len(sight.due) if self.policy.trusts(vault.address) else share
            waiting += [Skipped(vault.address, one, reason) for one in sight.due[kept:]]
            bounded.append((vault, replace(sight, due=sight.due[:kept], words=sight.words[:kept])))
        return bounded, waiting
