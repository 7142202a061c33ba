"""What is due by the engine: a keeper that follows the chain instead of reading it anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.rpc import RpcError
from ringfence.keeper.chain.wire import Header, Rpc
from ringfence.keeper.discover import Discovery
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.memory.ingest import IngestError

_NOTHING = Tick(None)


@dataclass(slots=True, kw_only=True)
class EngineDiscovery(Discovery):
    """Ticks at the chain's head; `tick` is what was seen there, `runner` where it is awaited."""

    engine: Engine
    rpc: Rpc
    runner: asyncio.Runner
    tick: Tick = _NOTHING

    @override
    def update(self) -> None:
        """Tick; raise IngestError, StoreError, WireError."""
        self.tick = self.runner.run(self._tick())
        vaults = {}
        for raw, vault in self.engine.book.vaults.items():
            address, params = checksum(raw), vault.parameters
            tokens = str(params["collateral_token"]), str(params["asset"])
            vaults[address] = self.vaults.get(address) or self._vault(address, *tokens)
        self.vaults = vaults

    async def _tick(self) -> Tick:
        [block] = await self.rpc.batch([("eth_getBlockByNumber", ["latest", False])])
        if isinstance(block, RpcError):
            raise IngestError(f"the head could not be read: {block}")
        return await self.engine.tick(Header.parse(block))

    @override
    def due(self, vault: str) -> Sequence[int]:
        return self.tick.due.get(address_bytes(vault), ())
