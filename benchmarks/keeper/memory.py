"""How much memory a keeper takes: a process of its own that opens a store and ticks."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ringfence.deploy import RecordStore
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.assemble import Places, Settings, opened
from ringfence.keeper.chain.wire import Header

_TICKS = 5


def _no_signer(_fields: Mapping[str, Any]) -> bytes:
    raise RuntimeError("this process signs nothing")


async def _tick(node: str, record: str, store: str) -> dict[str, float]:
    rpc = JsonRpc(node)
    chain_id = int(rpc.call("eth_chainId"), 16)
    settings = Settings(
        places=Places.of(RecordStore(Path(record)).load(chain_id)),
        account=bytes(20),
        signer=_no_signer,
        urls=[node],
        store=store,
        ledger="sqlite://",
    )
    started = time.perf_counter()
    async with opened(settings, time.time, lambda _block, _head: None) as service:
        first = None
        for _ in range(_TICKS):
            head = Header.parse(rpc.call("eth_getBlockByNumber", "latest", False))
            beat = await service.on_head(head)
            if beat.failed:
                raise RuntimeError(f"the keeper failed: {dict(beat.failed)}")
            first = first or time.perf_counter() - started
    rpc.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": first or 0, "megabytes": peak * 1_024 / 1e6}


def measure(node: str, record: Path, store: str) -> dict[str, float]:
    """Return what a new process takes: until its first tick, `seconds`; at most, `megabytes`."""
    words = [sys.executable, "-m", "benchmarks.keeper.memory", node, str(record), store]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_tick(*sys.argv[1:]))))
