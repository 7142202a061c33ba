"""A keeper that runs on and on, watched: every head, its server, its alerts."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from ringfence.keeper.act.lease import LeaseError
from ringfence.keeper.act.ledger import LedgerError
from ringfence.keeper.chain.pending import Pending
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.service import Beat, Service
from ringfence.keeper.watch.alerts import Alerts
from ringfence.keeper.watch.metrics import Metrics
from ringfence.keeper.watch.redact import redact
from ringfence.keeper.watch.server import Server
from ringfence.keeper.watch.status import Limits, Problem, Status, problems

_log = logging.getLogger(__name__)

_EVERY = 5.0
"""Seconds between looks at what is wrong, heads or none."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who may look: `listen` is host and port of the server, `webhook` the URL of alerts."""

    listen: tuple[str, int] | None = None
    webhook: str | None = None
    limits: Limits = field(default_factory=Limits)


async def keep(
    service: Service,
    heads: AsyncIterable[Header],
    watch: Watch,
    show: Callable[[Beat], None],
    listening: Callable[[str], None],
    pending: AsyncIterable[Pending] | None = None,
) -> None:
    """Run until the heads end or it is cancelled; `listening` gets the server's URL.

    `pending` are oracles' updates that wait.

    What nobody foresaw is told and counted, and the next head tries anew. Raises ServerError when
    it cannot listen.
    """
    status, clock = service.status, service.clock

    def look() -> tuple[Problem, ...]:
        return problems(status, watch.limits, clock())

    metrics = Metrics(status, look)
    async with AsyncExitStack() as cleanup:
        if watch.listen is not None:
            server = Server(status, metrics, look, host=watch.listen[0], port=watch.listen[1])
            listening(await server.start())
            cleanup.push_async_callback(server.close)
        cleanup.callback(_let_go, service)
        # Not around the rest: what a group is left by comes out of it in a group.
        beside = await cleanup.enter_async_context(asyncio.TaskGroup())
        tasks = [beside.create_task(_survey(service))]
        if pending is not None:
            tasks.append(beside.create_task(_follow(service, pending, show)))
        if watch.webhook is not None:
            labels = {"chain": str(status.chain_id), "account": status.account}
            alerts = Alerts(watch.webhook, status.alerts, clock, labels=labels)
            tasks += [beside.create_task(one) for one in (alerts.run(), _tell(alerts, look))]
        try:
            async for head in heads:
                with _surviving(status, "head"):
                    beat = await service.on_head(head)
                    metrics.ticked(status.tick_seconds or 0)
                    show(beat)
        finally:
            for task in tasks:
                task.cancel()


@contextmanager
def _surviving(status: Status, what: str) -> Iterator[None]:
    """Tell what nobody foresaw, and go on: what cannot be read of one vault holds up no other."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the last resort
        _log.error("%s: %s", what, redact(traceback.format_exc()))
        status.failed(what, f"{type(error).__name__}: {error}")
    else:
        status.worked(what)


def _let_go(service: Service) -> None:
    """Leave the vaults to others at once; in a block or two, where something is on its way."""
    try:
        if service.leases is not None and not service.lane.waits():
            service.leases.release()
    except (LeaseError, LedgerError) as error:
        _log.error("leases are not let go of, they expire: %s", redact(str(error)))


async def _follow(
    service: Service, pending: AsyncIterable[Pending], show: Callable[[Beat], None]
) -> None:
    async for one in pending:
        with _surviving(service.status, "pending"):
            beat = await service.on_pending(one)
            if beat is not None:
                show(beat)


async def _survey(service: Service) -> None:
    """Ask again and again how high each node is: the first one, frozen, gives no head to notice."""
    while True:
        await service.survey()
        await asyncio.sleep(_EVERY)


async def _tell(alerts: Alerts, look: Callable[[], tuple[Problem, ...]]) -> None:
    while True:
        alerts.update(look())
        await asyncio.sleep(_EVERY)
