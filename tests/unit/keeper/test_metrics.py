"""What Prometheus reads of a keeper's status."""

from __future__ import annotations

import re

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from ringfence.keeper.watch import metrics as module
from ringfence.keeper.watch.metrics import Metrics
from ringfence.keeper.watch.status import EndpointStatus, Problem, Status, VaultStatus

PREFIX = "ringfence_keeper_"
Samples = dict[tuple[str, tuple[str, ...]], float]


def full() -> Status:
    status = Status(1, 1_000.0, gas_money=5 * 10**16, gas_floor=10**16, indexed=99)
    status.head(100, 1_200, 1_201.5)
    status.vaults = {
        b"\x01" * 20: VaultStatus("weth-usdc", positions=7, nearest=0.03, unpriced="no price"),
        b"\x02" * 20: VaultStatus("0x02", watched=False, positions=2, nearest=0.5, unread="no"),
        b"\x03" * 20: VaultStatus("0x03", watched=False, positions=3, nearest=0.4, unread="no"),
    }
    status.endpoints = [EndpointStatus("one", 100), EndpointStatus("two", None, healthy=False)]
    status.lane.open, status.lane.oldest = 2, 4
    status.lane.sent, status.lane.mined, status.lane.failed, status.lane.replaced = 9, 6, 1, 3
    status.lane.profit = {"USDC": 180_527_390, "WETH": -5}
    status.due, status.skipped = 5, {"does not pay": 2, "reverts": 1}
    status.tick_at = 1_202.0
    status.leases_held, status.lease_error = 2, "gone"
    status.failed("plan", "no quote")
    status.alerts.sent, status.alerts.dropped = 4, 1
    return status


def look() -> tuple[Problem, ...]:
    return (Problem("gas", "critical", "low"),)


def samples(made: Metrics) -> Samples:
    # Labels come in the order of their names.
    return {
        (sample.name.removeprefix(PREFIX), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(made.text().decode())
        for sample in family.samples
    }


def test_text__full_status__each_value_in_its_place() -> None:
    made = Metrics(full(), look)
    made.ticked(0.03)
    made.ticked(70)
    found = samples(made)
    expected: Samples = {
        ("head_block", ()): 100,
        ("head_timestamp_seconds", ()): 1_200,
        ("head_seen_timestamp_seconds", ()): 1_201.5,
        ("indexed_block", ()): 99,
        ("vault_positions", ("weth-usdc",)): 7,
        ("vault_positions", ("other",)): 5,
        ("vault_nearest_ratio", ("weth-usdc",)): 0.03,
        ("vault_nearest_ratio", ("other",)): 0.4,
        ("vault_trouble", ("unread", "weth-usdc")): 0,
        ("vault_trouble", ("unpriced", "weth-usdc")): 1,
        ("vault_trouble", ("lagging", "weth-usdc")): 0,
        ("vault_trouble", ("unread", "other")): 2,
        ("vault_trouble", ("unpriced", "other")): 0,
        ("vault_trouble", ("lagging", "other")): 0,
        ("due_positions", ()): 5,
        ("skipped_positions", ()): 3,
        ("endpoint_height_block", ("one",)): 100,
        ("endpoint_healthy", ("one",)): 1,
        ("endpoint_healthy", ("two",)): 0,
        ("gas_money_wei", ()): 5e16,
        ("gas_floor_wei", ()): 1e16,
        ("lane_open_transactions", ()): 2,
        ("lane_oldest_open_blocks", ()): 4,
        ("lane_transactions_total", ("sent",)): 9,
        ("lane_transactions_total", ("mined",)): 6,
        ("lane_transactions_total", ("failed",)): 1,
        ("lane_transactions_total", ("replaced",)): 3,
        ("profit_units", ("USDC",)): 180_527_390,
        ("profit_units", ("WETH",)): -5,
        ("leases_held", ()): 2,
        ("leases_up", ()): 0,
        ("failures_in_a_row", ("plan",)): 1,
        ("alerts_total", ("sent",)): 4,
        ("alerts_total", ("dropped",)): 1,
        ("problem", ("gas", "critical")): 1,
        ("tick_end_timestamp_seconds", ()): 1_202,
        ("tick_seconds_count", ()): 2,
        ("tick_seconds_sum", ()): 70.03,
        ("tick_seconds_bucket", ("0.05",)): 1,
        ("tick_seconds_bucket", ("60.0",)): 1,
        ("tick_seconds_bucket", ("+Inf",)): 2,
    }
    assert {key: found.get(key) for key in expected} == expected
    others = {name for name, _ in found.keys() - expected.keys()}
    assert others <= {"tick_seconds_bucket", "tick_seconds_created"}


def test_text__names__are_those_of_the_table() -> None:
    families = text_string_to_metric_families(Metrics(full(), look).text().decode())
    names = {family.name.removeprefix(PREFIX) for family in families} - {"tick_seconds_created"}
    table = re.findall(r"^\| ([a-z_]+?)(?:_total)? \|", module.__doc__ or "", re.MULTILINE)
    assert names == set(table) - {"metric"}


def test_text__new_status__says_only_what_is_known() -> None:
    found = samples(Metrics(Status(1, 0.0), tuple))
    assert ("head_block", ()) not in found
    assert ("gas_money_wei", ()) not in found
    assert ("leases_up", ()) not in found
    assert found["due_positions", ()] == 0


def test_text__status_changes__the_next_scrape_says_so() -> None:
    status = full()
    made = Metrics(status, tuple)
    status.head(101, 1_212, 1_213.0)
    del status.vaults[b"\x01" * 20]
    found = samples(made)
    assert found["head_block", ()] == 101
    assert ("vault_positions", ("weth-usdc",)) not in found


def test_text__hostile_names__still_parses() -> None:
    status = full()
    hostile = 'a"} 1\n# HELP \\ \x00 https://node/KEY'
    status.vaults[b"\x01" * 20].name = status.endpoints[0].name = hostile
    status.endpoints[1].name = hostile
    status.lane.profit = {hostile: 1}
    made = Metrics(status, look)
    found = samples(made)
    shown = 'a"} 1 # HELP \\ https://node/…'
    assert found["vault_positions", (shown,)] == 7
    assert found["endpoint_healthy", (shown,)] == 0
    assert found["profit_units", (shown,)] == 1
    assert b"KEY" not in made.text()


def test_metrics__two_keepers_in_a_process__share_nothing() -> None:
    before = {metric.name for metric in REGISTRY.collect()}
    one, other = Metrics(full(), look), Metrics(Status(1, 0.0), tuple)
    one.ticked(1)
    assert samples(other)["tick_seconds_count", ()] == 0
    assert {metric.name for metric in REGISTRY.collect()} == before
