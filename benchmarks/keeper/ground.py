"""A local chain with many vaults and positions on it, all real, and a deep Uniswap pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from ringfence.deploy.record import VAULTS, Record, RecordStore
from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.artifacts import ROOT
from ringfence.evm.rpc import JsonRpc, Request, RpcError
from ringfence.sim.scenario import load_scenario
from ringfence.sim.stage import NEVER, Stage, account_of, set_stage

CHAIN_ID = 31_337
MARKET = "weth-usdc-conservative"
TRADER = account_of("bench trader")
WETH, USDC, FEED = 10**18, 10**6, 10**8
COLLATERAL = WETH
"""Of each position."""
_PAGE = 140
"""Transactions of a block: what of them its 30M gas hold."""
_GAS = 210_000
"""Of a position's opening, and more."""
_DEEP = 2_000_000 * WETH
"""WETH in the pool: selling what 5,000 positions lose moves its price by a fifth of a per cent."""


@dataclass(slots=True)
class Ground:
    """The chain, its stage, its vaults in the registry's order, and how many positions each has."""

    engine: AnvilEngine
    stage: Stage
    rpc: JsonRpc
    folder: Path
    vaults: list[Contract]
    opened: dict[str, int] = field(default_factory=dict)

    @property
    def price(self) -> Fraction:
        """The feeds' USDC per WETH."""
        return self.stage.feed_price()

    def debt_at(self, ltv: Fraction) -> int:
        """Return the debt of a position at an LTV and the feeds' price, USDC units."""
        return int(COLLATERAL * self.price * ltv * USDC / WETH)

    def open(self, wanted: Sequence[tuple[Contract, int]], tell: Callable[[int], None]) -> None:
        """Open positions, one for each (vault, debt in USDC units), by real transactions."""
        nonce = int(self.rpc.call("eth_getTransactionCount", TRADER, "latest"), 16)
        for start in range(0, len(wanted), _PAGE):
            page = wanted[start : start + _PAGE]
            requests = [
                self._opening(vault, debt, nonce + start + number)
                for number, (vault, debt) in enumerate(page)
            ]
            self.send(requests)
            tell(len(page))

    def _opening(self, vault: Contract, debt: int, nonce: int) -> Request:
        salt = self.opened.get(vault.address, 0) + 1
        self.opened[vault.address] = salt
        data = vault.adjust.encode(int(TRADER, 16) << 96 | salt, COLLATERAL, debt, TRADER, b"")
        call = {"from": TRADER, "to": vault.address, "data": "0x" + data.hex(), "gasPrice": "0x0"}
        return "eth_sendTransaction", [call | {"gas": hex(_GAS), "nonce": hex(nonce)}]

    def send(self, requests: Sequence[Request]) -> None:
        """Send transactions and mine them into one block; raise when one of them fails."""
        sent = self.rpc.batch([*requests])
        self.mine()
        receipts = self.rpc.batch([("eth_getTransactionReceipt", [one]) for one in sent])
        for receipt in receipts:
            if isinstance(receipt, RpcError) or receipt is None or receipt["status"] != "0x1":
                raise RuntimeError(f"a position could not be opened: {receipt}")

    def mine(self, seconds: int = 12) -> None:
        """Mine a block, so many seconds after the last."""
        self.engine.advance(seconds)
        self.rpc.call("evm_mine", self.engine.timestamp)

    def sell_off(self, share: Fraction) -> None:
        """Let the pool fall to a share of the feeds' price; two blocks and more."""
        self.engine.advance(12)
        move_pool(self.stage, self.price * share)

    def update_feed(self, share: Fraction) -> None:
        """Let the feed fall to a share of its price, in the next block."""
        self.engine.advance(12)
        self.stage.ether_feed.updateAnswer(int(self.price * share * FEED))


def move_pool(stage: Stage, price: Fraction) -> None:
    """Trade the pool to a price, USDC per WETH."""
    trader = account_of("bench arbitrageur")
    stage.uniswap.move_price(stage.pool, stage.weth, price / 10**12, trader, budget=2**120)


def _deepen(stage: Stage) -> None:
    """Make the pool deep, and the one who moves it rich."""
    for name, count in (("bench provider", 1), ("bench arbitrageur", 4)):
        account = account_of(name)
        dollars = int(stage.feed_price() * _DEEP * USDC / WETH)
        stage.fund(account, stage.weth, count * _DEEP)
        stage.fund(account, stage.usdc, count * dollars)
    amounts = {stage.weth.address: _DEEP, stage.usdc.address: dollars}
    stage.uniswap.fund_pool(stage.pool, amounts, account_of("bench provider"))
    for token in (stage.weth, stage.usdc):
        token.approve(stage.uniswap.router, NEVER, sender=account_of("bench arbitrageur"))


def _vaults(stage: Stage, count: int) -> list[Contract]:
    """Create vaults like the first one until there are `count`, and lend to each."""
    first = stage.venues[MARKET].vault
    creator, made = account_of("bench curator"), [first]
    cash = 10**7 * USDC
    stage.fund(creator, stage.weth, count * WETH)
    stage.fund(creator, stage.usdc, 2 * count * cash)
    for token in (stage.weth, stage.usdc):
        token.approve(stage.factory, NEVER, sender=creator)
    params = first.parameters()
    while stage.factory.vaults_count() < count:
        salt = len(made).to_bytes(32, "big")
        receipt = stage.factory.create_vault(
            params, 10**15, 10**15, creator, creator, "Bench", "B", 10**7, 10**15, salt,
            sender=creator,
        )  # fmt: skip
        made.append(stage.engine.at(receipt.value, load("MarginVault")))
    for vault in made:
        stage.usdc.approve(vault, cash, sender=creator)
        vault.deposit(cash, creator, sender=creator)
        stage.weth.approve(vault, NEVER, sender=TRADER)
    return made


def _named(record: Record, vaults: Sequence[Contract]) -> Record:
    """Return the record with every vault in it, as an operator's own are: no strangers'."""
    like = record.contracts[f"{VAULTS}{MARKET}"]
    for number, vault in enumerate(vaults[1:], 2):
        entry = like.model_copy(update={"address": vault.address})
        record = record.add(f"{VAULTS}{MARKET}-{number}", entry)
    return record


@contextmanager
def lay(folder: Path, vaults: int) -> Iterator[Ground]:
    """Start a chain with so many vaults, lent to, and a trader who can open positions in all."""
    with launch(chain_id=CHAIN_ID) as engine:
        scenario = load_scenario(ROOT / "scenarios" / "crash-2020-03-12.toml")
        stage = set_stage(engine, scenario, folder)
        stage.fund(TRADER, stage.weth, 10**6 * WETH)
        _deepen(stage)
        rpc = JsonRpc(engine.url)
        made = _vaults(stage, vaults)
        stage = replace(stage, record=_named(stage.record, made))
        RecordStore(folder / "deployment.json").save(stage.record)
        yield Ground(engine, stage, rpc, folder, made)
        rpc.close()


def spread(vaults: Sequence[Contract], count: int) -> list[Contract]:
    """Return `count` vaults, each as often as the others."""
    return [vaults[number % len(vaults)] for number in range(count)]


def position_ids(ground: Ground) -> dict[bytes, list[int]]:
    """Return every id that was opened, by the vaults' 20 bytes."""
    owner = int(TRADER, 16) << 96
    return {
        address_bytes(vault): [
            owner | salt for salt in range(1, ground.opened.get(vault.address, 0) + 1)
        ]
        for vault in ground.vaults
    }
