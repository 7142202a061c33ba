"""What must be true of a run: what holds in every one, and what its scenario was to show."""

from __future__ import annotations

from ringfence.sim.always import ALWAYS
from ringfence.sim.findings import Findings
from ringfence.sim.result import Check
from ringfence.sim.shown import OUTCOMES


def run_checks(found: Findings) -> tuple[Check, ...]:
    """Return every check that always holds, and those that the scenario expects."""
    expected = [one for one in OUTCOMES.items() if one[0] in found.scenario.expect]
    return tuple(Check(name, *check(found)) for name, check in (*ALWAYS.items(), *expected))
