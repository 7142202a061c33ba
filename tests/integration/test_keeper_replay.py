"""History again: what the keeper would have done, held against what a liquidation really earned."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from ape.utils import use_temp_sys_path
from click.testing import CliRunner, Result

from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.evm.artifacts import ROOT
from ringfence.evm.rpc import Json, Request
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.chain.answers import no_answers
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.replay import Episode, History, Patient, Replay, ReplayError
from ringfence.sim.keeper import KEEPER
from ringfence.sim.stage import account_of
from tests.support.crash import TRADER, Crash, crash_stage
from tests.support.ticking import CountingRpc

STRANGER = account_of("stranger")
FEW = 10
"""USDC units that a block's interest may make."""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    with crash_stage(tmp_path_factory.mktemp("replay"), history=1_000) as stage:
        yield stage


@pytest.fixture
def crash(staged: Crash) -> Iterator[Crash]:
    mark = staged.engine.snapshot()
    yield staged
    staged.engine.restore(mark)


def replayed(
    crash: Crash, first: int, last: int | None = None, account: str = STRANGER, **policy: int
) -> History:
    async def run() -> History:
        rpc = Web3Rpc(crash.engine.url, timeout=120)
        try:
            replay = Replay(
                rpc, crash.places, address_bytes(account), Policy(**policy), lambda *_: None
            )
            return await replay.run(first, crash.block if last is None else last)
        finally:
            await rpc.close()

    return asyncio.run(run())


def the_long(crash: Crash, history: History) -> Episode:
    [episode] = history.episodes
    assert (episode.vault, episode.position_id) == (
        address_bytes(crash.long.vault),
        crash.long_id,
    )
    assert (history.sudden, history.troubles) == ([], {})
    return episode


def test_run__crash__earns_what_a_liquidation_in_the_next_block_earned(crash: Crash) -> None:
    keeper = crash.keeper()
    crash.mine(2)
    first = crash.block
    crash.move_pool(180)
    due = crash.move_feed(180)
    before = crash.held()
    with keeper:
        assert keeper.act() == 1
    earned, mined = crash.held() - before, crash.block
    assert mined == due + 1
    crash.mine(2)

    episode = the_long(crash, replayed(crash, first))

    assert (episode.first, episode.left) == (due, None)
    assert episode.offer is not None
    assert episode.offer.block == due
    assert episode.offer.asset.symbol == "USDC"
    assert abs(episode.offer.profit - earned) <= FEW
    assert earned > 10 * 10**6, "there was nothing to compare"
    assert (episode.end, episode.end_block, episode.missed) == ("liquidated", mined, False)
    [taken] = episode.taken
    assert (taken.block, taken.by, taken.earned) == (mined, account_of(KEEPER), earned)
    assert taken.exact


def test_run__begun_while_it_is_due__counts_from_there(crash: Crash) -> None:
    crash.move_pool(180)
    due = crash.move_feed(180)
    crash.mine(3)
    episode = the_long(crash, replayed(crash, due + 2))
    assert (episode.first, episode.end, episode.end_block) == (due + 2, "still due", None)
    assert episode.missed


