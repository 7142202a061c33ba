"""The rate models' answers: one number, none, too many, or a failure."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from tests.support.feeds import NOBODY

RATE = 10**9


def raw_rate(engine: Engine, model: Contract) -> bytes:
    return engine.call_raw(model, model.borrow_rate.encode(1, 2))


def test_borrow_rate__models_that_answer__one_word(engine: Engine) -> None:
    assert engine.deploy(load("FixedRate"), RATE).borrow_rate(1, 2) == RATE
    assert engine.deploy(load("HugeRate")).borrow_rate(1, 2) == 2**256 - 1

    settable = engine.deploy(load("SettableRate"), RATE)
    assert settable.borrow_rate(1, 2) == RATE
    settable.set_rate(0)
    assert settable.borrow_rate(1, 2) == 0


def test_borrow_rate__silent_and_oversized__no_word_and_two(engine: Engine) -> None:
    assert raw_rate(engine, engine.deploy(load("SilentRate"))) == b""
    oversized = raw_rate(engine, engine.deploy(load("OversizedRate"), RATE))
    assert oversized == 2 * RATE.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("trick", "reason"),
    [("RevertingRate", "rate model is broken"), ("GasBurningRate", "halt: invalid opcode")],
)
def test_borrow_rate__models_that_fail__fail_in_their_way(
    engine: Engine, trick: str, reason: str
) -> None:
    with pytest.raises(Reverted, match=f"^{reason}$"):
        engine.deploy(load(trick)).borrow_rate(1, 2)


def test_borrow_rate__reentering__answers_only_if_its_call_goes_through(engine: Engine) -> None:
    model = engine.deploy(load("ReenteringRate"), RATE)
    other = engine.deploy(load("RevertingRate"))
    assert model.borrow_rate(1, 2) == RATE

    model.arm(model, model.target.encode())
    assert model.borrow_rate(1, 2) == RATE

    model.arm(other, other.borrow_rate.encode(1, 2))
    with pytest.raises(Reverted, match=r"^rate model is broken$"):
        model.borrow_rate(1, 2)

    model.arm(NOBODY, b"")
    assert model.borrow_rate(1, 2) == RATE
