"""The keeper's command: what it shows, asks, sends, and what it leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from ape.utils import use_temp_sys_path
from ape_accounts.accounts import InvalidPasswordError
from click.testing import CliRunner
from click.testing import Result as Typed

from ringfence.deploy.errors import DeployError
from ringfence.evm.anvil import launch
from ringfence.evm.artifacts import ROOT
from tests.support.crash import CHAIN_ID, LONG, TRADER, Crash, crash_stage
from tests.support.market import DEPLOYER


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    with crash_stage(tmp_path_factory.mktemp("keeper")) as made:
        yield made


@pytest.fixture
def scene(staged: Crash) -> Iterator[Crash]:
    mark = staged.engine.snapshot()
    yield staged
    staged.engine.restore(mark)


@pytest.fixture(scope="module")
def command() -> Iterator[Any]:
    """The command as `ape run` imports it."""
    with use_temp_sys_path(ROOT):
        from scripts import keeper as script

        yield script.cli


def typed(command: Any, scene: Crash, *words: str) -> Typed:
    where = ("--network", scene.engine.url, "--record", str(scene.record), "--once")
    with scene.engine.automining():
        # As wide as the guide's examples.
        runner = CliRunner(mix_stderr=False, env={"COLUMNS": "100"})
        return runner.invoke(command, [*words, *where])


def test_keeper__nothing_due__says_so(command: Any, scene: Crash) -> None:
    done = typed(command, scene, "--dry-run")
    assert done.exit_code == 0, done.stderr
    told = re.search(r"Nothing is due. The nearest position: (\d+\.\d) % away\.", done.stdout)
    assert told, done.stdout
    shown = json.loads(typed(command, scene, "--dry-run", "--json").stdout)
    assert (shown["troubles"], shown["failed"]) == ({}, {})
    assert shown["nearest"] == pytest.approx(float(told[1]) / 100, abs=1e-3)
    scene.fall(int(195.55 * (1 - shown["nearest"])) + 1)
    assert "Nothing is due." in typed(command, scene, "--dry-run").stdout
    scene.fall(int(195.55 * (1 - shown["nearest"])) - 1)
    assert "Due for liquidation" in typed(command, scene, "--dry-run").stdout


def test_keeper__assets_named__takes_profit_in_these_alone(command: Any, scene: Crash) -> None:
    scene.fall(180)
    dollars, ether = scene.stage.usdc.address, scene.stage.weth.address

    def left(*tokens: str) -> str | None:
        options = [word for token in tokens for word in ("--assets", token)]
        shown = json.loads(typed(command, scene, "--dry-run", "--json", *options).stdout)
        [due] = shown["due"]
        return due["left"]

    assert left(ether) == "the policy does not take its asset, USDC"
    assert left(ether, dollars.lower()) is None


@pytest.mark.parametrize("wrong", ["USDC", "0x12", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB4"])
def test_keeper__asset_that_is_no_address__one_line(command: Any, scene: Crash, wrong: str) -> None:
    done = typed(command, scene, "--dry-run", "--assets", wrong)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {wrong!r} is no token's address; write")


def test_keeper__due__dry_run_shows_and_yes_sends(command: Any, scene: Crash) -> None:
    scene.fall(180)
    words = scene.words()
    shown = json.loads(typed(command, scene, "--dry-run", "--json").stdout)
    [due] = shown["due"]
    assert (due["position_id"], due["left"]) == (hex(scene.long_id), None)
    assert (shown["sent"], shown["settled"]) == ([], [])
    assert scene.words() == words
    before = scene.held(DEPLOYER.address)
    sent = json.loads(typed(command, scene, "--yes", "--json").stdout)
    [settled] = sent["settled"]
    assert settled["state"] == "mined"
    assert settled["tx"] == sent["sent"][0]["tx"]
    earned = settled["profits"][hex(scene.long_id)]
    # A block's interest later.
    assert earned == pytest.approx(due["profit"], abs=10)
    assert scene.held(DEPLOYER.address) == before + earned
    assert scene.words()[0] != words[0]
    assert scene.words()[1] == words[1], "ISO-1: the short's word changed"


def test_keeper__due__table_names_market_owner_and_salt_in_whole_tokens(
    command: Any, scene: Crash
) -> None:
    scene.fall(180)
    [due] = json.loads(typed(command, scene, "--dry-run", "--json").stdout)["due"]
    shown = typed(command, scene, "--dry-run").stdout.splitlines()
    [row] = [line for line in shown if LONG in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    profit = f"{Decimal(due['profit']) / 10**6:,f}".rstrip("0").rstrip(".")
    owner = f"{TRADER[:6]}…{TRADER[-4:]}"
    assert cells == [LONG, owner, "1", f"{profit} USDC", "liquidate"]
    assert max(map(len, shown)) <= 100
    assert sum(line.startswith("│") for line in shown) == 1, "the row is folded"


def test_keeper__does_not_pay__is_left_with_the_reason(command: Any, scene: Crash) -> None:
    scene.fall(180)
    words = scene.words()
    [due] = json.loads(typed(command, scene, "--yes", "--json", "--min-profit", "9 ETH").stdout)[
        "due"
    ]
    assert "the policy wants" in due["left"]
    assert "leave: it earns" in typed(command, scene, "--yes", "--min-profit", "9 ETH").stdout
    assert scene.words() == words


def test_keeper__insolvent_at_a_loss__up_to_what_the_policy_bears(
    command: Any, scene: Crash
) -> None:
    scene.fall(150, pool=135)
    words = scene.words()
    [due] = json.loads(typed(command, scene, "--yes", "--json").stdout)["due"]
    assert due["left"].startswith("insolvent: would lose")
    assert scene.words() == words
    scene.stage.fund(DEPLOYER.address, scene.stage.usdc, 1_000 * 10**6)
    before = scene.held(DEPLOYER.address)
    done = typed(command, scene, "--yes", "--json", "--max-loss", "2 ETH")
    [settled] = json.loads(done.stdout)["settled"]
    assert settled["state"] == "mined"
    assert before - 2 * 150 * 10**6 <= scene.held(DEPLOYER.address) < before
    assert scene.words()[0] == 0


def test_keeper__market_of_no_record__shows_its_vault(
    command: Any, scene: Crash, tmp_path: Path
) -> None:
    scene.fall(180)
    data = json.loads(scene.record.read_text())
    del data["contracts"][f"vaults/{LONG}"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(data))
    shown = typed(command, replace(scene, record=path), "--dry-run").stdout
    vault = scene.long.vault.address
    assert f"{vault[:6]}…{vault[-4:]}" in shown


def test_keeper__not_confirmed__sends_nothing(command: Any, scene: Crash) -> None:
    scene.fall(180)
    words = scene.words()
    done = typed(command, scene)
    assert done.exit_code == 1
    assert "Due for liquidation" in done.stdout, "asked before it showed what for"
    assert scene.words() == words


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--min-profit", "much"), "error: 'much' is not an amount; write \"1.5 ETH\""),
        (("--max-loss", "-1"), "error: '-1' has a sign; write the amount without one"),
        (("--interval", "often"), "error: 'often' is not a duration"),
        (("--account", "nobody"), "error: there is no account nobody; known are TEST::0 to"),
        (("--rpc", "127.0.0.1:8545"), "error: --rpc takes a URL that begins with http:// or"),
        (("--relay", "http://"), "error: --relay takes a URL"),
        (("--webhook", "example.org/x"), "error: --webhook takes a URL"),
        (("--ws", "http://127.0.0.1"), "error: --ws takes a URL that begins with ws:// or wss://"),
        (("--mempool", "wss://127.0.0.1:no"), "error: --mempool takes a URL"),
    ],
)
def test_keeper__bad_input__one_line_and_1(
    command: Any, scene: Crash, words: tuple[str, ...], line: str
) -> None:
    done = typed(command, scene, "--dry-run", *words)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.splitlines()[-1].startswith(line)


class Locked:
    """An account in a file, whose passphrase is what `problem` makes of it."""

    alias = "keeper"

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def set_autosign(self, _enabled: bool) -> None:
        raise self.problem


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (click.Abort(), "no passphrase was given for keeper; .* APE_ACCOUNTS_keeper_PASSPHRASE"),
        (InvalidPasswordError(), "not the passphrase of keeper; .* APE_ACCOUNTS_keeper_PASSPHRASE"),
    ],
)
def test_unlock__no_passphrase_or_a_wrong_one__says_where_it_is_taken_from(
    command: Any, problem: Exception, line: str
) -> None:
    from scripts.keeper import _unlock

    account: Any = Locked(problem)
    with pytest.raises(DeployError, match=line):
        _unlock(account, dry_run=False)
    _unlock(account, dry_run=True)


def test_keeper__empty_chain__says_to_name_a_node(command: Any, scene: Crash) -> None:
    with launch(chain_id=CHAIN_ID) as empty:
        where = ("--network", empty.url, "--record", str(scene.record), "--once", "--dry-run")
        done = CliRunner(mix_stderr=False).invoke(command, [*where])
    assert done.exit_code == 1
    line = "error: this chain is empty; pass --network with your node's URL, or deploy"
    assert done.stderr.splitlines()[-1] == line


def test_keeper__nothing_deployed__one_line_and_1(
    command: Any, scene: Crash, tmp_path: Path
) -> None:
    where = ("--network", scene.engine.url, "--record", str(tmp_path / "none.json"), "--once")
    done = CliRunner(mix_stderr=False).invoke(command, [*where, "--yes"])
    assert done.exit_code == 1
    assert "run deploy first" in done.stderr
    assert "Traceback" not in done.stderr
