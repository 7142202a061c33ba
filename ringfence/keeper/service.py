"""One keeper at work: at each head look, plan, send, and write down what became of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.fees import fee_questions, fees_of, read_fees
from ringfence.keeper.act.lane import Lane
from ringfence.keeper.act.lease import LeaseError, Leases
from ringfence.keeper.act.ledger import LedgerError, State
from ringfence.keeper.act.plan import Plan
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.report import LaneReport
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.memory.ingest import IngestError
from ringfence.keeper.memory.store import StoreError
from ringfence.keeper.watch.status import EndpointStatus, Status

_UNSEEN = Tick(None)


@dataclass(frozen=True, slots=True)
class Beat:
    """What one head came to.

    `refused` says why nothing was signed although something was due; `failed` what went wrong, by
    the step of the service that it kept from its end.
    """

    head: Header
    tick: Tick
    plan: Plan
    report: LaneReport
    refused: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Service:
    """Puts the parts together; of `pool`, those that read and those that send.

    `names` are the markets' ids by their vaults' 20 bytes. With `leases`, which are then in the
    ledger's database, only vaults that are held are acted on. `clock` says unix seconds.
    """

    engine: Engine
    pool: Pool
    planner: Planner
    lane: Lane
    status: Status
    names: Mapping[bytes, str]
    leases: Leases | None = None
    clock: Callable[[], float] = time.time
    _failed: dict[str, str] = field(default_factory=dict)

    async def on_head(self, head: Header) -> Beat:
        """Do all that a head asks for; what fails is in the beat, and the next head tries anew."""
        started = time.perf_counter()
        self._failed = {}
        self.status.head(head.number, head.timestamp, self.clock())
        tick = await self._look(head)
        held = self._held(head, tick)
        plan, report, refused = Plan(), LaneReport(head.number), None
        if any(sight.due for sight in held.vaults.values()) or self._busy(head):
            fees = await self._fees(head, tick)
            plan, refused = await self._plan(head, fees, held)
            report = await self._act(head, fees, Plan() if refused else plan)
        self._tell(head, plan, report)
        self.status.tick_at = self.clock()
        self.status.tick_seconds = time.perf_counter() - started
        return Beat(head, tick, plan, report, refused, self._failed)

    def _note(self, step: str, error: Exception | str) -> None:
        self._failed[step] = str(error)
        self.status.failed(step, str(error))

    # Look

    async def _look(self, head: Header) -> Tick:
        try:
            tick = await self.engine.tick(head, self._also(head))
        except (IngestError, StoreError) as error:
            self._note("index", error)
            return _UNSEEN
        self.status.worked("index")
        columns = self.engine.book.columns
        self.status.saw(tick, self.names, {vault: len(one) for vault, one in columns.items()})
        if tick.also:
            self._count_gas_money(tick.also[0])
        return tick

    def _also(self, head: Header) -> list[Request]:
        """Return what rides along: the money for gas, and what gas costs."""
        account = "0x" + self.lane.signing.account.hex()
        block = {"blockHash": "0x" + head.hash.hex()}
        return [("eth_getBalance", [account, block]), *fee_questions(head.number)]

    def _count_gas_money(self, answer: Json | RpcError) -> None:
        try:
            self.status.gas_money = int(str(answer), 16)
        except ValueError:
            self._note("balance", f"the node does not say the account's balance: {answer}")
        else:
            self.status.worked("balance")

    async def _fees(self, head: Header, tick: Tick) -> Fees:
        if tick.also:
            return fees_of(tick.also[1:], head)
        return await read_fees(self.pool, head)

    def _held(self, head: Header, tick: Tick) -> Tick:
        """Return the tick of the vaults whose leases are held; all, where nothing is shared."""
        if self.leases is None:
            return tick
        try:
            tokens = self.leases.renew(head.number, self.engine.book.vaults)
        except LeaseError as error:
            self.status.lease_error, self.status.leases_held = str(error), 0
            self._failed["leases"] = str(error)
            return _UNSEEN
        self.status.lease_error, self.status.leases_held = None, len(tokens)
        self.lane = replace(self.lane, guard=self.leases.guard(tokens))
        return replace(
            tick, vaults={vault: one for vault, one in tick.vaults.items() if vault in tokens}
        )

    # Act

    def _busy(self, head: Header) -> bool:
        try:
            return self.lane.busy(head)
        except LedgerError as error:
            self._note("lane", error)
            return False

    async def _plan(self, head: Header, fees: Fees, held: Tick) -> tuple[Plan, str | None]:
        """Return what to send, and why it may not be: signed is only what a quorum knows of."""
        asked = asyncio.create_task(self.pool.agreed(head))
        plan = await self.planner.bids(head, fees, held)
        refused = await asked if plan.bids else None
        asked.cancel()
        if refused:
            self._note("quorum", f"nothing is signed: {refused}")
        else:
            self.status.worked("quorum")
        return plan, refused

    async def _act(self, head: Header, fees: Fees, plan: Plan) -> LaneReport:
        try:
            report = await self.lane.step(head, fees, plan.bids)
        except LeaseError as error:
            self._failed["leases"] = self.status.lease_error = str(error)
            return LaneReport(head.number)
        if report.problems:
            self._note("lane", "; ".join(report.problems))
        else:
            self.status.worked("lane")
        return report

    # Tell

    def _tell(self, head: Header, plan: Plan, report: LaneReport) -> None:
        status, lane = self.status, self.status.lane
        status.endpoints = [
            EndpointStatus(one.name, one.height, one.healthy, one.error)
            for one in self.pool.describe()
        ]
        status.skipped = dict(Counter(one.reason for one in plan.skipped))
        lane.open = len(report.waiting)
        lane.oldest = max((head.number - row.block for row in report.waiting), default=0)
        lane.sent += len(report.sent)
        lane.replaced += sum(one.replaces is not None for one in report.sent)
        for row in report.changed:
            lane.mined += row.state is State.MINED
            lane.failed += row.state is State.FAILED
            for (vault, _position), profit in row.outcome.profits if row.outcome else ():
                known = self.engine.book.vaults.get(vault)
                asset = str(known.parameters["asset"]) if known else "unknown"
                lane.profit[asset] = lane.profit.get(asset, 0) + profit
