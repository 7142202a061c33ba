"""Decoding what the vaults and the factory log, from both engines' own logs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringfence.evm import Engine
from ringfence.evm.abi import address_bytes
from ringfence.keeper.chain.wire import LogEntry
from ringfence.keeper.memory.events import EventError, SlotWritten, Vault, decode
from tests.support.market import (
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    price_of,
)
from tests.support.registry import as_entries, make_registry


@pytest.mark.engines("in process", "anvil")
def test_decode__a_position_s_life__each_event_carries_the_word_in_storage(engine: Engine) -> None:
    market = make_registry(engine).new_market()
    vault, address = market.vault, address_bytes(market.vault)
    position = market.open(WETH, 1_590 * USDC)

    def written(*steps: object) -> list[object]:
        return [one for step in steps for one in map(decode, as_entries(step.logs)) if one]

    def expected(position_id: int) -> list[object]:
        return [SlotWritten(address, position_id, market.slot(position_id).word)]

    market.give(market.collateral, STRANGER, WETH)
    assert written(vault.top_up(position, 5, sender=STRANGER)) == expected(position)
    market.give(market.asset, STRANGER, USDC)
    assert written(vault.repay(position, USDC, sender=STRANGER)) == expected(position)
    engine.advance(1)
    market.set_price(price_of(1_800))
    market.give(market.asset, LIQUIDATOR, 10_000 * USDC)
    seizing = vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert written(seizing) == expected(position)
    assert market.slot(position).word != 0
    closing = vault.close(position, TRADER, b"", sender=TRADER)
    assert written(closing) == [SlotWritten(address, position, 0)] == expected(position)


@pytest.mark.engines("in process", "anvil")
def test_decode__a_vault_s_creation__address_registry_index_and_parameters(engine: Engine) -> None:
    registry = make_registry(engine)
    registry.new_market()
    made = registry.draft.create(salt=b"\xaa" * 32)
    (vault,) = [one for one in map(decode, as_entries(made.logs, block=12)) if one is not None]
    assert isinstance(vault, Vault)
    assert vault.address == address_bytes(made.value)
    assert (vault.index, vault.created_block) == (1, 12)
    parameters = registry.draft.all_arguments({})["params"]._asdict()
    assert vault.parameters == parameters


def test_decode__a_vault_whose_name_is_no_text__followed_all_the_same(engine: Engine) -> None:
    registry = make_registry(engine)
    made = registry.draft.create(name="x" * 40)
    (log,) = [one for one in as_entries(made.logs) if isinstance(decode(one), Vault)]
    assert b"x" * 40 in log.data
    assert decode(replace(log, data=log.data.replace(b"x" * 40, b"\xff" * 40))) == decode(log)


def test_decode__other_events__ignored(market: Market) -> None:
    lending = market.deposit(USDC)
    assert lending
    logs = market.vault.approve(STRANGER, 1, sender=TRADER).logs
    assert logs
    assert [decode(one) for one in as_entries(logs)] == [None]
    assert decode(replace(as_entries(logs)[0], topics=())) is None


def damaged(log: LogEntry) -> list[LogEntry]:
    return [
        replace(log, topics=log.topics[:-1]),
        replace(log, topics=(*log.topics, bytes(32))),
        replace(log, data=log.data[:63]),
    ]


def test_decode__a_position_s_event_of_another_shape__refused(market: Market) -> None:
    position = market.open(WETH)
    market.give(market.collateral, TRADER, 1)
    logs = as_entries(market.vault.top_up(position, 1, sender=TRADER).logs)
    (log,) = [one for one in logs if decode(one)]
    longer = replace(log, data=log.data + b"\0")
    for broken in (*damaged(log), longer):
        with pytest.raises(EventError, match="which its event has not"):
            decode(broken)


def test_decode__a_creation_of_another_shape__refused(engine: Engine) -> None:
    logs = as_entries(make_registry(engine).draft.create().logs)
    (log,) = [one for one in logs if decode(one)]
    for broken in damaged(log):
        with pytest.raises(EventError, match="which its event has not"):
            decode(broken)
