"""Reading what a node sends: headers, blooms, logs."""

from __future__ import annotations

import pytest

from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.rpc import Json, JsonRpc
from ringfence.keeper.chain.wire import Header, WireError, parse_logs
from ringfence.keeper.memory.events import CREATED_TOPIC, SLOT_TOPICS
from tests.support.registry import make_registry


@pytest.fixture
def answers(anvil: AnvilEngine) -> tuple[Json, Json]:
    """A block with a vault's creation in it, and that block's logs."""
    mark = anvil.snapshot()
    make_registry(anvil).draft.create()
    rpc = JsonRpc(anvil.url)
    block = rpc.call("eth_getBlockByNumber", "latest", False)
    logs = rpc.call("eth_getLogs", {"blockHash": block["hash"]})
    rpc.close()
    anvil.restore(mark)
    return block, logs


def test_header__of_a_node__every_log_may_be_in_it(answers: tuple[Json, Json]) -> None:
    header = Header.parse(answers[0])
    logs = parse_logs(answers[1])
    assert len(logs) >= 3
    for log in logs:
        assert log.block_hash == header.hash
        assert log.place[0] == header.number
        assert header.may_hold(log.address, log.topics[0])
    factory = next(log.address for log in logs if log.topics[0] == CREATED_TOPIC)
    assert not header.may_hold(factory, SLOT_TOPICS[0])
    assert not header.may_hold(b"\x99" * 20, CREATED_TOPIC)


def test_parse_logs__out_of_order_or_twice__refused(answers: tuple[Json, Json]) -> None:
    first, second, *_ = answers[1]
    for wrong in ([second, first], [first, first]):
        with pytest.raises(WireError, match=r"sent log \(\d+, \d\) after log"):
            parse_logs(wrong)


@pytest.mark.parametrize("key", ["number", "hash", "parentHash", "timestamp", "logsBloom"])
@pytest.mark.parametrize("value", [None, "0x", "0xzz", 5, "-0x1", "0x" + "f" * 40])
def test_header__unreadable_field__refused(
    answers: tuple[Json, Json], key: str, value: Json
) -> None:
    with pytest.raises(WireError, match="sent a block that cannot be read"):
        Header.parse(answers[0] | {key: value})


@pytest.mark.parametrize("key", ["address", "topics", "data", "blockNumber", "logIndex"])
def test_parse_logs__unreadable_field__refused(answers: tuple[Json, Json], key: str) -> None:
    for value in (None, 5):
        with pytest.raises(WireError, match="sent a log that cannot be read"):
            parse_logs([answers[1][0] | {key: value}])
