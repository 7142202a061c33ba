"""One keeper over one deployment: look, decide, act."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.keeper.decide import Action, MarketState, Policy, decide, to_asset
from ringfence.keeper.discover import Discovery
from ringfence.keeper.executor import Executor, Outcome


@dataclass(frozen=True, slots=True)
class Round:
    """What one round saw, decided and did; no outcomes in a dry run."""

    state: tuple[MarketState, ...]
    actions: tuple[Action, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Keeper:
    """A keeper; call `run_once` whenever a block is worth a look."""

    discovery: Discovery
    executor: Executor
    policy: Policy

    def run_once(self, *, dry_run: bool = False) -> Round:
        """Look at every vault, and liquidate what the policy wants unless it is a dry run."""
        self.discovery.update()
        state = self.discovery.state(self.policy)
        actions = decide(state, self.policy)
        outcomes = [] if dry_run else self.executor.execute(actions)
        return Round(tuple(state), tuple(actions), tuple(outcomes))

    def allow_losses(self) -> None:
        """Approve what the policy lets the keeper lose, once, in every vault's asset."""
        if not self.policy.max_loss:
            return
        self.discovery.update()
        for asset, per_ether in self.discovery.asset_prices().items():
            self.executor.allow(asset, to_asset(self.policy.max_loss, per_ether))
