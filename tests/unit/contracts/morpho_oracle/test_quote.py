"""MorphoOracle.quote: the source's price twice, never zero."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, load

PRICE = 2_000 * 10**24


@pytest.fixture
def source(engine: Engine) -> Contract:
    return engine.deploy(load("SettablePrice"), PRICE)


@pytest.fixture
def oracle(engine: Engine, source: Contract) -> Contract:
    return engine.deploy(load("MorphoOracle"), source, PRICE, 0)


@pytest.mark.parametrize("price", [PRICE, 1, 10**56, 2**256 - 1])
def test_quote__source_has_a_price__gives_it_twice(
    oracle: Contract, source: Contract, price: int
) -> None:
    source.set_price(price)

    assert oracle.quote() == (price, price)


def test_quote__source_says_zero__reverts_until_it_has_a_price(
    oracle: Contract, source: Contract
) -> None:
    source.set_price(0)
    with pytest.raises(Reverted, match=r"^price is not positive$"):
        oracle.quote()

    source.set_price(1)
    assert oracle.quote() == (1, 1)


def test_quote__source_goes_silent__reverts(
    engine: Engine, oracle: Contract, source: Contract
) -> None:
    engine.set_code(source, b"\0")

    with pytest.raises(Reverted):
        oracle.quote()
