"""The keeper as a Silverback bot, for those who run theirs so: `silverback run keeper`.

Silverback hosts it: it brings the network, the key and the blocks. All the rest is the keeper's: a
block that Silverback misses is read with the next one, and what was sent is remembered by the
ledger, not by Silverback. From the environment, as the options of `ape run keeper`:
RINGFENCE_RECORD, RINGFENCE_STORE, RINGFENCE_LEDGER, RINGFENCE_QUOTER, RINGFENCE_MIN_PROFIT.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from ape import chain
from ape.api import BlockAPI
from ape.logging import logger
from silverback import SilverbackBot

from ringfence.client.units import ZERO_ADDRESS, Token, parse_amount
from ringfence.evm.rpc import RpcError
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.assemble import Settings, opened
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.service import Service
from ringfence.keeper.watch.status import line
from scripts._keeper_setup import database, keeper_settings
from scripts._node import connected

bot = SilverbackBot(signer_required=True)
_open = AsyncExitStack()
_one_at_a_time = asyncio.Lock()
_service: Service | None = None
_newest = 0


def _settings() -> Settings:
    """Return the settings of `ape run keeper`, of Silverback's network, key and environment."""
    node, given = connected(), os.environ.get
    record = given("RINGFENCE_RECORD")
    found = node.store(Path(record) if record else None).load(node.chain_id)
    ether = Token(ZERO_ADDRESS, "ETH", 18)
    least = parse_amount(given("RINGFENCE_MIN_PROFIT", "0 ETH"), [ether], zero=True)[1]
    return replace(
        keeper_settings(node, found, node.deployer(bot.signer), given("RINGFENCE_QUOTER"), ()),
        store=database(node, given("RINGFENCE_STORE"), ""),
        ledger=database(node, given("RINGFENCE_LEDGER"), ".lane"),
        policy=Policy(least_profit=least),
    )


@bot.on_startup()
async def start(_state: object) -> None:
    """Open the keeper."""
    global _service
    _service = await _open.enter_async_context(opened(_settings(), time.time, lambda *_: None))


@bot.on_(chain.blocks)
async def on_block(block: BlockAPI) -> dict[str, int] | None:
    """Show the keeper a block, unless a newer one waits: Silverback's handlers overlap."""
    global _newest
    _newest = max(_newest, block.number)
    async with _one_at_a_time:
        if _service is None or block.number < _newest:
            return None
        request = "eth_getBlockByNumber", [hex(block.number), False]
        [answer] = await _service.pool.batch([request])
        if answer is None or isinstance(answer, RpcError):
            # Silverback halts a bot whose handlers raise; the next block will do.
            logger.warning(f"block {block.number} cannot be read: {answer}")
            return None
        beat = await _service.on_head(Header.parse(answer))
    logger.info(line(_service.status))
    for step, reason in beat.failed.items():
        logger.warning(f"{step}: {reason}")
    return {"due": sum(map(len, beat.tick.due.values())), "sent": len(beat.report.sent)}


@bot.on_shutdown()
async def stop() -> None:
    """Close the keeper; what was sent is remembered."""
    await _open.aclose()
