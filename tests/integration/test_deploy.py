"""Deploying to a real node: signed transactions, interruptions, and the commands people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ape.utils import use_temp_sys_path
from click.testing import CliRunner
from web3 import Web3

from ringfence.client import Ringfence, Trader, Web3Sender
from ringfence.client.signing import key_signer
from ringfence.deploy import (
    Record,
    RecordStore,
    Roles,
    TransactionError,
    Web3Deployer,
    deploy,
    local_chain,
    make_plan,
    verify,
)
from ringfence.deploy.deployer import Signed
from ringfence.deploy.tokens import erc20_call
from ringfence.evm import load
from ringfence.evm.anvil import AnvilEngine, launch
from tests.support.deployment import COMMIT, ROOT, market_path, markets, testnet
from tests.support.market import DEPLOYER, GUARDIAN, STRANGER

__all__ = ["testnet"]

CONSERVATIVE, SHORT = "weth-usdc-conservative", "usdc-weth-short"
LOCAL = 31_337


@pytest.fixture(scope="module")
def node() -> Iterator[AnvilEngine]:
    with launch(chain_id=LOCAL) as engine, engine.automining():
        yield engine


@pytest.fixture
def anvil_node(node: AnvilEngine) -> Iterator[AnvilEngine]:
    mark = node.snapshot()
    yield node
    node.restore(mark)


@pytest.fixture
def deployer(anvil_node: AnvilEngine) -> Web3Deployer:
    web3 = Web3(Web3.HTTPProvider(anvil_node.url))
    return Web3Deployer(web3, DEPLOYER.address, key_signer(DEPLOYER), timeout=30)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "record.json")


def put(deployer: Web3Deployer, store: RecordStore, *market_ids: str) -> Record:
    chain, record = local_chain(LOCAL), store.load(LOCAL)
    plan = make_plan(markets(*market_ids), chain, Roles(deployer.account), {}, record)
    return deploy(plan, deployer, store, commit=COMMIT)


# Signed transactions


def test_deploy__node__stands_verified_and_mined_as_recorded(
    deployer: Web3Deployer, store: RecordStore, anvil_node: AnvilEngine
) -> None:
    record = put(deployer, store, CONSERVATIVE)
    assert verify(record, deployer, COMMIT) == []
    for entry in record.contracts.values():
        receipt = deployer.web3.eth.get_transaction_receipt(entry.tx_hash)  # type: ignore[arg-type]
        assert receipt["blockNumber"] == entry.block
        assert receipt["status"] == 1
    vault = anvil_node.at(record.vaults[CONSERVATIVE], load("MarginVault"))
    assert vault.current_balance_sheet().cash == 10 * 10**6
    nonce = deployer.nonce()
    assert put(deployer, store, CONSERVATIVE) == record
    assert deployer.nonce() == nonce


class Killed(BaseException):
    """The process died."""


@dataclass
class Dying:
    """Dies at the n-th transaction, before it is sent or after."""

    inner: Web3Deployer
    left: int
    sends: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def send(self, signed: Signed) -> None:
        self.left -= 1
        if self.left < 0 and not self.sends:
            raise Killed
        self.inner.send(signed)
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("sends", [False, True])
def test_deploy__killed_at_every_transaction__nothing_twice(
    deployer: Web3Deployer, store: RecordStore, sends: bool
) -> None:
    lives = 0
    while True:
        try:
            record = put(Dying(deployer, lives % 3, sends), store, CONSERVATIVE)  # type: ignore[arg-type]
            break
        except Killed:
            lives += 1
    assert lives > 5
    assert deployer.nonce() == 18
    assert len(record.contracts) == 14
    assert verify(record, deployer, COMMIT) == []


def test_deploy__sped_up_by_a_wallet__counts_as_the_same(
    deployer: Web3Deployer, store: RecordStore
) -> None:
    with pytest.raises(Killed):
        put(Dying(deployer, 2, sends=False), store)  # type: ignore[arg-type]
    pending = store.load(LOCAL).pending
    assert pending is not None
    step = local_chain(LOCAL).parts[2]
    # The same data and nonce with another gas limit: another hash.
    fields = {"from": DEPLOYER.address, "data": step.initcode(str), "gas": 2_000_000, "value": 0}
    fields |= {"nonce": pending.nonce, "gasPrice": 10**9, "chainId": LOCAL}
    raw = key_signer(DEPLOYER)(fields)
    tx_hash = Web3.to_hex(deployer.web3.eth.send_raw_transaction(raw))
    for _ in range(3):
        deployer.send(deployer.sign(STRANGER.address, b"", deployer.nonce()))

    record = put(deployer, store)
    assert tx_hash != pending.tx_hash
    assert record.contracts[step.key].tx_hash == tx_hash
    assert verify(record, deployer, COMMIT) == []


def test_sign__would_fail__says_why(deployer: Web3Deployer, store: RecordStore) -> None:
    record = put(deployer, store)
    usdc, nonce = record.address("tokens/USDC"), deployer.nonce()
    transfer = erc20_call("transfer(address,uint256)", STRANGER.address, 1)
    with pytest.raises(TransactionError, match="it would fail: balance too low"):
        deployer.sign(usdc, transfer, nonce)


def test_sign__cannot_be_paid__says_what_is_missing(
    deployer: Web3Deployer, anvil_node: AnvilEngine
) -> None:
    anvil_node.set_balance(DEPLOYER, 10**15)
    with pytest.raises(
        TransactionError, match=r"holds 0\.001 ether and this may cost [\d.]+; send"
    ):
        deployer.sign(STRANGER.address, b"", deployer.nonce(), 10**15)


# Commands


@pytest.fixture(scope="module")
def commands() -> Iterator[dict[str, Any]]:
    """The commands as `ape run` imports them."""
    with use_temp_sys_path(ROOT):
        from scripts import deploy as deploy_script
        from scripts import verify as verify_script

        yield {"deploy": deploy_script.cli, "verify": verify_script.cli}


@dataclass
class Shell:
    """Runs the commands in this process, against one node and one record."""

    commands: dict[str, Any]
    url: str
    record: Path

    def run(self, command: str, *arguments: str | Path) -> Any:
        words = [*map(str, arguments), "--network", self.url, "--record", str(self.record)]
        return CliRunner(mix_stderr=False).invoke(self.commands[command], words)

    def fails(self, command: str, *arguments: str | Path) -> str:
        """Run what must fail; return its one line."""
        result = self.run(command, *arguments)
        assert result.exit_code == 1
        assert "Traceback" not in result.stderr + result.stdout
        [line] = [one for one in result.stderr.splitlines() if one.startswith("error: ")]
        return str(line.removeprefix("error: "))


@pytest.fixture
def shell(commands: dict[str, Any], anvil_node: AnvilEngine, tmp_path: Path) -> Shell:
    return Shell(commands, anvil_node.url, tmp_path / "record.json")


def test_commands__deploy_then_verify__json_and_exit_codes(
    shell: Shell, anvil_node: AnvilEngine
) -> None:
    path = market_path(CONSERVATIVE)
    plan = shell.run("deploy", path, "--dry-run", "--json")
    assert plan.exit_code == 0
    assert {one["status"] for one in json.loads(plan.stdout)["contracts"].values()} == {"to deploy"}
    assert not shell.record.exists()

    done = shell.run("deploy", path, "--yes", "--json", "--guardian", GUARDIAN.address)
    assert done.exit_code == 0, done.stderr
    contracts = json.loads(done.stdout)["contracts"]
    assert {one["status"] for one in contracts.values()} == {"deployed"}
    vault = anvil_node.at(contracts[f"vaults/{CONSERVATIVE}"]["address"], load("MarginVault"))
    assert vault.guardian() == GUARDIAN.address

    again = shell.run("deploy", path, "--yes", "--json")
    assert {one["status"] for one in json.loads(again.stdout)["contracts"].values()} == {"stood"}

    sound = shell.run("verify", "--json")
    assert (sound.exit_code, json.loads(sound.stdout)["findings"]) == (0, [])
    anvil_node.set_code(vault, b"\0")
    broken = shell.run("verify")
    assert broken.exit_code == 1
    assert "code hash" in broken.stdout


def test_verify__empty_chain__says_to_name_a_node(shell: Shell) -> None:
    assert shell.run("deploy", "--yes").exit_code == 0
    with launch(chain_id=31_337) as empty:
        line = Shell(shell.commands, empty.url, shell.record).fails("verify")
    assert line.startswith("this chain is empty; pass --network with your node's URL")


def test_deploy__network_named_local__record_of_the_nodes_own_chain(
    shell: Shell, deployer: Web3Deployer
) -> None:
    shell.url = f"ethereum:local:{shell.url}"
    assert shell.run("deploy", "--yes").exit_code == 0
    assert shell.run("verify").exit_code == 0
    assert RecordStore(shell.record).load(deployer.web3.eth.chain_id).contracts


def test_deploy__playground__leveraged_trade_over_the_same_record(
    shell: Shell, anvil_node: AnvilEngine
) -> None:
    path = market_path(CONSERVATIVE)
    done = shell.run("deploy", path, "--playground", "--yes")
    assert done.exit_code == 0, done.stderr
    web3 = Web3(Web3.HTTPProvider(anvil_node.url))
    market = Ringfence.open(web3, shell.record).market(CONSERVATIVE)
    me = Web3Sender(web3, DEPLOYER.address)
    trader = Trader(market, me.address)
    trader.open(trader.quote_open("1 ETH", "3x")).send(me)
    assert market.position(me.address, 1).is_open
    again = shell.run("deploy", path, "--playground", "--yes", "--price", "WETH=1400")
    assert again.exit_code == 0, again.stderr
    assert market.price(market.state().price_high) == 1_400
    health = market.position(me.address, 1).health
    assert health is not None
    assert health < 1
    assert shell.run("verify").exit_code == 0


def test_deploy__asked_and_refused__sends_nothing(shell: Shell, deployer: Web3Deployer) -> None:
    result = shell.run("deploy", market_path(SHORT))
    assert result.exit_code == 1
    assert "Deploy? [y/N]" in result.stdout
    assert deployer.nonce() == 0


def test_deploy__chain_started_anew__record_is_too(
    shell: Shell, deployer: Web3Deployer, anvil_node: AnvilEngine
) -> None:
    mark = anvil_node.snapshot()
    assert shell.run("deploy", "--yes").exit_code == 0
    anvil_node.restore(mark)
    result = shell.run("deploy", "--yes")
    assert result.exit_code == 0, result.stderr
    assert "is of a chain that is gone; starting anew" in " ".join(result.stdout.split())
    record = RecordStore(shell.record).load(LOCAL)
    assert verify(record, deployer, COMMIT) == []


def test_commands__bad_input__one_line_each(
    shell: Shell, anvil_node: AnvilEngine, tmp_path: Path
) -> None:
    market = market_path(SHORT)
    missing = tmp_path / "none.toml"
    assert shell.fails("deploy", missing) == (
        f"{missing}: cannot be read: No such file or directory; pass another file"
    )
    bad = tmp_path / "bad.toml"
    bad.write_text(market.read_text().replace("kink = 0.85", "knik = 0.85"))
    result = shell.run("deploy", bad)
    assert result.exit_code == 1
    assert f"{bad}: rate.knik is not a known key" in result.stderr
    assert shell.fails("deploy", market, "--account", "nobody").startswith("there is no account")
    assert shell.fails("deploy", market, "--account", "TEST::99").endswith("TEST::0 to TEST::9")
    assert "--price WETH=2000" in shell.fails("deploy", market, "--price", "WETH=-1")
    assert "checksummed" in shell.fails("deploy", market, "--curator", "0x12")
    sepolia = ROOT / "markets" / "chains" / "11155111.toml"
    assert "a playground is for local chains" in shell.fails(
        "deploy", market, "--playground", "--chain-file", sepolia
    )
    assert "is for chain 11155111, the node is on chain 31337" in shell.fails(
        "deploy", market, "--chain-file", sepolia
    )
    assert "records nothing on chain 31337; deploy first" in shell.fails("verify")
    shell.record.write_text("{}")
    assert "is not a deployment record" in shell.fails("verify")
    shell.record.unlink()
    anvil_node.set_balance(DEPLOYER, 0)
    assert "holds 0.0000 ether, the deployment may cost" in shell.fails("deploy", market, "--yes")
    assert not shell.record.exists()


def test_deploy__rehearsal_of_a_testnet__same_files_and_seeds_dealt(
    commands: dict[str, Any], testnet: AnvilEngine, tmp_path: Path
) -> None:
    shell = Shell(commands, testnet.url, tmp_path / "record.json")
    paths = [market_path(one) for one in (CONSERVATIVE, SHORT)]
    assert "the price of WETH is not known" in shell.fails("deploy", *paths, "--dry-run")
    prices = ["--price", "WETH=2010", "--price", "USDC=1"]
    done = shell.run("deploy", *paths, *prices, "--yes", "--json")
    assert done.exit_code == 0, done.stderr

    record = RecordStore(shell.record).load(11_155_111)
    assert list(record.vaults) == [CONSERVATIVE, SHORT]
    assert not any(key.startswith(("tokens/", "feeds/")) for key in record.contracts)
    vault = testnet.at(record.vaults[CONSERVATIVE], load("MarginVault"))
    assert vault.asset() == "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"
    assert shell.run("verify").exit_code == 0


def test_deploy__testnet_lacks_a_feed__says_which(
    commands: dict[str, Any], testnet: AnvilEngine, tmp_path: Path
) -> None:
    shell = Shell(commands, testnet.url, tmp_path / "record.json")
    testnet.set_code("0xA2F78ab2355fe2f984D808B5CeE7FD0A93D5270E", b"")
    prices = ["--price", "WETH=2010", "--price", "USDC=1"]
    assert shell.fails("deploy", market_path(SHORT), *prices, "--yes").startswith(
        "feed USDC/USD: there is no contract at 0xA2F78ab2355fe2f984D808B5CeE7FD0A93D5270E on"
    )
    assert not shell.record.exists()


def test_commands__no_node__one_line(shell: Shell) -> None:
    shell.url = "http://127.0.0.1:1"
    assert shell.fails("deploy") == "No (supported) node found on 'http://127.0.0.1:1'."


@pytest.mark.parametrize(
    ("network", "variable"), [("mainnet", "ETH_RPC_URL"), ("sepolia", "SEPOLIA_RPC_URL")]
)
def test_ape_run__node_of_a_public_chain_not_named__says_how(network: str, variable: str) -> None:
    command = [Path(sys.executable).parent / "ape", "run", "deploy", "--network"]
    environment = {name: value for name, value in os.environ.items() if name != variable}
    done = subprocess.run(
        [*command, f"ethereum:{network}:node"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: {variable} is not set; give it the URL of a node of that network"
    )


def test_ape_run__as_people_type_it__deploys(anvil_node: AnvilEngine, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    command = [Path(sys.executable).parent / "ape", "run", "deploy", market_path(SHORT)]
    options = ["--network", anvil_node.url, "--yes", "--json", "--record", record]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"vaults/{SHORT}" in json.loads(done.stdout)["contracts"]
    assert SHORT in RecordStore(record).load(LOCAL).vaults
