"""Transactions and views on the real vault in process, encoding and decoding included."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.figures import Figure
from ringfence.evm import InProcessEngine
from tests.support.market import LENDER, TRADER, USDC, WETH, deploy_market

CALLS, ROUNDS = 2_000, 5


def measure() -> list[Figure]:
    """Return the calls a second of some functions, the best of a few rounds, and of them all."""
    market = deploy_market(InProcessEngine(traced=False))
    market.deposit(10**6 * USDC)
    position = market.open(10 * WETH, 1_000 * USDC)
    market.give(market.collateral, TRADER, 10**6 * WETH)
    market.give(market.asset, LENDER, 10**6 * USDC)
    vault = market.vault
    works: dict[str, Callable[[], object]] = {
        "top_up": lambda: vault.top_up(position, 1, sender=TRADER),
        "adjust": lambda: vault.adjust(position, 0, 1, TRADER, b"", sender=TRADER),
        "deposit": lambda: vault.deposit(1, LENDER, sender=LENDER),
        "ltv": lambda: vault.ltv(position),
    }
    seconds = {
        name: min(_seconds(work, CALLS) for _ in range(ROUNDS)) for name, work in works.items()
    }
    each = [Figure(f"{name} in process", CALLS / spent, "/s") for name, spent in seconds.items()]
    total = len(works) * CALLS / sum(seconds.values())
    return [
        *each,
        Figure("calls of the vault, of each as many", total, "/s", 10_000, at_least=True),
    ]


def _seconds(work: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - started
