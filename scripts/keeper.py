"""Liquidate what is due, once or on and on: `ape run keeper --once`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import click
from ape.api import AccountAPI
from ape_accounts.accounts import InvalidPasswordError
from eth_utils.address import is_address, to_canonical_address
from rich.console import Console

from ringfence.client.units import ZERO_ADDRESS, Token, parse_amount, parse_duration
from ringfence.deploy.deployer import Deployer
from ringfence.deploy.errors import DeployError
from ringfence.deploy.tokens import allowance, erc20_call
from ringfence.evm.abi import checksum
from ringfence.keeper.act.policy import MAX_TARGETS, Policy
from ringfence.keeper.assemble import GWEI, Settings, opened
from ringfence.keeper.chain.heads import Heads
from ringfence.keeper.chain.pending import Mempool
from ringfence.keeper.run import Watch, keep
from ringfence.keeper.service import Beat, Service
from ringfence.keeper.watch.logs import open_log
from ringfence.keeper.watch.server import PORT
from ringfence.keeper.watch.status import line
from scripts._keeper_check import check
from scripts._keeper_replay import replay
from scripts._keeper_setup import common, database, keeper_settings, profit_option, url_of
from scripts._keeper_show import Screen
from scripts._keeper_stress import stress
from scripts._node import NodeCommand, connected, fail, find_account, refuse_empty

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)
_WAIT = 40
"""Heads for which one look waits for its transactions."""


def _wei(text: str) -> int:
    """Return an amount of ether in wei; raise InputError when it is none."""
    return parse_amount(text, [_ETHER], zero=True)[1]


def _token(text: str) -> bytes:
    """Return a token's 20 bytes; raise DeployError when it is no address, or mistyped."""
    if not is_address(text):
        raise DeployError(f"{text!r} is no token's address; write 0x and its 40 hex digits")
    return to_canonical_address(text)


def _listen(text: str) -> tuple[str, int] | None:
    """Return host and port of "host:port" or "port", None for "none"."""
    if text == "none":
        return None
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 2**16:
        raise DeployError(f"{text!r} is no place to listen; write 127.0.0.1:{PORT}, or none")
    return host or "127.0.0.1", int(port)


class _KeeperGroup(click.Group):
    """`ape run keeper` with options alone is `ape run keeper run`."""

    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] != ["--help"] and (not args or args[0] not in self.commands):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_KeeperGroup)
def cli() -> None:
    """Find positions past their limit and liquidate them with no capital, through Uniswap."""


def _unlock(account: AccountAPI, *, dry_run: bool) -> None:
    """Have a key in a file sign without asking each time; it asks for its passphrase once.

    Ape takes it from APE_ACCOUNTS_<alias>_PASSPHRASE where that is set.
    """
    if dry_run or not hasattr(account, "set_autosign"):
        return
    variable = f"APE_ACCOUNTS_{account.alias}_PASSPHRASE"
    try:
        account.set_autosign(True)
    except click.Abort as error:
        told = f"no passphrase was given for {account.alias}; type it, or set {variable}"
        raise DeployError(told) from error
    except InvalidPasswordError as error:
        told = f"that is not the passphrase of {account.alias}; type the right one, or set it in"
        raise DeployError(f"{told} {variable}") from error


def _approve_losses(deployer: Deployer, liquidator: str, most: dict[bytes, int]) -> None:
    """Let the Liquidator take what the policy lets the keeper lose, once, of every asset."""
    for token, amount in ((checksum(raw), amount) for raw, amount in most.items()):
        if amount and allowance(deployer, token, deployer.account, liquidator) < amount:
            data = erc20_call("approve(address,uint256)", liquidator, amount)
            since, signed = deployer.block(), deployer.sign(token, data, deployer.nonce())
            deployer.send(signed)
            mined = deployer.settle(signed.tx_hash, signed.nonce, since)
            if mined is None or not mined.success:
                fail(f"{token} did not take the keeper's approval; try again")


def _progress(console: Console) -> Callable[[int, int], None]:
    """Return what tells, now and then, how far a chain that is being read has been read."""
    told = time.monotonic()

    def tell(block: int, head: int) -> None:
        nonlocal told
        if head - block > 1 and time.monotonic() - told > 2:
            told = time.monotonic()
            console.print(f"reading the chain: block {block:,} of {head:,}", highlight=False)

    return tell


async def _once(service: Service, heads: Heads, screen: Screen, act: Callable[[], bool]) -> None:
    """Look; where something is worth sending and `act` says so, send it and wait for the end."""
    policy = service.lane.policy
    service.lane = replace(service.lane, policy=replace(policy, dry_run=True))
    seen = await service.on_head(await anext(heads))
    if policy.dry_run or not seen.plan.bids or seen.refused:
        screen.look(seen)
        return
    screen.table(seen)
    if not act():
        raise click.Abort
    service.lane = replace(service.lane, policy=policy)
    sent = await service.on_head(seen.head)
    beat = sent
    for _ in range(_WAIT):
        if not service.status.lane.open:
            break
        beat = await service.on_head(await anext(heads))
        sent.report.changed += beat.report.changed
    screen.outcome(sent)


