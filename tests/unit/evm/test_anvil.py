"""The anvil engine beside other users of its node, Ape among them."""

import subprocess
from pathlib import Path

import pytest

from ringfence.evm import Engine, EvmError, UnsupportedError, compile_source
from ringfence.evm.anvil import AnvilEngine, ape_connection, launch
from ringfence.evm.rpc import JsonRpc, RpcError
from tests.unit.evm.probe import PROBE


def test_launch__end__process_gone_and_port_closed() -> None:
    with launch() as engine:
        url = engine.url
        assert engine.balance(engine.accounts[0]) == 10_000 * 10**18
    with pytest.raises(EvmError, match="no answer from the node"):
        JsonRpc(url).call("eth_chainId")


def test_launch__twice__two_chains() -> None:
    with launch() as one, launch(chain_id=5, timestamp=2_000_000_000) as two:
        one.set_balance(b"\1" * 20, 7)
        assert two.balance(b"\1" * 20) == 0
        assert (one.chain_id, two.chain_id) == (1, 5)
        assert two.timestamp >= 2_000_000_000


def test_launch__no_anvil__error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subprocess, "Popen", lambda *_args, **_kwargs: pytest.fail("nothing to start")
    )
    monkeypatch.setattr("ringfence.evm.anvil.ROOT", Path("/nonexistent"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EvmError, match="make setup"), launch():
        pass


def test_branches__a_node_without_steps__error_says_how_to_keep_them(anvil: AnvilEngine) -> None:
    with pytest.raises(UnsupportedError, match="steps=True"):
        _ = anvil.transact(b"\2" * 20).branches


def test_send__somebody_else_mined__engine_follows_the_chain_s_time(anvil: AnvilEngine) -> None:
    mark = anvil.snapshot()
    with anvil.automining():
        other = AnvilEngine(anvil.url)
        other.advance(1_000)
        other.transact(b"\2" * 20, value=1)
        assert anvil.transact(b"\2" * 20, value=1).timestamp >= other.timestamp
        assert anvil.timestamp >= other.timestamp
        other.close()
    anvil.restore(mark)


def test_automining__restores_in_between__no_transaction_is_lost(anvil: AnvilEngine) -> None:
    mark = anvil.snapshot()
    with anvil.automining():
        for _ in range(50):
            assert anvil.transact(b"\2" * 20, value=1).success
            assert anvil.balance(b"\2" * 20) == 1
            anvil.restore(mark)


def test_restore__mark_older_than_one_restored__refused(anvil: AnvilEngine) -> None:
    old = anvil.snapshot()
    new = anvil.snapshot()
    anvil.restore(old)
    with pytest.raises(EvmError, match="this mark is gone"):
        anvil.restore(new)
    anvil.restore(old)


def test_rpc__unknown_method__error_names_it(anvil: AnvilEngine) -> None:
    rpc = JsonRpc(anvil.url)
    with pytest.raises(RpcError, match=r"eth_nonsense: .*not found"):
        rpc.call("eth_nonsense")
    assert rpc.batch([("eth_chainId", []), ("net_version", [])]) == ["0x1", "1"]
    rpc.close()
    with pytest.raises(EvmError, match="is not the address of a node"):
        JsonRpc("wss://node")


def test_call__not_a_local_node__engine_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["geth/1", "0x1", {"timestamp": "0x1", "gasLimit": "0x1"}, True, None, None, None]
    monkeypatch.setattr(JsonRpc, "batch", lambda _self, _requests: answers)
    with pytest.raises(EvmError, match="needs anvil's own methods"):
        AnvilEngine("http://127.0.0.1:1")


def test_from_ape__connected_to_our_node__one_chain_for_both() -> None:
    with launch() as engine, ape_connection(engine):
        from ape import Contract, accounts

        through_ape: Engine = AnvilEngine.from_ape()
        probe = through_ape.deploy(compile_source(PROBE, "Probe"), 5)
        assert engine.at(probe, probe.abi).word(0) == 5
        sender = accounts.test_accounts[1]
        assert sender.address == engine.accounts[1].address
        from ethpm_types import ContractType

        seen_by_ape = Contract(
            probe.address, contract_type=ContractType.model_validate({"abi": list(probe.abi)})
        )
        receipt = seen_by_ape.store(
            1, "by Ape", (6, -6), sender=sender, max_fee=0, max_priority_fee=0
        )
        assert [event.note for event in receipt.decode_logs(seen_by_ape.Stored)] == ["by Ape"]
        assert probe.word(1) == 6
        assert engine.at(probe, probe.abi).last().right == -6


def test_receipt__after_a_restore__still_tells_everything(anvil: AnvilEngine) -> None:
    mark = anvil.snapshot()
    probe = anvil.deploy(compile_source(PROBE, "Probe"), 5)
    receipt = probe.store(1, "", (7, -7))
    anvil.restore(mark)
    assert receipt.value == (7, -7)
    assert [event.name for event in receipt.events(probe)] == ["Stored"]
    assert len(receipt.state_diff[probe.address]) == 3
