"""The keeper's service on a chain: what a head costs, what is sent, what holds it back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringfence.client.signing import key_signer
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request
from ringfence.keeper.act.lane import Lane
from ringfence.keeper.act.lease import LeaseLostError, Leases
from ringfence.keeper.act.ledger import Ledger, LedgerError, State
from ringfence.keeper.assemble import Places, Settings, SettingsError, opened
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.service import Service
from tests.integration.test_keeper import staged
from tests.support.crash import LONG, Crash

__all__ = ["staged"]

Act = Callable[[Service], Coroutine[Any, Any, None]]


@pytest.fixture
def scene(staged: Crash) -> Iterator[Crash]:
    """The stage; what a test leaves in the node's pool is dropped, and then all is put back."""
    mark = staged.engine.snapshot()
    yield staged
    staged.rpc.call("anvil_dropAllTransactions")
    staged.engine.restore(mark)


@pytest.fixture
def settings(scene: Crash, tmp_path: Path) -> Settings:
    account = scene.engine.accounts[9]
    return Settings(
        places=Places.of(scene.stage.record),
        account=address_bytes(account),
        signer=key_signer(account),
        urls=[scene.engine.url],
        store=f"sqlite:///{tmp_path / 'store.db'}",
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
    )


def head(scene: Crash) -> Header:
    return Header.parse(scene.rpc.call("eth_getBlockByNumber", "latest", False))


def mine(scene: Crash) -> Header:
    scene.engine.advance(12)
    scene.rpc.call("evm_mine", scene.engine.timestamp)
    return head(scene)


