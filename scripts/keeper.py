"""Liquidate what is due, once or on and on: `ape run keeper --once`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ringfence.client.market import read_token
from ringfence.client.node import Web3Node
from ringfence.client.units import MAX_SALT, ZERO_ADDRESS, Token, parse_amount, parse_duration
from ringfence.deploy import Record
from ringfence.deploy.deployer import Deployer
from ringfence.deploy.errors import DeployError
from ringfence.deploy.steps import FACTORY
from ringfence.errors import RingfenceError
from ringfence.evm.abi import address_bytes, checksum
from ringfence.keeper import Executor, Keeper, Policy, Round
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.decide import MAX_BATCH
from ringfence.keeper.engine import Engine, Tick
from ringfence.keeper.follow import EngineDiscovery
from ringfence.keeper.memory.store import Deployment, Store
from scripts._node import ROOT, Node, NodeCommand, connected, fail, find_account, refuse_empty

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)


def _wei(text: str) -> int:
    """Return an amount of ether in wei; raise InputError when it is none."""
    return parse_amount(text, [_ETHER], zero=True)[1]


def _store_url(node: Node, given: str | None) -> str:
    """Return the SQLAlchemy URL of a file or a URL, or of what is right for the chain.

    A local chain or a fork is short, and wound back and started anew at will: in memory.
    """
    if given is None and node.rehearsal:
        return "sqlite://"
    if given is not None and "://" in given:
        return given.replace("postgresql://", "postgresql+psycopg://", 1)
    path = Path(given) if given else ROOT / "out" / "keeper" / f"{node.chain_id}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path.absolute()}"


def _discovery(
    node: Node, record: Record, account: Deployer, store_url: str, cleanup: ExitStack
) -> EngineDiscovery:
    """Return what finds positions; whatever it holds open is closed by `cleanup`.

    Raises DeployError when the node is not reached over HTTP, StoreError.
    """
    if not node.url.startswith("http"):
        raise DeployError("the keeper asks over HTTP; pass --network with an http or https URL")
    factory, liquidator = record.contracts[FACTORY], record.contracts["liquidator"]
    lens = record.address("lens")
    deployment = Deployment(node.chain_id, address_bytes(factory.address), factory.block)
    store = Store(store_url, deployment)
    cleanup.callback(store.close)
    runner, rpc = cleanup.enter_context(asyncio.Runner()), Web3Rpc(node.url)
    cleanup.callback(lambda: runner.run(rpc.close()))
    return EngineDiscovery(
        reader=account,
        lens=lens,
        liquidator=liquidator.address,
        uniswap_factory=str(liquidator.arguments["uniswap_factory"]),
        weth=str(record.contracts["router"].arguments["weth_"]),
        engine=Engine(rpc, store, address_bytes(lens)),
        rpc=rpc,
        runner=runner,
    )


def _data(seen: Round, tick: Tick) -> dict[str, object]:
    return {
        "block": tick.block and tick.block.number,
        "nearest": tick.nearest,
        "troubles": {checksum(vault): reason for vault, reason in tick.troubles.items()},
        "candidates": [
            {
                "vault": market.vault,
                "position_id": hex(one.position_id),
                "profit": one.profit,
                "loss": one.loss,
            }
            for market in seen.state
            for one in market.candidates
        ],
        "actions": [
            {
                "vault": action.vault,
                "position_ids": [hex(one.position_id) for one in action.targets],
                "min_profit": action.min_profit,
            }
            for action in seen.actions
        ],
        "outcomes": [
            {"tx": one.tx_hash, "success": one.success, "reason": one.reason}
            for one in seen.outcomes
        ],
    }


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _token(node: Node, address: str) -> Token:
    """Return a token for the table, in raw units where it does not say its decimals.

    Anyone may create a vault: what its token answers must not stop the keeper.
    """
    try:
        token = read_token(Web3Node(node.web3), address)
    except RingfenceError:
        return Token(address, f"units of {_short(address)}", 0)
    symbol = "".join(one for one in token.symbol if one.isprintable())
    return replace(token, symbol=symbol)


def _calm(tick: Tick) -> str:
    """Return what to say where nothing is due, so that silence is legible."""
    if tick.nearest is None:
        return "Nothing is due. No position has both a debt and a price."
    # A smallest debt counts for a unit or two more than it is.
    return f"Nothing is due. The nearest position: {max(tick.nearest, 0) * 100:.1f} % away."


def _show(
    seen: Round,
    tick: Tick,
    console: Console,
    names: Mapping[str, str],
    tokens: Mapping[str, Token],
) -> None:
    """Print a round; `names` and `tokens` are the markets' ids and assets, by vault."""
    for vault, reason in tick.troubles.items():
        address = checksum(vault)
        console.print(escape(f"{names.get(address, _short(address))}: {reason}"), highlight=False)
    candidates = [(market, one) for market in seen.state for one in market.candidates]
    if not candidates:
        console.print(_calm(tick), highlight=False)
        return
    chosen = {
        (action.vault, target.position_id) for action in seen.actions for target in action.targets
    }
    table = Table(title="Due for liquidation", title_justify="left")
    for name in ("market", "owner", "salt", "profit", "loss", ""):
        table.add_column(name, overflow="fold")
    for market, one in candidates:
        owner = checksum((one.position_id >> 96).to_bytes(20, "big"))
        asset = tokens[market.vault]
        profit = "would revert" if one.profit is None else asset.text(one.profit, 6)
        loss = asset.text(one.loss, 6) if one.loss else "none"
        verdict = "liquidate" if (market.vault, one.position_id) in chosen else "leave"
        name = names.get(market.vault, _short(market.vault))
        row = (name, _short(owner), str(one.position_id & MAX_SALT), profit, loss, verdict)
        table.add_row(*map(escape, row))
    console.print(table)
    for outcome in seen.outcomes:
        verdict = "done" if outcome.success else f"failed: {outcome.reason}"
        console.print(f"{outcome.tx_hash or 'not sent'}: {verdict}", highlight=False)


