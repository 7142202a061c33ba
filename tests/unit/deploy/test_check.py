"""What is known to fail before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ringfence.deploy import PlanError, check_plan, estimate_gas, to_do
from ringfence.deploy.chain import Feed, Token
from ringfence.evm import Contract, load
from tests.support.deployment import Deployment, markets
from tests.support.market import STRANGER

CONSERVATIVE = "weth-usdc-conservative"


def on_public_chain(deployment: Deployment) -> None:
    """Turn the local chain's parts into addresses, as a chain file has them, without faucets."""
    record = deployment.deploy([])
    tokens = {
        name: Token(record.address(f"tokens/{name}"), token.decimals)
        for name, token in deployment.chain.tokens.items()
    }
    feeds = {
        name: Feed(record.address(f"feeds/{name.replace('/', '-')}"), feed.decimals, feed.heartbeat)
        for name, feed in deployment.chain.feeds.items()
    }
    deployment.chain = replace(
        deployment.chain, source="7.toml", tokens=tokens, feeds=feeds, parts=()
    )


def part(deployment: Deployment, key: str) -> Contract:
    [step] = [one for one in deployment.plan([]).steps if one.key == key]
    return deployment.engine.at(deployment.record.address(key), step.artifact)


def check(deployment: Deployment) -> None:
    plan = deployment.plan(markets(CONSERVATIVE))
    check_plan(plan, deployment.deployer, deployment.record, deployment.engine.timestamp)


def refused(deployment: Deployment, expected: str) -> None:
    sent = len(deployment.deployer.ledger)
    with pytest.raises(PlanError, match=expected):
        check(deployment)
    assert len(deployment.deployer.ledger) == sent


@pytest.fixture
def public(deployment: Deployment) -> Deployment:
    on_public_chain(deployment)
    account = deployment.deployer.account
    usdc = deployment.engine.at(deployment.chain.tokens["USDC"].address, load("PermitToken"))
    usdc.mint(account, 10 * 10**6)
    weth = deployment.chain.tokens["WETH"].address
    deployment.engine.send(account, weth, bytes.fromhex("d0e30db0"), value=10**15)
    return deployment


def test_check_plan__fresh_local_chain__passes(deployment: Deployment) -> None:
    check(deployment)
    deployment.deploy(markets(CONSERVATIVE))
    check(deployment)


def test_check_plan__public_chain__passes_and_deploys(public: Deployment) -> None:
    check(public)
    assert CONSERVATIVE in public.deploy(markets(CONSERVATIVE)).vaults
    check(public)


def test_check_plan__token_without_code__says_where(public: Deployment) -> None:
    usdc = replace(public.chain.tokens["USDC"], address=STRANGER.address)
    public.chain = replace(public.chain, tokens={**public.chain.tokens, "USDC": usdc})
    refused(public, rf"token USDC: there is no contract at {STRANGER.address} on chain 1; correct")


def test_check_plan__wrong_decimals__says_both(public: Deployment) -> None:
    usdc = replace(public.chain.tokens["USDC"], decimals=18)
    public.chain = replace(public.chain, tokens={**public.chain.tokens, "USDC": usdc})
    refused(public, r"token USDC has 6 decimals on chain, 18 in 7\.toml; correct")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"address": STRANGER.address}, r"feed ETH/USD: there is no contract at"),
        ({"decimals": 18}, r"feed ETH/USD has 8 decimals on chain, 18 in 7\.toml"),
        ({"heartbeat": 59}, r"feed ETH/USD answered 60 s ago \(limit 59\); wait"),
    ],
)
def test_check_plan__feed_is_not_as_told__says_so(
    public: Deployment, change: dict[str, object], expected: str
) -> None:
    public.engine.advance(60)
    check(public)
    feed = replace(public.chain.feeds["ETH/USD"], **change)  # type: ignore[arg-type]
    public.chain = replace(public.chain, feeds={**public.chain.feeds, "ETH/USD": feed})
    refused(public, expected)


def test_check_plan__token_for_a_feed__says_what_it_refuses(public: Deployment) -> None:
    usdc = public.chain.tokens["USDC"].address
    feed = replace(public.chain.feeds["ETH/USD"], address=usdc, decimals=6)
    public.chain = replace(public.chain, feeds={**public.chain.feeds, "ETH/USD": feed})
    refused(public, r"refuses latestRoundData\(\): .*; is it the right one")


def test_check_plan__answer_out_of_bounds__says_which(deployment: Deployment) -> None:
    deployment.deploy([])
    feed = part(deployment, "feeds/ETH-USD")
    for answer in (10, 100_000):
        feed.updateAnswer(answer * 10**8)
        check(deployment)
    for answer in (10 * 10**8 - 1, 100_000 * 10**8 + 1, -1):
        feed.updateAnswer(answer)
        refused(deployment, r"feed ETH/USD answers -?[\d.]+ \(limits 10 to 100000\)")


@pytest.mark.parametrize(("name", "seed"), [("USDC", "10"), ("WETH", r"0\.001")])
def test_check_plan__seed_not_held__says_what_is_needed(
    public: Deployment, name: str, seed: str
) -> None:
    token = public.engine.at(public.chain.tokens[name].address, load("PermitToken"))
    token.transfer(STRANGER, 1)
    refused(public, rf"holds [\d.]+ {name}, the seeds take {seed}; send it more")
    token.transfer(public.deployer.account, 1, sender=STRANGER)
    check(public)


def test_check_plan__not_enough_for_gas__says_both(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    price: Callable[[object], int] = lambda _self: 10**12  # noqa: E731
    monkeypatch.setattr(type(deployment.deployer), "gas_price", price)
    check(deployment)
    deployment.engine.set_balance(deployment.deployer.account, 10**18)
    refused(deployment, r"holds 1\.0000 ether, the deployment may cost \d+\.\d+; send it more")


def test_check_plan__recorded_contract_gone__asks_for_the_right_node(
    deployment: Deployment,
) -> None:
    record = deployment.deploy(markets(CONSERVATIVE))
    deployment.engine.set_code(record.address("factory"), b"")
    refused(deployment, "factory is recorded at 0x.* and the node has no code there")


def test_estimate_gas__each_step__is_enough_and_not_far_off(deployment: Deployment) -> None:
    plan = deployment.plan(markets())
    used = 0
    send = deployment.engine.send

    def metered(*args: object, **kwargs: object) -> object:
        nonlocal used
        receipt = send(*args, **kwargs)  # type: ignore[arg-type]
        used += receipt.gas_used
        return receipt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.engine, "send", metered)
        estimate = sum(estimate_gas(step) for step in to_do(plan, deployment.record))
        deployment.deploy(markets())
    assert used < estimate < 1.25 * used
    assert to_do(plan, deployment.record) == []
