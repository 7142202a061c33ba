"""Running plans: what stands afterwards, and that no interruption changes it or deploys twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringfence.deploy import (
    EngineDeployer,
    FileError,
    PlanError,
    RecordStore,
    Roles,
    TransactionError,
    deploy,
    is_lost,
    load_market,
    local_chain,
)
from ringfence.deploy.deployer import Mined, Signed, digest
from ringfence.deploy.record import Record
from ringfence.evm import Contract, Engine, load
from tests.support.deployment import COMMIT, Deployment, market_path, markets
from tests.support.market import CURATOR, GUARDIAN, STRANGER

CONSERVATIVE = "weth-usdc-conservative"


def vault_of(deployment: Deployment, market_id: str) -> Contract:
    return deployment.engine.at(deployment.record.vaults[market_id], load("MarginVault"))


# What stands


def test_deploy__committed_markets__stand_as_written(deployment: Deployment) -> None:
    record = deployment.deploy(markets())
    factory = deployment.engine.at(record.address("factory"), load("VaultFactory"))

    assert list(factory.vaults(0, 100)) == list(record.vaults.values())
    vault = vault_of(deployment, CONSERVATIVE)
    params = vault.parameters()
    assert params.collateral_token == record.address("tokens/WETH")
    assert params.asset == record.address("tokens/USDC")
    assert params.initial_ltv == 80 * 10**16
    assert params.beta_max == 1_077 * 10**15
    assert params.min_debt == 100 * 10**6
    assert params.fallback_rate == 8 * 10**16 // 31_536_000
    assert vault.current_limits() == (20 * 10**12, 18 * 10**12, 0)
    assert (vault.curator(), vault.guardian()) == (CURATOR.address, GUARDIAN.address)
    assert vault.current_balance_sheet().cash == 10 * 10**6
    short = vault_of(deployment, "usdc-weth-short").parameters()
    assert (short.collateral_token, short.asset) == (params.asset, params.collateral_token)
    assert deployment.engine.at(params.oracle, load("ChainlinkOracle")).quote()[0] == 2 * 10**27


def test_deploy__markets_alike__share_oracle_but_not_rates(deployment: Deployment) -> None:
    record = deployment.deploy(markets())
    assert sum(key.startswith("oracles/") for key in record.contracts) == 2
    assert sum(key.startswith("rates/") for key in record.contracts) == 3
    one, other = (
        vault_of(deployment, market_id).parameters()
        for market_id in (CONSERVATIVE, "weth-usdc-high-leverage")
    )
    assert one.oracle == other.oracle
    assert one.rate_model != other.rate_model


def test_deploy__record__holds_what_was_done(deployment: Deployment) -> None:
    record = deployment.deploy(markets(CONSERVATIVE))
    assert record == deployment.record
    assert record.pending is None
    for entry in record.contracts.values():
        assert deployment.deployer.ledger[entry.tx_hash].block == entry.block
        assert entry.source_commit == COMMIT
    assert record.contracts["blueprint"].blueprint
    assert record.contracts["tokens/USDC"].arguments["token_decimals"] == "6"
    params = record.contracts["vaults/weth-usdc-conservative"].arguments["params"]
    assert params["asset"] == record.address("tokens/USDC")


def test_deploy__progress__tells_each_step_once(deployment: Deployment) -> None:
    plan = deployment.plan(markets(CONSERVATIVE))
    seen: list[tuple[str, str]] = []

    def note(step: Any, status: str, _entry: Any) -> None:
        seen.append((step.key, status))

    for status in ("deployed", "stands"):
        seen.clear()
        deploy(plan, deployment.deployer, deployment.store, commit="x", progress=note)
        assert seen == [(step.key, status) for step in plan.steps]


# Again


def test_deploy__again__sends_nothing(deployment: Deployment) -> None:
    record = deployment.deploy(markets())
    sent = len(deployment.deployer.ledger)
    assert deployment.deploy(markets()) == record
    assert len(deployment.deployer.ledger) == sent


def test_deploy__one_more_market__adds_only_what_it_needs(deployment: Deployment) -> None:
    before = deployment.deploy(markets(CONSERVATIVE)).contracts
    after = deployment.deploy(markets(CONSERVATIVE, "weth-usdc-high-leverage")).contracts
    assert {key: after[key] for key in before} == before
    added = [key.partition("-")[0] for key in after if key not in before]
    assert added == ["rates/kinked", "vaults/weth"]


def test_deploy__caps_and_roles_changed__vault_stands_as_it_is(deployment: Deployment) -> None:
    record = deployment.deploy(markets(CONSERVATIVE))
    deployment.roles = Roles(STRANGER.address)
    assert deployment.deploy(markets(CONSERVATIVE)) == record


def test_deploy__market_file_changed__says_what_cannot_change(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.deploy(markets(CONSERVATIVE))
    sent = len(deployment.deployer.ledger)
    path = tmp_path / f"{CONSERVATIVE}.toml"
    path.write_text(market_path(CONSERVATIVE).read_text().replace("= 0.83", "= 0.82"))
    with pytest.raises(PlanError, match="cannot change") as caught:
        deployment.deploy([load_market(path)])
    assert "params.target_ltv is 830000000000000000 there and 820000000000000000" in str(
        caught.value
    )
    assert len(deployment.deployer.ledger) == sent


def test_deploy__price_moved__standing_oracle_is_kept(deployment: Deployment) -> None:
    record = deployment.deploy(markets(CONSERVATIVE))
    moved = {"WETH": deployment.chain.prices["WETH"] * 2, "USDC": deployment.chain.prices["USDC"]}
    deployment.chain = local_chain(deployment.engine.chain_id, moved)
    assert deployment.deploy(markets(CONSERVATIVE)) == record


# Interrupted


class Killed(BaseException):
    """The process died."""


@dataclass(slots=True)
class DyingDeployer:
    """Dies at the n-th boundary: before or after signing, sending, waiting and recording."""

    inner: EngineDeployer
    left: int

    def boundary(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def sign(self, to: str | None, data: bytes, nonce: int, value: int = 0) -> Signed:
        self.boundary()
        return self.inner.sign(to, data, nonce, value)

    def send(self, signed: Signed) -> None:
        self.boundary()
        self.inner.send(signed)
        self.boundary()

    def settle(self, tx_hash: str, nonce: int, since: int) -> Mined | None:
        mined = self.inner.settle(tx_hash, nonce, since)
        self.boundary()
        return mined


class DyingStore(RecordStore):
    """Dies with its deployer, before or after it has written."""

    boundary: Callable[[], None] = staticmethod(lambda: None)

    def save(self, record: Record) -> None:
        self.boundary()
        RecordStore(self.path).save(record)
        self.boundary()


def interrupted(deployment: Deployment, after: int) -> bool:
    """Run until the boundary; return whether the run died there."""
    dying = DyingDeployer(deployment.deployer, after)

    class Store(DyingStore):
        boundary = staticmethod(dying.boundary)

    plan = deployment.plan(markets(CONSERVATIVE))
    try:
        deploy(plan, dying, Store(deployment.store.path), commit=COMMIT)
    except Killed:
        return True
    return False


def fresh(deployment: Deployment, mark: object) -> None:
    deployment.engine.restore(mark)
    deployment.deployer.ledger.clear()
    deployment.store.path.unlink(missing_ok=True)


def boundaries(deployment: Deployment, mark: object) -> Iterator[int]:
    number = 0
    while True:
        fresh(deployment, mark)
        if not interrupted(deployment, number):
            return
        yield number
        number += 1


def test_deploy__killed_at_every_boundary__ends_the_same(deployment: Deployment) -> None:
    mark = deployment.engine.snapshot()
    expected = deployment.deploy(markets(CONSERVATIVE))
    sent = list(deployment.deployer.ledger)
    count = 0
    for number in boundaries(deployment, mark):
        assert deployment.deploy(markets(CONSERVATIVE)) == expected, f"killed at {number}"
        assert list(deployment.deployer.ledger) == sent, f"killed at {number}"
        count += 1
    # Sign, send, wait: 4 boundaries; two records with 2 each.
    assert count == 8 * len(sent)


def test_deploy__killed_again_and_again__ends_the_same(deployment: Deployment) -> None:
    mark = deployment.engine.snapshot()
    expected = deployment.deploy(markets(CONSERVATIVE))
    sent = list(deployment.deployer.ledger)
    for life in (3, 5, 7, 11):
        fresh(deployment, mark)
        lives = 1
        while interrupted(deployment, life + lives % 3):
            lives += 1
        assert lives > 5
        assert deployment.record == expected
        assert list(deployment.deployer.ledger) == sent


def test_resume__nonce_taken_by_something_else__step_is_done_anew(
    deployment: Deployment,
) -> None:
    # Dies after recording the first transaction, before sending it; then the account sends another.
    assert interrupted(deployment, 3)
    assert deployment.record.pending is not None
    other = deployment.deployer.sign(STRANGER.address, b"", 0)
    deployment.deployer.send(other)

    record = deployment.deploy(markets(CONSERVATIVE))
    assert record.pending is None
    assert CONSERVATIVE in record.vaults
    assert next(iter(deployment.deployer.ledger)) == other.tx_hash


def test_resume__transaction_replaced_by_its_like__counts(deployment: Deployment) -> None:
    """A wallet that speeds a transaction up sends the same one under another hash."""
    assert interrupted(deployment, 3)
    pending = deployment.record.pending
    assert pending is not None
    step = deployment.plan(markets(CONSERVATIVE)).steps[0]
    data = step.initcode(deployment.record.address)  # type: ignore[union-attr]
    receipt = deployment.engine.send(deployment.deployer.sender, None, data)
    sped_up = Mined("0x" + "ab" * 32, 1, True, receipt.contract_address, digest(None, data))
    deployment.deployer.ledger[sped_up.tx_hash] = sped_up

    record = deployment.deploy(markets(CONSERVATIVE))
    assert record.contracts[step.key].tx_hash == sped_up.tx_hash
    assert record.contracts[step.key].address == receipt.contract_address


def test_resume__another_account__is_sent_back(deployment: Deployment) -> None:
    assert interrupted(deployment, 3)
    stranger = EngineDeployer(deployment.engine, STRANGER)
    with pytest.raises(PlanError, match="run this with that account"):
        deployment.deploy(markets(CONSERVATIVE), stranger)
    assert deployment.record.pending is not None


# Failures


def test_deploy__transaction_fails__says_why_and_goes_on_later(deployment: Deployment) -> None:
    deployment.deploy([])
    feed = deployment.engine.at(
        deployment.record.address("feeds/ETH-USD"), deployment.chain.parts[2].artifact
    )
    feed.updateAnswer(3_000 * 10**8)
    with pytest.raises(TransactionError) as caught:
        deployment.deploy(markets(CONSERVATIVE))
    assert str(caught.value).startswith("oracles/WETH-USDC-")
    assert "failed: price is off the reference; nothing was changed" in str(caught.value)
    assert deployment.record.pending is None

    feed.updateAnswer(2_000 * 10**8)
    assert CONSERVATIVE in deployment.deploy(markets(CONSERVATIVE)).vaults


def test_deploy__seeds__are_taken_once_from_what_the_account_has(
    deployment: Deployment, engine: Engine
) -> None:
    deployment.deploy([])
    usdc = engine.at(deployment.record.address("tokens/USDC"), load("PermitToken"))
    account = deployment.deployer.account
    usdc.mint(account, 4 * 10**6)
    record = deployment.deploy(markets(CONSERVATIVE))

    assert usdc.balanceOf(account) == 0
    assert usdc.totalSupply() == 10 * 10**6
    assert usdc.allowance(account, record.address("factory")) == 0


def test_is_lost__chain_started_anew__true(deployment: Deployment) -> None:
    mark = deployment.engine.snapshot()
    record = deployment.deploy(markets(CONSERVATIVE))
    assert not is_lost(record, deployment.deployer)
    deployment.engine.restore(mark)
    assert is_lost(record, deployment.deployer)


def test_deploy__record_of_another_chain__is_refused(deployment: Deployment) -> None:
    deployment.deploy([])
    with pytest.raises(FileError, match="is the record of chain 1, the node is on chain 5"):
        deployment.store.load(5)
