"""`make bench-keeper`: measure, write benchmarks/keeper.json, say what falls short; exit 1 then."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.keeper.ground import lay
from benchmarks.keeper.measure import VAULTS, measure
from benchmarks.run import Tell, run


def _measure(tell: Tell) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, lay(Path(name), VAULTS) as ground:
        return asyncio.run(measure(ground, Path(name), tell))


if __name__ == "__main__":
    sys.exit(run("keeper", "The keeper's figures", __doc__, _measure))