def test_run__price_comes_back__is_missed_by_everyone(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    due = crash.move_feed(180)
    crash.mine()
    back = crash.move_feed(195)
    episode = the_long(crash, replayed(crash, first))
    assert (episode.first, episode.end_block) == (due, back)
    assert episode.end == "price recovered"
    assert episode.missed


def test_run__due_twice__is_two_episodes(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    once = crash.move_feed(180)
    crash.move_feed(195)
    twice = crash.move_feed(180)
    found = replayed(crash, first).episodes
    assert [(one.first, one.end) for one in found] == [
        (once, "price recovered"),
        (twice, "still due"),
    ]


def test_run__owner_tops_up__says_so(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    crash.stage.top_up(crash.long, TRADER, crash.long_id, Decimal(20))
    episode = the_long(crash, replayed(crash, first))
    assert (episode.end, episode.end_block) == ("topped up", crash.block)


def test_run__owner_sells_and_repays__says_so(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    crash.stage.delever(crash.long, TRADER, crash.long_id, Decimal("0.6"))
    episode = the_long(crash, replayed(crash, first))
    assert (episode.end, episode.end_block) == ("repaid", crash.block)


def test_run__owner_closes__says_so(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    crash.stage.close(crash.long, TRADER, crash.long_id)
    episode = the_long(crash, replayed(crash, first))
    assert (episode.end, episode.end_block) == ("closed", crash.block)


def test_run__pool_too_low_then_back__left_first_and_sent_later(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(165)
    due = crash.move_feed(180)
    crash.mine()
    episode = the_long(crash, replayed(crash, first))
    assert episode.offer is None
    assert "too thin" in str(episode.left)
    assert not episode.missed, "what no plan would have sent is not missed"
    crash.move_pool(180)
    episode = the_long(crash, replayed(crash, first))
    assert episode.first == due
    assert episode.offer is not None
    assert episode.offer.block > due + 1


def test_run__policy_wants_more__leaves_it(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    episode = the_long(crash, replayed(crash, first, least_profit=10**19))
    assert episode.offer is None
    assert "the policy wants" in str(episode.left)


def test_run__insolvent_at_a_loss__is_borne_by_an_account_that_could_then(crash: Crash) -> None:
    first = crash.block
    with crash.keeper():
        pass  # Its approvals are what counts.
    crash.stage.fund(account_of(KEEPER), crash.stage.usdc, 1_000 * 10**6)
    crash.move_pool(135)
    crash.move_feed(150)
    left = the_long(crash, replayed(crash, first))
    assert left.offer is None
    assert "insolvent: would lose" in str(left.left)
    able = replayed(crash, first, account=account_of(KEEPER), most_loss=2 * 10**18)
    offer = the_long(crash, able).offer
    assert offer is not None
    assert offer.profit < 0
    assert offer.after_gas < 0
    stranger = the_long(crash, replayed(crash, first, most_loss=2 * 10**18))
    assert stranger.offer is None
    assert "fail" in str(stranger.left)


def test_run__someone_pays_with_assets_of_his_own__is_named_with_about_what_it_earned(
    crash: Crash,
) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    vault, usdc = crash.long.vault, crash.stage.usdc
    crash.stage.fund(STRANGER, usdc, 10_000 * 10**6)
    usdc.approve(vault, 2**256 - 1, sender=STRANGER)
    held = usdc.balanceOf(STRANGER)
    vault.liquidate(crash.long_id, 2**127, 0, STRANGER, b"", sender=STRANGER)
    seized = crash.stage.weth.balanceOf(STRANGER)
    [taken] = the_long(crash, replayed(crash, first)).taken
    assert (taken.by, taken.exact) == (STRANGER, False)
    assert (taken.seized, taken.paid) == (seized, held - usdc.balanceOf(STRANGER))
    price = crash.long.oracle.quote()[1]
    assert taken.earned == seized * price // 10**36 - taken.paid


def test_run__liquidated_in_the_block_of_the_fall__is_sudden(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    vault, usdc = crash.long.vault, crash.stage.usdc
    crash.stage.fund(STRANGER, usdc, 10_000 * 10**6)
    usdc.approve(vault, 2**256 - 1, sender=STRANGER)
    feed = crash.stage.ether_feed
    calls = (
        (account_of("feed"), feed.address, feed.updateAnswer.encode(180 * 10**8)),
        (
            STRANGER,
            vault.address,
            vault.liquidate.encode(crash.long_id, 2**127, 0, STRANGER, b""),
        ),
    )
    for sender, to, data in calls:
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(2_000_000)}
        crash.rpc.call("eth_sendTransaction", call | {"gasPrice": "0x0"})
    crash.mine()
    history = replayed(crash, first)
    assert history.episodes == []
    [(key, taken)] = history.sudden
    assert key == (address_bytes(vault), crash.long_id)
    assert (taken.block, taken.by) == (crash.block, STRANGER)


def test_run__blocks_that_cannot_be_had__says_where_to_begin_or_end(crash: Crash) -> None:
    begun = crash.places.deployment.first_block
    with pytest.raises(ReplayError, match=f"the factory came in block {begun}; begin there"):
        replayed(crash, begun - 1)
    with pytest.raises(ReplayError, match="end no earlier than you begin"):
        replayed(crash, begun + 3, begun + 2)
    with pytest.raises(ReplayError, match=f"no lens stood at .* at block {begun}; begin later"):
        replayed(crash, begun)
    with pytest.raises(ReplayError, match=f"has no block {crash.block + 1}; end earlier"):
        replayed(crash, crash.block, crash.block + 1)


def test_run__node_has_pruned_the_state__one_line_with_the_next_step(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with crash_stage(tmp_path_factory.mktemp("pruned"), history=8) as crash:
        first = crash.block
        crash.mine(30)
        with pytest.raises(ReplayError, match=f"has not the state of block {first}: .* archive"):
            replayed(crash, first)
        assert replayed(crash, crash.block - 2).episodes == []


def test_run__fork_before_its_first_block__is_refused_and_not_taken_for_what_does_not_pay(
    crash: Crash,
) -> None:
    crash.move_pool(180)
    due = crash.move_feed(180)
    crash.mine(2)
    with launch(fork_url=crash.engine.url) as fork:
        there = replace(crash, engine=fork)
        with pytest.raises(
            ReplayError, match=f"run calls at block {due}, .* a fork is none before"
        ):
            replayed(there, due, due + 2)
        assert the_long(crash, replayed(there, due + 2, due + 2)).offer is not None


class Failing(CountingRpc):
    """Gives no answer to batches whose numbers are named."""

    gone: frozenset[int] = frozenset()

    async def batch(self, requests: Sequence[Request]) -> list[Json]:
        answers = await super().batch(requests)
        if len(self.batches) in self.gone:
            return no_answers(requests, "no answer within 10 s")
        return answers


def test_run__node_gives_no_answer_now_and_then__the_same_is_found(crash: Crash) -> None:
    first = crash.block
    crash.move_pool(180)
    crash.move_feed(180)
    rpc = Failing(crash.engine.url)

    async def run() -> History:
        told = Patient(rpc, pauses=(0, 0))
        return await Replay(
            told, crash.places, address_bytes(STRANGER), Policy(), lambda *_: None
        ).run(first, crash.block)

    calm = asyncio.run(run())
    count = len(rpc.batches)
    rpc.batches.clear()
    rpc.gone = frozenset(range(2, 2 * count, 3))
    assert asyncio.run(run()).episodes == calm.episodes
    assert len(rpc.batches) > count
    assert the_long(crash, calm).offer is not None


def test_run__node_gives_no_answer_any_more__says_so(crash: Crash) -> None:
    rpc = Failing(crash.engine.url)
    rpc.gone = frozenset(range(1, 100))
    replay = Replay(
        Patient(rpc, pauses=(0, 0)),
        crash.places,
        address_bytes(STRANGER),
        Policy(),
        lambda *_: None,
    )
    with pytest.raises(ReplayError, match="no answer within 10 s; try again"):
        asyncio.run(replay.run(crash.block, crash.block))
    assert len(rpc.batches) == 3


# The command


@pytest.fixture(scope="module")
def command() -> Iterator[Any]:
    with use_temp_sys_path(ROOT):
        from scripts import keeper as script

        yield script.cli


def typed(command: Any, crash: Crash, *words: str) -> Result:
    where = ("--network", crash.engine.url, "--record", str(crash.record))
    with crash.engine.automining():
        runner = CliRunner(mix_stderr=False, env={"COLUMNS": "160"})
        return runner.invoke(command, ["replay", *words, *where])


def test_replay__json_and_table__say_the_same(command: Any, crash: Crash) -> None:
    keeper, first = crash.keeper(), crash.block
    crash.move_pool(180)
    due = crash.move_feed(180)
    with keeper:
        assert keeper.act() == 1
    done = typed(command, crash, "--from", str(first), "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    [episode] = found["episodes"]
    assert (episode["first_block"], episode["would_send_at"]) == (due, due)
    assert episode["liquidations"][0]["block"] == episode["end_block"] == due + 1
    assert found["totals"] == {
        "due": 1,
        "would_have_sent": 1,
        "left": 0,
        "missed_by_everyone": 0,
        "sudden": 0,
        "profits": {"USDC": episode["profit"]},
        "after_gas_wei": episode["after_gas_wei"],
    }
    shown = typed(command, crash, "--from", str(first)).stdout
    whole = f"{Decimal(episode['profit']) / 10**6:,f}".rstrip("0").rstrip(".")
    assert f"1 due: 1 would have been sent, earning {whole} USDC," in shown
    assert "0 left; 0 missed by everyone." in shown
    assert f"liquidated at block {due + 1}" in " ".join(shown.split())


def test_replay__before_the_factory__one_line_and_1(command: Any, crash: Crash) -> None:
    done = typed(command, crash, "--from", "0")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: block 0 cannot be replayed")


def test_replay__before_the_lens__names_the_block_to_begin_at(command: Any, crash: Crash) -> None:
    contracts = json.loads(crash.record.read_text())["contracts"]
    begun = max(contracts[name]["block"] for name in ("factory", "lens", "liquidator"))
    done = typed(command, crash, "--from", str(begun - 1))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith(f"pass --from {begun} or later")
    assert typed(command, crash, "--from", str(begun), "--to", str(begun)).exit_code == 0
