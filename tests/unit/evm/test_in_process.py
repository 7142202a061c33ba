"""The in-process engine: transactions, state, time."""

import pytest

from ringfence.evm import Contract, Engine, EvmError, Reverted, UnknownFunctionError, load_npm

WEI = 10**18


@pytest.fixture
def weth(engine: Engine) -> Contract:
    return engine.deploy(load_npm("canonical-weth/build/contracts/WETH9.json"))


def test_transact__ether_wrapped__storage_balance_and_value(engine: Engine, weth: Contract) -> None:
    trader = engine.accounts[1]
    receipt = weth.deposit(value=3 * WEI, sender=trader)
    assert receipt.success
    assert receipt.value is None
    assert [list(words.values()) for words in receipt.state_diff.values()] == [[(0, 3 * WEI)]]
    assert list(receipt.state_diff) == [weth.address]
    assert weth.balanceOf(trader) == 3 * WEI
    assert engine.balance(weth) == 3 * WEI
    assert engine.balance(trader) == 9_997 * WEI


def test_transact__balance_too_small__reverted_and_nothing_changes(
    engine: Engine, weth: Contract
) -> None:
    stranger = engine.accounts[2]
    with pytest.raises(Reverted) as caught:
        weth.transfer(engine.accounts[0], 1, sender=stranger)
    assert caught.value.reason == ""
    receipt = weth.transfer(engine.accounts[0], 1, sender=stranger, check=False)
    assert not receipt.success
    assert receipt.state_diff == {}


def test_transact__more_ether_than_held__error_names_both(engine: Engine, weth: Contract) -> None:
    with pytest.raises(EvmError, match=r"holds \d+ wei and cannot send"):
        weth.deposit(value=10**30)
    assert weth.totalSupply() == 0


def test_method__unknown_function_or_argument_count__one_clear_error(weth: Contract) -> None:
    with pytest.raises(UnknownFunctionError, match="WETH9 has no function 'mint'"):
        weth.mint(1)
    with pytest.raises(
        UnknownFunctionError, match=r"no overload with 1 arguments; it has transfer"
    ):
        weth.transfer(1)


def test_restore__after_transactions__state_and_time_return(engine: Engine, weth: Contract) -> None:
    mark, before = engine.snapshot(), engine.timestamp
    for _ in range(2):
        weth.deposit(value=1)
        engine.advance(100 * 365 * 86_400)
        assert weth.totalSupply() == 1
        engine.restore(mark)
        assert weth.totalSupply() == 0
        assert engine.timestamp == before
