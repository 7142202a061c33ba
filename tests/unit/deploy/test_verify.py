"""verify: says what differs, and nothing when nothing does."""

from __future__ import annotations

import pytest

from ringfence.deploy import Finding, verify
from ringfence.deploy.verify import GETTERS
from ringfence.evm import load
from tests.support.deployment import COMMIT, Deployment, markets
from tests.support.market import STRANGER

VAULT = "vaults/weth-usdc-conservative"


def findings(deployment: Deployment, commit: str = COMMIT) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in verify(deployment.record, deployment.deployer, commit):
        found.setdefault(finding.key, []).append(finding)
    return found


@pytest.fixture
def deployed(deployment: Deployment) -> Deployment:
    deployment.deploy(markets())
    return deployment


def test_verify__as_deployed__finds_nothing(deployed: Deployment) -> None:
    assert findings(deployed) == {}


def test_verify__nothing_there__says_so(deployed: Deployment) -> None:
    address = deployed.record.address("factory")
    deployed.engine.set_code(address, b"")
    found = findings(deployed)
    assert str(found["factory"][0]) == (
        f"factory: code is nothing at {address} on chain, a contract in the record"
    )
    # The vaults are still as recorded, but no factory vouches for them.
    assert [finding.what for finding in found[VAULT]] == ["creator"]


def test_verify__other_code__is_told_with_the_commit(deployed: Deployment) -> None:
    address = deployed.record.address("blueprint")
    code = bytearray(deployed.engine.code_at(address))
    code[-1] ^= 1
    deployed.engine.set_code(address, bytes(code))
    hash_differs, code_differs = findings(deployed)["blueprint"]
    assert hash_differs.what == "code hash"
    assert hash_differs.recorded == deployed.record.contracts["blueprint"].code_hash
    assert COMMIT in code_differs.recorded
    for other in ("0ther", f"{COMMIT}-dirty", "unknown"):
        assert findings(deployed, other)["blueprint"] == [hash_differs]


def test_verify__immutable_changed__is_named(deployed: Deployment) -> None:
    record = deployed.record
    one, other = (
        record.address(VAULT),
        record.address("vaults/weth-usdc-high-leverage"),
    )
    deployed.engine.set_code(one, deployed.engine.code_at(other))
    found = {finding.what: finding for finding in findings(deployed)[VAULT]}
    assert found["params.initial_ltv"].recorded == "800000000000000000"
    assert found["params.initial_ltv"].found == "900000000000000000"
    assert found["name"].found == "Ringfence WETH/USDC High Leverage"
    assert "code hash" in found
    assert "code" not in found
    assert "params.oracle" not in found


def test_verify__getter_gone__is_unreadable(deployed: Deployment) -> None:
    [key] = [key for key in deployed.record.contracts if key.startswith("oracles/USDC-WETH")]
    rates = [key for key in deployed.record.contracts if key.startswith("rates/")]
    code = deployed.engine.code_at(deployed.record.address(rates[0]))
    deployed.engine.set_code(deployed.record.address(key), code)
    found = {finding.what: finding.found for finding in findings(deployed)[key]}
    assert found["collateral_token"].startswith("unreadable")
    assert found["code"].startswith("not what these sources compile to")


def test_verify__record_edited__is_told(deployed: Deployment) -> None:
    record = deployed.record
    entry = record.contracts["factory"]
    edited = entry.model_copy(update={"arguments": {"vault_blueprint": STRANGER.address}})
    deployed.store.save(record.add("factory", edited))
    [finding] = findings(deployed)["factory"]
    assert finding == Finding(
        "factory", "vault_blueprint", STRANGER.address, record.address("blueprint")
    )


def test_verify__getters__are_in_the_abis_and_the_constructors() -> None:
    for contract, getters in GETTERS.items():
        abi = load(contract).abi
        views = {one["name"] for one in abi if one["type"] == "function" and not one["inputs"]}
        [constructor] = [one for one in abi if one["type"] == "constructor"]
        assert set(getters) <= views
        assert set(getters.values()) <= {part["name"] for part in constructor["inputs"]}
