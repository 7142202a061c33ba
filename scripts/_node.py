"""What the commands share: the node and the account that Ape found, and errors as one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
from ape import accounts, networks
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException
from ape.logging import LogLevel, logger
from web3 import Web3
from web3.exceptions import Web3Exception

from ringfence.client.units import ZERO_ADDRESS
from ringfence.deploy import RecordStore, Web3Deployer, record_path
from ringfence.deploy.errors import DeployError, TransactionError
from ringfence.deploy.web3_deployer import connection_problem
from ringfence.errors import RingfenceError
from ringfence.evm import EvmError

ROOT = Path(__file__).resolve().parent.parent
LOCAL_CHAIN_IDS = (1337, 31337)

P = ParamSpec("P")


def fail(message: str) -> NoReturn:
    """End the command with one line and exit code 1."""
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what can go wrong into a line on stderr and exit code 1, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (RingfenceError, EvmError) as error:
            fail(str(error))
        except ApeException as error:
            fail(_first_line(error))
        except (Web3Exception, OSError) as error:
            fail(connection_problem(error) or _first_line(error))

    return wrapped


class NodeCommand(ConnectedProviderCommand):
    """A command with --network: what can go wrong is a line on stderr and exit code 1.

    With `as_json` among its parameters set, Ape keeps its remarks off standard output.
    """

    def invoke(self, ctx: click.Context) -> None:
        """Connect, run, and turn errors into a line without a traceback."""
        if ctx.params.get("as_json"):
            logger.set_level(LogLevel.WARNING)
        one_line_errors(super().invoke)(ctx)


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).splitlines()), type(error).__name__)
    # What Ape says of a node that ape-config.yaml leaves to the environment.
    variable = line.removeprefix("Invalid uri: $")
    if variable != line:
        return f"{variable} is not set; give it the URL of a node of that network"
    return line


@dataclass(frozen=True, slots=True)
class Node:
    """The node that Ape is connected to, and its URL.

    `rehearsal`: a local chain or a fork, whose record is kept from git; `local`: a chain with
    nothing on it.
    """

    web3: Web3
    url: str
    chain_id: int
    rehearsal: bool
    local: bool
    fork: bool

    @property
    def now(self) -> int:
        """The latest block's time, in unix seconds."""
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def store(self, path: Path | None = None) -> RecordStore:
        """Return the chain's record, at `path` if given."""
        return RecordStore(path or record_path(ROOT, self.chain_id, rehearsal=self.rehearsal))

    def reader(self) -> Web3Deployer:
        """Return a deployer that can only look."""

        def refuse(_fields: Mapping[str, Any]) -> bytes:
            raise DeployError("this command signs nothing")

        return Web3Deployer(self.web3, ZERO_ADDRESS, refuse)

    def deployer(self, account: AccountAPI) -> Web3Deployer:
        """Return a deployer that signs with one of Ape's accounts."""

        def sign(fields: Mapping[str, Any]) -> bytes:
            transaction = networks.provider.network.ecosystem.create_transaction(**fields)
            signed = account.sign_transaction(transaction)
            if signed is None:
                raise TransactionError(f"account {account.address} did not sign")
            return bytes(signed.serialize_transaction())

        return Web3Deployer(self.web3, account.address, sign)


def connected() -> Node:
    """Return the node that the command's --network chose.

    An anvil under a public chain's id is a fork, or a stand-in for one, however it was reached.
    """
    provider = networks.provider
    # The node's own answer: Ape takes every local chain to have the id of its own configuration.
    chain_id, network = int(provider.web3.eth.chain_id), provider.network
    local = chain_id in LOCAL_CHAIN_IDS
    simulated = network.is_dev or "anvil" in provider.web3.client_version.lower()
    url = str(getattr(provider, "http_uri", None) or getattr(provider, "uri", ""))
    return Node(
        provider.web3, url, chain_id, local or simulated, local=local, fork=simulated and not local
    )


def refuse_empty(node: Node) -> None:
    """Raise DeployError on a local chain without a block: where Ape starts a node of its own."""
    if node.local and not node.web3.eth.block_number:
        raise DeployError("this chain is empty; pass --network with your node's URL, or deploy")


def find_account(alias: str | None, node: Node) -> AccountAPI:
    """Return the account called `alias`; on a local chain or a fork the first test account is one.

    Raises DeployError when there is none.
    """
    if alias is None:
        if not node.rehearsal:
            raise DeployError("no account is named; pass --account and one of `ape accounts list`")
        return accounts.test_accounts[0]
    if alias.startswith("TEST::"):
        number = alias.removeprefix("TEST::")
        if not node.rehearsal:
            raise DeployError(f"{alias} is a test account of local chains; pass another --account")
        if not number.isdigit() or int(number) >= len(accounts.test_accounts):
            last = len(accounts.test_accounts) - 1
            raise DeployError(f"there is no account {alias}; known are TEST::0 to TEST::{last}")
        return accounts.test_accounts[int(number)]
    if alias not in accounts.aliases:
        made = ", ".join(accounts.aliases)
        known = made or f"none; make one with `ape accounts generate {alias}`"
        if node.rehearsal:
            known = f"TEST::0 to TEST::{len(accounts.test_accounts) - 1}" + (made and f", {made}")
        raise DeployError(f"there is no account {alias}; known are {known}")
    return accounts.load(alias)
