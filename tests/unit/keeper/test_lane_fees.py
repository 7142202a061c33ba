"""Fees: read from a node, with a fall-back for each thing that it may not say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.client.signing import key_signer
from ringfence.evm.abi import checksum
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.engine import dev_accounts
from ringfence.evm.rpc import Json, JsonRpc, Request, RpcError
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.fees import FALLBACK_TIP, offer, raised, read_fees
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from tests.support.lanes import GWEI

HEAD = Header(100, b"\1" * 32, b"\2" * 32, 1_000, 0, base_fee=80)
HISTORY = {
    "oldestBlock": hex(96),
    "baseFeePerGas": [hex(base) for base in (71, 72, 75, 77, 80, 88)],
    "gasUsedRatio": [0.5, 0.0, 0.9, 0.4, 0.7],
    "reward": [[hex(tip)] for tip in (5, 0, 30, 2, 9)],
}


def read(history: Json, proposed: Json = "0x3", head: Header = HEAD) -> Fees:
    class Node:
        async def batch(self, requests: list[Request]) -> list[Json]:
            assert [method for method, _params in requests] == [
                "eth_feeHistory",
                "eth_maxPriorityFeePerGas",
            ]
            return [history, proposed]

    return asyncio.run(read_fees(Node(), head))  # type: ignore[arg-type]


def test_read_fees__history_of_the_head__next_base_fee_and_the_median_tip() -> None:
    """Of the four blocks that were not empty: 2, 5, 9, 30."""
    assert read(HISTORY) == Fees(88, 5)


def test_read_fees__empty_blocks_alone__the_proposed_tip() -> None:
    assert read(HISTORY | {"gasUsedRatio": [0.0] * 5}) == Fees(88, 3)
    assert read(HISTORY | {"reward": [["0x0"]] * 5}) == Fees(88, 3)


NO_HISTORY: list[Json] = [
    RpcError("eth_feeHistory", "method not found", None),
    None,
    {},
    [],
    HISTORY | {"oldestBlock": hex(95)},
    HISTORY | {"oldestBlock": hex(97)},
    HISTORY | {"oldestBlock": None},
    HISTORY | {"baseFeePerGas": ["0x1"] * 6},
    HISTORY | {"baseFeePerGas": []},
    HISTORY | {"reward": None},
    HISTORY | {"reward": [[]] * 5},
    HISTORY | {"gasUsedRatio": [0.5]},
]


@pytest.mark.parametrize("history", NO_HISTORY)
def test_read_fees__no_history_of_the_head__the_most_the_base_fee_can_be(history: Json) -> None:
    assert read(history) == Fees(90, 3)
    assert read(history, None) == Fees(90, FALLBACK_TIP)
    assert read(history, RpcError("", "no", None)) == Fees(90, FALLBACK_TIP)


def test_read_fees__head_with_an_odd_base_fee__rounded_up() -> None:
    assert read(None, head=replace(HEAD, base_fee=81)).base == 92


def test_read_fees__a_node__what_its_next_block_asks() -> None:
    with launch() as engine:
        check_node(engine)


def check_node(engine: AnvilEngine) -> None:
    rpc, sender = JsonRpc(engine.url), dev_accounts()[1]

    def header() -> Header:
        return Header.parse(rpc.call("eth_getBlockByNumber", "latest", False))

    async def fees() -> Fees:
        node = Web3Rpc(engine.url)
        try:
            return await read_fees(node, header())
        finally:
            await node.close()

    rpc.call("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": 1,
        "to": checksum(b"\1" * 20),
        "value": 0,
        "data": b"",
        "nonce": 0,
        "gas": 21_000,
        "maxFeePerGas": 30 * GWEI,
        "maxPriorityFeePerGas": 3 * GWEI,
    }
    rpc.call("eth_sendRawTransaction", "0x" + key_signer(sender)(fields).hex())
    rpc.call("evm_mine")
    found = asyncio.run(fees())
    assert found.tip == 3 * GWEI
    rpc.call("evm_mine")
    assert header().base_fee == found.base
    rpc.close()


@pytest.mark.parametrize(
    ("price", "more"), [(0, 1), (1, 2), (7, 8), (8, 9), (9, 11), (800, 900), (801, 902)]
)
def test_raised__any_price__an_eighth_more_rounded_up(price: int, more: int) -> None:
    assert raised(price) == more


PRICES = st.integers(0, 10**15)


@given(PRICES, PRICES, st.integers(0, 10**16), st.lists(st.tuples(PRICES, PRICES), max_size=3))
def test_offer__any_prices__an_eighth_more_in_both_and_never_above_the_limit(
    base: int, tip: int, limit: int, floors: list[tuple[int, int]]
) -> None:
    found = offer(Fees(base, tip), limit, floors)
    least = max([base + tip, *[raised(max_fee) for max_fee, _tip in floors]])
    least_tip = max([tip, *[raised(one) for _max_fee, one in floors]])
    if found is None:
        assert max(least, least_tip) > limit
        return
    max_fee, offered = found
    assert least <= max_fee <= limit
    assert offered == least_tip <= max_fee
    for old_fee, old_tip in floors:
        assert max_fee * 8 >= old_fee * 9
        assert max_fee > old_fee
        assert offered * 8 >= old_tip * 9
        assert offered > old_tip
