"""A fall of every price on a local chain and on a fork of one: what the keeper makes of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from ape.utils import use_temp_sys_path
from click.testing import CliRunner, Result

from ringfence.evm.anvil import launch
from ringfence.evm.artifacts import ROOT
from ringfence.evm.rpc import Json, JsonRpc
from ringfence.keeper.act.ledger import Ledger, LedgerError
from tests.support.crash import Crash, crash_stage
from tests.support.proxy import Proxy


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    """Nothing that a test does outlives it: that is what is tested."""
    with crash_stage(tmp_path_factory.mktemp("stress")) as stage:
        yield stage


@pytest.fixture(scope="module")
def command() -> Iterator[Any]:
    with use_temp_sys_path(ROOT):
        from scripts import keeper as script

        yield script.cli


def typed(command: Any, url: str, crash: Crash, *words: str) -> Result:
    where = ("--network", url, "--record", str(crash.record))
    return CliRunner(mix_stderr=False).invoke(command, ["stress", *words, *where])


def facts(crash: Crash, rpc: JsonRpc) -> list[Json]:
    """All that a stress changes."""
    oracle, account = crash.long.oracle.address, crash.engine.accounts[0].address
    return rpc.batch(
        [
            ("eth_getBlockByNumber", ["latest", False]),
            ("eth_getCode", [oracle, "latest"]),
            *[("eth_getStorageAt", [oracle, hex(slot), "latest"]) for slot in (0, 1)],
            ("eth_getTransactionCount", [account, "pending"]),
            ("eth_getBalance", [account, "latest"]),
            ("anvil_getAutomine", []),
            ("anvil_getIntervalMining", []),
            ("txpool_status", []),
        ]
    )


def test_stress__fall_by_a_fifth__liquidates_the_long_and_puts_all_back(
    command: Any, crash: Crash
) -> None:
    before = facts(crash, crash.rpc)
    done = typed(command, crash.engine.url, crash, "--fall", "20", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["oracles"], found["due"], found["liquidated"]) == (2, 1, 1)
    assert (found["left"], found["bad_debt_left"], found["failed"]) == ({}, {}, {})
    assert (found["transactions"], found["reverted"]) == (1, 0)
    assert found["gas"] > 200_000
    assert found["cost_wei"] > 0
    assert found["blocks"] >= 2
    assert "1 due, 1 sent" in done.stderr
    assert facts(crash, crash.rpc) == before


def test_stress__deeper_than_the_debt__books_the_loss_once(command: Any, crash: Crash) -> None:
    """At 0.86 of a fifth less, the collateral is worth less than the debt."""
    done = typed(command, crash.engine.url, crash, "--fall", "40", "--json")
    found = json.loads(done.stdout)
    [(vault, lost)] = found["lost"].items()
    assert vault == crash.long.vault.address
    position = crash.long.vault.position(crash.long_id)
    worth = position.collateral * crash.long.oracle.quote()[1] // 10**36 * 6 // 10
    debt = position.debt
    assert debt - worth <= lost < debt - worth * 9 // 10, "the bonus is not a tenth"


def test_stress__too_little_profit__is_left_with_the_reason_and_what_it_owes(
    command: Any, crash: Crash
) -> None:
    done = typed(
        command, crash.engine.url, crash, "--fall", "40", "--min-profit", "1,000 ETH", "--json"
    )
    found = json.loads(done.stdout)
    assert (found["liquidated"], found["transactions"], found["lost"]) == (0, 0, {})
    assert sum(found["left"].values()) == found["due"] >= 1
    assert all("the policy wants" in reason for reason in found["left"])
    assert found["bad_debt_left"][crash.long.vault.address] > 0


def test_stress__for_people__says_the_same(command: Any, crash: Crash) -> None:
    shown = typed(command, crash.engine.url, crash, "--fall", "20").stdout
    assert "2 oracles fell" in shown
    assert "due: 1 in 1 vaults; liquidated: 1" in shown
    assert "booked as loss: " in shown
    assert shown.splitlines()[-1] == "all of it was put back"


@pytest.mark.parametrize("style", [(), ("--json",)])
def test_stress__a_step_fails__exit_code_1_and_a_line_that_says_which(
    command: Any, crash: Crash, monkeypatch: pytest.MonkeyPatch, style: tuple[str, ...]
) -> None:

    def fails(*_args: Any) -> int:
        raise LedgerError("disk full")

    before = facts(crash, crash.rpc)
    monkeypatch.setattr(Ledger, "spent", fails)
    done = typed(command, crash.engine.url, crash, "--fall", "20", *style)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "error: lane failed: disk full"
    if style:
        found = json.loads(done.stdout)
        assert (found["liquidated"], found["failed"]) == (0, {"lane": "disk full"})
    else:
        assert "due: 1 in 1 vaults; liquidated: 0" in done.stdout
    assert facts(crash, crash.rpc) == before


def test_stress__fork_of_that_chain__the_same_and_upstream_is_untouched(
    command: Any, crash: Crash
) -> None:
    upstream = facts(crash, crash.rpc)
    with launch(fork_url=crash.engine.url) as fork:
        rpc = JsonRpc(fork.url)
        # As a node mines that people start: at once, or every so often.
        rpc.call("evm_setAutomine", True)
        before = facts(crash, rpc)
        done = typed(command, fork.url, crash, "--fall", "20", "--json")
        assert done.exit_code == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["due"], found["liquidated"], found["left"]) == (1, 1, {})
        assert facts(crash, rpc) == before
        rpc.call("evm_setIntervalMining", 3_600)
        before = facts(crash, rpc)
        again = json.loads(typed(command, fork.url, crash, "--fall", "20", "--json").stdout)
        assert (again["due"], again["liquidated"]) == (1, 1)
        assert facts(crash, rpc) == before
        rpc.close()
    assert facts(crash, crash.rpc) == upstream


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stress__stopped_halfway__puts_all_back(
    command: Any, crash: Crash, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The signal comes once the price has fallen and the first transaction has been sent."""
    said: list[str] = []

    def stop(line: str, **_options: object) -> None:
        said.append(line)
        if len(said) == 1:
            os.kill(os.getpid(), number)

    before = facts(crash, crash.rpc)
    monkeypatch.setattr("click.echo", stop)
    done = typed(command, crash.engine.url, crash, "--fall", "20")
    assert done.exit_code == 1
    assert "1 due, 1 sent" in said[0]
    assert said[1:] == ["error: stopped; all of it was put back"]
    assert facts(crash, crash.rpc) == before