@click.command(cls=NodeCommand)
@click.option("--account", help="Ape's name for the account that signs and gets the profit.")
@click.option(
    "--record",
    "record_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="In place of deployments/<chain id>.json.",
)
@click.option(
    "--store",
    "store",
    help="File or PostgreSQL URL that remembers positions; out/keeper/<chain id>.sqlite, or "
    "memory on a local chain or a fork.",
)
@click.option("--min-profit", default="0 ETH", show_default=True, help="Least profit.")
@click.option(
    "--max-loss", default="0 ETH", show_default=True, help="Most to lose on an insolvent one."
)
@click.option(
    "--batch", type=click.IntRange(1, MAX_BATCH), default=1, help="Positions a transaction."
)
@click.option("--interval", default="12s", show_default=True, help="Between looks.")
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a look.")
def cli(
    account: str | None,
    record_file: Path | None,
    store: str | None,
    min_profit: str,
    max_loss: str,
    batch: int,
    interval: str,
    once: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Find positions past their limit and liquidate them with no capital, through Uniswap."""
    least, most, pause = _wei(min_profit), _wei(max_loss), parse_duration(interval)
    node = connected()
    record = node.store(record_file).load(node.chain_id)
    if "liquidator" not in record.contracts:
        fail(f"nothing is deployed on chain {node.chain_id}; run deploy first, or pass --record")
    refuse_empty(node)
    policy = Policy(
        gas_price=int(node.web3.eth.gas_price),
        min_profit=least,
        max_loss=most,
        batch_size=batch,
    )
    deployer = node.deployer(find_account(account, node))
    with ExitStack() as cleanup:
        found = _discovery(node, record, deployer, _store_url(node, store), cleanup)
        executor = Executor(deployer, record.address("liquidator"))
        keeper = Keeper(found, executor, policy)
        if not dry_run:
            if not yes:
                who = keeper.executor.account.account
                click.confirm(f"Send liquidations from {who}?", abort=True, err=as_json)
            keeper.allow_losses()
        console, names = Console(), {address: name for name, address in record.vaults.items()}
        while True:
            now = replace(keeper.policy, gas_price=int(node.web3.eth.gas_price))
            keeper = replace(keeper, policy=now)
            seen = keeper.run_once(dry_run=dry_run)
            if as_json:
                click.echo(json.dumps(_data(seen, found.tick)))
            else:
                due = [one.vault for one in seen.state if one.candidates]
                assets = {one: _token(node, found.vaults[one].asset) for one in due}
                _show(seen, found.tick, console, names, assets)
            if once:
                return
            time.sleep(pause)
