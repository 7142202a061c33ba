"""`ape run keeper check`: what a keeper needs, looked at before it is started."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ringfence.keeper.assemble import Settings, opened
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.check import Finding, check_node, preflight
from scripts._keeper_setup import common, database, keeper_settings
from scripts._node import NodeCommand, connected, find_account, refuse_empty


async def _check(settings: Settings) -> list[Finding]:
    """Look at every node, then, where one of them will do, at the rest."""
    found: list[Finding] = []
    async with opened(settings, time.time, lambda _block, _head: None) as service:
        for url, health in zip(settings.urls, service.pool.describe(), strict=True):
            rpc = Web3Rpc(url)
            found += await check_node(health.name, rpc, settings.places, time.time())
            await rpc.close()
        if any(one.good for one in found):
            [block] = await service.pool.batch([("eth_getBlockByNumber", ["latest", False])])
            head, floor = Header.parse(block), settings.gas_floor
            found += await preflight(service, settings.places, head, floor)
    return found


@click.command(cls=NodeCommand)
@common
def check(
    account: str | None, record_file: Path | None, store: str | None, rpcs: tuple[str, ...],
    quoter: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Look at key, money, nodes, vaults, feeds and routes; exit code 1 where one will not do."""
    node = connected()
    record = node.store(record_file).load(node.chain_id)
    refuse_empty(node)
    deployer = node.deployer(find_account(account, node))
    settings = keeper_settings(node, record, deployer, quoter, rpcs)
    found = asyncio.run(_check(replace(settings, store=database(node, store, ""))))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        console = Console()
        for one in found:
            mark = "[green]ok[/]  " if one.good else "[bold red]look[/]"
            words = f"{one.subject}: {one.words}" + (f"; {one.next_step}" if one.next_step else "")
            console.print(f"{mark} {escape(words)}", highlight=False, soft_wrap=True)
    if not all(one.good for one in found):
        sys.exit(1)
