"""What the keeper's commands begin from: a record, nodes, databases, an account."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import click

from ringfence.deploy.deployer import Deployer
from ringfence.deploy.errors import DeployError
from ringfence.deploy.record import Record
from ringfence.evm.abi import address_bytes
from ringfence.keeper.assemble import Places, Settings
from scripts._node import ROOT, Node

_Command = TypeVar("_Command", bound=Callable[..., None])

record_option = click.option(
    "--record",
    "record_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="In place of deployments/<chain id>.json.",
)
quoter_option = click.option(
    "--quoter", help="Uniswap's QuoterV2, on a chain where it is not known."
)
profit_option = click.option(
    "--min-profit", default="0 ETH", show_default=True, help="Least profit."
)

_OPTIONS = (
    click.option("--account", help="Ape's name for the account that signs and gets the profit."),
    record_option,
    click.option(
        "--store",
        help="File or PostgreSQL URL that remembers positions; out/keeper/<chain id>.sqlite, or "
        "memory on a local chain or a fork.",
    ),
    click.option(
        "--rpc", "rpcs", multiple=True, help="A further node's URL; heads need a majority."
    ),
    quoter_option,
    click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a look."),
)


def common(command: _Command) -> _Command:
    """Give a command the options that all of the keeper's have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def url_of(option: str, text: str, *schemes: str) -> str:
    """Return `text` if it is a URL of one of the schemes; raise DeployError when it is none.

    The message does not repeat it: a URL may hold a key.
    """
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        good = False
    if not good:
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        raise DeployError(f"{option} takes a URL that begins with {begins}; write all of it")
    return text


def database(node: Node, given: str | None, name: str) -> str:
    """Return the SQLAlchemy URL of a file or a URL, or of what is right for the chain.

    A local chain or a fork is short, and wound back and started anew at will: in memory.
    """
    if given is None and node.rehearsal:
        return "sqlite://"
    if given is not None and "://" in given:
        return given.replace("postgresql://", "postgresql+psycopg://", 1)
    path = Path(given) if given else ROOT / "out" / "keeper" / f"{node.chain_id}{name}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path.absolute()}"


def keeper_settings(
    node: Node, record: Record, deployer: Deployer, quoter: str | None, urls: tuple[str, ...]
) -> Settings:
    """Return what every keeper of this deployment begins from."""
    if not node.url.startswith("http"):
        raise DeployError("the keeper asks over HTTP; pass --network with an http or https URL")
    return Settings(
        places=Places.of(record, quoter),
        account=address_bytes(deployer.account),
        signer=deployer.signer,
        urls=(node.url, *(url_of("--rpc", url, "http", "https") for url in urls)),
        store="sqlite://",
        ledger="sqlite://",
        holder=f"{socket.gethostname()}:{os.getpid()}",
    )
