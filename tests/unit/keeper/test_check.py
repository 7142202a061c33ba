"""What `ape run keeper check` says of a node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from ringfence.evm.abi import checksum
from ringfence.evm.rpc import Json, Request
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.assemble import Places
from ringfence.keeper.check import Finding, check_node
from ringfence.keeper.memory.store import Deployment

LENS, LIQUIDATOR, QUOTER = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
NOW = 1_000_000


@dataclass
class Node:
    """Answers as a node of `chain_id` does, with no code at `empty`."""

    chain_id: int = 1
    empty: bytes | None = None

    async def batch(self, requests: Sequence[Request]) -> list[Json]:
        return [self.answer(*one) for one in requests]

    def answer(self, method: str, parameters: Sequence[Json]) -> Json:
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getCode":
            gone = self.empty is not None and parameters[0] == "0x" + self.empty.hex()
            return "0x" if gone else "0x60"
        if method == "eth_getBlockByNumber":
            return {
                "number": "0x10",
                "hash": "0x" + "aa" * 32,
                "parentHash": "0x" + "bb" * 32,
                "timestamp": hex(NOW),
                "baseFeePerGas": "0x1",
                "gasLimit": "0x1c9c380",
                "logsBloom": "0x" + "00" * 256,
            }
        return "0x"


def found(node: Node, age: float = 0) -> list[Finding]:
    contracts = Contracts(LIQUIDATOR, b"\x04" * 20, QUOTER, b"\x05" * 20)
    places = Places(Deployment(node.chain_id, b"\x06" * 20, 1), LENS, contracts, {})
    return asyncio.run(check_node("here", node, places, NOW + age))


def test_check_node__has_all_of_it__good() -> None:
    assert [one.good for one in found(Node())] == [True, True]


@pytest.mark.parametrize(
    ("name", "address"), [("lens", LENS), ("liquidator", LIQUIDATOR), ("quoter", QUOTER)]
)
def test_check_node__no_code_at_a_contract__names_it(name: str, address: bytes) -> None:
    [_age, one] = found(Node(empty=address))
    assert not one.good
    assert one.words.startswith(f"no code at the {name} {checksum(address)}")
    assert one.next_step == "check the record and the node"


@pytest.mark.parametrize(
    ("chain_id", "step"), [(1, "wait until it is in sync"), (31_337, "start anvil with")]
)
def test_check_node__old_head__says_what_to_do_there(chain_id: int, step: str) -> None:
    [age, _runs] = found(Node(chain_id), age=121)
    assert not age.good
    assert step in age.next_step
    assert all(one.good for one in found(Node(chain_id), age=120))
