"""Plans: what market files become, and what does not fit the chain."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.deploy import FileError, Market, PlanError, load_market
from ringfence.deploy.chain import Sequencer
from ringfence.deploy.local import local_chain
from ringfence.deploy.steps import Ref, VaultCreation
from ringfence.evm import load
from tests.support.deployment import Deployment, market_path, markets
from tests.support.market import RECEIVER

CONSERVATIVE = "weth-usdc-conservative"


def edited(tmp_path: Path, *replacements: tuple[str, str]) -> Market:
    text = market_path(CONSERVATIVE).read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "edited.toml"
    path.write_text(text)
    return load_market(path)


def test_make_plan__steps__follow_what_they_refer_to(deployment: Deployment) -> None:
    known: set[str] = set()
    for step in deployment.plan(markets()).steps:
        refs = [value for value in step.arguments.values() if isinstance(value, Ref)]
        assert {ref.key for ref in refs} <= known
        known.add(step.key)


def test_make_plan__no_markets__is_the_core_alone(deployment: Deployment) -> None:
    keys = [step.key for step in deployment.plan([]).steps]
    core = keys[len(deployment.chain.parts) :]
    assert core[:2] == ["blueprint", "factory"]
    assert not any("/" in key for key in core)


def test_make_plan__no_uniswap__leaves_out_what_needs_it(deployment: Deployment) -> None:
    everything = {step.key for step in deployment.plan([]).steps}
    assert {"router", "liquidator", "lens"} < everything
    deployment.chain = replace(deployment.chain, uniswap_factory=None)
    plan = deployment.plan([])
    assert everything - {step.key for step in plan.steps} == {"router", "liquidator"}
    assert plan.skipped == (
        "LeverageRouter is left out: uniswap_factory is not in the local chain's parts",
        "Liquidator is left out: uniswap_factory is not in the local chain's parts",
    )


def test_make_plan__vault__has_the_constructors_arguments_in_order(
    deployment: Deployment,
) -> None:
    step = deployment.plan(markets(CONSERVATIVE)).steps[-1]
    assert isinstance(step, VaultCreation)
    [constructor] = [one for one in load("MarginVault").abi if one["type"] == "constructor"]
    assert [part["name"] for part in constructor["inputs"]] == list(step.arguments)
    [params] = [one for one in constructor["inputs"] if one["name"] == "params"]
    names = [part["name"] for part in params["components"]]
    assert names == list(step.arguments["params"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("min_debt = 100", "min_debt = 0.0099", "risk.min_debt is 0.0099 (limit 0.01: 10,000 of"),
        ("min_debt = 100", "min_debt = 1.0000001", "risk.min_debt: 1.0000001 has more than 6 dec"),
        ("asset = 10 ", "asset = 0.009 ", "seed.asset is 0.009 (limit 0.01: 10,000 of"),
        (
            "collateral = 0.001",
            "collateral = 0",
            "seed.collateral is 0 (limit 0.00000000000001: 10,000",
        ),
        ("supply = 20_000_000", "supply = 1e30", "caps.supply is 1E+30 (limit 2028240960365167042"),
        ("max = 100_000", "max = 12.345678901", "oracle: max: 12.345678901 has more than 8 decim"),
    ],
)
def test_make_plan__amount_does_not_fit_its_token__says_so(
    deployment: Deployment, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    with pytest.raises(FileError) as caught:
        deployment.plan([edited(tmp_path, (old, new))])
    assert str(caught.value).startswith(f"edited: {expected}")


def test_make_plan__price_unknown__says_which_option(deployment: Deployment) -> None:
    deployment.chain = replace(deployment.chain, prices={"USDC": Decimal(1)})
    with pytest.raises(PlanError, match=r"the price of WETH is not known.*--price WETH=<dollars>"):
        deployment.plan(markets(CONSERVATIVE))
    deployment.plan(markets(CONSERVATIVE), {"WETH": Decimal(2_000)})


def test_make_plan__standing_oracle__needs_no_price(deployment: Deployment) -> None:
    deployment.deploy(markets(CONSERVATIVE))
    deployment.chain = replace(deployment.chain, prices={})
    deployment.plan(markets(CONSERVATIVE))


def test_make_plan__other_chain__says_which(deployment: Deployment) -> None:
    deployment.chain = local_chain(31_337)
    with pytest.raises(PlanError, match="is for chain 31337, the node is on chain 1; connect to"):
        deployment.plan(markets())


def test_make_plan__unknown_feed__says_what_there_is(
    deployment: Deployment, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match=r"feed WETH/USD is not in .* \(it has ETH/USD, USDC/USD\)"):
        deployment.plan([edited(tmp_path, ('"ETH/USD"', '"WETH/USD"'))])


def test_make_plan__sequencer__is_handed_to_the_oracle(deployment: Deployment) -> None:
    deployment.chain = replace(deployment.chain, sequencer=Sequencer(RECEIVER, 3_600))
    [oracle] = [
        step
        for step in deployment.plan(markets(CONSERVATIVE)).steps
        if step.key.startswith("oracles/")
    ]
    assert oracle.arguments["uptime"] == {"feed": RECEIVER, "grace_period": 3_600}


def test_make_plan__morpho_source__is_found_by_name(deployment: Deployment, tmp_path: Path) -> None:
    text = market_path(CONSERVATIVE).read_text()
    start, end = text.index("[oracle]"), text.index("[seed]")
    path = tmp_path / "morpho.toml"
    oracle = '[oracle]\nkind = "morpho"\nsource = "WETH/USDC"\ntolerance = 0.05\n\n'
    path.write_text(text[:start] + oracle + text[end:])
    deployment.chain = replace(deployment.chain, oracles={"WETH/USDC": RECEIVER})
    [step] = [
        step
        for step in deployment.plan([load_market(path)]).steps
        if step.key.startswith("oracles/")
    ]
    assert step.contract == "MorphoOracle"
    assert step.arguments == {
        "source_oracle": RECEIVER,
        "reference_price": 2_000 * 10**24,
        "tolerance": 5 * 10**16,
    }


def test_local_chain__price_missing__says_which() -> None:
    with pytest.raises(PlanError, match="the price of USDC is missing"):
        local_chain(31_337, {"WETH": Decimal(2_000)})
