"""Chain files: the committed ones, and what is wrong with others."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.deploy import FileError, PlanError, Roles, load_chain, make_plan
from ringfence.deploy.record import Record
from tests.support.deployment import MARKETS, ROOT, markets
from tests.support.market import CURATOR

SEPOLIA = ROOT / "markets" / "chains" / "11155111.toml"


@pytest.mark.parametrize("path", sorted((ROOT / "markets" / "chains").glob("*.toml")), ids=str)
def test_load_chain__committed_file__serves_every_market(path: Path) -> None:
    chain = load_chain(path)
    assert str(chain.chain_id) == path.stem
    prices = dict.fromkeys(chain.tokens, Decimal(2))
    plan = make_plan(
        markets(), chain, Roles(CURATOR.address), prices, Record(chain_id=chain.chain_id)
    )
    vaults = [step.key for step in plan.steps if step.key.startswith("vaults/")]
    assert vaults == [f"vaults/{market_id}" for market_id in MARKETS]
    assert not chain.parts


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("decimals = 18\n", "", "tokens.WETH.decimals is missing; add it"),
        (
            "0xfFf9976782d46CC05630D1f6eBAb18b2324d6B14",
            "0xfff9976782d46CC05630D1f6eBAb18b2324d6B14",
            "tokens.WETH.address is '0xfff9976782d46CC05630D1f6eBAb18b2324d6B14', not a checks",
        ),
        ("heartbeat = 3_900", "heartbeat = 0", "feeds.ETH/USD.heartbeat is wrong: input should be"),
        ("[uniswap]", "[uniswop]", "uniswop is not a known key; those known here are chain_id"),
    ],
)
def test_load_chain__wrong__says_what_and_where(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    path = tmp_path / "11155111.toml"
    text = SEPOLIA.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FileError) as caught:
        load_chain(path)
    assert str(caught.value).startswith(f"{path}: {expected}")


def test_load_chain__no_such_file__says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"5\.toml: there is no such file; write one that names"):
        load_chain(tmp_path / "5.toml")


def test_find__unknown_name__lists_those_known() -> None:
    chain = load_chain(SEPOLIA)
    with pytest.raises(PlanError, match=r"token WBTC is not in .*11155111\.toml \(it has USDC, WE"):
        chain.token("WBTC")
    with pytest.raises(PlanError, match=r"feed BTC/USD is not in .* \(it has ETH/USD, USDC/USD\)"):
        chain.feed("BTC/USD")
    with pytest.raises(PlanError, match=r"oracle WETH/USDC is not in .* \(it has none\)"):
        chain.oracle("WETH/USDC")
