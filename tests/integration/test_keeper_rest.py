"""Vaults that pay when they are simulated and fail when they are mined."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ringfence.evm import Contract
from ringfence.keeper.act.ledger import Outcome, Row, State
from ringfence.keeper.act.rest import Rest
from ringfence.keeper.assemble import opened
from ringfence.keeper.engine import Sight, Tick
from tests.support.market import MAX_UINT256, TRADER, price_of
from tests.support.updates import Scene, ready, scene, standing_scene

__all__ = ["scene", "standing_scene"]


def answer_the_free(scene: Scene, oracle: Contract, price: int) -> None:
    """Have an oracle give a price to who pays nothing for gas, and revert for others."""
    word = f"7f{price:064x}"
    code = f"{word}5f52{word}6020523a60505760405ff3"
    code += "5b" * (0x50 - len(code) // 2) + "5b5f5ffd"
    scene.engine.set_code(oracle, bytes.fromhex(code))


@pytest.mark.parametrize("named", [True, False])
def test_on_head__fails_when_it_is_mined__left_alone_unless_it_has_a_name(
    scene: Scene, named: bool
) -> None:
    trap = replace(scene, market=scene.stage.long)
    scene.stage.weth.approve(trap.market.vault, MAX_UINT256, sender=TRADER)
    position = trap.open()

    async def work() -> None:
        settings = scene.settings(named=named)
        async with opened(settings, lambda: 0.0, lambda _block, _head: None) as service:
            await ready(scene, service)
            answer_the_free(scene, trap.market.oracle, price_of(1_700))
            scene.mine()
            beat = await service.on_head(scene.head())
            assert len(beat.report.sent) == 1
            assert [one["status"] for one in scene.mine()] == ["0x0"]
            after = await service.on_head(scene.head())
            assert [row.state for row in after.report.changed] == [State.FAILED]
            # What is found out while a head is seen to counts from the next one on.
            scene.mine()
            later = await service.on_head(scene.head())
            if named:
                assert (len(later.report.sent), later.plan.skipped) == (1, ())
                return
            assert service.status.lane.sent == 2
            reasons = {one.position_id: one.reason for one in later.plan.skipped}
            assert reasons.keys() == {position}
            assert reasons[position].startswith("its vault is left alone until block ")
            sent = []
            for _ in range(16):
                scene.mine()
                beat = await service.on_head(scene.head())
                sent.append(len(beat.report.sent))
            assert sent == [0] * 15 + [1]

    asyncio.run(work())


VAULT, OTHER = b"\1" * 20, b"\2" * 20


def row(state: State, *profits: int) -> Row:
    outcome = Outcome(1, b"\3" * 32, 5, tuple(((VAULT, 1), one) for one in profits))
    return Row(
        0, 0, b"\4" * 32, b"", 1, 1, 1, 1, ((VAULT, 1),), 1, 1, state, settled=1, outcome=outcome
    )


def rests(rest: Rest, number: int) -> bool:
    sight = Sight(due=(1, 2), words=(3, 4))
    tick, skipped = rest.split(Tick(None, {VAULT: sight, OTHER: sight}), number)
    assert tick.vaults[OTHER] == sight
    assert tick.vaults[VAULT].due == (() if skipped else (1, 2))
    assert [one.position_id for one in skipped] in ([], [1, 2])
    return bool(skipped)


def test_heed__in_vain_again_and_again__twice_as_long_each_time_until_one_pays() -> None:
    rest = Rest({OTHER})
    assert not rests(rest, 10)
    for blocks in (8, 16, 32, 64):
        rest.heed([row(State.FAILED)], 10)
        assert rests(rest, 10 + blocks - 1)
        assert not rests(rest, 10 + blocks)
    for _ in range(20):
        rest.heed([row(State.MINED)], 10)
    assert rests(rest, 10 + 8_191)
    assert not rests(rest, 10 + 8_192)
    rest.heed([row(State.MINED, 7)], 10)
    assert not rests(rest, 10)
    rest.heed([row(State.FAILED)], 10)
    assert not rests(rest, 18)


def test_heed__not_mined_or_trusted__nothing() -> None:
    rest = Rest({VAULT})
    rest.heed([row(State.FAILED)], 10)
    assert not rests(rest, 11)
    rest = Rest({})
    for state in (State.REPLACED, State.FOREIGN, State.DROPPED):
        rest.heed([replace(row(state), outcome=None)], 10)
    assert not rests(rest, 11)
