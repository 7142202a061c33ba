"""Runs planned batches without sending them: the very bytes, with the very gas limit.

Each batch runs at the head, by its hash, at the time of a second after it, where the next block can
be at the earliest. Batches do not see each other: the first one that sells along a route is exact;
of a later one the plan's own figure counts where it is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ringfence.client.abi import Function, interface
from ringfence.evm.abi import AbiValue, checksum
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import Failed, at, hexed, read
from ringfence.keeper.act.bid import Bid, Fees
from ringfence.keeper.act.plan import Batch, Plan, Skipped, Target
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.chain.wire import Header, Rpc

ROUNDS = 4
"""The most times that batches are run: what fails is taken out, then the rest runs again."""

_LIQUIDATED, _HEALTHY = 1, 2


@dataclass(slots=True, eq=False)
class _Run:
    """A batch on its way to a bid, `limit` of gas; `first` if no batch sells there before it."""

    batch: Batch
    limit: int
    first: bool
    bid: Bid | None = None


@dataclass(slots=True)
class Simulation:
    """Makes bids of a plan's batches; `account` sends them and gets what they earn, 20 bytes."""

    rpc: Rpc
    liquidator: bytes
    account: bytes
    fees: Fees
    policy: Policy
    head: Header
    _skipped: list[Skipped] = field(default_factory=list)

    async def run(self, plan: Plan) -> Plan:
        """Return the plan with bids, its batches as they turned out; raise nothing."""
        runs, met = [], set()
        for batch in plan.batches:
            path = batch.sales.route.path
            runs.append(_Run(batch, self._model_limit(batch), path not in met))
            met.add(path)
        todo: Sequence[_Run] = runs
        failed: Sequence[tuple[Batch, Target]] = ()
        for _ in range(ROUNDS):
            if todo or failed:
                todo, failed = await self._round(todo, failed)
        for run in todo:
            self._skip(run.batch, run.batch.targets, f"it still changed in simulation {ROUNDS}")
        for batch, target in failed:
            self._skip(batch, [target], "it would fail")
        made = [(run.batch, run.bid) for run in runs if run.bid is not None]
        return Plan(
            tuple(batch for batch, _ in made),
            (*plan.skipped, *self._skipped),
            tuple(bid for _, bid in made),
        )

    async def _round(
        self, runs: Sequence[_Run], failed: Sequence[tuple[Batch, Target]]
    ) -> tuple[list[_Run], list[tuple[Batch, Target]]]:
        """Run batches, and alone what failed; return what must run again, and what failed now."""
        whole, single = _function("liquidate_batch", 5), _function("liquidate", 4)
        requests = [one for run in runs for one in self._requests(run)]
        requests += [self._alone(single, *one) for one in failed]
        answers = await self.rpc.batch(requests)
        reasons = answers[2 * len(runs) :]
        for (batch, target), answer in zip(failed, reasons, strict=True):
            found = read(single, answer)
            reason = found.reason if isinstance(found, Failed) else "not alone, but in its batch"
            self._skip(batch, [target], f"it would fail: {reason}")
        again: list[_Run] = []
        doubtful: list[tuple[Batch, Target]] = []
        pairs = zip(runs, answers[::2], answers[1::2], strict=False)
        for run, called, estimated in pairs:
            if self._judge(run, read(whole, called), _gas(estimated), doubtful):
                again.append(run)
        return again, doubtful

    def _judge(
        self,
        run: _Run,
        answer: AbiValue | Failed,
        estimate: int | None,
        doubtful: list[tuple[Batch, Target]],
    ) -> bool:
        """Make a bid of a run, or skip it; return whether it must run again, changed."""
        batch, cap = run.batch, self.policy.gas_cap
        if isinstance(answer, Failed):
            if estimate is not None and run.limit < estimate <= cap:
                run.limit = _ample(estimate, cap)
                return True
            self._skip(batch, batch.targets, f"its transaction would fail: {answer.reason}")
            return False
        outcomes, profit = answer
        if len(outcomes) != len(batch.targets):
            self._skip(batch, batch.targets, "the node did not say what becomes of each")
            return False
        pairs = list(zip(batch.targets, outcomes, strict=True))
        bad = [(target, one.status) for target, one in pairs if one.status != _LIQUIDATED]
        if bad:
            healthy = [target for target, status in bad if status == _HEALTHY]
            self._skip(batch, healthy, "it would be healthy")
            doubtful += [(batch, target) for target, status in bad if status != _HEALTHY]
            run.batch = batch.without(target.position_id for target, _ in bad)
            run.limit = self._model_limit(run.batch)
            return bool(run.batch.targets)
        if estimate is not None and not estimate * 17 // 16 <= run.limit <= estimate * 5 // 4:
            ample = _ample(estimate, cap)
            if ample != run.limit:
                run.limit = ample
                return True
        self._settle(run, pairs, profit, estimate)
        return False

    def _settle(
        self,
        run: _Run,
        pairs: Sequence[tuple[Target, AbiValue]],
        profit: int,
        estimate: int | None,
    ) -> None:
        """Make a bid of what ran as it is, if it pays."""
        batch, price = run.batch, self.fees.price
        charged = 0
        if estimate is not None:
            charged = self.policy.gas.used(estimate, len(batch.targets), batch.pools)
        data = self._data(batch)
        if run.first:
            targets = [
                replace(target, seized=one.seized, paid=one.paid, profit=one.profit)
                for target, one in pairs
            ]
            run.batch = replace(batch, targets=tuple(targets))
        worth = batch.worth(profit if run.first else min(profit, batch.profit), self.policy)
        cost = (charged or run.limit) * price
        if worth < max(cost, 1):
            text = batch.market.asset.text
            gas, earned = text(batch.market.cost(cost), 2), text(profit, 2)
            reason = f"gas costs more than it earns: {gas} of gas, {earned} earned"
            self._skip(batch, batch.targets, reason)
            return
        ids = tuple((batch.market.vault, one.position_id) for one in batch.targets)
        run.bid = Bid(self.liquidator, data, run.limit, worth, ids, charged)

    def _model_limit(self, batch: Batch) -> int:
        return min(self.policy.gas.limit(len(batch.targets), batch.pools), self.policy.gas_cap)

    def _skip(self, batch: Batch, targets: Sequence[Target], reason: str) -> None:
        vault = batch.market.vault
        self._skipped += [Skipped(vault, one.position_id, reason) for one in targets]

    def _data(self, batch: Batch) -> bytes:
        targets = [(one.position_id, one.max_repay, one.min_profit) for one in batch.targets]
        least = batch.min_profit(self.fees, self.policy)
        vault, receiver = checksum(batch.market.vault), checksum(self.account)
        path = batch.sales.route.path
        return _function("liquidate_batch", 5).encode(vault, targets, path, receiver, least)

    def _requests(self, run: _Run) -> list[Request]:
        data = self._data(run.batch)
        return [
            self._request("eth_call", data, run.limit),
            self._request("eth_estimateGas", data, self.policy.gas_cap),
        ]

    def _alone(self, single: Function, batch: Batch, target: Target) -> Request:
        order = (target.position_id, target.max_repay, target.min_profit)
        vault, receiver = checksum(batch.market.vault), checksum(self.account)
        data = single.encode(vault, order, batch.sales.route.path, receiver)
        return self._request("eth_call", data, self.policy.gas_cap)

    def _request(self, method: str, data: bytes, gas: int) -> Request:
        call = {
            "from": hexed(self.account),
            "to": hexed(self.liquidator),
            "data": hexed(data),
            "gas": hex(gas),
        }
        return method, [call, at(self.head.hash), {}, {"time": hex(self.head.timestamp + 1)}]


def _function(name: str, count: int) -> Function:
    return interface("Liquidator").function(name, count)


def _gas(answer: Json | RpcError) -> int | None:
    try:
        return None if isinstance(answer, RpcError) else int(answer, 16)
    except (TypeError, ValueError):
        return None


def _ample(estimate: int, cap: int) -> int:
    """Return a limit with an eighth to spare: a price that moves crosses ticks, which cost gas."""
    return min(estimate * 9 // 8, cap)
