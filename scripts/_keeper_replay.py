"""`ape run keeper replay`: what a keeper would have done in the past, and what was done."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import click
from eth_utils.crypto import keccak
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ringfence.client.units import MAX_SALT, ZERO_ADDRESS, Token, parse_amount
from ringfence.deploy.errors import DeployError
from ringfence.evm.abi import address_bytes, checksum
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.assemble import Places
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.memory.events import Key
from ringfence.keeper.replay import Episode, History, Patient, Replay, Taken
from scripts._keeper_setup import profit_option, quoter_option, record_option
from scripts._node import NodeCommand, connected

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)
_NOBODY = keccak(text="ringfence replay")[12:]
"""Whom a replay plans for: someone who has nothing, and owes nothing."""
_TIMEOUT = 120.0
"""Seconds for an archive node's answer."""


async def _replay(
    url: str, places: Places, policy: Policy, account: bytes, blocks: tuple[int, int],
    told: Callable[[int, int], None],
) -> History:  # fmt: skip
    rpc = Web3Rpc(url, timeout=_TIMEOUT)
    try:
        return await Replay(Patient(rpc), places, account, policy, told).run(*blocks)
    finally:
        await rpc.close()


def _taken(one: Taken) -> dict[str, object]:
    return {
        "block": one.block,
        "by": one.by,
        "seized": one.seized,
        "paid": one.paid,
        "earned": one.earned,
        "exact": one.exact,
    }


def _named(key: Key) -> dict[str, object]:
    return {"vault": checksum(key[0]), "position_id": hex(key[1])}


def _episode(one: Episode) -> dict[str, object]:
    offer = one.offer
    return {
        **_named((one.vault, one.position_id)),
        "first_block": one.first,
        "would_send_at": offer and offer.block,
        "asset": offer and offer.asset.symbol,
        "profit": offer and offer.profit,
        "after_gas_wei": offer and offer.after_gas,
        "left": None if offer else one.left,
        "end": one.end,
        "end_block": one.end_block,
        "liquidations": [_taken(taken) for taken in one.taken],
    }


def _totals(history: History) -> dict[str, object]:
    """Return the sums; profits by the asset's symbol, in its units."""
    offers = [one.offer for one in history.episodes if one.offer]
    profits: Counter[str] = Counter()
    for offer in offers:
        profits[offer.asset.symbol] += offer.profit
    return {
        "due": len(history.episodes),
        "would_have_sent": len(offers),
        "left": len(history.episodes) - len(offers),
        "missed_by_everyone": sum(one.missed for one in history.episodes),
        "sudden": len(history.sudden),
        "profits": dict(profits),
        "after_gas_wei": sum(offer.after_gas for offer in offers),
    }


def _data(history: History) -> dict[str, object]:
    return {
        "from": history.first,
        "to": history.last,
        "episodes": [_episode(one) for one in history.episodes],
        "sudden": [{**_named(key), **_taken(taken)} for key, taken in history.sudden],
        "troubles": [
            {"vault": checksum(vault), "reason": reason, "blocks": count}
            for (vault, reason), count in history.troubles.items()
        ],
        "totals": _totals(history),
    }


def _planned(one: Episode) -> str:
    """Return what the keeper would have done, for people."""
    if one.offer is None:
        return f"left: {one.left}"
    later = "" if one.offer.block == one.first else f" at block {one.offer.block:,}"
    profit, wei = one.offer.asset.text(one.offer.profit, 6), _ETHER.text(one.offer.after_gas, 6)
    return f"send{later}: {profit}, {wei} after gas"


def _happened(one: Episode, asset: Token | None) -> str:
    words = [_told(taken, asset) for taken in one.taken]
    if one.end != "liquidated":
        at = "" if one.end_block is None else f" at block {one.end_block:,}"
        words.append(f"{one.end}{at}")
    return "; ".join(words)


