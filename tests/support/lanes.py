"""A lane on an anvil of its own that mines when told: what it sends, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ringfence.client.abi import interface
from ringfence.client.signing import key_signer
from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.engine import dev_accounts
from ringfence.evm.rpc import Json, JsonRpc, Request, RpcError
from ringfence.keeper.act.bid import Bid, Fees, Target
from ringfence.keeper.act.fees import read_fees
from ringfence.keeper.act.lane import Lane, LanePolicy
from ringfence.keeper.act.ledger import Ledger, Row
from ringfence.keeper.act.report import LaneReport
from ringfence.keeper.act.signing import SigningPolicy
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header

KEEPER = dev_accounts()[3]
ACCOUNT = address_bytes(KEEPER)
LIQUIDATOR = b"\x11" * 20
"""No code lies there: every call succeeds, and costs its data."""

VAULT = b"\x22" * 20
GWEI, ETHER = 10**9, 10**18
BASE = 10 * GWEI
GAS = 100_000
BLOCK_GAS = 30_000_000
POLICY = SigningPolicy(1, ACCOUNT, LIQUIDATOR, 10**6, 1_000 * GWEI, 100 * ETHER)


@dataclass(slots=True)
class Door:
    """The way to a node; `hook` may do something else than ask it. Keeps every request."""

    url: str
    hook: Callable[[list[Request]], list[Json] | None] | None = None
    after: Callable[[list[Request]], None] | None = None
    asked: list[Request] = field(default_factory=list)

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        self.asked += requests
        if self.hook is not None and (answers := self.hook([*requests])) is not None:
            return answers
        rpc = Web3Rpc(self.url)
        try:
            answers = await rpc.batch(requests)
        finally:
            await rpc.close()
        if self.after is not None:
            self.after([*requests])
        return answers

    def raws(self) -> list[str]:
        """Every transaction that was to be sent through here."""
        return [params[0] for method, params in self.asked if method == "eth_sendRawTransaction"]


def is_sending(requests: Sequence[Request]) -> bool:
    return requests[0][0] == "eth_sendRawTransaction"


def failing(message: str) -> Callable[[list[Request]], list[Json] | None]:
    """A node that answers each sending with an error, and does nothing."""

    def hook(requests: list[Request]) -> list[Json] | None:
        if is_sending(requests):
            return [RpcError(method, message, None) for method, _params in requests]
        return None

    return hook


def bid(*ids: int, worth: int = ETHER, gas: int = GAS, vault: bytes = VAULT) -> Bid:
    """A bid for some positions, worth 10,000 gwei a unit of gas unless the test says else."""
    contract, path = interface("Liquidator"), b"\x33" * 43
    if len(ids) == 1:
        data = contract.encode("liquidate", vault, (ids[0], 2**200, 0), path, ACCOUNT)
    else:
        targets = [(number, 2**200, 0) for number in ids]
        data = contract.encode("liquidate_batch", vault, targets, path, ACCOUNT, 0)
    _TARGETS[data] = tuple((vault, number) for number in ids)
    return Bid(LIQUIDATOR, data, gas, worth, _TARGETS[data])


_TARGETS: dict[bytes, tuple[Target, ...]] = {}
"""What the calldata of every bid so far is for."""


@dataclass(slots=True)
class Stand:
    """An anvil, a ledger, a lane over them; `door` is the public node, `relays` the private."""

    engine: AnvilEngine
    url: str
    door: Door
    relays: list[Door] = field(default_factory=list)
    rpc: JsonRpc = field(init=False)
    policy: LanePolicy = field(default_factory=LanePolicy)
    signing: SigningPolicy = POLICY
    signer: Any = None
    guard: Any = None
    _ledger: Ledger | None = None

    def __post_init__(self) -> None:
        self.rpc = JsonRpc(self.engine.url)

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self.url, 1, ACCOUNT)
        return self._ledger

    def restart(self) -> None:
        """Forget everything but the database; nodes behave from now on."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None
        self.door.hook = self.door.after = None

    def lane(self) -> Lane:
        return Lane(
            self.door,
            self.ledger,
            self.signer or key_signer(KEEPER),
            self.signing,
            self.policy,
            self.relays,
            self.guard,
        )

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    def step(self, *bids: Bid, fees: Fees | None = None) -> LaneReport:
        """One step at the chain's head."""
        head = self.head()

        async def run() -> LaneReport:
            now = fees or await read_fees(Door(self.engine.url), head)
            return await self.lane().step(head, now, bids)

        return asyncio.run(run())

    def mine(self, blocks: int = 1, base: int = BASE) -> None:
        """Blocks with whatever waits, a second each."""
        for _ in range(blocks):
            self.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base))
            self.engine.advance(1)
            self.rpc.call("evm_mine", self.engine.timestamp)

    def mine_full(self, blocks: int = 1, base: int = BASE) -> None:
        """Blocks that others have filled: what waits goes on waiting."""
        self.rpc.call("evm_setBlockGasLimit", hex(GAS // 2))
        self.mine(blocks, base)
        self.open_blocks()

    def open_blocks(self) -> None:
        """Let the next blocks have room again."""
        self.rpc.call("evm_setBlockGasLimit", hex(BLOCK_GAS))

    def send_foreign(self, nonce: int, max_fee: int = 20 * GWEI, tip: int = GWEI) -> bytes:
        """A transaction of the same key that the lane has not made."""
        fields = {
            "type": 2,
            "chainId": 1,
            "to": checksum(b"\x44" * 20),
            "data": b"",
            "value": 1,
            "nonce": nonce,
            "gas": GAS,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": tip,
        }
        sent = self.rpc.call("eth_sendRawTransaction", "0x" + key_signer(KEEPER)(fields).hex())
        return bytes.fromhex(sent[2:])

    def forget(self, row: Row) -> None:
        """Let the node drop a transaction from its pool."""
        assert self.rpc.call("anvil_dropTransaction", "0x" + row.hash.hex()) is not None

    def on_chain(self) -> list[Json]:
        """The keeper's mined transactions, in their order."""
        top = int(self.rpc.call("eth_blockNumber"), 16)
        blocks = self.rpc.batch([("eth_getBlockByNumber", [hex(n), True]) for n in range(top + 1)])
        return [
            one
            for block in blocks
            for one in block["transactions"]
            if address_bytes(one["from"]) == ACCOUNT
        ]

    def mined(self) -> list[tuple[int, bytes]]:
        """The nonce and the hash of each of the keeper's mined transactions."""
        return [(int(one["nonce"], 16), bytes.fromhex(one["hash"][2:])) for one in self.on_chain()]

    def liquidated(self) -> list[Target]:
        """The targets of the mined calls of the Liquidator, by what the chain has of them."""
        return [
            target
            for one in self.on_chain()
            for target in _TARGETS.get(bytes.fromhex(one["input"][2:]), ())
        ]

    def pooled(self) -> list[Json]:
        """The keeper's transactions in the node's pool, by nonce."""
        content = self.rpc.call("txpool_content")
        found = [
            one
            for part in ("pending", "queued")
            for sender, some in content[part].items()
            if address_bytes(sender) == ACCOUNT
            for one in some.values()
        ]
        return sorted(found, key=lambda one: int(one["nonce"], 16))

    def states(self) -> list[tuple[int, int, str]]:
        """Nonce, attempt and state of every row."""
        return [(row.nonce, row.attempt, row.state.value) for row in self.ledger.rows(-1)]

    def close(self) -> None:
        self.rpc.close()
        if self._ledger is not None:
            self._ledger.close()


@contextmanager
def stand_on(engine: AnvilEngine, url: str) -> Iterator[Stand]:
    """A stand on an anvil whose next blocks cost 10 gwei a unit of gas."""
    made = Stand(engine, url, Door(engine.url))
    made.mine()
    yield made
    made.close()
