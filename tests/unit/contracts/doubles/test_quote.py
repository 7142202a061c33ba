"""The oracles' quotes: settable, breakable, calling back."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine, Reverted, load
from tests.support.feeds import NOBODY

PRICE = 2_000 * 10**24


def test_quote__settable_oracle__is_what_was_set(engine: Engine) -> None:
    oracle = engine.deploy(load("SettableOracle"), 3, 4)
    assert oracle.quote() == (3, 4)

    oracle.set_quote(9, 0)
    assert oracle.quote() == (9, 0)

    oracle.set_price(PRICE)
    assert oracle.quote() == (PRICE, PRICE)


@pytest.mark.parametrize("trick", ["RevertingOracle", "GasBurningOracle"])
def test_quote__oracle_broken__fails_until_mended(engine: Engine, trick: str) -> None:
    oracle = engine.deploy(load(trick), PRICE)
    assert oracle.quote() == (PRICE, PRICE)

    oracle.set_broken(True)
    with pytest.raises(Reverted) as broken:
        oracle.quote()
    assert (
        broken.value.reason
        == {
            "RevertingOracle": "oracle is broken",
            "GasBurningOracle": "halt: invalid opcode",
        }[trick]
    )

    oracle.set_broken(False)
    assert oracle.quote() == (PRICE, PRICE)


def test_quote__reentering_oracle__answers_only_if_its_call_goes_through(engine: Engine) -> None:
    oracle = engine.deploy(load("ReenteringOracle"), PRICE)
    other = engine.deploy(load("RevertingOracle"), PRICE)
    assert oracle.quote() == (PRICE, PRICE)

    oracle.arm(other, other.quote.encode())
    assert oracle.quote() == (PRICE, PRICE)

    other.set_broken(True)
    with pytest.raises(Reverted, match=r"^oracle is broken$"):
        oracle.quote()

    # A call that would change something: a view may not.
    oracle.arm(other, other.set_broken.encode(False))
    with pytest.raises(Reverted):
        oracle.quote()

    oracle.arm(NOBODY, b"")
    assert oracle.quote() == (PRICE, PRICE)