def _told(taken: Taken, asset: Token | None) -> str:
    words = f"liquidated at block {taken.block:,} by {taken.by[:6]}…{taken.by[-4:]}"
    if taken.earned is None:
        return words
    earned = asset.text(taken.earned, 6) if asset else f"{taken.earned:,} units"
    return f"{words}, earning {'' if taken.exact else 'about '}{earned}"


def _show(history: History, places: Places) -> None:
    console = Console()
    assets = {one.vault: one.offer.asset for one in history.episodes if one.offer}

    def name(vault: bytes) -> str:
        return places.names.get(vault) or checksum(vault)

    def say(words: str) -> None:
        console.print(escape(words), highlight=False, soft_wrap=True)

    for (vault, reason), count in history.troubles.items():
        say(f"{name(vault)}, at {count:,} blocks: {reason}")
    if history.episodes:
        title = f"Due in blocks {history.first:,} to {history.last:,}"
        table = Table(title=title, title_justify="left")
        for column in ("market", "owner", "salt", "since", "the keeper", "what happened"):
            table.add_column(column, overflow="fold")
        for one in history.episodes:
            owner = checksum((one.position_id >> 96).to_bytes(20, "big"))
            cells = (
                name(one.vault),
                f"{owner[:6]}…{owner[-4:]}",
                str(one.position_id & MAX_SALT),
                f"{one.first:,}",
                _planned(one),
                _happened(one, assets.get(one.vault)),
            )
            table.add_row(*map(escape, cells))
        console.print(table)
    for (vault, position_id), taken in history.sudden:
        told = _told(taken, assets.get(vault))
        say(f"{name(vault)} {hex(position_id)}: {told}, in the block in which it became due")
    totals = _totals(history)
    by_symbol = {asset.symbol: asset for asset in assets.values()}
    profits = cast("dict[str, int]", totals["profits"])
    earned = ", ".join(by_symbol[one].text(units, 6) for one, units in profits.items())
    say(
        f"{totals['due']} due: {totals['would_have_sent']} would have been sent"
        + (
            f", earning {earned}, {_ETHER.text(cast('int', totals['after_gas_wei']), 6)} after gas"
            if earned
            else ""
        )
        + f"; {totals['left']} left; {totals['missed_by_everyone']} missed by everyone."
    )


@click.command(cls=NodeCommand)
@click.option("--from", "first", type=click.IntRange(0), required=True, help="First block.")
@click.option("--to", "last", type=click.IntRange(0), help="Last block; the node's by default.")
@record_option
@quoter_option
@click.option("--account", help="An address to plan for; a stranger's by default.")
@profit_option
@click.option("--max-loss", default="0 ETH", show_default=True, help="Most to lose on one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(
    first: int, last: int | None, record_file: Path | None, quoter: str | None,
    account: str | None, min_profit: str, max_loss: str, as_json: bool,
) -> None:  # fmt: skip
    """Run past blocks again: what the keeper would have done, and what was done."""
    least, most = (parse_amount(one, [_ETHER], zero=True)[1] for one in (min_profit, max_loss))
    node = connected()
    record = node.store(record_file).load(node.chain_id)
    places = Places.of(record, quoter)
    end = node.web3.eth.block_number if last is None else last
    begun = max(record.contracts[name].block for name in ("factory", "lens", "liquidator"))
    if first < begun:
        raise DeployError(
            f"block {first:,} cannot be replayed: what a keeper needs stands since block "
            f"{begun:,}; pass --from {begun} or later"
        )
    console = Console(stderr=True)
    with console.status("reading the chain") as status:

        def told(block: int, last: int) -> None:
            status.update(f"block {block:,} of {last:,}")

        history = asyncio.run(
            _replay(
                node.url,
                places,
                Policy(least_profit=least, most_loss=most),
                address_bytes(account) if account else _NOBODY,
                (first, end),
                told,
            )
        )
    if as_json:
        click.echo(json.dumps(_data(history)))
    else:
        _show(history, places)
