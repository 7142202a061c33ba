"""Prices out of a Chainlink feed: its rounds read from a node, newest first, and evenly spaced.

A proxy numbers rounds as phase << 64 | round; a phase begins with a new aggregator behind the
proxy, and the numbers between the last round of one and the first of the next are no rounds. Where
two phases overlap in time, the newer one counts. Source: Chainlink's AggregatorProxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, JsonRpc, RpcError
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.csv_prices import Prices

BATCH = 100
"""Calls a request: many nodes refuse more."""

GAP = 25 * 3_600
"""The longest that a feed may be silent, seconds: a heartbeat of a day, and an hour to arrive."""

_ROUND = ("uint80", "int256", "uint256", "uint256", "uint80")


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of a feed, scaled by its decimals, from `updated_at`, unix seconds, on."""

    id: int
    answer: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class RoundReader:
    """A feed, or the proxy of one, at a node; `now`: the last block's time, unix seconds."""

    rpc: JsonRpc
    address: str
    decimals: int
    now: int

    @classmethod
    def at(cls, rpc: JsonRpc, address: str) -> RoundReader:
        """Return the feed at an address; raise RiskError where there is none."""
        address = "0x" + address_bytes(address).hex()
        code, block = (
            _sure(answer)
            for answer in rpc.batch(
                [("eth_getCode", [address, "latest"]), ("eth_getBlockByNumber", ["latest", False])]
            )
        )
        if code == "0x":
            raise RiskError(
                f"no contract is at {address}; check it, and that the node is of the feed's chain"
            )
        decimals = _ask(rpc, address, ("uint8",), "decimals()")
        if decimals is None:
            raise RiskError(f"the contract at {address} is no feed: no decimals(); pass another")
        return cls(rpc, address, decimals[0], int(block["timestamp"], 16))

    def rounds(self) -> Iterator[Round]:
        """Yield the rounds, each older than the one before; numbers without one are left out."""
        last = _ask(self.rpc, self.address, _ROUND, "latestRoundData()")
        if last is None or not last[3]:
            raise RiskError(f"{self.address} has no round: pass a price feed's proxy")
        earliest = last[3] + 1
        for one in chain.from_iterable(self._phase(end) for end in self._ends(last[0])):
            if one.updated_at < earliest:
                earliest = one.updated_at
                yield one
        if earliest > last[3]:
            raise RiskError(
                f"the feed at {self.address} keeps no rounds: it has no round {last[0]}, its last; "
                "pass its proxy"
            )

    def _ends(self, last: int) -> Iterator[int]:
        """Yield the number of each phase's last round, the newest phase's first."""
        yield last
        for phase in range((last >> 64) - 1, 0, -1):
            found = _ask(self.rpc, self.address, ("address",), "phaseAggregators(uint16)", phase)
            end = found and _ask(self.rpc, found[0], _ROUND, "latestRoundData()")
            if end:
                yield phase << 64 | end[0]

    def _phase(self, end: int) -> Iterator[Round]:
        """Yield a phase's rounds from its last one down to where a whole batch is none."""
        first = (end >> 64 << 64) + 1
        for top in range(end, first - 1, -BATCH):
            ids = range(top, max(top - BATCH, first - 1), -1)
            answers = self.rpc.batch(
                [_call(self.address, "getRoundData(uint80)", number) for number in ids]
            )
            read = [_decoded(answer, _ROUND) for answer in answers]
            rounds = [
                Round(number, one[1], one[3])
                for number, one in zip(ids, read, strict=True)
                if one is not None and one[3]
            ]
            if not rounds:
                return
            yield from rounds


def since(rounds: Iterator[Round], start: int) -> Iterator[Round]:
    """Yield rounds, newest first, down to the one that holds at `start`, unix seconds."""
    for one in rounds:
        yield one
        if one.updated_at <= start:
            return


def spaced(
    feed: RoundReader, rounds: list[Round], start: int, end: int, step_seconds: int, gap: int = GAP
) -> Prices:
    """Return evenly spaced prices, at each step the last known answer, from rounds newest first.

    The last step is the last that fits before `end`. Raises RiskError where the rounds begin later
    than `start`, are silent for more than `gap` seconds, or an answer is no price.
    """
    known = [one for one in reversed(rounds) if one.updated_at <= end]
    if not known or known[0].updated_at > start:
        first = known[0].updated_at if known else end
        raise RiskError(
            f"the rounds of {feed.address} begin at {_date(first)}, after {_date(start)}; "
            "pass a later start"
        )
    if end - start < step_seconds:
        raise RiskError(f"{end - start} s hold no step of {step_seconds} s; pass a longer time")
    times = np.array([one.updated_at for one in known])
    silent = np.diff(times, append=end)
    longest = int(silent.argmax())
    if silent[longest] > gap:
        raise RiskError(
            f"{feed.address} has no round for {silent[longest]:,} s after "
            f"{_date(int(times[longest]))} (limit {gap:,}); pass a later start or a larger gap"
        )
    for one in known:
        if one.answer <= 0:
            raise RiskError(
                f"round {one.id} of {feed.address} answers {one.answer} (limit 1); pass a time "
                "without it"
            )
    grid = np.arange(start, end + 1, step_seconds)
    answers = np.array([one.answer for one in known], np.float64) / 10.0**feed.decimals
    return Prices(start, step_seconds, answers[np.searchsorted(times, grid, side="right") - 1])


def _date(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _call(to: str, signature: str, *words: int) -> tuple[str, list[Any]]:
    """Return the request of a call whose arguments are words."""
    data = keccak(text=signature)[:4] + b"".join(word.to_bytes(32, "big") for word in words)
    return "eth_call", [{"to": to, "data": "0x" + data.hex()}, "latest"]


def _ask(
    rpc: JsonRpc, to: str, types: tuple[str, ...], signature: str, *words: int
) -> tuple[Any, ...] | None:
    (answer,) = rpc.batch([_call(to, signature, *words)])
    return _decoded(answer, types)


def _decoded(answer: Json, types: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Return what a call returned, None where the contract reverted or has no such function."""
    if isinstance(answer, RpcError) and "revert" in f"{answer.message} {answer.data}".lower():
        return None
    try:
        return decode(types, bytes.fromhex(_sure(answer).removeprefix("0x")))
    except DecodingError:
        return None


def _sure(answer: Json) -> Json:
    if isinstance(answer, RpcError):
        raise RiskError(f"the node refuses {answer}; ask it for less, or pass another")
    return answer
