"""Both engines, the same transactions: the same gas, the same state, the same events."""

from collections.abc import Callable

import pytest

from ringfence.evm import (
    Contract,
    Engine,
    EvmError,
    InProcessEngine,
    Receipt,
    compile_source,
    load,
    load_npm,
)
from ringfence.evm.anvil import launch
from tests.unit.evm.probe import PROBE

CENTURY = 100 * 365 * 86_400
V3 = "@uniswap/v3-core/artifacts/contracts"

MAKER = """
# pragma version 0.4.3
# pragma evm-version cancun

@external
def make(blueprint: address, salt: bytes32, first: uint256) -> address:
    return create_from_blueprint(blueprint, first, salt=salt)
"""

CALLER = """
# pragma version 0.4.3
# pragma evm-version cancun

words: HashMap[uint256, uint256]

@external
@payable
def call_all(others: DynArray[address, 10], sent: uint256):
    for other: address in others:
        for data: Bytes[4] in [b"", method_id("total()")]:
            if raw_call(other, data, gas=50_000, value=sent, revert_on_failure=False):
                self.words[0] += 1
            if raw_call(other, data, gas=50_000, is_static_call=True, revert_on_failure=False):
                self.words[0] += 1
            if raw_call(other, data, gas=50_000, is_delegate_call=True, revert_on_failure=False):
                self.words[0] += 1

@external
@view
def total() -> uint256:
    assert self.words[0] > 2
    return self.words[0]

@external
@payable
def __default__():
    for i: uint256 in range(100_000):
        self.words[1] = i
"""

ODD_CODES = {"a0": "", "a1": "00", "a2": "fe", "a3": "60015f57", "a4": "5f5f5f5f600160a55ff1"}
"""By the byte of their address: nothing, a stop, a fault, a jump to nowhere, a payment of a wei."""


def facts(engine: Engine, receipt: Receipt) -> dict[str, object]:
    """All that a receipt tells, and where the sender's money stands."""
    return {
        "success": receipt.success,
        "gas_used": receipt.gas_used,
        "output": receipt.output,
        "reason": receipt.revert_reason,
        "logs": receipt.logs,
        "state_diff": receipt.state_diff,
        "timestamp": receipt.timestamp,
        "created": receipt.contract_address,
        "branches": receipt.branches if receipt.to else (),
        "balance": engine.balance(receipt.sender),
    }


def use_probe(engine: Engine) -> list[Receipt | None]:
    owner, trader, stranger = engine.accounts[:3]
    probe = engine.deploy(compile_source(PROBE, "Probe"), 5, value=3, sender=owner)
    receipts = [
        probe.deployment,
        probe.store(9, "a note of some length", (2**255, -1), sender=trader, value=8),
        probe.store(9, "", (0, 0), sender=trader),
        probe.swap(0),
        probe.swap(0, 9),
        probe.clear(list(range(12))),
        probe.burn(333, sender=stranger),
        probe.clock.transact(),
    ]
    engine.advance(CENTURY)
    receipts += [
        probe.clock.transact(),
        engine.transact(probe, sender=stranger, value=5),
        probe.fail("price is stale", check=False),
        probe.fail_raw(b"\x01\x02", check=False),
        probe.fail_bare(check=False, sender=stranger),
        probe.overflow(2**256 - 1, check=False),
        probe.reenter(check=False),
        probe.burn(10, gas_limit=22_000, check=False),
        probe.burn(10, gas_limit=30_000),
        engine.transact("0x" + "77" * 20, sender=trader, value=1),
        probe.swap(0, sender="0x" + "99" * 20),
        probe.swap(0, sender=probe),
    ]
    return receipts


def use_weth(engine: Engine) -> list[Receipt | None]:
    lender, trader = engine.accounts[4:6]
    weth = engine.deploy(load_npm("canonical-weth/build/contracts/WETH9.json"), sender=lender)
    return [
        weth.deployment,
        weth.deposit(value=10**18, sender=lender),
        weth.transfer(trader, 10**17, sender=lender),
        weth.approve(trader, 2**256 - 1, sender=lender),
        weth.transferFrom(lender, trader, 10**17, sender=trader),
        weth.transferFrom(lender, trader, 10**19, sender=trader, check=False),
        weth.withdraw(2 * 10**17, sender=trader),
    ]


def use_uniswap(engine: Engine) -> list[Receipt | None]:
    factory = engine.deploy(load_npm(f"{V3}/UniswapV3Factory.sol/UniswapV3Factory.json"))
    tokens = [engine.deploy(load("TestToken"), "Token", "TKN", decimals) for decimals in (6, 18)]
    receipts = [
        factory.deployment,
        *[token.deployment for token in tokens],
        factory.createPool(*tokens, 3_000),
        factory.createPool(*tokens, 3_000, check=False),
    ]
    pool = engine.at(
        factory.getPool(*tokens, 3_000), load_npm(f"{V3}/UniswapV3Pool.sol/UniswapV3Pool.json")
    )
    receipts += [pool.initialize(2**96), pool.increaseObservationCardinalityNext(20)]
    assert pool.slot0().sqrtPriceX96 == 2**96
    assert [event.name for event in receipts[-2].events(pool)] == ["Initialize"]
    return receipts


