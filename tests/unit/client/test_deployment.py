"""A deployment by its record: markets by name, accounts, and records that will not do."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.client import DeploymentError, Ringfence, Trader, WrongChainError
from ringfence.client.deployment import QUOTERS
from tests.support.client import NEWCOMER, Desk
from tests.support.market import USDC, WETH


def test_open__record__markets_by_name_and_address(desk: Desk, tmp_path: Path) -> None:
    ringfence = Ringfence.open(desk.node, desk.record(tmp_path))
    assert ringfence.market("weth-usdc") == desk.long
    assert ringfence.market(desk.short.address) == desk.short
    assert set(ringfence.markets()) == {"weth-usdc", "usdc-weth"}
    assert ringfence.periphery == desk.periphery


def test_account__positions__open_ones_unless_told(desk: Desk, tmp_path: Path) -> None:
    trader = desk.trader()
    for salt in (1, 2):
        desk.send(trader.adjust(salt, WETH, 500 * USDC))
    desk.send(trader.close(1))
    account = Ringfence.open(desk.node, desk.record(tmp_path)).account(NEWCOMER.address)
    assert [one.salt for one in account.positions(desk.long)] == [2]
    assert [one.salt for one in account.positions(desk.long, closed=True)] == [1, 2]
    assert account.positions(desk.short) == []
    assert account.balance(desk.long.collateral) == 99 * WETH


def test_market__unknown__names_those_there_are(desk: Desk, tmp_path: Path) -> None:
    ringfence = Ringfence.open(desk.node, desk.record(tmp_path))
    with pytest.raises(DeploymentError, match=r"it has usdc-weth, weth-usdc\); name one"):
        ringfence.market("doge-usdc")


def test_open__no_record__says_nothing_is_deployed(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="nothing is deployed on chain 1"):
        Ringfence.open(desk.node, tmp_path / "none.json")


def test_open__another_chains_record__says_both(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(WrongChainError, match=r"record of chain 5, the node is on chain 1"):
        Ringfence.open(desk.node, desk.record(tmp_path, chain_id=5))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chain_id": 1, "contracts": {"a": 1}}'])
def test_open__not_a_record__says_so(desk: Desk, tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DeploymentError, match="is not a deployment record"):
        Ringfence.open(desk.node, path)


def test_open__no_lens__says_so(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="has no VaultLens"):
        Ringfence.open(desk.node, desk.record(tmp_path, contracts={}))


def test_open__no_quoter_in_the_record__uniswaps_own(desk: Desk, tmp_path: Path) -> None:
    path = desk.record(tmp_path)
    record = json.loads(path.read_text())
    del record["contracts"]["uniswap/quoter"]
    del record["contracts"]["router"]
    path.write_text(json.dumps(record))
    ringfence = Ringfence.open(desk.node, path)
    assert ringfence.periphery.quoter == QUOTERS[1]
    with pytest.raises(DeploymentError, match="names no LeverageRouter"):
        _ = ringfence.market("weth-usdc").router


def test_six_lines__of_the_packages_docstring__open_a_position(desk: Desk, tmp_path: Path) -> None:
    sender = desk.sender()
    ringfence = Ringfence.open(desk.node, desk.record(tmp_path))
    market = ringfence.market("weth-usdc")
    trader = Trader(market, sender.address)
    quote = trader.quote_open(margin="1.5 WETH", leverage="4x")
    assert quote.liquidation_price > 1_700
    assert quote.greatest_loss == Decimal("1.5")
    assert quote.interest_per_day == 0
    trader.open(quote).send(sender)
    assert market.position(sender.address, quote.salt).is_open