def run(settings: Settings, act: Act) -> None:
    """Open a service, act on it, close it."""

    async def work() -> None:
        async with opened(settings, time.time, lambda _block, _head: None) as service:
            await act(service)

    asyncio.run(work())


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The methods of each batch that any node is asked."""
    asked: list[list[str]] = []
    batch = Web3Rpc.batch

    async def counting(self: Web3Rpc, requests: Sequence[Request]) -> list[Json]:
        asked.append([method for method, _params in requests])
        return await batch(self, requests)

    with monkeypatch.context() as patched:
        patched.setattr(Web3Rpc, "batch", counting)
        yield asked


def test_on_head__nothing_due__one_batch(
    scene: Crash, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(service: Service) -> None:
        await service.on_head(mine(scene))
        with counted(monkeypatch) as asked:
            for _ in range(3):
                beat = await service.on_head(mine(scene))
                assert (beat.failed, beat.plan.batches, beat.report.sent) == ({}, (), [])
        lenses = ["eth_call"] * len(scene.stage.venues)
        extras = ["eth_getBalance", "eth_feeHistory", "eth_maxPriorityFeePerGas"]
        assert [one[: 1 + len(lenses) + len(extras)] for one in asked] == [
            ["eth_getLogs", *lenses, *extras]
        ] * 3
        assert service.status.gas_money == scene.engine.balance(scene.engine.accounts[9])

    run(settings, act)


def test_on_head__long_past_its_limit__sent_once_mined_and_earned(
    scene: Crash, settings: Settings
) -> None:
    async def act(service: Service) -> None:
        await service.on_head(mine(scene))
        scene.fall(180)
        words, keeper = scene.words(), scene.engine.accounts[9].address
        beat = await service.on_head(mine(scene))
        assert [sent.targets for sent in beat.report.sent] == [
            ((address_bytes(scene.long.vault), scene.long_id),)
        ]
        again = await service.on_head(head(scene))
        assert again.report.sent == [], "the same head sends nothing twice"
        beat = await service.on_head(mine(scene))
        [row] = beat.report.changed
        assert row.state is State.MINED
        assert row.outcome is not None
        [(_target, profit)] = row.outcome.profits
        assert scene.held(keeper) == profit > 0
        assert service.status.lane.profit == {scene.stage.usdc.address: profit}
        assert scene.long.vault.is_healthy(scene.long_id)
        assert scene.words()[1] == words[1], "ISO-1: the short's word changed"

    run(settings, act)


def test_on_head__restarted_after_sending__knows_what_is_on_its_way(
    scene: Crash, settings: Settings
) -> None:
    async def send(service: Service) -> None:
        beat = await service.on_head(mine(scene))
        assert len(beat.report.sent) == 1

    async def go_on(service: Service) -> None:
        assert (await service.on_head(head(scene))).report.sent == []
        [row] = (await service.on_head(mine(scene))).report.changed
        assert row.state is State.MINED

    scene.fall(180)
    run(settings, send)
    run(settings, go_on)


def test_on_head__no_quorum_for_the_head__nothing_is_signed(
    scene: Crash, settings: Settings
) -> None:
    async def act(service: Service) -> None:
        beat = await service.on_head(mine(scene))
        assert "1 of 3 nodes have block" in (beat.refused or "")
        assert beat.report.sent == []
        assert beat.failed["quorum"].startswith("nothing is signed")

    def refuse(_fields: object) -> bytes:
        raise AssertionError("it signed")

    scene.fall(180)
    dead = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    run(replace(settings, urls=[scene.engine.url, *dead], signer=refuse), act)


def test_on_head__node_fails__said_and_the_next_head_goes_on(
    scene: Crash, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(service: Service) -> None:
        await service.on_head(mine(scene))
        now = mine(scene)
        with monkeypatch.context() as patched:
            patched.setattr(service.pool, "batch", _no_answer)
            beat = await service.on_head(now)
        assert "no answer" in beat.failed["index"]
        assert service.status.errors["index"].times == 1
        scene.fall(180)
        beat = await service.on_head(mine(scene))
        assert beat.failed == {}
        assert len(beat.report.sent) == 1
        assert service.status.errors == {}

    run(settings, act)


async def _no_answer(requests: Sequence[Request]) -> list[Json]:
    return [Web3Rpc._result(Web3Rpc("http://-"), method, "no answer") for method, _ in requests]


def test_on_head__lease_is_another_keepers__acts_once_it_is_free(
    scene: Crash, settings: Settings, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    other = Leases(shared, scene.engine.chain_id, "other")

    async def act(service: Service) -> None:
        scene.fall(180)
        now = mine(scene)
        vaults = [address_bytes(one.vault) for one in scene.stage.venues.values()]
        other.renew(now.number, vaults)
        assert (await service.on_head(now)).report.sent == []
        assert service.status.leases_held == 0
        now = mine(scene)
        assert (await service.on_head(now)).report.sent == [], "within the lease"
        beat = await service.on_head(mine(scene))
        assert len(beat.report.sent) == 1, "not within two blocks"
        assert service.status.leases_held == len(vaults)

    run(replace(settings, shared=shared, holder="this"), act)
    other.close()


@pytest.mark.parametrize(
    ("of", "method", "error"),
    [(Lane, "step", LeaseLostError("lost")), (Ledger, "rows", LedgerError("disk full"))],
)
def test_on_head__lane_fails__what_is_on_its_way_is_still_known(
    scene: Crash,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    of: type,
    method: str,
    error: Exception,
) -> None:
    def fail(*_args: object) -> None:
        raise error

    async def act(service: Service) -> None:
        scene.fall(180)
        assert len((await service.on_head(mine(scene))).report.sent) == 1
        lane = service.status.lane
        scene.rpc.call("anvil_dropAllTransactions")
        now = mine(scene)
        with monkeypatch.context() as patched:
            patched.setattr(of, method, fail)
            beat = await service.on_head(now)
        assert str(error) in beat.failed.values()
        assert (lane.open, lane.oldest) == (1, 1)
        assert (await service.on_head(head(scene))).report.resent
        [row] = (await service.on_head(mine(scene))).report.changed
        assert (row.state, lane.open, lane.oldest) == (State.MINED, 0, 0)

    run(settings, act)


@pytest.mark.parametrize(
    ("of", "method", "step"), [(Ledger, "rows", "lane"), (Pool, "agreed", "quorum")]
)
def test_on_head__what_failed_is_well_and_nothing_is_due__no_error_stays(
    scene: Crash,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    of: type,
    method: str,
    step: str,
) -> None:
    def lock(*_args: object) -> None:
        raise LedgerError("disk full")

    async def refuse(*_args: object) -> str:
        return "1 of 3 nodes have it"

    async def act(service: Service) -> None:
        price = int(scene.stage.feed_price())
        if step == "quorum":
            scene.fall(180)
        with monkeypatch.context() as patched:
            patched.setattr(of, method, lock if step == "lane" else refuse)
            for _ in range(4):
                assert step in (await service.on_head(mine(scene))).failed
        assert service.status.errors.keys() == {step}
        scene.fall(price)
        beat = await service.on_head(mine(scene))
        assert not beat.tick.due
        assert service.status.errors == {}

    run(settings, act)


def test_opened__quorum_that_cannot_be__one_line(settings: Settings) -> None:
    async def act(_service: Service) -> None:
        raise AssertionError("it opened")

    with pytest.raises(SettingsError, match="a quorum of 2 of 1 endpoints"):
        run(replace(settings, quorum=2), act)


def test_places__record_without_a_liquidator__says_what_to_do(scene: Crash) -> None:
    record = scene.stage.record
    contracts = {key: one for key, one in record.contracts.items() if key != "liquidator"}
    with pytest.raises(SettingsError, match="lacks liquidator; run deploy first"):
        Places.of(record.model_copy(update={"contracts": contracts}))
    assert LONG in Places.of(record).names.values()
