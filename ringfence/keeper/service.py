"""One keeper at work: at each head look, plan, send, and write down what became of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.behind import Behind, fees_behind, is_next, worth_it
from ringfence.keeper.act.bid import Bid, Fees, Target
from ringfence.keeper.act.fees import fee_questions, fees_of, read_fees
from ringfence.keeper.act.lane import Lane
from ringfence.keeper.act.lease import LeaseError, Leases
from ringfence.keeper.act.ledger import LedgerError, Row, State
from ringfence.keeper.act.plan import Plan
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.report import LaneReport
from ringfence.keeper.act.rest import Rest
from ringfence.keeper.chain.pending import Pending
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.memory.aside import aside
from ringfence.keeper.memory.ingest import IngestError
from ringfence.keeper.memory.store import StoreError
from ringfence.keeper.watch.status import EndpointStatus, Status

_UNSEEN = Tick(None)


@dataclass(frozen=True, slots=True)
class Beat:
    """What one head came to.

    `refused` says why nothing was signed although something was due; `failed` what went wrong, by
    the step of the service that it kept from its end; `notes` what to know, each said once.
    """

    head: Header
    tick: Tick
    plan: Plan
    report: LaneReport
    refused: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Done:
    """What a head came to, as far as what comes behind it in the next block builds on it."""

    head: Header
    held: Tick
    bids: Sequence[Bid]


@dataclass(slots=True, kw_only=True)
class Service:
    """Puts the parts together: `pool` reads, `lane` sends.

    `names` are the markets' ids by their vaults' 20 bytes. With `leases`, which are then in the
    ledger's database, only vaults that are held are acted on. `behind` looks at oracles' updates
    that wait. `clock` says unix seconds.
    """

    engine: Engine
    pool: Pool
    planner: Planner
    lane: Lane
    status: Status
    names: Mapping[bytes, str]
    leases: Leases | None = None
    behind: Behind | None = None
    clock: Callable[[], float] = time.time
    _failed: dict[str, str] = field(default_factory=dict)
    _done: _Done | None = None
    _waiting: Sequence[Row] = ()
    """The transactions on their way, as far as the lane could last say."""
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _rest: Rest = field(init=False)

    def __post_init__(self) -> None:
        """Trust the vaults that have a name."""
        self._rest = Rest(self.names)

    async def on_head(self, head: Header) -> Beat:
        """Do all that a head asks for; what fails is in the beat, and the next head tries anew."""
        started = time.perf_counter()
        self._failed, self._done = {}, None
        self.status.head(head.number, head.timestamp, self.clock())
        tick = await self._look(head)
        held, resting = self._rest.split(await self._held(head, tick), head.number)
        plan, report, refused = Plan(), LaneReport(head.number, waiting=[]), None
        bids: Sequence[Bid] = ()
        if any(sight.due for sight in held.vaults.values()) or await self._busy(head):
            fees = await self._fees(head, tick)
            plan, refused = await self._plan(head, fees, held)
            bids = () if refused else plan.bids
            report = await self._act(head, fees, bids)
        else:
            # The ledger was read, nothing is on its way, and there is nothing to sign.
            self.status.worked("lane")
            self.status.worked("quorum")
        plan = replace(plan, skipped=(*plan.skipped, *resting))
        self._tell(head, plan, report)
        self.status.tick_at = self.clock()
        self.status.tick_seconds = time.perf_counter() - started
        self._done = _Done(head, held, bids)
        notes = [] if self.behind is None else await self.behind.refresh(head)
        return Beat(head, tick, plan, report, refused, self._failed, notes)

    async def on_pending(self, pending: Pending) -> Beat | None:
        """Send what an oracle's update makes due right behind it; None where that is nothing."""
        done, behind = self._done, self.behind
        if done is None or behind is None:
            return None
        head = done.head
        answers = await behind.ask(pending, head, done.held)
        if self._done is not done:
            return None
        waiting = {target for row in self._waiting for target in row.targets}
        tick = behind.see(answers, done.held, waiting)
        if not tick.due:
            return None
        fees = await self._fees(head, done.held)
        price = fees_behind(pending, fees)
        if price is None or not await is_next(self.pool, pending, head):
            return None
        plan, refused = await self._plan(head, price, tick, pending)
        report = LaneReport(head.number)
        async with self._sending:
            if self._done is not done:
                return None
            if not refused:
                bids = [*done.bids, *worth_it(plan.bids, price)]
                report = await self._step(head, fees, bids)
            self._count(head, report)
        return Beat(head, tick, plan, report, refused)

    async def survey(self) -> None:
        """Ask all nodes how high they are, and show it; twice, before none counts as answering."""
        self.status.answered = await self.pool.survey() or await self.pool.survey()
        self._show_endpoints()

    def _note(self, step: str, error: Exception | str) -> None:
        self._failed[step] = str(error)
        self.status.failed(step, str(error))

    # Look

    async def _look(self, head: Header) -> Tick:
        try:
            tick = await self.engine.tick(head, self._also(head))
        except (IngestError, StoreError) as error:
            self._note("index", error)
            # Whoever made this head up is asked last from now on.
            await self.pool.agreed(head)
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

    async def _held(self, head: Header, tick: Tick) -> Tick:
        """Return the tick of the vaults whose leases are held; all, where nothing is shared."""
        if self.leases is None:
            return tick
        try:
            vaults = [*self.engine.book.vaults]
            tokens = await aside(self.leases.renew, head.number, vaults)
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

    async def _busy(self, head: Header) -> bool:
        try:
            return await aside(self.lane.busy, head)
        except LedgerError:
            return True  # The step says what is wrong.

    async def _on_their_way(self, head: Header) -> dict[Target, int]:
        try:
            return await aside(self.lane.waiting, head)
        except LedgerError:
            return {}  # The step says what is wrong.

    async def _plan(
        self, head: Header, fees: Fees, held: Tick, before: Pending | None = None
    ) -> tuple[Plan, str | None]:
        """Return what to send, and why it may not be: signed is only what a quorum knows of."""
        asked = asyncio.create_task(self.pool.agreed(head))
        try:
            waiting = await self._on_their_way(head)
            plan = await self.planner.bids(head, fees, held, waiting, before)
            refused = await asked if plan.bids else None
        finally:
            asked.cancel()
        if refused:
            self._note("quorum", f"nothing is signed: {refused}")
        else:
            self.status.worked("quorum")
        return plan, refused

    async def _act(self, head: Header, fees: Fees, bids: Sequence[Bid]) -> LaneReport:
        async with self._sending:
            return await self._step(head, fees, bids)

    async def _step(self, head: Header, fees: Fees, bids: Sequence[Bid]) -> LaneReport:
        try:
            report = await self.lane.step(head, fees, bids)
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
        self._show_endpoints()
        self.status.skipped = dict(Counter(one.reason for one in plan.skipped))
        self._count(head, report)

    def _show_endpoints(self) -> None:
        self.status.endpoints = [
            EndpointStatus(one.name, one.height, one.healthy, one.error)
            for one in self.pool.describe()
        ]

    def _count(self, head: Header, report: LaneReport) -> None:
        lane = self.status.lane
        self._rest.heed(report.changed, head.number)
        if report.waiting is not None:
            self._waiting = report.waiting
        lane.open = len(self._waiting)
        lane.oldest = max((head.number - row.block for row in self._waiting), default=0)
        lane.sent += len(report.sent)
        lane.replaced += sum(one.replaces is not None for one in report.sent)
        for row in report.changed:
            lane.mined += row.state is State.MINED
            lane.failed += row.state is State.FAILED
            for (vault, _position), profit in row.outcome.profits if row.outcome else ():
                known = self.engine.book.vaults.get(vault)
                asset = str(known.parameters["asset"]) if known else "unknown"
                lane.profit[asset] = lane.profit.get(asset, 0) + profit
