"""What a measurement means: parts, targets, verdicts. Pure; printing is `__main__`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.gas import peers
from benchmarks.gas.measure import Measurement, Row

MOST_PERCENT_OF_MORPHO = 80
MOST_PERCENT_OF_MORPHO_TOP_UP = 88
"""Topping up is one transfer and one word: no vault can be far below another."""
MOST_RUNTIME_BYTES = 20_000
AIM_PERCENT = 108
"""Hoped for, no condition: floor, limits word, rate call and own logs, and 8 % of computing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a row's normalised gas goes; the parts add up to it.

    `calldata` is what the arguments cost beyond those of the hard floor, `compute` the remainder:
    memory, packing, checks, interest, the lock, the calls' own instructions.
    """

    hard_floor: int
    calldata: int
    limits_word: int
    rate_call: int
    logs: int
    compute: int

    @property
    def needed(self) -> int:
        """What the aim is measured against."""
        return self.hard_floor + self.limits_word + self.rate_call + self.logs


def parts_of(row: Row) -> Parts:
    """Return the parts of a row."""
    floor = peers.FLOORS[row.name]
    limits_word = peers.COLD_WORD if floor.limits else 0
    rate_call = peers.RATE_CALL if floor.rate else 0
    calldata = row.calldata - floor.calldata
    known = floor.hard + calldata + limits_word + rate_call + row.logs
    return Parts(floor.hard, calldata, limits_word, rate_call, row.logs, row.normalised - known)


def limit_of(operation: str) -> int:
    """Return the largest normalised gas that meets an operation's targets.

    That is a share of Morpho Blue's, and one less than the cheapest peer's.
    """
    percent = MOST_PERCENT_OF_MORPHO_TOP_UP if operation == "top_up" else MOST_PERCENT_OF_MORPHO
    recorded = peers.gas_of(operation)
    return min(recorded[peers.MORPHO] * percent // 100, min(recorded.values()) - 1)


def misses(measurement: Measurement) -> Iterator[str]:
    """Yield a sentence for every target that is missed."""
    for row in measurement.rows:
        if row.normalised > (limit := limit_of(row.name)):
            yield f"{row.name} costs {row.normalised:,} gas (limit {limit:,})"
    if measurement.runtime_bytes > MOST_RUNTIME_BYTES:
        yield (
            f"the vault has {measurement.runtime_bytes:,} bytes on chain "
            f"(limit {MOST_RUNTIME_BYTES:,})"
        )


def tightest(measurement: Measurement) -> tuple[str, float]:
    """Return the row nearest to its limit, all calls at the peers' cost, and gas over limit."""
    shares = {row.name: row.alike / limit_of(row.name) for row in measurement.rows}
    name = max(shares, key=lambda row: shares[row])
    return name, shares[name]


def as_json(measurement: Measurement) -> dict[str, Any]:
    """Return what `benchmarks/gas.json` holds."""
    return {
        "compiler": measurement.compiler,
        "anvil": measurement.anvil,
        "hardfork": measurement.hardfork,
        "runtime_bytes": measurement.runtime_bytes,
        "operations": {
            row.name: {"gas": row.gas, "normalised": row.normalised} for row in measurement.rows
        },
        "parts": {row.name: _parts_json(row) for row in measurement.rows},
        "peers": {
            "source": peers.SOURCE,
            "conditions": peers.CONDITIONS,
            "stated": {
                "transfer_from": peers.TRANSFER_FROM,
                "transfer": peers.TRANSFER,
                "rate_call": peers.RATE_CALL,
                "oracle_call": peers.ORACLE_CALL,
            },
            "runtime_bytes": dict(peers.RUNTIME_BYTES),
            "operations": {row.name: peers.gas_of(row.name) for row in measurement.rows},
        },
    }


def _parts_json(row: Row) -> dict[str, int]:
    parts = parts_of(row)
    return {
        "hard_floor": parts.hard_floor,
        "calldata_beyond_the_floor": parts.calldata,
        "limits_word": parts.limits_word,
        "rate_call": parts.rate_call,
        "own_logs": parts.logs,
        "compute": parts.compute,
    }