def use_blueprint(engine: Engine) -> list[Receipt | None]:
    probe = compile_source(PROBE, "Probe")
    maker = engine.deploy(compile_source(MAKER, "Maker"))
    blueprint = engine.deploy_blueprint(probe)
    assert engine.code_at(blueprint) == bytes.fromhex("fe7100") + probe.creation
    engine.advance(12)
    receipts = []
    for salt in (b"\1" * 32, b"\2" * 32):
        receipt = maker.make(blueprint, salt, 4)
        made = engine.at(receipt.value, probe)
        assert made.word(0) == 4
        assert engine.code_at(made)[: len(probe.runtime)] == probe.runtime
        receipts += [receipt, made.swap(0)]
    receipts.append(maker.make(blueprint, b"\3" * 32, 13, check=False))
    return receipts


def use_calls(engine: Engine) -> list[Receipt | None]:
    """Calls of precompiles, of itself, of no code and of code that stops, fails, pays."""
    caller, other = (engine.deploy(compile_source(CALLER, "Caller")) for _ in range(2))
    codes = {"0x" + byte * 20: code for byte, code in ODD_CODES.items()}
    for address, code in codes.items():
        engine.set_code(address, bytes.fromhex(code))
    precompiles = [f"0x{number:040x}" for number in (1, 2, 4)]
    others = [*precompiles, *codes, other, caller]
    return [
        caller.call_all(others, 0),
        caller.call_all(others, 10**30),
        caller.call_all(others, 1, value=100),
        caller.total.transact(),
    ]


@pytest.mark.parametrize("use", [use_probe, use_weth, use_uniswap, use_blueprint, use_calls])
def test_engines__same_transactions__same_receipts(
    use: Callable[[Engine], list[Receipt | None]],
) -> None:
    # Both chains new: what other tests leave standing would shift the addresses of one of them.
    with launch(steps=True) as anvil:
        seen = [
            [facts(one, receipt) for receipt in use(one) if receipt is not None]
            for one in (InProcessEngine(), anvil)
        ]
    for number, pair in enumerate(zip(*seen, strict=True)):
        assert pair[0] == pair[1], f"receipt {number} differs"


@pytest.mark.engines("in process", "anvil")
def test_engine__either__state_can_be_read_and_written(engine: Engine) -> None:
    probe = engine.deploy(compile_source(PROBE, "Probe"), 5)
    slot = compile_source(PROBE, "Probe").slot("last")
    assert engine.storage_at(probe, slot) == 0
    engine.set_storage(probe, slot, 2**256 - 1)
    assert probe.last() == (2**256 - 1, 0)
    assert engine.storage_at(probe, slot) == 2**256 - 1
    engine.set_balance(probe, 123)
    assert engine.balance(probe) == 123
    engine.set_code("0x" + "42" * 20, engine.code_at(probe))
    copy = engine.at("0x" + "42" * 20, probe.abi)
    assert copy.store(1, "", (7, 7)).success
    assert copy.last() == (7, 7)
    assert probe.last() == (2**256 - 1, 0)


@pytest.mark.engines("in process", "anvil")
def test_engine__either__time_stands_still_until_moved(engine: Engine) -> None:
    probe = engine.deploy(compile_source(PROBE, "Probe"), 5)
    start = engine.timestamp
    for _ in range(3):
        assert probe.clock.transact().value == (start, engine.chain_id)
        assert probe.clock() == (start, engine.chain_id)
    mark = engine.snapshot()
    for _ in range(2):
        engine.set_next_timestamp(start + CENTURY)
        assert probe.clock() == (start + CENTURY, engine.chain_id)
        assert probe.clock.transact().timestamp == start + CENTURY
        engine.restore(mark)
        assert probe.clock() == (start, engine.chain_id)
        assert engine.timestamp == start


@pytest.mark.engines("in process", "anvil")
def test_engine__either__bad_requests_name_the_remedy(engine: Engine) -> None:
    probe: Contract = engine.deploy(compile_source(PROBE, "Probe"), 5)
    with pytest.raises(EvmError, match=r"lies before the chain's"):
        engine.set_next_timestamp(engine.timestamp - 1)
    with pytest.raises(EvmError, match=r"holds \d+ wei and cannot send 1000.*set_balance"):
        probe.store(1, "", (1, 1), value=10**30)
    with pytest.raises(EvmError, match="not a mark"):
        engine.restore("yesterday")
    assert probe.word(1) == 0


@pytest.mark.engines("in process", "anvil")
def test_deploy__code_above_the_size_limit__refused(engine: Engine) -> None:
    # initcode that returns as many zero bytes as the limit allows, then one more
    small, large = (bytes.fromhex(f"61{size:04x}5ff3") for size in (24_576, 24_577))
    sender = engine.accounts[0]
    assert engine.send(sender, None, small).success
    receipt = engine.send(sender, None, large)
    assert not receipt.success
    assert receipt.revert_reason == "halt: code is too large"
    assert receipt.contract_address is None
    assert engine.send(sender, None, small).success
