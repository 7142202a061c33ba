"""A keeper that runs on and on, watched: every head, its server, its alerts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from ringfence.keeper.chain.pending import Pending
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.service import Beat, Service
from ringfence.keeper.watch.alerts import Alerts
from ringfence.keeper.watch.metrics import Metrics
from ringfence.keeper.watch.server import Server
from ringfence.keeper.watch.status import Limits, Problem, problems

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

    Raises ServerError when it cannot listen, LeaseError when leases cannot be let go of.
    """
    status, clock = service.status, service.clock

    def look() -> tuple[Problem, ...]:
        return problems(status, watch.limits, clock())

    metrics = Metrics(status, look)
    async with AsyncExitStack() as cleanup, asyncio.TaskGroup() as beside:
        if watch.listen is not None:
            server = Server(status, metrics, look, host=watch.listen[0], port=watch.listen[1])
            listening(await server.start())
            cleanup.push_async_callback(server.close)
        tasks = [] if pending is None else [beside.create_task(_follow(service, pending, show))]
        if watch.webhook is not None:
            labels = {"chain": str(status.chain_id), "account": status.account}
            alerts = Alerts(watch.webhook, status.alerts, clock, labels=labels)
            tasks += [beside.create_task(one) for one in (alerts.run(), _tell(alerts, look))]
        try:
            async for head in heads:
                beat = await service.on_head(head)
                metrics.ticked(status.tick_seconds or 0)
                show(beat)
        finally:
            for task in tasks:
                task.cancel()
            if service.leases is not None and not status.lane.open:
                service.leases.release()


async def _follow(
    service: Service, pending: AsyncIterable[Pending], show: Callable[[Beat], None]
) -> None:
    async for one in pending:
        beat = await service.on_pending(one)
        if beat is not None:
            show(beat)


async def _tell(alerts: Alerts, look: Callable[[], tuple[Problem, ...]]) -> None:
    while True:
        alerts.update(look())
        await asyncio.sleep(_EVERY)
