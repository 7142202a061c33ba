"""MorphoOracle's constructor: the source must exist and give about the price expected."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from tests.support.feeds import NOBODY, STRANGER

PRICE = 2_000 * 10**24


@pytest.fixture
def source(engine: Engine) -> Contract:
    return engine.deploy(load("SettablePrice"), PRICE)


def test_init__sound_source__is_kept(engine: Engine, source: Contract) -> None:
    assert engine.deploy(load("MorphoOracle"), source, PRICE, 0).source() == source.address


@pytest.mark.parametrize("address", [NOBODY, STRANGER])
def test_init__source_without_code__reverts(engine: Engine, address: str) -> None:
    with pytest.raises(Reverted, match=r"^oracle is missing$"):
        engine.deploy(load("MorphoOracle"), address, PRICE, 0)


def test_init__source_says_zero__reverts(engine: Engine, source: Contract) -> None:
    source.set_price(0)

    with pytest.raises(Reverted, match=r"^price is not positive$"):
        engine.deploy(load("MorphoOracle"), source, 0, 0)


def test_init__reference_off_by_more_than_tolerated__reverts(
    engine: Engine, source: Contract
) -> None:
    reference, tolerance = 1_600 * 10**24, 25 * 10**16

    with pytest.raises(Reverted, match=r"^price is off the reference$"):
        engine.deploy(load("MorphoOracle"), source, reference, tolerance - 1)
    engine.deploy(load("MorphoOracle"), source, reference, tolerance)


def test_init__tolerance_between_two_units__is_rounded_down(
    engine: Engine, source: Contract
) -> None:
    source.set_price(102)
    with pytest.raises(Reverted, match=r"^price is off the reference$"):
        engine.deploy(load("MorphoOracle"), source, 100, 15 * 10**15)
    source.set_price(101)
    engine.deploy(load("MorphoOracle"), source, 100, 15 * 10**15)


def test_init__tolerance_over_a_half__reverts(engine: Engine, source: Contract) -> None:
    with pytest.raises(Reverted, match=r"^tolerance is too wide$"):
        engine.deploy(load("MorphoOracle"), source, PRICE, 5 * 10**17 + 1)
    engine.deploy(load("MorphoOracle"), source, PRICE, 5 * 10**17)
