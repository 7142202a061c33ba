"""The guard: an operation that costs more than `benchmarks/gas.json` says is noticed here."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gas import peers
from benchmarks.gas.measure import Measurement, Row, in_process, runtime_bytes
from benchmarks.gas.report import as_json, limit_of, misses, parts_of, tightest

RESULT = Path(__file__).resolve().parents[3] / "benchmarks" / "gas.json"
OPERATIONS = tuple(peers.FLOORS)
MOST_GROWTH_PER_MILLE = 5
"""0.5 %."""

ROW = Row(
    name="deposit",
    gas=69_000,
    calldata=600,
    own_tokens=14_800,
    stated_tokens=14_883,
    rate_call=3_130,
    oracle_call=0,
    logs=5_000,
)
MEASUREMENT = Measurement((ROW,), 19_000, "vyper 0.4.3", "1.7.1")


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(RESULT.read_text())


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return dict(in_process())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_in_process__operation__costs_what_is_committed(
    operation: str, committed: dict[str, Any], measured: dict[str, int]
) -> None:
    before = committed["operations"][operation]["gas"]
    limit = before + before * MOST_GROWTH_PER_MILLE // 1000
    assert measured[operation] <= limit, (
        f"{operation} costs {measured[operation]:,} gas, {before:,} are committed "
        f"(limit {limit:,}); save it, or run `make bench`, commit gas.json and say why"
    )


def test_in_process__every_operation__is_in_the_committed_file(
    committed: dict[str, Any], measured: dict[str, int]
) -> None:
    assert tuple(measured) == OPERATIONS == tuple(committed["operations"])


def test_gas_json__committed__comes_from_this_compiler(committed: dict[str, Any]) -> None:
    assert committed["compiler"] == f"vyper {importlib.metadata.version('vyper')}"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gas_json__committed__meets_the_targets(operation: str, committed: dict[str, Any]) -> None:
    assert committed["operations"][operation]["normalised"] <= limit_of(operation)


def test_runtime_bytes__vault__are_at_most_20_000() -> None:
    assert runtime_bytes() <= 20_000


def test_normalised__cheaper_token__adds_the_difference() -> None:
    assert ROW.normalised == 69_000 - 14_800 + 14_883


def test_alike__cheaper_rate_model__adds_that_difference_too() -> None:
    assert ROW.alike == ROW.normalised + 3_650 - 3_130


def test_alike__no_model_called__is_normalised() -> None:
    row = replace(ROW, rate_call=0)
    assert row.alike == row.normalised


def test_parts_of__row__add_up_to_normalised() -> None:
    parts = parts_of(ROW)
    assert parts.needed == 53_711 + 2_100 + 3_650 + 5_000
    assert parts.needed + parts.calldata + parts.compute == ROW.normalised
    assert parts.calldata == 600 - 228


def test_limit_of__morpho_cheapest__is_its_share() -> None:
    assert limit_of("deposit") == 86_809 * 80 // 100
    assert limit_of("top_up") == 53_722 * 88 // 100


def test_limit_of__another_peer_below_that_share__is_below_that_peer() -> None:
    assert limit_of("health_view") == 26_228 - 1


def test_misses__at_the_limit__none() -> None:
    row = replace(ROW, gas=limit_of("deposit"), own_tokens=14_883)
    assert list(misses(replace(MEASUREMENT, rows=(row,), runtime_bytes=20_000))) == []


def test_misses__one_above__says_which() -> None:
    row = replace(ROW, gas=limit_of("deposit") + 1, own_tokens=14_883)
    assert list(misses(replace(MEASUREMENT, rows=(row,), runtime_bytes=20_001))) == [
        "deposit costs 69,448 gas (limit 69,447)",
        "the vault has 20,001 bytes on chain (limit 20,000)",
    ]


def test_tightest__two_rows__names_the_one_nearest_to_its_limit() -> None:
    easy = replace(ROW, name="open")
    assert tightest(replace(MEASUREMENT, rows=(easy, ROW))) == (
        "deposit",
        ROW.alike / limit_of("deposit"),
    )


def test_as_json__measurement__has_gas_and_normalised_of_each_operation() -> None:
    data = as_json(MEASUREMENT)
    assert data["operations"] == {"deposit": {"gas": 69_000, "normalised": 69_083}}
    assert data["peers"]["operations"]["deposit"]["Morpho Blue"] == 86_809
    assert data["compiler"] == "vyper 0.4.3"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gas_of__operation__leaves_out_peers_without_it(operation: str) -> None:
    recorded = peers.gas_of(operation)
    lacking = operation in ("deposit", "withdraw", "liquidate_partial")
    assert set(peers.NAMES) - set(recorded) == ({"Liquity v2"} if lacking else set())