class Geth(Proxy):
    """Says that it is another node."""

    def _spoiled(self) -> list[str]:
        return ["web3_clientVersion"]

    async def _answer(self, request: Json) -> Json:
        answer = await super()._answer(request)
        if request["method"] == "web3_clientVersion":
            answer["result"] = "Geth/v1.16.1-stable/linux-amd64/go1.24"
        return answer


def test_stress__public_chain__refused_with_one_line_and_nothing_changed(
    command: Any, crash: Crash
) -> None:
    with launch(chain_id=1) as mainnet:
        proxy = Geth(mainnet.url)
        done = typed(command, proxy.url, crash, "--fall", "20")
        proxy.stop()
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: stress changes prices, so it runs on")
    assert not [one for one in proxy.requests if one.startswith(("anvil", "evm"))]


@pytest.mark.parametrize("fall", ["0", "100"])
def test_stress__fall_that_is_none__is_refused(command: Any, crash: Crash, fall: str) -> None:
    assert typed(command, crash.engine.url, crash, "--fall", fall).exit_code == 2


def test_stress__oracle_is_named_once__though_vaults_share_it(command: Any, crash: Crash) -> None:
    used = {venue.oracle.address for venue in crash.stage.venues.values()}
    found = json.loads(typed(command, crash.engine.url, crash, "--fall", "1", "--json").stdout)
    assert found["oracles"] == len(used) < len(crash.stage.venues)
    assert (found["due"], found["blocks"]) == (0, 1)
