"""Liquidated in the very block of the oracle's update: a node that mines when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ringfence.client.abi import interface
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.behind import After
from ringfence.keeper.act.ledger import State
from ringfence.keeper.act.plan import Plan
from ringfence.keeper.chain.pending import Mempool, Pending
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Tick
from ringfence.keeper.run import Watch, keep
from ringfence.keeper.service import Beat, Service
from tests.support.market import (
    RECEIVER,
    STRANGER,
    USDC,
    price_of,
)
from tests.support.updates import FEES, GWEI, Scene, heard, ready, scene, standing_scene

__all__ = ["scene", "standing_scene"]


def test_on_pending__update_makes_one_due__liquidated_right_behind_it(scene: Scene) -> None:
    position = scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        beat = await ready(scene, service)
        [note] = beat.notes
        oracle = scene.stage.long.oracle.address
        assert note.startswith(f"set: its oracle {oracle} is no ChainlinkOracle")
        assert service.behind is not None
        assert service.behind.watched.keys() == {
            *map(address_bytes, (scene.aggregator, scene.proxy))
        }
        pending = await heard(scene, pool, 1_700)
        behind = await service.on_pending(pending)
        assert behind is not None
        [sent] = behind.report.sent
        assert sent.targets == ((address_bytes(scene.market.vault), position),)
        assert sent.tip == pending.max_tip - 1
        update, ours = scene.mine()
        assert update["transactionHash"] == "0x" + pending.hash.hex()
        assert ours["transactionHash"] == "0x" + sent.hash.hex()
        assert (update["status"], ours["status"]) == ("0x1", "0x1")
        assert scene.market.slot(position).scaled_debt < 1_000 * USDC
        after = await service.on_head(scene.head())
        [row] = after.report.changed
        assert (row.state, after.report.waiting) == (State.MINED, [])
        assert row.outcome is not None
        [(target, profit)] = row.outcome.profits
        assert target == sent.targets[0]
        assert profit > 0
        assert (after.tick.due, after.notes, after.failed) == ({}, [], {})
        assert (service.status.lane.sent, service.status.lane.mined) == (1, 1)

    scene.run(work)


@pytest.mark.parametrize("how", ["spoofed", "reverts", "no gas"])
def test_on_pending__update_that_will_not_be__nothing_is_sent(scene: Scene, how: str) -> None:
    scene.open()
    more: dict[str, Any] = {
        "spoofed": {"sender": STRANGER},
        "reverts": {"data": "0x12345678"},
        "no gas": {"gas": hex(30_000)},
    }[how]

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_700, **more)
        assert await service.on_pending(pending) is None
        assert service.status.lane.sent == 0
        assert service.lane.ledger.rows(0) == []

    scene.run(work)


def test_on_pending__update_that_the_next_block_cannot_take__nothing_is_sent(scene: Scene) -> None:
    scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        good = await heard(scene, pool, 1_700)
        hole = replace(good, nonce=good.nonce + 1)
        for bad in (hole, replace(good, max_fee=8 * GWEI), replace(good, max_tip=0)):
            assert await service.on_pending(bad) is None
        assert service.lane.ledger.rows(0) == []
        assert await service.on_pending(good) is not None
        assert len(service.lane.ledger.rows(0)) == 1

    scene.run(work)


def test_on_pending__update_is_dropped__skipped_at_the_cost_of_gas_and_on(scene: Scene) -> None:
    position = scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_700)
        behind = await service.on_pending(pending)
        assert behind is not None
        [sent] = behind.report.sent
        assert scene.rpc.call("anvil_dropTransaction", "0x" + pending.hash.hex())
        [ours] = scene.mine()
        assert ours["status"] == "0x0"
        after = await service.on_head(scene.head())
        [row] = after.report.changed
        assert (row.hash, row.state, after.report.waiting) == (sent.hash, State.FAILED, [])
        # Its nonce is used, and the next update finds the lane as it was.
        pending = await heard(scene, pool, 1_690)
        again = await service.on_pending(pending)
        assert again is not None
        [later] = again.report.sent
        assert later.nonce == sent.nonce + 1
        assert [one["status"] for one in scene.mine()] == ["0x1", "0x1"]
        assert scene.market.slot(position).scaled_debt < 1_000 * USDC

    scene.run(work)


def test_on_pending__update_replaced__newest_counts_and_the_first_bid_stays(scene: Scene) -> None:
    worse, better = scene.open(78), scene.open(75)

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_790)
        first = await service.on_pending(pending)
        assert first is not None
        nonce = hex(pending.nonce)
        sent = scene.transmit(1_700, tip=6 * GWEI, nonce=nonce)
        pending = await anext(pool)
        assert "0x" + pending.hash.hex() == sent
        second = await service.on_pending(pending)
        assert second is not None
        vault = address_bytes(scene.market.vault)
        assert [one.targets for one in first.report.sent] == [((vault, worse),)]
        assert [one.targets for one in second.report.sent] == [((vault, better),)]
        update, *ours = scene.mine()
        assert update["transactionHash"] == sent
        assert [one["status"] for one in (update, *ours)] == ["0x1"] * 3
        assert all(scene.market.slot(one).scaled_debt < 1_000 * USDC for one in (worse, better))

    scene.run(work)


def test_mempool__replaced_before_it_is_taken__only_the_newest_given(scene: Scene) -> None:
    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        first = await heard(scene, pool, 1_790)
        nonce = hex(first.nonce + 1)
        older = scene.transmit(1_780, nonce=nonce)
        newer = scene.transmit(1_770, tip=9 * GWEI, nonce=nonce)
        while len(pool._heard) < 2:
            await asyncio.sleep(0.005)
        found = await anext(pool)
        assert "0x" + found.hash.hex() == newer != older

    scene.run(work)


def test_on_pending__head_came_meanwhile__left_to_it(scene: Scene) -> None:
    scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_700)
        # Its answer comes when the next head is being read: the book may be between two blocks.
        batch, done = service.pool.batch, service._done

        async def late(requests: Sequence[Request]) -> list[Json | RpcError]:
            answers = await batch(requests)
            service._done = None
            service.engine.book.vaults.clear()
            return answers

        service.behind = replace(service.behind, rpc=Late(late))
        vaults = {**service.engine.book.vaults}
        assert await service.on_pending(pending) is None
        service.behind.rpc, service._done = service.pool, done
        service.engine.book.vaults |= vaults
        # Nor does it send at a head that has passed.
        async with service._sending:
            task = asyncio.create_task(service.on_pending(pending))
            while not service._sending._waiters:
                await asyncio.sleep(0.005)
            service._done = None
        assert await task is None
        assert service.lane.ledger.rows(0) == []

    scene.run(work)


def test_on_pending__not_worth_landing_in_vain__not_sent(scene: Scene) -> None:
    """Worth its gas once, but not twice."""
    scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_700)
        wanted = await service.planner.bids(
            scene.head(), FEES, await looked(service, pending), before=pending
        )
        [bid] = wanted.bids
        tip = bid.max_price * 2 // 3
        base = 10 * GWEI
        dear = scene.transmit(1_700, tip=tip, nonce=hex(pending.nonce))
        pending = await anext(pool)
        assert "0x" + pending.hash.hex() == dear
        beat = await service.on_pending(pending)
        assert beat is not None
        assert len(beat.plan.bids) == 1
        assert base + tip < beat.plan.bids[0].max_price < 2 * (base + tip)
        assert (beat.report.sent, service.lane.ledger.rows(0)) == ([], [])

    scene.run(work)


@dataclass(slots=True)
class Late:
    batch: Callable[[Sequence[Request]], Awaitable[list[Json | RpcError]]]


async def looked(service: Service, pending: Pending) -> Tick:
    assert service.behind is not None
    assert service._done is not None
    held = service._done.held
    return service.behind.see(await service.behind.ask(pending, service._done.head, held), held, ())


def test_ask__many_of_one_sender__a_few_are_looked_at(scene: Scene) -> None:
    scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending = await heard(scene, pool, 1_700)
        found = [len((await looked(service, pending)).due) for _ in range(5)]
        assert found == [1, 1, 1, 1, 0]
        other = replace(pending, sender=address_bytes(STRANGER))
        assert (await looked(service, other)).due == {}
        assert service.behind is not None
        assert service.behind._looked[1].total() == 6

    scene.run(work)


def test_refresh__aggregator_changed__watched_after_a_while(scene: Scene) -> None:
    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        assert service.behind is not None
        data = "0x" + scene.proxy.set_aggregator.encode(RECEIVER).hex()
        scene.transmit(0, to=scene.proxy.address, data=data)
        scene.mine()
        head = scene.head()
        for blocks, watched in ((299, scene.aggregator.address), (300, RECEIVER)):
            number = service._done.head.number + blocks if service._done else 0
            assert await service.behind.refresh(replace(head, number=number)) == []
            ends = {*map(address_bytes, (scene.proxy.address, watched))}
            assert service.behind.watched.keys() == ends

    scene.run(work)


def test_after__simulation_asked_for__behind_the_update_and_only_its_own_answers(
    scene: Scene,
) -> None:
    """What a planner asks that simulates several calls in a row."""

    async def work(service: Service, pool: Mempool) -> None:
        await ready(scene, service)
        pending, head = await heard(scene, pool, 1_700), scene.head()
        lens, data = service_call(service, scene)
        call = {"to": "0x" + lens.hex(), "input": "0x" + data.hex()}
        options = {"blockStateCalls": [{"calls": [call, call]}], "validation": False}
        request = "eth_simulateV1", [options, {"blockHash": "0x" + head.hash.hex()}]
        [before] = await service.pool.batch([request])
        [answer] = await After(service.pool, pending).batch([request])
        assert prices(before) == [price_of(2_000)] * 2
        assert prices(answer) == [price_of(1_700)] * 2
        spoofed = replace(pending, sender=address_bytes(STRANGER))
        [refused] = await After(service.pool, spoofed).batch([request])
        assert isinstance(refused, RpcError)
        assert refused.message.startswith("the update before it fails: ")

    scene.run(work)


def service_call(service: Service, scene: Scene) -> tuple[bytes, bytes]:
    return service.engine.market_call(address_bytes(scene.market.vault))


def prices(answer: Json) -> list[int]:
    decode = interface("VaultLens").function("market", 1).decode
    calls = answer[0]["calls"]
    return [decode(bytes.fromhex(one["returnData"][2:])).price_high for one in calls]


@pytest.mark.parametrize("answer", [None, [], [{"calls": []}], [{"calls": [{}, {}]}], "0x", 7])
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas", "eth_simulateV1"])
def test_after__answer_of_no_simulation__an_error(method: str, answer: Json) -> None:
    class Lying:
        async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
            assert [name for name, _ in requests] == ["eth_simulateV1"]
            return [answer]

    pending = Pending(bytes(32), bytes(20), bytes(20), 0, 0, 21_000, 0, 0, b"")
    params = [{"blockStateCalls": [{"calls": []}]}, "latest"]
    if method != "eth_simulateV1":
        params = [{"to": "0x"}, "latest", {}, {}]
    [found] = asyncio.run(After(Lying(), pending).batch([(method, params)]))
    assert isinstance(found, RpcError)


def test_keep__update_waits_between_two_heads__seen_to_beside_them_and_lasts(scene: Scene) -> None:
    position = scene.open()

    async def work(service: Service, pool: Mempool) -> None:
        heads: asyncio.Queue[Header | None] = asyncio.Queue()
        beats: asyncio.Queue[Beat] = asyncio.Queue()

        async def given() -> AsyncIterator[Header]:
            while (head := await heads.get()) is not None:
                yield head

        await ready(scene, service)
        plan, falls = service.planner.bids, [True]

        async def bids(*args: Any) -> Plan:
            if falls:
                falls.clear()
                raise KeyError("what nobody foresaw")
            return await plan(*args)

        service.planner.bids = bids  # type: ignore[method-assign]
        kept = asyncio.create_task(
            keep(service, given(), Watch(), beats.put_nowait, lambda _url: None, pool)
        )
        heads.put_nowait(scene.head())
        await beats.get()
        scene.transmit(1_700)
        while "pending" not in service.status.errors:
            await asyncio.sleep(0.005)
        scene.transmit(1_690)
        behind = await beats.get()
        assert [len(one.targets) for one in behind.report.sent] == [1]
        assert "pending" not in service.status.errors
        assert [one["status"] for one in scene.mine()] == ["0x1"] * 3
        assert scene.market.slot(position).scaled_debt < 1_000 * USDC
        heads.put_nowait(None)
        await kept

    scene.run(work)
