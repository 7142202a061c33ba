"""What a proof's own process does: a module of its own, which a spawned process can import."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection

from verification.proofs.property import Property, Verdict


def work(module: str, claim_id: str, seconds: int, answer: Connection) -> None:
    """Run one property of the module and send its verdict, in so much processor time at most."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
    sys.setrecursionlimit(10_000)
    claims: Sequence[Property] = importlib.import_module(module).PROPERTIES
    run = next(claim.run for claim in claims if claim.id == claim_id)
    try:
        verdict = run()
    except Exception as error:  # noqa: BLE001
        verdict = Verdict("unfinished", f"{type(error).__name__}: {error}")
    answer.send(verdict)
