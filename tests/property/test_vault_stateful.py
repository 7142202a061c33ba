"""The vault against its mirror: seeded runs through every entry point, compared to the last wei.

Each step holds the contract to the mirror (return value or reason, every changed word of the vault
and both tokens) and to the invariants; `tests.support.model` says how. A failure names its seed and
the actions that suffice for it.
"""

from __future__ import annotations

from collections import Counter

from tests.support.model.actions import VAULT_CALLS
from tests.support.model.markets import WETH_USDC
from tests.support.model.play import play
from tests.support.model.twin import Twin
from verification.fuzz.coverage import reasons

EPISODES = 64
STEPS = 400
LEAST_STEPS = 20_000
EDGES = 9

SITUATIONS = {
    "adjust with a callback",
    "close with a callback",
    "liquidate with a callback",
    "reduce-only",
    "reduce-only without a price",
    "solvent liquidation, part of the debt",
    "solvent liquidation, all of the debt",
    "insolvent liquidation, part of the debt",
    "insolvent liquidation, all of the debt",
    "loss borne by the reserve alone",
    "loss borne by lenders",
    "the rate model failed",
    "new risk up to the initial LTV",
    "liquidation tried at the liquidation LTV",
    "liquidation tried a unit of price below it",
}


def test_vault__deployed__logs_what_its_mirror_does() -> None:
    twin = Twin(WETH_USDC)
    assert twin.vault.deployment is not None
    told = [(event.name, dict(event.args)) for event in twin.mirror.events]
    assert twin.events(twin.vault.deployment) == told, "BOOK-7: creation is not logged"


def test_vault__any_actions__equals_its_mirror_and_keeps_the_invariants() -> None:
    counts: Counter[tuple[str, str | None]] = Counter()
    situations: Counter[str] = Counter()
    for seed in range(EPISODES):
        record = play(seed, STEPS)
        counts += record.counts
        situations += record.situations

    assert counts.total() >= LEAST_STEPS
    succeeded = {name for name, reason in counts if reason is None}
    assert set(VAULT_CALLS) <= succeeded, "an entry point never succeeded"
    met = {reason for _, reason in counts if reason is not None}
    assert reasons() <= met, "a reason never occurred"
    assert set(situations) >= SITUATIONS, "something noteworthy never happened"
    visited = [name for name in situations if name.startswith("edge: ")]
    assert len(visited) == 3 * EDGES, "an edge, or a unit to one side of it, was never visited"
