"""A keeper on the benchmark's chain, put together as the command does, and its heads by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.keeper.ground import Ground
from ringfence.client.signing import key_signer
from ringfence.evm.abi import address_bytes
from ringfence.keeper.act.lane import LanePolicy
from ringfence.keeper.assemble import ETHER, Places, Settings, opened
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.service import Beat, Service

KEEPER = 9
"""Which of the node's accounts the keeper signs with."""


def settings(ground: Ground, store: str, ledger: str) -> Settings:
    """Return the settings of a keeper at the ground's node."""
    account = ground.engine.accounts[KEEPER]
    return Settings(
        places=Places.of(ground.stage.record),
        account=address_bytes(account),
        signer=key_signer(account),
        urls=[ground.engine.url],
        store=store,
        ledger=ledger,
        lane=LanePolicy(),
        max_spend=1_000 * ETHER,
    )


def head(ground: Ground) -> Header:
    """Return the chain's head."""
    return Header.parse(ground.rpc.call("eth_getBlockByNumber", "latest", False))


@dataclass(slots=True)
class Hand:
    """A service, and how long each of its heads took, seconds."""

    ground: Ground
    service: Service

    async def beat(self) -> tuple[float, Beat]:
        """Show the service the chain's head; raise when it failed at something."""
        now = head(self.ground)
        started = time.perf_counter()
        beat = await self.service.on_head(now)
        seconds = time.perf_counter() - started
        if beat.failed or beat.refused:
            raise RuntimeError(f"the keeper failed: {dict(beat.failed)} {beat.refused or ''}")
        return seconds, beat

    async def idle(self, blocks: int) -> list[float]:
        """Mine so many empty blocks; return the seconds that each took the keeper."""
        spent = []
        for _ in range(blocks):
            self.ground.mine()
            seconds, beat = await self.beat()
            if beat.plan.bids or beat.report.sent:
                raise RuntimeError("something was due where nothing should be")
            spent.append(seconds)
        return spent


@asynccontextmanager
async def at_work(ground: Ground, store: str, ledger: str) -> AsyncIterator[Hand]:
    """Open a keeper on the ground."""
    given = settings(ground, store, ledger)
    async with opened(given, time.time, lambda _block, _head: None) as service:
        yield Hand(ground, service)
