"""`ape run keeper stress`: a fall of every price, on a local chain or a fork only."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ringfence.client.units import ZERO_ADDRESS, Token, parse_amount
from ringfence.deploy.errors import DeployError
from ringfence.evm import load
from ringfence.evm.abi import checksum
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.assemble import ETHER, Settings, opened
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.stress import Stress, Stressed
from scripts._keeper_setup import (
    keeper_settings,
    profit_option,
    quoter_option,
    record_option,
)
from scripts._node import Node, NodeCommand, connected, fail, find_account, refuse_empty

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)
_PLENTY = 10_000 * ETHER
"""What may be spent on gas in a day that is taken back."""
_TIMEOUT = 600.0


def _refuse_public(node: Node) -> None:
    """Raise DeployError unless the node is an anvil, which can be put back."""
    if not node.rehearsal or "anvil" not in node.web3.client_version.lower():
        raise DeployError(
            "stress changes prices, so it runs on an anvil only: a local chain, or a fork that "
            "`anvil --fork-url` starts; pass that node's URL with --network"
        )


async def _stress(settings: Settings, fall: Fraction, told: Callable[[str], None]) -> Stressed:
    """Put a chain under stress; being told to end it ends it as an error does, all put back."""
    rpc, task = Web3Rpc(settings.urls[0], timeout=_TIMEOUT), asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with opened(settings, time.time, lambda _block, _head: None) as service:
            return await Stress(service, rpc, load("SettableOracle"), told).run(fall)
    finally:
        await rpc.close()


def _data(found: Stressed) -> dict[str, object]:
    return {
        "oracles": found.moved,
        "without_a_price": {checksum(one): why for one, why in found.troubles.items()},
        "due": sum(found.due.values()),
        "liquidated": len(found.liquidated),
        "left": dict(found.left),
        "lost": {checksum(vault): units for vault, units in found.lost.items() if units},
        "bad_debt_left": {checksum(vault): units for vault, units in found.owed.items() if units},
        "transactions": found.transactions,
        "reverted": found.reverted,
        "gas": found.gas,
        "cost_wei": found.cost,
        "blocks": found.blocks,
        "seconds": round(found.seconds, 3),
        "slowest_block": round(found.slowest, 3),
        "failed": found.failed,
    }


def _lines(found: Stressed, settings: Settings) -> Iterable[str]:
    """Yield what people read."""
    names, due = settings.places.names, sum(found.due.values())

    def amounts(of: dict[bytes, int]) -> str:
        told = [
            f"{names.get(vault) or checksum(vault)} "
            + (found.assets[vault].text(units, 6) if vault in found.assets else f"{units:,} units")
            for vault, units in of.items()
            if units
        ]
        return ", ".join(told) or "none"

    yield f"{found.moved} oracles fell"
    for oracle, reason in found.troubles.items():
        yield f"oracle {checksum(oracle)} gives no price: {reason}"
    yield f"due: {due:,} in {len(found.due)} vaults; liquidated: {len(found.liquidated):,}"
    for reason, count in found.left.most_common():
        yield f"left, {count:,}: {reason}"
    yield f"booked as loss: {amounts(found.lost)}; bad debt of what is left: {amounts(found.owed)}"
    yield (
        f"{found.transactions} transactions, {found.reverted} of them reverted; {found.gas:,} gas, "
        f"{_ETHER.text(found.cost, 6)}"
    )
    yield (
        f"{found.blocks} blocks; the keeper took {found.seconds:.1f} s, {found.slowest:.1f} s for "
        "the slowest"
    )


@click.command(cls=NodeCommand)
@click.option("--fall", required=True, type=click.IntRange(1, 99), help="Per cent of each price.")
@record_option
@quoter_option
@click.option("--account", help="Ape's name for the account that signs; a test account's.")
@profit_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stress(
    fall: int, record_file: Path | None, quoter: str | None, account: str | None,
    min_profit: str, as_json: bool,
) -> None:  # fmt: skip
    """Let every vault's price fall on a fork, liquidate all that pays, and put all of it back."""
    least = parse_amount(min_profit, [_ETHER], zero=True)[1]
    node = connected()
    _refuse_public(node)
    record = node.store(record_file).load(node.chain_id)
    refuse_empty(node)
    deployer = node.deployer(find_account(account, node))
    settings = replace(
        keeper_settings(node, record, deployer, quoter, ()),
        policy=Policy(least_profit=least),
        max_spend=_PLENTY,
    )
    try:
        found = asyncio.run(
            _stress(settings, Fraction(fall, 100), lambda line: click.echo(line, err=True))
        )
    except asyncio.CancelledError:
        fail("stopped; all of it was put back")
    if as_json:
        click.echo(json.dumps(_data(found)))
    else:
        console = Console()
        for line in _lines(found, settings):
            console.print(escape(line), highlight=False, soft_wrap=True)
        console.print("all of it was put back")
    if found.failed:
        fail("; ".join(f"{step} failed: {reason}" for step, reason in found.failed.items()))
