"""The soak's chain: a price that walks, traders, a pool, and blocks when the soak says so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

from benchmarks.keeper.ground import FEED, TRADER, USDC, WETH, Ground
from benchmarks.keeper.judge import Key, Seen
from ringfence.client.abi import interface
from ringfence.evm import Contract
from ringfence.evm.abi import checksum
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.math import uniswap as maths
from ringfence.sim.stage import NEVER, account_of

GWEI = 10**9
RIVAL = account_of("soak rival")
_FEEDER, _ARBITRAGEUR = account_of("soak feeder"), account_of("bench arbitrageur")
_MOODS = ((0.0, 25), (-0.012, 20), (0.01, 20), (-0.004, 30), (0.004, 30))
"""What the price does, a block, and for how many blocks at most: it walks, falls, recovers."""
_NOISE = 0.004
_LOWEST, _HIGHEST, _FIRST = 110.0, 330.0, 195.55
_POSITIONS = 50
"""In each vault, about."""
_GAS = 700_000
_FORGET = 64
"""Blocks after which an id without a position is looked at no more."""
_LIQUIDATED = "0x" + interface("Liquidator").topic("FlashLiquidated").hex()
_TRIED = 24
"""Positions that one block tries, at most."""


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


@dataclass(slots=True)
class World:
    """The chain, and what moves on it.

    `base` is the base fee of the next block, wei; with `unpriced` the feed answers 0.
    """

    ground: Ground
    draw: Random
    keeper: str
    base: int = GWEI
    unpriced: bool = False
    blocks: dict[int, Seen] = field(default_factory=dict)
    price: float = _FIRST
    restless: bool = True
    now: Callable[[], float] = time.time
    collateral: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """Collateral and debt of what is open."""
    _mood: tuple[float, int] = (-0.004, 20)
    _ids: dict[str, dict[int, int]] = field(default_factory=dict)
    _nonces: dict[str, int] = field(default_factory=dict)
    _queue: list[Request] = field(default_factory=list)
    _time: int = 0
    _salt: int = 0

    # The beginning

    def begin(self, positions: int = _POSITIONS) -> None:
        """Bring the chain to the present, and open so many positions in each vault."""
        engine, stage = self.ground.engine, self.ground.stage
        self._time = int(time.time())
        engine.set_next_timestamp(self._time)
        for feed, answer in ((stage.ether_feed, self.price), (stage.dollar_feed, 1)):
            feed.updateAnswer(int(answer * FEED))
        for account in (TRADER, RIVAL, _FEEDER, _ARBITRAGEUR):
            engine.set_balance(account, 10**6 * WETH)
        stage.fund(TRADER, stage.usdc, 10**9 * USDC)
        for vault in self.ground.vaults:
            stage.usdc.approve(vault, NEVER, sender=TRADER)
            self._ids[vault.address] = {}
        self._time = engine.timestamp
        for start in range(0, positions, 10):
            for vault in self.ground.vaults:
                for _ in range(start, min(start + 10, positions)):
                    self._open(vault)
            self.block(frozenset())

    # Transactions

    def send(self, sender: str, to: Contract, data: bytes, most: int, tip: int = 1) -> None:
        """Put a transaction into the next block; `most` gwei order it: the node goes by those."""
        if sender not in self._nonces:
            count = self.ground.rpc.call("eth_getTransactionCount", sender, "latest")
            self._nonces[sender] = int(count, 16)
        fields = {
            "from": sender,
            "to": to.address,
            "data": _hex(data),
            "gas": hex(_GAS),
            "nonce": hex(self._nonces[sender]),
            "maxFeePerGas": hex(most * GWEI),
            "maxPriorityFeePerGas": hex(tip * GWEI),
        }
        self._nonces[sender] += 1
        self._queue.append(("eth_sendTransaction", [fields]))

    def _open(self, vault: Contract) -> None:
        self._salt += 1
        position_id = int(TRADER, 16) << 96 | self._salt
        amount = self.draw.randint(2, 20) * WETH
        debt = int(amount * self.price * self.draw.uniform(0.6, 0.795) * USDC / WETH)
        self._ids[vault.address][position_id] = max(self.blocks, default=0)
        self.send(TRADER, vault, vault.adjust.encode(position_id, amount, debt, TRADER, b""), 5_000)

    def _trade(self) -> None:
        """Have traders open, top up, repay and close, a few a block."""
        for _ in range(self.draw.choice((0, 1, 1, 2, 3))):
            vault = self.draw.choice(self.ground.vaults)
            held = [key for key in self.collateral if key[0] == vault.address]
            if len(held) < _POSITIONS:
                self._open(vault)
                continue
            key = self.draw.choice(sorted(held))
            collateral, debt = self.collateral[key]
            data = self.draw.choice(
                (
                    vault.top_up.encode(key[1], collateral // self.draw.randint(20, 200) + 1),
                    vault.repay.encode(key[1], debt // self.draw.randint(20, 200) + 1),
                    vault.close.encode(key[1], TRADER, b""),
                )
            )
            self.send(TRADER, vault, data, 5_000)

    # The price

    def _walk(self) -> None:
        drift, left = self._mood
        if left == 0:
            drift, most = self.draw.choice(_MOODS)
            left = self.draw.randint(most // 2, most)
        if self.price < _LOWEST:
            drift = abs(drift) + 0.002
        if self.price > _HIGHEST:
            drift = -abs(drift) - 0.002
        self._mood = drift, left - 1
        self.price *= math.exp(drift + self.draw.gauss(0, _NOISE))

    def _move(self) -> None:
        """Have the feed say the price, and an arbitrageur trade the pool there."""
        stage = self.ground.stage
        answer = 0 if self.unpriced else int(self.price * FEED)
        self.send(_FEEDER, stage.ether_feed, stage.ether_feed.updateAnswer.encode(answer), 9_000)
        pool, price = stage.pool, Fraction(int(self.price * FEED), FEED * 10**12)
        ratio = price if stage.weth.address == pool.token_0.address else 1 / price
        target = maths.sqrt_price(ratio.denominator, ratio.numerator)
        tokens = [pool.token_0, pool.token_1]
        sold, bought = tokens if target < pool.sqrt_price else tokens[::-1]
        order = (sold, bought, pool.fee, _ARBITRAGEUR, NEVER, 2**120, 0, target)
        data = stage.uniswap.router.exactInputSingle.encode(order)
        self.send(_ARBITRAGEUR, stage.uniswap.router, data, 8_000)

    # Blocks

    def block(self, faults: frozenset[str]) -> Seen:
        """Mine a block of all this and of whatever the keeper has sent, and look at it."""
        if self.restless:
            self._walk()
            self._trade()
        self._move()
        rpc = self.ground.rpc
        for sent in rpc.batch(self._queue):
            if isinstance(sent, RpcError):
                raise RuntimeError(f"the soak's own transaction was refused: {sent}")
        self._queue, self._nonces = [], {}
        self._time = max(self._time + 1, int(self.now()))
        rpc.call("anvil_setNextBlockBaseFeePerGas", hex(self.base))
        rpc.call("evm_mine", self._time)
        seen = self._look(faults)
        self.blocks[seen.number] = seen
        return seen

    def reorganise(self, depth: int, faults: frozenset[str]) -> None:
        """Take so many blocks back, and mine others in their place, and one more."""
        rpc = self.ground.rpc
        rpc.call("anvil_rollback", depth)
        head = rpc.call("eth_getBlockByNumber", "latest", False)
        self._time = int(head["timestamp"], 16)
        for number in [one for one in self.blocks if one > int(head["number"], 16)]:
            del self.blocks[number]
        for _ in range(depth):
            self.block(faults)

    # What is seen

    def _look(self, faults: frozenset[str]) -> Seen:
        stage = self.ground.stage
        head = self.ground.rpc.call("eth_getBlockByNumber", "latest", False)
        number, at = int(head["number"], 16), {"blockHash": head["hash"]}
        asked: list[Request] = [
            ("eth_getLogs", [at | {"address": stage.liquidator.address, "topics": [_LIQUIDATED]}])
        ]
        for vault in self.ground.vaults:
            ids = [*self._ids[vault.address]]
            for data in (
                stage.lens.market.encode(vault),
                stage.lens.positions.encode(vault, ids),
            ):
                call = {"to": stage.lens.address, "data": _hex(data), "gas": hex(10**9)}
                asked.append(("eth_call", [call, at]))
        logs, *views = self.ground.rpc.batch(asked)
        due, priced = set(), set()
        self.collateral = {}
        positions, market = (interface("VaultLens").function(n, c) for n, c in _LENS)
        for vault, sheet, told in zip(self.ground.vaults, views[::2], views[1::2], strict=True):
            known = self._ids[vault.address]
            if market.decode(bytes.fromhex(sheet[2:])).price_high:
                priced.add(vault.address)
            for position_id, view in zip(
                [*known], positions.decode(bytes.fromhex(told[2:])), strict=True
            ):
                key = vault.address, position_id
                if view.collateral:
                    known[position_id] = number
                    self.collateral[key] = view.collateral, view.debt
                elif known[position_id] < number - _FORGET:
                    del known[position_id]
                if view.liquidatable:
                    due.add(key)
        seen = Seen(
            number, frozenset(due), frozenset(priced), [_taken(log) for log in logs], faults
        )
        before = self.blocks.get(number - 1)
        if before is not None and not faults:
            self._try(seen, sorted(seen.due & before.due)[:_TRIED], at)
        return seen

    def _try(self, seen: Seen, keys: Sequence[Key], at: Json) -> None:
        """Say which of these would pay at this block: half as much again as their gas."""
        cost = 400_000 * (self.base + GWEI) * 3 // 2
        asked: list[Request] = []
        for key in keys:
            call = {"from": self.keeper, "to": self.ground.stage.liquidator.address}
            asked.append(("eth_call", [call | {"data": _hex(self.liquidation(key))}, at]))
        answers = self.ground.rpc.batch(asked) if asked else []
        for key, answer in zip(keys, answers, strict=True):
            if not isinstance(answer, RpcError):
                profit = int.from_bytes(bytes.fromhex(answer[2:])[96:128], signed=True)
                if profit * WETH / USDC / self.price > cost:
                    seen.pays.add(key)

    def liquidation(self, key: Key, receiver: str | None = None) -> bytes:
        """Return the call that liquidates a position through the pool."""
        stage = self.ground.stage
        data: bytes = stage.liquidator.liquidate.encode(
            key[0], (key[1], NEVER, 0), stage.pool.path(stage.weth), receiver or self.keeper
        )
        return data


_LENS = (("positions", 2), ("market", 1))


def _taken(log: Json) -> tuple[Key, str]:
    vault, position_id, caller = log["topics"][1:4]
    address = checksum(bytes.fromhex(vault[26:]))
    return (address, int(position_id, 16)), checksum(bytes.fromhex(caller[26:]))
