"""What Prometheus is told of a keeper, read off its `Status` at each scrape.

All names begin with `ringfence_keeper_`. Only vaults with a name of the record have series of their
own; all others are together `vault="other"`: their positions and troubles added, their nearest the
least. What is not known has no sample.

| metric | labels | |
| --- | --- | --- |
| head_block | | number of the last block seen |
| head_timestamp_seconds | | its time, unix |
| head_seen_timestamp_seconds | | when it was first seen, unix |
| indexed_block | | number of the last block in the store |
| vault_positions | vault | open positions |
| vault_nearest_ratio | vault | part of the price to the nearest liquidation; below 0: one is due |
| vault_trouble | vault, kind | 1 while it is unread, unpriced or lagging |
| due_positions | | due in the last block |
| skipped_positions | | of those, left alone |
| endpoint_height_block | endpoint | last block it told |
| endpoint_healthy | endpoint | 1 while it is used |
| gas_money_wei | | what the account has for gas |
| gas_floor_wei | | below which it is a problem |
| lane_open_transactions | | sent and not decided |
| lane_oldest_open_blocks | | age of the oldest of them |
| lane_transactions_total | outcome | sent, mined, failed, replaced |
| profit_units | asset | earned so far, less losses, in the asset's units |
| leases_held | | vaults that this keeper may act on |
| leases_up | | 0 while the leases' database fails |
| failures_in_a_row | step | of a step that fails now |
| alerts_total | outcome | sent, dropped |
| problem | key, severity | 1 while there is this problem, as in /health |
| tick_end_timestamp_seconds | | when the last tick ended, unix |
| tick_seconds | | histogram: how long ticks took |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ringfence.keeper.watch.redact import tidy
from ringfence.keeper.watch.status import Problem, Status, VaultStatus

_PREFIX = "ringfence_keeper_"
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_Rows = Iterable[tuple[tuple[str, ...], float | None]]


class Metrics:
    """The metrics of one keeper, in a registry of their own.

    `look` says what is wrong at the time of a scrape.
    """

    def __init__(self, status: Status, look: Callable[[], Sequence[Problem]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_StatusCollector(status, look))
        self._ticks = Histogram(
            _PREFIX + "tick_seconds",
            "how long ticks took",
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def ticked(self, seconds: float) -> None:
        """Count a tick that took so long."""
        self._ticks.observe(seconds)

    def text(self) -> bytes:
        """Return them in the Prometheus text format."""
        return generate_latest(self.registry)


class _StatusCollector(Collector):
    def __init__(self, status: Status, look: Callable[[], Sequence[Problem]]) -> None:
        self._status, self._look = status, look

    def collect(self) -> Iterator[Metric]:
        yield from _chain(self._status)
        yield from _vaults(self._status)
        yield from _endpoints(self._status)
        yield from _acts(self._status)
        yield from _health(self._status, self._look())


def _gauge(name: str, told: str, rows: _Rows, *labels: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, told, labels=labels)
    return _filled(family, rows)


def _counter(name: str, told: str, rows: _Rows, *labels: str) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, told, labels=labels)
    return _filled(family, rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: _Rows) -> Metric:
    # Two that go by the same name would make all of the text unreadable: the last one stays.
    for labels, value in {tuple(map(tidy, labels)): value for labels, value in rows}.items():
        if value is not None:
            family.add_metric(labels, value)
    return family


def _one(value: float | None) -> _Rows:
    return [((), value)]


def _chain(status: Status) -> Iterator[Metric]:
    yield _gauge("head_block", "number of the last block seen", _one(status.head_number))
    yield _gauge("head_timestamp_seconds", "its time, unix", _one(status.head_timestamp))
    yield _gauge(
        "head_seen_timestamp_seconds", "when it was first seen, unix", _one(status.head_seen_at)
    )
    yield _gauge("indexed_block", "number of the last block in the store", _one(status.indexed))


def _vaults(status: Status) -> Iterator[Metric]:
    groups: dict[str, list[VaultStatus]] = {}
    for vault in status.vaults.values():
        groups.setdefault(vault.name if vault.watched else "other", []).append(vault)
    counts = [((name,), sum(v.positions for v in group)) for name, group in groups.items()]
    yield _gauge("vault_positions", "open positions", counts, "vault")
    nearest = [
        ((name,), min((v.nearest for v in group if v.nearest is not None), default=None))
        for name, group in groups.items()
    ]
    told = "part of the price to the nearest liquidation; below 0: one is due"
    yield _gauge("vault_nearest_ratio", told, nearest, "vault")
    trouble = [
        ((name, kind), sum(getattr(v, kind) is not None for v in group))
        for name, group in groups.items()
        for kind in ("unread", "unpriced", "lagging")
    ]
    told = "1 while it is unread, unpriced or lagging"
    yield _gauge("vault_trouble", told, trouble, "vault", "kind")


def _endpoints(status: Status) -> Iterator[Metric]:
    heights = [((one.name,), one.height) for one in status.endpoints]
    yield _gauge("endpoint_height_block", "last block it told", heights, "endpoint")
    healthy = [((one.name,), one.healthy) for one in status.endpoints]
    yield _gauge("endpoint_healthy", "1 while it is used", healthy, "endpoint")


def _acts(status: Status) -> Iterator[Metric]:
    lane = status.lane
    yield _gauge("due_positions", "due in the last block", _one(status.due))
    skipped = sum(status.skipped.values())
    yield _gauge("skipped_positions", "of those, left alone", _one(skipped))
    yield _gauge("gas_money_wei", "what the account has for gas", _one(status.gas_money))
    yield _gauge("gas_floor_wei", "below which it is a problem", _one(status.gas_floor))
    yield _gauge("lane_open_transactions", "sent and not decided", _one(lane.open))
    yield _gauge("lane_oldest_open_blocks", "age of the oldest of them", _one(lane.oldest))
    outcomes = [((name,), getattr(lane, name)) for name in ("sent", "mined", "failed", "replaced")]
    told = "sent, mined, failed, replaced"
    yield _counter("lane_transactions", told, outcomes, "outcome")
    profit = [((asset,), units) for asset, units in lane.profit.items()]
    told = "earned so far, less losses, in the asset's units"
    yield _gauge("profit_units", told, profit, "asset")
    yield _gauge("leases_held", "vaults that this keeper may act on", _one(status.leases_held))
    up = None if status.leases_held is None else not status.lease_error
    yield _gauge("leases_up", "0 while the leases' database fails", _one(up))


def _health(status: Status, found: Sequence[Problem]) -> Iterator[Metric]:
    failures = [((step,), error.times) for step, error in status.errors.items()]
    yield _gauge("failures_in_a_row", "of a step that fails now", failures, "step")
    alerts = [(("sent",), status.alerts.sent), (("dropped",), status.alerts.dropped)]
    yield _counter("alerts", "sent, dropped", alerts, "outcome")
    rows = [((one.key, one.severity), 1) for one in found]
    told = "1 while there is this problem, as in /health"
    yield _gauge("problem", told, rows, "key", "severity")
    yield _gauge(
        "tick_end_timestamp_seconds", "when the last tick ended, unix", _one(status.tick_at)
    )
