"""The commands over a real node: Ape connects and signs, web3.py talks to anvil."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ringfence.client.engines import EngineNode
from ringfence.client.market import Periphery
from ringfence.evm import load
from ringfence.evm.anvil import AnvilEngine, launch
from scripts import govern, lend, trade
from tests.support.client import Desk
from tests.support.market import CURATOR, OTHER_TRADER
from tests.support.periphery import build_stage

CHAIN_ID = 31_337


@dataclass(frozen=True, slots=True)
class Shell:
    """A terminal on a machine where the deployment's record lies."""

    url: str
    record: Path

    def run(self, cli: click.Command, *words: str, **changes: str) -> Result:
        options = {"network": f"ethereum:local:{self.url}", "record": str(self.record)} | changes
        given = [f"--{name}={value}" for name, value in options.items()]
        return CliRunner(mix_stderr=False).invoke(cli, [*words, *given], env={"COLUMNS": "200"})

    def tells(self, cli: click.Command, *words: str, **changes: str) -> Any:
        result = self.run(cli, *words, "--json", **changes)
        assert result.exit_code == 0, result.stderr or result.exception
        return json.loads(result.stdout)

    def refuses(self, cli: click.Command, *words: str, **changes: str) -> str:
        result = self.run(cli, *words, **changes)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit), result.exception
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, result.stderr
        assert "Traceback" not in result.output
        return lines[0].removeprefix("error: ")


@pytest.fixture(scope="module")
def node() -> Iterator[AnvilEngine]:
    """A node of our own, as a user's local chain."""
    with launch(chain_id=CHAIN_ID) as engine, engine.automining():
        yield engine


@pytest.fixture(scope="module")
def shell(node: AnvilEngine, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The stage of `periphery` on it."""
    stage = build_stage(node)
    lens = node.deploy(load("VaultLens"))
    desk = Desk(stage, lens, EngineNode(node), Periphery(lens.address), *[None] * 2)  # type: ignore[arg-type]
    return Shell(node.url, desk.record(tmp_path_factory.mktemp("record")))


LONG = ("--market", "weth-usdc")


def account_number(address: str, node: AnvilEngine) -> str:
    return f"TEST::{[one.address for one in node.accounts].index(address)}"


def test_journey__signed_by_ape__comes_true(shell: Shell, node: AnvilEngine) -> None:
    me = account_number(OTHER_TRADER.address, node)
    words = (*LONG, "--margin", "1.5 WETH", "--leverage", "3x")
    done = shell.tells(trade.cli, "open", *words, "--yes", account=me)
    assert len(done["sent"]) == 3
    assert all(one["tx"].startswith("0x") and one["gas"] > 20_000 for one in done["sent"])
    told = shell.tells(trade.cli, "show", account=me)
    (position,) = told["positions"]
    assert told["account"] == OTHER_TRADER.address
    assert position["market"] == "weth-usdc"
    assert abs(float(position["collateral"]) - 4.5) < 0.01
    shell.tells(lend.cli, "deposit", *LONG, "1000 USDC", "--yes", account=me)
    lent = shell.tells(lend.cli, "show", *LONG, account=me)
    assert abs(float(lent["value"]) - 1_000) < 0.001
    shell.tells(trade.cli, "close", *LONG, "1", "--yes", account=me)
    assert shell.tells(trade.cli, "show", account=me)["positions"] == []
    curator = account_number(CURATOR.address, node)
    caps = ("caps", *LONG, "--debt", "5 USDC", "--yes")
    shell.tells(govern.cli, *caps, account=curator)
    assert shell.tells(govern.cli, "show", *LONG)["debt_cap"] == f"{5:.6f}"


def test_any__refused_by_the_vault__one_line_over_a_node_too(
    shell: Shell, node: AnvilEngine
) -> None:
    me = account_number(OTHER_TRADER.address, node)
    before = node.snapshot()
    line = shell.refuses(govern.cli, "caps", *LONG, "--debt", "1 USDC", "--yes", account=me)
    assert line.startswith("caller is not the guardian")
    line = shell.refuses(lend.cli, "withdraw", *LONG, "5000000 USDC", "--yes", account=me)
    assert "not enough shares" in line
    node.restore(before)


def test_any__no_node_there__one_line(shell: Shell) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = shell.refuses(trade.cli, "show", network=f"ethereum:local:http://127.0.0.1:{port}")
    assert line


def test_any__unknown_network__one_line(shell: Shell) -> None:
    assert "atlantis" in shell.refuses(trade.cli, "show", network="ethereum:atlantis")


def test_any__unknown_account__names_those_known(shell: Shell) -> None:
    assert "there is no account nobody" in shell.refuses(trade.cli, "show", account="nobody")


def test_any__nothing_deployed__says_to_deploy(shell: Shell, tmp_path: Path) -> None:
    line = shell.refuses(trade.cli, "show", record=str(tmp_path / "none.json"))
    assert line.startswith(f"nothing is deployed on chain {CHAIN_ID}")


def test_any__another_chains_record__says_both(shell: Shell, tmp_path: Path) -> None:
    record = json.loads(shell.record.read_text()) | {"chain_id": 1}
    path = tmp_path / "mainnet.json"
    path.write_text(json.dumps(record))
    line = shell.refuses(trade.cli, "show", record=str(path))
    assert "is the record of chain 1, the node is on chain 31337" in line


def test_any__chain_started_anew__says_that_there_is_no_vault(shell: Shell) -> None:
    with launch(chain_id=CHAIN_ID) as anew:
        anew.deploy(load("VaultLens"))
        line = shell.refuses(govern.cli, "show", *LONG, network=f"ethereum:local:{anew.url}")
    assert "there is no MarginVault at" in line


def test_any__empty_chain__says_to_name_a_node(shell: Shell) -> None:
    with launch(chain_id=CHAIN_ID) as empty:
        where = f"ethereum:local:{empty.url}"
        for command in (trade.cli, lend.cli, govern.cli):
            line = shell.refuses(command, "show", *LONG, network=where)
            assert line.startswith("this chain is empty; pass --network with your node's URL")
