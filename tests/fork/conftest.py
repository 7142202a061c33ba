"""A forked chain with real Uniswap and a real feed: mainnet, or a stand-in that the tests build.

`pytest tests/fork --upstream URL` forks the chain behind an Ethereum mainnet node (`make fork`
hands it ETH_RPC_URL). Without it, an anvil of our own stands upstream, started from a state that
the tests deploy and dump: the same files run against both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from ringfence.evm import Contract, Engine, load, load_npm
from ringfence.evm.anvil import launch
from ringfence.evm.uniswap import Uniswap, deploy_uniswap
from tests.support.market import DEPLOYER, NOBODY, USDC, WETH, dev_accounts
from tests.support.periphery import fund

FEE = 500
ETHER_PRICE = 2_000
AGGREGATOR = "@chainlink/contracts/abi/v0.6/MockV3Aggregator.json"
PROXY = "@chainlink/contracts/abi/v0.6/EACAggregatorProxy.json"


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the suite needs of the chain that it forks."""

    weth: str
    usdc: str
    eth_usd: str
    usdc_usd: str
    uniswap_factory: str
    swap_router: str
    quoter: str
    positions: str


MAINNET = Addresses(
    weth="0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    usdc="0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    eth_usd="0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419",
    usdc_usd="0x8fFfFfd4AfB6115b954Bd326cbe7B4BA576818f6",
    uniswap_factory="0x1F98431c8aD98523631AE4a59f267346ea31F984",
    swap_router="0xE592427A0AEce92De3Edee1F18E0157C05861564",
    quoter="0x61fFE014bA17989E743c5F6cB21bF9697530B21e",
    positions="0xC36442b4a4522E871399CD717aBDD847Ab11FE88",
)
"""As published by Circle, Chainlink and Uniswap."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--upstream", default="", help="URL of an Ethereum mainnet node to fork")


@dataclass(frozen=True, slots=True)
class Fork:
    """The forked chain, and its own contracts on it."""

    engine: Engine
    uniswap: Uniswap
    weth: Contract
    usdc: Contract
    eth_usd: Contract
    usdc_usd: Contract

    def path(self, token_in: Contract) -> bytes:
        """The route through the pool of WETH and USDC."""
        other = self.usdc if token_in.address == self.weth.address else self.weth
        pieces = bytes.fromhex(token_in.address[2:]), FEE.to_bytes(3, "big")
        return b"".join(pieces) + bytes.fromhex(other.address[2:])

    def crash(self, whale: LocalAccount, dollars: Fraction) -> None:
        """Sell ether into the pool until it pays at most `dollars`, and let the feed say so.

        The feed keeps its real proxy. The aggregator behind it takes its answers from a network
        that no fork has: its code gives way to one that can be told.
        """
        while self.uniswap.quote_sale(self.path(self.weth), WETH) > dollars * USDC:
            self.uniswap.sell(whale, self.path(self.weth), 100 * WETH)
        answer = self.uniswap.quote_sale(self.path(self.weth), WETH) * 10**8 // USDC
        told = self.engine.deploy(load_npm(AGGREGATOR), 8, answer)
        aggregator = self.engine.at(self.eth_usd.aggregator(), load_npm(AGGREGATOR))
        self.engine.set_code(aggregator, self.engine.code_at(told))
        aggregator.updateAnswer(answer)


def build_upstream(engine: Engine) -> Addresses:
    """Deploy what mainnet has: WETH9, a dollar, two feeds, Uniswap with a deep pool."""
    uniswap = deploy_uniswap(engine)
    usdc = engine.deploy(load("TestToken"), "USD Coin", "USDC", 6)
    aggregator = engine.deploy(load_npm(AGGREGATOR), 8, ETHER_PRICE * 10**8)
    eth_usd = engine.deploy(load_npm(PROXY), aggregator, NOBODY)
    usdc_usd = engine.deploy(load_npm(AGGREGATOR), 8, 10**8)
    fund(engine, uniswap.weth, DEPLOYER, 20_000 * WETH)
    usdc.mint(DEPLOYER, 40_000_000 * USDC)
    pool = uniswap.create_pool(uniswap.weth, usdc, fee=FEE, amounts=(WETH, ETHER_PRICE * USDC))
    amounts = {uniswap.weth.address: 20_000 * WETH, usdc.address: 40_000_000 * USDC}
    uniswap.fund_pool(pool, amounts, DEPLOYER)
    return Addresses(
        uniswap.weth.address,
        usdc.address,
        eth_usd.address,
        usdc_usd.address,
        uniswap.factory.address,
        uniswap.router.address,
        uniswap.quoter.address,
        uniswap.positions.address,
    )


@pytest.fixture(scope="session")
def upstream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Addresses]]:
    """The URL of the chain to fork, and where things are on it."""
    url = request.config.getoption("--upstream")
    if url:
        yield url, MAINNET
        return
    state: Path = tmp_path_factory.mktemp("upstream") / "state.json"
    with launch() as builder:
        addresses = build_upstream(builder)
        builder.dump_state(state)
    with launch(state=state) as node:
        yield node.url, addresses


@pytest.fixture(scope="session")
def standing_fork(upstream: tuple[str, Addresses]) -> Iterator[Fork]:
    """The fork, for the session."""
    url, at = upstream
    with launch(fork_url=url) as engine:
        # Anyone may have given the well-known development accounts code of their own on mainnet.
        for account in dev_accounts():
            engine.set_code(account, b"")
        core = "@uniswap/v3-core/artifacts/contracts"
        periphery = "@uniswap/v3-periphery/artifacts/contracts"
        weth = engine.at(at.weth, load_npm("canonical-weth/build/contracts/WETH9.json"))
        uniswap = Uniswap(
            engine,
            weth,
            engine.at(
                at.uniswap_factory, load_npm(f"{core}/UniswapV3Factory.sol/UniswapV3Factory.json")
            ),
            engine.at(at.swap_router, load_npm(f"{periphery}/SwapRouter.sol/SwapRouter.json")),
            engine.at(at.quoter, load_npm(f"{periphery}/lens/QuoterV2.sol/QuoterV2.json")),
            engine.at(
                at.positions,
                load_npm(
                    f"{periphery}/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"
                ),
            ),
        )
        yield Fork(
            engine,
            uniswap,
            weth,
            engine.at(at.usdc, load("TestToken")),
            engine.at(at.eth_usd, load_npm(PROXY)),
            engine.at(at.usdc_usd, load_npm(AGGREGATOR)),
        )


@pytest.fixture
def fork(standing_fork: Fork) -> Iterator[Fork]:
    """The fork for one test; what the test does is undone."""
    mark = standing_fork.engine.snapshot()
    yield standing_fork
    standing_fork.engine.restore(mark)
