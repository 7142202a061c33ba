"""Deploying: market files, chain files, a record, and the steps between them.

    chain = load_chain(Path("markets/chains/11155111.toml"))
    markets = [load_market(Path("markets/weth-usdc-conservative.toml"))]
    store = RecordStore(Path("deployments/11155111.json"))
    plan = make_plan(markets, chain, Roles(curator), prices, store.load(chain.chain_id))
    record = deploy(plan, deployer, store, commit="...")
    record.vaults["weth-usdc-conservative"]

Needs the extra `deploy` (pydantic) and, to create contracts, a checkout with the compiler.
"""

from ringfence.deploy.chain import Chain, load_chain
from ringfence.deploy.check import check_plan, estimate_gas, to_do
from ringfence.deploy.deployer import Deployer, EngineDeployer
from ringfence.deploy.errors import DeployError, FileError, PlanError, TransactionError
from ringfence.deploy.local import local_chain
from ringfence.deploy.market import Market, MarketFile, load_market
from ringfence.deploy.plan import Plan, Roles, make_plan
from ringfence.deploy.record import Entry, Record, RecordStore, record_path, source_commit
from ringfence.deploy.run import deploy, is_lost
from ringfence.deploy.verify import Finding, verify
from ringfence.deploy.web3_deployer import Web3Deployer

__all__ = [
    "Chain",
    "DeployError",
    "Deployer",
    "EngineDeployer",
    "Entry",
    "FileError",
    "Finding",
    "Market",
    "MarketFile",
    "Plan",
    "PlanError",
    "Record",
    "RecordStore",
    "Roles",
    "TransactionError",
    "Web3Deployer",
    "check_plan",
    "deploy",
    "estimate_gas",
    "is_lost",
    "load_chain",
    "load_market",
    "local_chain",
    "make_plan",
    "record_path",
    "source_commit",
    "to_do",
    "verify",
]
