"""The lane with the real Liquidator over real Uniswap: what its transactions did, by their logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ringfence.client.abi import interface
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.evm.rpc import Json
from ringfence.keeper.act.bid import Bid
from ringfence.keeper.act.ledger import Outcome, Row
from tests.support.lanes import ACCOUNT, ETHER, Stand, is_sending, stand_on
from tests.support.market import MAX_UINT256, TRADER, USDC, WETH, position_id
from tests.support.periphery import Stage, build_stage, sell

SAFE, DUE = position_id(TRADER, 1), position_id(TRADER, 2)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Stand]]:
    """A safe position and one past its limit."""
    url = f"sqlite:///{tmp_path_factory.mktemp('lane') / 'lane.db'}"
    with launch() as engine:
        stage = build_stage(engine)
        stage.open(stage.long, WETH, sell(stage.path(stage.long), 1_000 * USDC))
        stage.open(stage.long, WETH, sell(stage.path(stage.long), 6_000 * USDC), salt=2)
        stage.set_price(1_700)
        engine.advance(60)
        with stand_on(engine, url) as stand:
            stand.signing = replace(
                stand.signing,
                liquidator=address_bytes(stage.liquidator),
                max_gas=10**7,
                approvals={address_bytes(stage.usdc): 100 * USDC},
            )
            yield stage, stand


@pytest.fixture
def stage(scene: tuple[Stage, Stand]) -> Stage:
    return scene[0]


@pytest.fixture
def stand(scene: tuple[Stage, Stand]) -> Stand:
    return scene[1]


def bid_for(stage: Stage, *ids: int) -> Bid:
    """One position by `liquidate`, several by `liquidate_batch`."""
    vault, path = address_bytes(stage.long.vault), stage.path(stage.long, to_asset=True)
    contract = interface("Liquidator")
    targets = [(one, MAX_UINT256, 0) for one in ids]
    if len(ids) == 1:
        data = contract.encode("liquidate", vault, targets[0], path, ACCOUNT)
    else:
        data = contract.encode("liquidate_batch", vault, targets, path, ACCOUNT, 0)
    to = address_bytes(stage.liquidator)
    return Bid(to, data, 2_000_000, 10 * ETHER, tuple((vault, one) for one in ids))


def run(stand: Stand, one: Bid) -> Row:
    stand.step(one)
    stand.mine()
    [changed] = stand.step().changed
    return changed


def outcome_of(row: Row) -> Outcome:
    assert row.outcome is not None
    return row.outcome


def test_step__liquidation_that_reverts__failed_and_what_it_cost(
    stage: Stage, stand: Stand
) -> None:
    before = stand.engine.balance(ACCOUNT)
    row = run(stand, bid_for(stage, SAFE))
    outcome = outcome_of(row)
    assert (row.state, outcome.profits, outcome.skipped) == ("failed", (), ())
    assert outcome.cost == before - stand.engine.balance(ACCOUNT) > 0


def test_step__batch__each_targets_profit_or_why_it_was_skipped(stage: Stage, stand: Stand) -> None:
    before = stand.engine.balance(ACCOUNT)
    row = run(stand, bid_for(stage, SAFE, DUE))
    outcome, vault = outcome_of(row), address_bytes(stage.long.vault)
    profit = stage.usdc.balanceOf(ACCOUNT)
    assert row.state == "mined"
    assert outcome.profits == (((vault, DUE), profit),)
    assert profit > 0
    assert outcome.skipped == (((vault, SAFE), "position is healthy"),)
    assert outcome.cost == before - stand.engine.balance(ACCOUNT)
    assert outcome.block_hash == stand.head().hash


def test_step__approval_that_the_policy_names__mined(stage: Stage, stand: Stand) -> None:
    asset = address_bytes(stage.usdc)
    data = interface("ERC20").encode("approve", stage.liquidator, 100 * USDC)
    assert run(stand, Bid(asset, data, 100_000, ETHER, ((asset, 0),))).state == "mined"
    assert stage.usdc.allowance(ACCOUNT, stage.liquidator) == 100 * USDC


def test_step__logs_of_others_and_reasons_that_are_no_text__left_and_replaced(
    stage: Stage, stand: Stand
) -> None:
    """A vault chooses its revert's bytes, and a token of the path may emit what it likes."""
    contract = interface("Liquidator")
    liquidator, stranger = stand.signing.liquidator, b"\x66" * 20

    def log(address: bytes, name: str, data: bytes) -> Json:
        topics = [contract.topic(name), b"\7".rjust(32, b"\0"), b"\1".rjust(32, b"\0"), bytes(32)]
        return {
            "address": "0x" + address.hex(),
            "topics": ["0x" + topic.hex() for topic in topics],
            "data": "0x" + data.hex(),
        }

    reason = b"\xff\x1bbad".ljust(32, b"\0")
    words = [number.to_bytes(32) for number in (4, 64, 5)]
    logs = [
        log(stranger, "FlashLiquidated", (MAX_UINT256 // 2).to_bytes(32) * 3),
        {**log(stranger, "FlashLiquidated", b""), "topics": []},
        log(liquidator, "FlashLiquidated", bytes(64) + (-5).to_bytes(32, signed=True)),
        log(liquidator, "LiquidationSkipped", b"".join(words) + reason),
        log(liquidator, "LiquidationSkipped", words[0] + words[1] + b"\xff" * 32 + reason),
    ]
    stand.step(bid_for(stage, SAFE))
    stand.mine()

    def hook(requests: list[tuple[str, list[Json]]]) -> list[Json] | None:
        if is_sending(requests):
            return None
        return [
            {**answer, "logs": logs} if method == "eth_getTransactionReceipt" else answer
            for (method, _), answer in zip(requests, stand.rpc.batch(requests), strict=True)
        ]

    stand.door.hook = hook
    newest = max(stand.step().changed, key=lambda row: row.nonce)
    target = (bytes(19) + b"\7", 1)
    assert outcome_of(newest).profits == ((target, -5),)
    assert [told for _target, told in outcome_of(newest).skipped] == ["\ufffd\ufffdbad"] * 2
