"""Runs planned batches without sending them: the very bytes, with the very gas limit.

They run at the head, by its hash, at the time of a second after it, where the next block can be at
the earliest: in blocks, in their order, so that a batch sees what those before it in its block sold
and what it earns is what it will earn. A tick that needs more gas than a node lets one request burn
takes several blocks, which do not see each other: where an earlier one sells in the same pools, and
where a node does not simulate blocks, the plan's own figure counts if it is less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ringfence.client.abi import Function, interface
from ringfence.evm.abi import AbiValue
from ringfence.evm.errors import EncodingError
from ringfence.keeper.act.asking import Failed, hexed, read
from ringfence.keeper.act.bid import Bid, Fees
from ringfence.keeper.act.plan import Batch, Plan, Skipped, Target
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.running import BLOCK_GAS, Ran, Runner, Transaction
from ringfence.keeper.chain.wire import Header

ROUNDS = 4
"""The most times that batches are run: what fails is taken out, then the rest runs again."""

_LIQUIDATED, _HEALTHY = 1, 2
_ONCE_A_BLOCK = 25_000
"""Gas for interest and a pool's observation, which only a block's first batch pays."""


@dataclass(slots=True, eq=False)
class _Run:
    """A batch on its way to a bid, `limit` of gas.

    `fresh` says that no batch of an earlier block sells in its pools, `leads` none before it in its
    own.
    """

    batch: Batch
    limit: int
    fresh: bool
    leads: bool
    bid: Bid | None = None


_Block = list[_Run]


@dataclass(slots=True)
class Simulation:
    """Makes bids of a plan's batches; `account` sends them and gets what they earn, 20 bytes."""

    runner: Runner
    liquidator: bytes
    account: bytes
    fees: Fees
    policy: Policy
    head: Header
    _skipped: list[Skipped] = field(default_factory=list)

    async def run(self, plan: Plan) -> Plan:
        """Return the plan with bids, its batches as they turned out; raise nothing."""
        blocks = self._blocks(plan.batches)
        runs = [run for block in blocks for run in block]
        failed: Sequence[tuple[Batch, Target]] = ()
        for left in reversed(range(ROUNDS)):
            if blocks or failed:
                blocks, failed = await self._round(blocks, failed, last=not left)
        for batch, target in failed:
            self._skip(batch, [target], "it would fail")
        made = [(run.batch, run.bid) for run in runs if run.bid is not None]
        return Plan(
            tuple(batch for batch, _ in made),
            (*plan.skipped, *self._skipped),
            tuple(bid for _, bid in made),
        )

    def _blocks(self, batches: Iterable[Batch]) -> list[_Block]:
        """Return batches in blocks of no more gas than a request may burn."""
        blocks: list[_Block] = []
        burnt, before, here = BLOCK_GAS, set[object](), set[object]()
        for batch in batches:
            limit = self._model_limit(batch)
            if burnt + limit > BLOCK_GAS:
                blocks.append([])
                burnt, before, here = 0, before | here, set()
            pools = {(*sorted(ends), fee) for *ends, fee in batch.sales.route.hops}
            blocks[-1].append(_Run(batch, limit, not pools & before, not pools & here))
            here |= pools
            burnt += self.policy.gas.charged(len(batch.targets), batch.pools)
        return blocks

    async def _round(
        self, blocks: Sequence[_Block], failed: Sequence[tuple[Batch, Target]], *, last: bool
    ) -> tuple[list[_Block], list[tuple[Batch, Target]]]:
        """Run blocks, and alone what failed; return what must run again, and what failed now."""
        single = _function("liquidate", 4)
        together, ran, reasons = await self.runner.run(
            [
                [self._transaction(self._data(run.batch), run.limit) for run in one]
                for one in blocks
            ],
            [self._alone(single, *one) for one in failed],
            self.head,
            self.policy.gas_cap,
        )
        for (batch, target), answer in zip(failed, reasons, strict=True):
            found = read(single, answer)
            reason = found.reason if isinstance(found, Failed) else "not alone, but in its batch"
            self._skip(batch, [target], f"it would fail: {reason}")
        doubtful: list[tuple[Batch, Target]] = []
        results = iter(ran)
        judged = [
            self._judge([(run, next(results)) for run in one], doubtful, together, last)
            for one in blocks
        ]
        return [one for one in judged if one], doubtful

    def _judge(
        self,
        block: Sequence[tuple[_Run, Ran]],
        doubtful: list[tuple[Batch, Target]],
        together: bool,
        last: bool,
    ) -> _Block:
        """Make bids of a block's runs; return those that must run again, since one changed."""
        kept: _Block = []
        changed = False
        for run, ran in block:
            before, run.bid = (run.batch, run.limit), None
            found = self._amend(run, ran, doubtful)
            if not run.batch.targets:
                continue  # It sold nothing.
            if (run.batch, run.limit) != before:
                changed = True
                if last:
                    reason = f"it still changed in simulation {ROUNDS}"
                    self._skip(run.batch, run.batch.targets, reason)
                else:
                    kept.append(run)
            elif changed and together and not last:
                kept.append(run)  # What is sold before it will be other.
            elif self._settle(run, *found, ran, exact=run.fresh and (together or run.leads)):
                kept.append(run)
            else:
                changed = True
        if not changed or last:
            return []
        return kept if together else [run for run in kept if run.bid is None]

    def _amend(
        self, run: _Run, ran: Ran, doubtful: list[tuple[Batch, Target]]
    ) -> tuple[Sequence[AbiValue], int]:
        """Take out of a run what did not run, or give it more gas; return outcomes and profit."""
        batch, cap = run.batch, self.policy.gas_cap
        answer = _decoded(_function("liquidate_batch", 5), ran.answer)
        if not isinstance(answer, Failed) and len(answer[0]) != len(batch.targets):
            answer = Failed("the node did not say what becomes of each")
        if isinstance(answer, Failed):
            if ran.needs is not None and run.limit < ran.needs <= cap:
                run.limit = _ample(ran.needs, cap)
            else:
                self._skip(batch, batch.targets, f"its transaction would fail: {answer.reason}")
                run.batch = replace(batch, targets=())
            return (), 0
        outcomes, profit = answer
        bad = [
            (target, one.status)
            for target, one in zip(batch.targets, outcomes, strict=True)
            if one.status != _LIQUIDATED
        ]
        if bad:
            healthy = [target for target, status in bad if status == _HEALTHY]
            self._skip(batch, healthy, "it would be healthy")
            doubtful += [(batch, target) for target, status in bad if status != _HEALTHY]
            run.batch = batch.without(target.position_id for target, _ in bad)
            run.limit = self._model_limit(run.batch)
        elif ran.needs is not None and not ran.needs * 17 // 16 <= run.limit <= ran.needs * 5 // 4:
            run.limit = _ample(ran.needs, cap)
        return outcomes, profit

    def _settle(
        self, run: _Run, outcomes: Sequence[AbiValue], profit: int, ran: Ran, *, exact: bool
    ) -> bool:
        """Make a bid of what ran as it is; return whether it pays."""
        batch, charged = run.batch, 0
        if ran.charged is not None:
            charged = ran.charged + (0 if run.leads else _ONCE_A_BLOCK)
        elif ran.needs is not None:
            charged = self.policy.gas.used(ran.needs, len(batch.targets), batch.pools)
        data = self._data(batch)
        if exact:
            targets = [
                replace(target, seized=one.seized, paid=one.paid, profit=one.profit)
                for target, one in zip(batch.targets, outcomes, strict=True)
            ]
            run.batch = replace(batch, targets=tuple(targets))
        worth = batch.worth(profit if exact else min(profit, batch.profit), self.policy)
        cost = (charged or run.limit) * self.fees.price
        if worth < max(cost, 1):
            text = batch.market.asset.text
            gas, earned = text(batch.market.cost(cost), 2), text(profit, 2)
            reason = f"gas costs more than it earns: {gas} of gas, {earned} earned"
            self._skip(batch, batch.targets, reason)
            return False
        ids = tuple((batch.market.vault, one.position_id) for one in batch.targets)
        run.bid = Bid(self.liquidator, data, run.limit, worth, ids, charged)
        return True

    def _model_limit(self, batch: Batch) -> int:
        return min(self.policy.gas.limit(len(batch.targets), batch.pools), self.policy.gas_cap)

    def _skip(self, batch: Batch, targets: Sequence[Target], reason: str) -> None:
        vault = batch.market.vault
        self._skipped += [Skipped(vault, one.position_id, reason) for one in targets]

    def _data(self, batch: Batch) -> bytes:
        targets = [(one.position_id, one.max_repay, one.min_profit) for one in batch.targets]
        least = batch.min_profit(self.fees, self.policy)
        path = batch.sales.route.path
        return _function("liquidate_batch", 5).encode(
            batch.market.vault, targets, path, self.account, least
        )

    def _alone(self, single: Function, batch: Batch, target: Target) -> Transaction:
        order = (target.position_id, target.max_repay, target.min_profit)
        path = batch.sales.route.path
        data = single.encode(batch.market.vault, order, path, self.account)
        return self._transaction(data, self.policy.gas_cap)

    def _transaction(self, data: bytes, gas: int) -> Transaction:
        return {
            "from": hexed(self.account),
            "to": hexed(self.liquidator),
            "data": hexed(data),
            "gas": hex(gas),
        }


def _function(name: str, count: int) -> Function:
    return interface("Liquidator").function(name, count)


def _decoded(function: Function, answer: bytes | Failed) -> AbiValue | Failed:
    if isinstance(answer, Failed):
        return answer
    try:
        return function.decode(answer)
    except EncodingError as error:
        return Failed(f"an answer that cannot be read: {error}", reverted=True)


def _ample(needs: int, cap: int) -> int:
    """Return a limit with an eighth to spare: a price that moves crosses ticks, which cost gas."""
    return min(needs * 9 // 8, cap)
