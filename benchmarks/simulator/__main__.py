"""`make bench-sim`: measure, write benchmarks/simulator.json, say what falls short; exit 1 then."""

from __future__ import annotations

import sys

from benchmarks.figures import Figure
from benchmarks.run import Tell, run
from benchmarks.simulator import calls, coupled, stepper


def _measure(tell: Tell) -> list[Figure]:
    tell("calls of the vault in process")
    figures = calls.measure()
    tell("price, pool and keepers as one")
    figures += coupled.measure()
    return figures + stepper.measure(tell)


if __name__ == "__main__":
    sys.exit(run("simulator", "The simulator's figures", __doc__, _measure))