async def _work(
    settings: Settings, heads_url: str | None, mempool: str | None, interval: float,
    watch: Watch | None, screen: Screen, act: Callable[[], bool],
    approve: Callable[[dict[bytes, int]], None],
) -> None:  # fmt: skip
    progress = _progress(Console(stderr=True))
    log = open_log(sys.stderr, as_json=screen.as_json)
    async with (
        opened(settings, time.time, progress) as service,
        Heads(service.pool, heads_url, interval=interval) as heads,
        AsyncExitStack() as cleanup,
    ):
        if settings.policy.most_loss and not settings.lane.dry_run:
            head = await anext(heads)
            tick = await service.engine.tick(head)
            approve(await service.planner.bearable(head, tick))
        if watch is None:
            await _once(service, heads, screen, act)
            return

        def show(beat: Beat) -> None:
            screen.beat(beat, line(service.status))
            for step, reason in beat.failed.items():
                log.warning(reason, step=step, block=beat.head.number)
            if heads.trouble:
                log.warning(heads.trouble, step="heads", block=beat.head.number)

        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        updates = None
        if mempool is not None and service.behind is not None:
            watched = service.behind.watched
            updates = await cleanup.enter_async_context(Mempool(service.pool, mempool, watched))
        await keep(service, heads, watch, show, screen.listening, updates)


cli.add_command(check)
cli.add_command(replay)
cli.add_command(stress)


@cli.command("run", cls=NodeCommand)
@common
@click.option("--ledger", help="File that remembers transactions; beside the store's by default.")
@click.option("--share", help="PostgreSQL URL of leases, where several keepers share the work.")
@click.option("--quorum", type=click.IntRange(1), help="Nodes that must have a head.")
@click.option("--ws", "heads_url", help="A node's WebSocket URL for heads; else it asks.")
@click.option(
    "--mempool", help="A node's WebSocket URL for oracles' updates before they are mined."
)
@click.option("--relay", "relays", multiple=True, help="A private relay's URL: only these send.")
@click.option("--public-after", type=click.IntRange(1), help="Blocks until it is sent openly too.")
@profit_option
@click.option(
    "--max-loss", default="0 ETH", show_default=True, help="Most to lose on an insolvent one."
)
@click.option(
    "--assets",
    multiple=True,
    help="A token that profit is taken in; by default the assets of the record's vaults.",
)
@click.option(
    "--batch", type=click.IntRange(1, MAX_TARGETS), default=MAX_TARGETS, show_default=True,
    help="Positions a transaction, at most.",
)  # fmt: skip
@click.option("--max-fee", type=float, default=500, show_default=True, help="Most a gas, gwei.")
@click.option("--max-spend", default="1 ETH", show_default=True, help="Most for gas in a day.")
@click.option("--interval", default="2s", show_default=True, help="Between looks for a head.")
@click.option("--listen", default=f"127.0.0.1:{PORT}", show_default=True, help="Health; or none.")
@click.option("--webhook", help="URL that alerts go to.")
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def run(
    account: str | None, record_file: Path | None, store: str | None, ledger: str | None,
    share: str | None, rpcs: tuple[str, ...], quorum: int | None, heads_url: str | None,
    mempool: str | None, relays: tuple[str, ...], public_after: int | None, quoter: str | None,
    min_profit: str, max_loss: str, assets: tuple[str, ...], batch: int, max_fee: float,
    max_spend: str, interval: str, listen: str, webhook: str | None, once: bool, dry_run: bool,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Liquidate what is due; without --once on and on, every block."""
    policy = Policy(
        least_profit=_wei(min_profit),
        most_loss=_wei(max_loss),
        targets=batch,
        assets=frozenset(map(_token, assets)),
    )
    pause, most_spent, place = float(parse_duration(interval)), _wei(max_spend), _listen(listen)
    for option, url in (("--ws", heads_url), ("--mempool", mempool)):
        if url is not None:
            url_of(option, url, "ws", "wss")
    for option, url in (("--webhook", webhook), *(("--relay", relay) for relay in relays)):
        if url is not None:
            url_of(option, url, "http", "https")
    node = connected()
    record = node.store(record_file).load(node.chain_id)
    refuse_empty(node)
    signer = find_account(account, node)
    deployer = node.deployer(signer)
    settings = keeper_settings(node, record, deployer, quoter, rpcs)
    settings = replace(
        settings,
        policy=policy,
        store=database(node, store, ""),
        ledger=database(node, ledger, ".lane"),
        shared=share and database(node, share, ""),
        quorum=quorum,
        relays=relays,
        lane=replace(settings.lane, dry_run=dry_run, public_after=public_after),
        max_fee=int(max_fee * GWEI),
        max_spend=most_spent,
        behind=mempool is not None and not once,
    )

    def ask() -> bool:
        question = f"Send liquidations from {deployer.account}?"
        return yes or click.confirm(question, err=as_json)

    if not (once or dry_run or ask()):
        raise click.Abort
    _unlock(signer, dry_run=dry_run)
    screen = Screen(settings.places.names, as_json=as_json)
    watch = None if once else Watch(place, webhook)
    liquidator = record.address("liquidator")

    def approve(most: dict[bytes, int]) -> None:
        _approve_losses(deployer, liquidator, most)

    try:
        asyncio.run(_work(settings, heads_url, mempool, pause, watch, screen, ask, approve))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped; what was sent is remembered", err=True)
