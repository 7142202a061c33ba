"""Nodes and senders over web3.py: logs in pieces, keys, and what a node refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import RPCEndpoint

from ringfence.client import (
    BalanceError,
    Market,
    NodeError,
    Periphery,
    Trader,
    Transaction,
    TransactionError,
    Web3Node,
    Web3Sender,
    key_sender,
)
from ringfence.client.refusals.vault import NotGuardianError
from ringfence.evm import Reverted, load
from ringfence.evm.anvil import AnvilEngine, launch
from tests.support.market import CASH, CURATOR, STRANGER, TRADER, USDC, WETH, deploy_market

BLOCKED = """
import sys
for name in ("ape", "pydantic_settings", "verbs", "vyper", "numpy", "rich", "click", "eth"):
    sys.modules[name] = None
import ringfence.client
print(len(ringfence.client.REFUSALS) > 90)
"""


def test_import__base_install_alone__works() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], check=True, capture_output=True, text=True
    )
    assert done.stdout == "True\n"


@dataclass(slots=True)
class Scene:
    """A market on a node of our own, seen through web3.py."""

    engine: AnvilEngine
    web3: Web3
    market: Market
    vault: Any
    lens: Any


@pytest.fixture(scope="module")
def standing_scene() -> Iterator[Scene]:
    with launch() as engine, engine.automining():
        made = deploy_market(engine)
        made.deposit(CASH)
        lens = engine.deploy(load("VaultLens"))
        web3 = Web3(Web3.HTTPProvider(engine.url))
        market = Market.at(web3, made.vault.address, lens.address)
        made.give(made.collateral, TRADER, 100 * WETH)
        made.asset.mint(TRADER, 10_000 * USDC)
        yield Scene(engine, web3, market, made, lens)


@pytest.fixture
def scene(standing_scene: Scene) -> Iterator[Scene]:
    """The scene for one test; what the test does is undone."""
    mark = standing_scene.engine.snapshot()
    yield standing_scene
    standing_scene.engine.restore(mark)


@pytest.fixture
def opened(scene: Scene) -> Scene:
    """The scene with the trader's position 1: 2 WETH against 1,000 USDC."""
    trader, sender = Trader(scene.market, TRADER.address), key_sender(scene.web3, TRADER.key.hex())
    trader.adjust(1, 2 * WETH, 1_000 * USDC).send(sender)
    return scene


def test_key_sender__signs_here__and_the_position_is_there(scene: Scene) -> None:
    trader, sender = Trader(scene.market, TRADER.address), key_sender(scene.web3, TRADER.key.hex())
    assert sender.address == TRADER.address
    receipts = trader.adjust(1, 2 * WETH, 1_000 * USDC).send(sender)
    assert receipts[-1].tx_hash.startswith("0x")
    assert receipts[-1].gas_used > 50_000
    position = scene.market.position(TRADER.address, 1)
    assert (position.collateral, position.debt) == (2, 1_000)
    assert scene.market.position_ids(TRADER.address) == [position.id]


def test_web3_sender__without_a_signer__the_node_signs(opened: Scene) -> None:
    scene = opened
    trader = Trader(scene.market, TRADER.address)
    trader.top_up(1, WETH).send(Web3Sender(scene.web3, TRADER.address))
    assert scene.market.position(TRADER.address, 1).collateral == 3


