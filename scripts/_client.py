"""What trade, lend and govern share: options, the deployment, the account, the plan shown and sent.

A command gets a `Desk`. Tests hand one in as click's context object; otherwise Ape connects.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import click
from ape import networks
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.table import Table

from ringfence.client import (
    DeploymentError,
    InputError,
    Market,
    Plan,
    Receipt,
    Ringfence,
    Sender,
    Transaction,
    Web3Sender,
)
from ringfence.client.units import parse_address
from scripts._node import connected, find_account, one_line_errors, refuse_empty

Rows: TypeAlias = Sequence[tuple[str, str]]
Command: TypeAlias = Callable[..., None]
"""What a command does: takes a Desk, and its own arguments by name."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A deployment, who acts on it, and how the command talks."""

    ringfence: Ringfence
    find_sender: Callable[[str | None], Sender]
    account: str | None = None
    yes: bool = False
    dry_run: bool = False
    as_json: bool = False
    console: Console = field(default_factory=Console)

    def sender(self) -> Sender:
        """Return the account that signs."""
        if self.account is not None and self.account.startswith("0x"):
            raise InputError(
                f"{self.account} is an address, which cannot sign; pass one of `ape accounts list`"
            )
        return self.find_sender(self.account)

    @property
    def address(self) -> str:
        """The account's address; one given as 0x... is looked at without a key."""
        if self.account is not None and self.account.startswith("0x"):
            return parse_address(self.account)
        return self.find_sender(self.account).address

    def market(self, name: str | None) -> Market:
        """Return the market called `name`, or the only one."""
        if name is not None:
            return self.ringfence.market(name)
        names = sorted(self.ringfence.vaults)
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise DeploymentError(f"no market is named; pass --market and one of {known}")
        return self.ringfence.market(names[0])

    def say(self, title: str, rows: Rows, data: object) -> None:
        """Show (label, words) to people, `data` to programs."""
        if self.as_json:
            click.echo(json.dumps(data, indent=2))
        else:
            self.console.print(_two_columns(title, rows))

    def execute(self, plan: Plan, title: str, rows: Rows, facts: object) -> None:
        """Show what would happen, ask, send it and say what did."""
        sender = self.sender()
        screen = Console(stderr=True) if self.as_json else self.console
        steps = [(f"step {n}", one.what) for n, one in enumerate(plan.transactions, 1)]
        screen.print(_two_columns(title, [*rows, *steps]))
        plan.check()
        sent: list[dict[str, Any]] = []
        if not self.dry_run:
            if not self.yes:
                click.confirm("Send?", abort=True, err=self.as_json)

            def tell(one: Transaction, receipt: Receipt) -> None:
                sent.append({"what": one.what, "tx": receipt.tx_hash, "gas": receipt.gas_used})
                screen.print(f"done: {one.what} ({receipt.gas_used:,} gas)", highlight=False)

            plan.send(sender, tell)
        else:
            screen.print("nothing sent")
        if self.as_json:
            steps_left = [one.what for one in plan.transactions] if self.dry_run else []
            result = {"account": plan.owner, "quote": facts, "sent": sent, "planned": steps_left}
            click.echo(json.dumps(result, indent=2))


def _two_columns(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, words in rows:
        table.add_row(label, words)
    return table


@contextmanager
def _opened(
    network: str | None, record: Path | None, quoter: str | None
) -> Iterator[tuple[Ringfence, Callable[[str | None], Sender]]]:
    choice = network or networks.default_ecosystem.name
    # Ape's greetings would stand in the middle of the JSON.
    with logger.at_level(LogLevel.WARNING), networks.parse_network_choice(choice):
        node = connected()

        def find(alias: str | None) -> Sender:
            account = find_account(alias, node)
            return Web3Sender(node.web3, account.address, node.deployer(account).signer)

        ringfence = Ringfence.open(node.web3, node.store(record).path, quoter=quoter)
        refuse_empty(node)
        yield ringfence, find


_READ = (
    click.option("--network", help="Ape's name for the network; ape-config's default otherwise."),
    click.option("--account", help="Ape's name for the account; for looking, an address will do."),
    click.option("--record", type=click.Path(path_type=Path), help="The deployment's record."),
    click.option("--quoter", help="Uniswap's QuoterV2, where the record names none."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)
_WRITE = (
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--dry-run", is_flag=True, help="Show and check the plan, send nothing."),
)


def _command(
    group: click.Group, name: str, options: Sequence[Callable[..., Any]]
) -> Callable[[Command], click.Command]:
    def decorate(function: Command) -> click.Command:
        @one_line_errors
        def run(
            network: str | None,
            account: str | None,
            record: Path | None,
            quoter: str | None,
            as_json: bool,
            yes: bool = False,
            dry_run: bool = False,
            **arguments: object,
        ) -> None:
            given = click.get_current_context().obj
            how: dict[str, Any] = {"yes": yes, "dry_run": dry_run, "as_json": as_json}
            if isinstance(given, Desk):
                function(Desk(given.ringfence, given.find_sender, account, **how), **arguments)
                return
            with _opened(network, record, quoter) as (ringfence, find_sender):
                function(Desk(ringfence, find_sender, account, **how), **arguments)

        functools.update_wrapper(run, function)
        command: Any = run
        for option in reversed(options):
            command = option(command)
        made: click.Command = group.command(name)(command)
        return made

    return decorate


def reads(group: click.Group, name: str) -> Callable[[Command], click.Command]:
    """Register a command that only looks."""
    return _command(group, name, _READ)


def writes(group: click.Group, name: str) -> Callable[[Command], click.Command]:
    """Register a command that sends transactions."""
    return _command(group, name, (*_READ, *_WRITE))


market_option = click.option("--market", "market_name", help="A market's id, or a vault's address.")
