"""What a receipt tells, in process: events, gas, output and reasons, of failures too."""

import pytest

from ringfence.evm import Contract, Engine, EvmError, Reverted, UnsupportedError, compile_source
from ringfence.evm.in_process import InProcessEngine
from tests.unit.evm.probe import PROBE


@pytest.fixture
def probe(engine: Engine) -> Contract:
    return engine.deploy(compile_source(PROBE, "Probe"), 5)


def test_events__indexed_and_plain_fields__all_decoded(engine: Engine, probe: Contract) -> None:
    trader = engine.accounts[3]
    receipt = probe.store(9, "note", (2**256 - 1, -5), sender=trader)
    (event,) = receipt.events(probe, "Stored")
    assert event.args == {
        "owner": trader.address,
        "key": 9,
        "note": "note",
        "pair": (2**256 - 1, -5),
    }
    assert event["pair"].right == -5
    assert receipt.value == (2**256 - 1, -5)
    assert probe.last() == (2**256 - 1, -5)


def test_events__of_a_deployment__constructor_s(probe: Contract) -> None:
    assert probe.deployment is not None
    assert [event.name for event in probe.deployment.events(probe)] == ["Bare"]


def test_deploy__refused__reason_and_no_code(engine: Engine) -> None:
    artifact = compile_source(PROBE, "Probe")
    before = engine.storage_at(engine.accounts[0], 0)
    with pytest.raises(Reverted) as caught:
        engine.deploy(artifact, 13)
    assert caught.value.reason == "thirteen is refused"
    assert caught.value.receipt is not None
    assert caught.value.receipt.gas_used > 53_000
    assert engine.storage_at(engine.accounts[0], 0) == before
    assert engine.deploy(artifact, 12).word(0) == 12


def test_deploy__with_ether__contract_holds_it(engine: Engine) -> None:
    probe = engine.deploy(compile_source(PROBE, "Probe"), 1, value=77, sender=engine.accounts[4])
    assert engine.balance(probe) == 77
    assert probe.origin() == engine.accounts[4].address
    assert engine.balance(engine.accounts[4]) == 10_000 * 10**18 - 77


@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        ("fail", ("price is stale",), "price is stale"),
        ("fail", ("",), ""),
        ("fail_bare", (), ""),
        ("fail_raw", (b"",), ""),
        ("fail_raw", (bytes.fromhex("deadbeef01"),), "0xdeadbeef01"),
        ("fail_raw", (b"plain text",), "0x" + b"plain text".hex()),
        ("fail_raw", (bytes.fromhex("4e487b71") + (17).to_bytes(32, "big"),), "panic 0x11"),
        ("overflow", (2**256 - 1,), ""),
        ("reenter", (), ""),
    ],
)
def test_transact__failing__reason_gas_and_nothing_changed(
    engine: Engine, probe: Contract, function: str, args: tuple[object, ...], reason: str
) -> None:
    method = getattr(probe, function)
    with pytest.raises(Reverted) as caught:
        method(*args)
    assert caught.value.reason == reason
    with pytest.raises(Reverted) as caught:
        method.call(*args)
    assert caught.value.reason == reason
    receipt = method(*args, check=False)
    assert receipt.revert_reason == reason
    assert receipt.logs == ()
    assert receipt.state_diff == {}
    assert 21_000 < receipt.gas_used < 50_000
    assert engine.storage_at(probe, 0) == 0
    if reason.startswith("0x"):
        assert receipt.output.hex() == reason[2:]


def test_transact__invalid_opcode__halt_and_the_engine_lives_on(
    engine: Engine, probe: Contract
) -> None:
    with pytest.raises(Reverted, match="halt: invalid opcode"):
        probe.stop()
    with pytest.raises(Reverted, match="halt: invalid opcode"):
        probe.stop.call()
    assert probe.swap(0).success
    assert probe.word(1) == 5


def test_transact__refunds__gas_agrees_with_py_evm(engine: Engine, probe: Contract) -> None:
    for key in range(1, 12):
        probe.store(key, "", (1, 1))
    receipt = probe.clear(list(range(1, 12)))
    assert len(receipt.events(probe, "Bare")) == 11
    assert sorted(receipt.state_diff[probe.address].values()) == [(1, 0)] * 11


def test_gas_limit__enough_or_not__same_gas_or_out_of_gas(engine: Engine, probe: Contract) -> None:
    mark = engine.snapshot()
    free = probe.burn(100)
    engine.restore(mark)
    limited = probe.burn(100, gas_limit=free.gas_used)
    assert limited.gas_used == free.gas_used
    assert limited.value == free.value
    assert limited.state_diff == free.state_diff
    assert probe.word(1) == free.value
    engine.restore(mark)
    short = probe.burn(100, gas_limit=free.gas_used - 1, check=False)
    assert not short.success
    assert short.revert_reason == "halt: out of gas"
    assert short.gas_used == free.gas_used - 1
    assert probe.word(1) == 0
    with pytest.raises(EvmError, match="the gas limit is 20000"):
        probe.burn(1, gas_limit=20_000)


def test_receipt__untraced__details_refused_with_the_remedy() -> None:
    engine = InProcessEngine(traced=False)
    probe = engine.deploy(compile_source(PROBE, "Probe"), 1)
    receipt = probe.store(1, "", (1, 1))
    assert receipt.success
    assert receipt.gas_used > 60_000
    with pytest.raises(UnsupportedError, match=r"set `engine\.traced = True`"):
        _ = receipt.state_diff
    with pytest.raises(UnsupportedError, match="traced"):
        _ = receipt.logs