def test_send__estimated_in_the_block_of_an_accrual__has_gas_for_the_next(opened: Scene) -> None:
    scene = opened
    trader, sender = Trader(scene.market, TRADER.address), key_sender(scene.web3, TRADER.key.hex())
    for _ in range(2):
        # The node estimates on the block of the accrual, and mines the next one later.
        scene.vault.vault.accrue(sender=STRANGER)
        scene.engine.advance(60)
        scene.web3.provider.make_request(
            RPCEndpoint("evm_setNextBlockTimestamp"), [scene.engine.timestamp]
        )
        trader.adjust(1, -WETH // 10, 0).send(sender)
    assert scene.market.position(TRADER.address, 1).collateral == Decimal("1.8")


def test_send__fails_in_its_block__says_why(opened: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = opened
    trader, sender = Trader(scene.market, TRADER.address), Web3Sender(scene.web3, TRADER.address)
    (one,) = trader.adjust(1, -WETH // 10, 0).transactions
    send = Web3Sender._send

    def send_late(this: Web3Sender, fields: Any) -> bytes:
        # Somebody is quicker: the oracle falls between the estimate and the block.
        scene.vault.oracle.set_price(0, sender=CURATOR)
        return send(this, fields)

    before = scene.engine.snapshot()
    monkeypatch.setattr(Web3Sender, "_send", send_late)
    with pytest.raises(TransactionError, match="and failed: price is unusable; the chain had"):
        sender.send(one)
    scene.engine.restore(before)


def test_call__reverts__with_the_contracts_word(scene: Scene) -> None:
    node = Web3Node(scene.web3)
    data = scene.vault.vault.set_caps.encode(1, 1)
    with pytest.raises(Reverted) as caught:
        node.call(scene.market.address, data, sender=STRANGER.address)
    assert caught.value.reason == "caller is not the guardian"


def test_send__would_revert__is_not_sent(scene: Scene) -> None:
    sender = key_sender(scene.web3, STRANGER.key.hex())
    nonce = scene.web3.eth.get_transaction_count(STRANGER.address)
    data = scene.vault.vault.set_caps.encode(1, 1)
    with pytest.raises(Reverted):
        sender.send(Transaction(scene.market.address, data, "set the caps"))
    assert scene.web3.eth.get_transaction_count(STRANGER.address) == nonce
    assert NotGuardianError.reason == "caller is not the guardian"


def test_send__more_ether_than_held__says_what_is_held(scene: Scene) -> None:
    sender = key_sender(scene.web3, STRANGER.key.hex())
    most = scene.engine.balance(STRANGER)
    with pytest.raises(BalanceError, match=f"pay: {STRANGER.address} holds 10,000 ether"):
        sender.send(Transaction(CURATOR.address, b"", "pay", value=most + 1))


def test_send__never_mined__says_to_look(scene: Scene) -> None:
    scene.web3.provider.make_request(RPCEndpoint("evm_setAutomine"), [False])
    sender = Web3Sender(scene.web3, CURATOR.address, timeout=0.2)
    with pytest.raises(TransactionError, match=r"pay: not mined within 0.2 s; look at it"):
        sender.send(Transaction(STRANGER.address, b"", "pay", value=1))
    scene.web3.provider.make_request(RPCEndpoint("evm_setAutomine"), [True])
    scene.web3.provider.make_request(RPCEndpoint("evm_mine"), [])


def test_node__nobody_there__says_so_in_a_line() -> None:
    node = Web3Node(
        Web3(Web3.HTTPProvider("http://127.0.0.1:9", exception_retry_configuration=None))
    )
    with pytest.raises(NodeError, match="the node does not answer") as caught:
        _ = node.chain_id
    assert "\n" not in str(caught.value)
    sender = key_sender(node.web3, TRADER.key.hex())
    with pytest.raises(NodeError):
        sender.send(Transaction(STRANGER.address, b"", "pay"))


@dataclass(slots=True)
class StingyEth:
    """A node that gives logs of at most `limit` blocks at once."""

    limit: int
    block_number: int = 99
    asked: list[tuple[int, int]] = field(default_factory=list)

    def get_logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        since, until = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if until - since + 1 > self.limit:
            raise Web3RPCError("query exceeds max block range")
        self.asked.append((since, until))
        return []


@dataclass(slots=True)
class StingyWeb3:
    eth: StingyEth


def test_logs__node_gives_few_blocks_at_once__asks_for_all_in_pieces() -> None:
    eth = StingyEth(limit=10)
    node = Web3Node(StingyWeb3(eth), span=64)  # type: ignore[arg-type]
    assert node.logs([TRADER.address], [None], since=40) == []
    assert [block for since, until in eth.asked for block in range(since, until + 1)] == [
        *range(40, 100)
    ]


def test_logs__node_gives_none_at_all__says_so() -> None:
    node = Web3Node(StingyWeb3(StingyEth(limit=0)))  # type: ignore[arg-type]
    with pytest.raises(NodeError, match="max block range"):
        node.logs([TRADER.address], [None])


def test_periphery__lens_alone__no_router(scene: Scene) -> None:
    assert scene.market.periphery == Periphery(scene.lens.address)
